/* glovebox notebook
name = "scores-north"
version = "1.0.0"
description = """
Scores one bank's payments by what the whole consortium knows of the payee. Only payments of that
bank leave, with a score and a flag; no other bank's payment, amount, report or count does."""

[inputs."mine.payments"]
columns = { payment_id = "utf8", phone = "utf8", first_to_payee = "boolean", reported = "boolean" }

[inputs."second.payments"]
columns = { phone = "utf8", first_to_payee = "boolean", reported = "boolean" }

[inputs."third.payments"]
columns = { phone = "utf8", first_to_payee = "boolean", reported = "boolean" }

[parameters.min_payments]
type = "int64"
description = "Fewest payments over all banks to a payee of whom anything is said."
default = 5
minimum = 5

[parameters.review_at]
type = "int64"
description = "Score from which a payment is flagged for review; 30 above it, it is stopped."
default = 50
minimum = 30
maximum = 70

[outputs.scores]
description = "One row for each of the bank's payments that is flagged."
max_rows = 100_000
columns = ["payment_id utf8 not null", "score int64 not null", "flag utf8 not null"]
*/

CREATE TEMP VIEW payments AS
SELECT 'mine' AS bank, phone, first_to_payee, reported FROM mine.payments
UNION ALL
SELECT 'second' AS bank, phone, first_to_payee, reported FROM second.payments
UNION ALL
SELECT 'third' AS bank, phone, first_to_payee, reported FROM third.payments;

-- A payee that is new to nearly everybody who pays it, at several banks, and reported: a mule.
CREATE TEMP VIEW payees AS
SELECT
    phone,
    10 * (count(DISTINCT bank) - 1)
        + 50 * sum(CASE WHEN first_to_payee THEN 1 ELSE 0 END) / count(*)
        + 30 * least(3, sum(CASE WHEN reported THEN 1 ELSE 0 END)) / 3 AS score
FROM payments
WHERE phone IS NOT NULL
GROUP BY phone
HAVING count(*) >= :min_payments AND count(DISTINCT bank) >= 2;

CREATE TABLE output.scores AS
SELECT
    m.payment_id,
    p.score,
    CASE WHEN p.score >= :review_at + 30 THEN 'stop' ELSE 'review' END AS flag
FROM mine.payments AS m
JOIN payees AS p ON p.phone = m.phone
WHERE p.score >= :review_at
ORDER BY m.payment_id;
