/* glovebox notebook
name = "audience-overlap"
version = "1.0.0"
description = """
How many of a shop's customers read a newspaper, and what those of each tier read about.
No group of fewer than :k people leaves the room."""

[inputs."shop.customers"]
columns = { email_sha256 = "utf8", tier = "utf8" }

[inputs."news.readers"]
columns = { email_sha256 = "utf8", interest = "utf8", visits_30d = "int64" }

[parameters.k]
type = "int64"
description = "Fewest people in a segment that leaves the room."
default = 25
minimum = 25

[outputs.overlap]
description = "One row: how large each side is, and how many people are on both. None if those are fewer than :k."
max_rows = 1
columns = [
    "customers int64 not null",
    "readers int64 not null",
    "matched int64 not null",
    "share_of_customers float64",
    "share_of_readers float64",
]

[outputs.segments]
description = "Matched people by interest and tier. An index of 120: this tier reads about it 20 % more than all readers do."
max_rows = 200
columns = [
    "interest utf8 not null",
    "tier utf8 not null",
    "people int64 not null",
    "mean_visits float64",
    "affinity_index float64",
]
*/

CREATE TEMP VIEW matched AS
SELECT r.email_sha256, r.interest, r.visits_30d, c.tier
FROM shop.customers AS c
JOIN news.readers AS r ON r.email_sha256 = c.email_sha256;

CREATE TABLE output.overlap AS
SELECT
    customers,
    readers,
    matched,
    CAST(matched AS DOUBLE) / customers AS share_of_customers,
    CAST(matched AS DOUBLE) / readers AS share_of_readers
FROM (SELECT count(DISTINCT email_sha256) AS customers FROM shop.customers)
CROSS JOIN (SELECT count(DISTINCT email_sha256) AS readers FROM news.readers)
CROSS JOIN (SELECT count(DISTINCT email_sha256) AS matched FROM matched)
WHERE matched >= :k;

CREATE TEMP VIEW audience AS
SELECT interest, CAST(count(*) AS DOUBLE) / (SELECT count(*) FROM news.readers) AS share
FROM news.readers
GROUP BY interest;

CREATE TEMP VIEW tiers AS
SELECT tier, count(*) AS people FROM matched GROUP BY tier;

CREATE TABLE output.segments AS
SELECT
    m.interest,
    m.tier,
    count(*) AS people,
    avg(m.visits_30d) AS mean_visits,
    100.0 * count(*) / min(t.people) / min(a.share) AS affinity_index
FROM matched AS m
JOIN audience AS a ON a.interest = m.interest
JOIN tiers AS t ON t.tier = m.tier
GROUP BY m.interest, m.tier
HAVING count(*) >= :k
ORDER BY m.interest, m.tier;
