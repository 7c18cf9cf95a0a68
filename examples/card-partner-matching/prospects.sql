/* glovebox notebook
name = "prospects"
version = "1.0.0"
description = """
For the bank: which of its customers to offer the card, and which card. Its own customer ids, and
nothing of the airline but what an offer tells."""

[inputs."bank.customers"]
columns = { customer_id = "utf8", email = "utf8", income_band = "utf8", standing = "utf8", holds_card = "boolean" }

[inputs."airline.members"]
columns = { email = "utf8", tier = "utf8", opted_in = "boolean" }

[outputs.prospects]
description = "One row for each customer to whom the card is offered."
max_rows = 100_000
columns = ["customer_id utf8 not null", "offer utf8 not null"]
*/

CREATE TABLE output.prospects AS
SELECT
    c.customer_id,
    CASE WHEN m.tier = 'gold' AND c.income_band IN ('A', 'B') THEN 'gold' ELSE 'standard' END AS offer
FROM bank.customers AS c
JOIN airline.members AS m ON m.email = c.email
WHERE c.standing = 'good'
    AND NOT c.holds_card
    AND m.opted_in
    AND m.tier IN ('silver', 'gold')
ORDER BY c.customer_id;
