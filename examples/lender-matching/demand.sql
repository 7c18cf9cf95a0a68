/* glovebox notebook
name = "demand"
version = "1.0.0"
description = """
For the lenders: what the marketplace's applicants want and how many the two lenders together would
serve by score alone, by purpose and score band, in groups of at least :min_applicants."""

[inputs."market.applicants"]
columns = { purpose = "utf8", state = "utf8", credit_score = "int64", amount = "int64" }

[inputs."harbour.products"]
columns = { purpose = "utf8", state = "utf8", min_score = "int64" }

[inputs."prairie.products"]
columns = { purpose = "utf8", state = "utf8", min_score = "int64" }

[parameters.min_applicants]
type = "int64"
description = "Fewest applicants in a group that leaves the room."
default = 20
minimum = 20

[outputs.demand]
description = "One row for each purpose and score band."
max_rows = 40
columns = [
    "purpose utf8 not null",
    "score_band int64 not null",
    "applicants int64 not null",
    "mean_amount float64 not null",
    "share_served float64 not null",
]
*/

CREATE TEMP VIEW floors AS
SELECT purpose, state, min(min_score) AS floor
FROM (
    SELECT purpose, state, min_score FROM harbour.products
    UNION ALL
    SELECT purpose, state, min_score FROM prairie.products
)
GROUP BY purpose, state;

CREATE TABLE output.demand AS
SELECT
    a.purpose,
    a.credit_score / 50 * 50 AS score_band,
    count(*) AS applicants,
    avg(a.amount) AS mean_amount,
    avg(CASE WHEN a.credit_score >= f.floor THEN 1.0 ELSE 0.0 END) AS share_served
FROM market.applicants AS a
LEFT JOIN floors AS f ON f.purpose = a.purpose AND f.state = a.state
GROUP BY a.purpose, a.credit_score / 50 * 50
HAVING count(*) >= :min_applicants
ORDER BY a.purpose, score_band;
