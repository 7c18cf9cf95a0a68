/* glovebox notebook
name = "match"
version = "1.0.0"
description = """
For the marketplace: the cheapest loan that each applicant qualifies for. The lenders' criteria
stay inside; an applicant learns a price, not why others said no."""

[inputs."market.applicants"]
columns = { applicant_id = "utf8", state = "utf8", purpose = "utf8", credit_score = "int64", annual_income = "int64", monthly_debts = "int64", amount = "int64", months = "int64" }

[inputs."harbour.products"]
columns = { product = "utf8", purpose = "utf8", state = "utf8", min_score = "int64", max_debt_ratio = "float64", min_income = "int64", max_amount = "int64", annual_rate = "float64" }

[inputs."prairie.products"]
columns = { product = "utf8", purpose = "utf8", state = "utf8", min_score = "int64", max_debt_ratio = "float64", min_income = "int64", max_amount = "int64", annual_rate = "float64" }

[outputs.offers]
description = "The best offer to each applicant who has one."
max_rows = 100_000
columns = [
    "applicant_id utf8 not null",
    "lender utf8 not null",
    "product utf8 not null",
    "annual_rate float64 not null",
    "monthly_payment float64 not null",
]
*/

CREATE TEMP VIEW products AS
SELECT 'harbour' AS lender, * FROM harbour.products
UNION ALL
SELECT 'prairie' AS lender, * FROM prairie.products;

-- The payment of an annuity; a loan is affordable when debts and payment stay below the ratio.
CREATE TEMP VIEW priced AS
SELECT
    a.applicant_id,
    p.lender,
    p.product,
    p.annual_rate,
    a.amount * (p.annual_rate / 12) / (1 - power(1 + p.annual_rate / 12, -CAST(a.months AS DOUBLE))) AS payment,
    a.monthly_debts,
    a.annual_income / 12.0 AS monthly_income,
    p.max_debt_ratio
FROM market.applicants AS a
JOIN products AS p ON p.state = a.state AND p.purpose = a.purpose
WHERE a.credit_score >= p.min_score
    AND a.annual_income >= p.min_income
    AND a.amount <= p.max_amount;

CREATE TABLE output.offers AS
SELECT applicant_id, lender, product, annual_rate, round(payment, 2) AS monthly_payment
FROM (
    SELECT
        *,
        row_number() OVER (PARTITION BY applicant_id ORDER BY annual_rate, lender, product) AS place
    FROM priced
    WHERE monthly_debts + payment <= max_debt_ratio * monthly_income
)
WHERE place = 1
ORDER BY applicant_id;
