/* glovebox notebook
name = "readings-sql"
version = "1.0.0"
description = "Readings by site"

[inputs."lab.readings"]
columns = { site = "utf8", day = "date32", value = "float64", amount = "int32", ok = "boolean" }

[parameters.least]
type = "float64"
description = "Values from here on count as high"

[outputs.summary]
columns = [
    "site utf8",
    "n int64 not null",
    "first_day date32",
    "last_day date32",
    "total float64",
    "mean float64",
    "largest int32",
    "good int64 not null",
    "high int64 not null",
]
*/

CREATE TABLE output.summary AS
SELECT
    site,
    count(*) AS n,
    min(day) AS first_day,
    max(day) AS last_day,
    sum(value) AS total,
    sum(value) / count(value) AS mean,
    max(amount) AS largest,
    count(CASE WHEN ok THEN 1 END) AS good,
    count(CASE WHEN value >= :least THEN 1 END) AS high
FROM lab.readings
GROUP BY site
ORDER BY site NULLS LAST;
