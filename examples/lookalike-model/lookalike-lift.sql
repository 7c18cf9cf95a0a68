/* glovebox notebook
name = "lookalike-lift"
version = "1.0.0"
description = """
How much more often viewers of each tenth by score are customers already than viewers are on average.
The lift of a tenth with fewer than :k customers stays in the room."""

[inputs."stream.viewers"]
columns = { viewer_id = "utf8", email_sha256 = "utf8", nature_hours = "float64", sport_hours = "float64", drama_hours = "float64", evening_share = "float64", tenure_months = "int64" }

[inputs."stream.model"]
columns = { term = "utf8", weight = "float64" }

[inputs."shop.best_customers"]
columns = { email_sha256 = "utf8" }

[parameters.k]
type = "int64"
description = "Fewest customers in a tenth whose lift leaves the room."
default = 10
minimum = 10

[outputs.deciles]
max_rows = 10
columns = ["decile int64 not null", "viewers int64 not null", "lift float64"]
*/

CREATE TEMP VIEW weights AS
SELECT
    max(CASE WHEN term = 'intercept' THEN weight END) AS intercept,
    max(CASE WHEN term = 'nature_hours' THEN weight END) AS nature,
    max(CASE WHEN term = 'sport_hours' THEN weight END) AS sport,
    max(CASE WHEN term = 'drama_hours' THEN weight END) AS drama,
    max(CASE WHEN term = 'evening_share' THEN weight END) AS evening,
    max(CASE WHEN term = 'tenure_months' THEN weight END) AS tenure
FROM stream.model;

CREATE TEMP VIEW ranked AS
SELECT
    v.email_sha256,
    ntile(10) OVER (ORDER BY
        w.intercept + w.nature * v.nature_hours + w.sport * v.sport_hours + w.drama * v.drama_hours
        + w.evening * v.evening_share + w.tenure * v.tenure_months DESC, v.viewer_id) AS decile
FROM stream.viewers AS v
CROSS JOIN weights AS w;

CREATE TEMP VIEW marked AS
SELECT r.decile, CASE WHEN s.email_sha256 IS NULL THEN 0 ELSE 1 END AS is_customer
FROM ranked AS r
LEFT JOIN (SELECT DISTINCT email_sha256 FROM shop.best_customers) AS s ON s.email_sha256 = r.email_sha256;

CREATE TABLE output.deciles AS
SELECT
    CAST(decile AS BIGINT) AS decile,
    count(*) AS viewers,
    CASE WHEN sum(is_customer) >= :k
        THEN avg(is_customer) / (SELECT avg(is_customer) FROM marked)
    END AS lift
FROM marked
GROUP BY decile
ORDER BY decile;
