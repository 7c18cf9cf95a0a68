/* glovebox notebook
name = "media-report"
version = "1.0.0"
description = """
What a brand's campaign in a supermarket sold: by placement, and by the segments of the brand's own club.
Written once for every brand: the inputs are bound to a brand's tables when the notebook is added.
Groups with fewer than :k buyers stay in the room."""

[inputs."hub.shoppers"]
description = "Everyone who bought anything."
columns = { shopper = "utf8" }

[inputs."hub.sales"]
description = "What was sold of the brand, before and since the campaign."
columns = { shopper = "utf8", cents = "int64", day = "int64" }

[inputs."hub.contacts"]
description = "Who saw the brand's campaign, and where."
columns = { shopper = "utf8", campaign = "utf8", placement = "utf8" }

[inputs."brand.club"]
description = "The brand's own members."
columns = { shopper = "utf8", segment = "utf8" }

[parameters.start]
type = "int64"
description = "First day of the campaign."
default = 30

[parameters.k]
type = "int64"
description = "Fewest buyers in a group that leaves the room."
default = 20
minimum = 20

[outputs.placements]
description = "Lift: how much more often people who were reached bought than shoppers who were not."
max_rows = 100
columns = [
    "campaign utf8 not null",
    "placement utf8 not null",
    "reached int64 not null",
    "frequency float64 not null",
    "buyers int64 not null",
    "conversion float64 not null",
    "lift float64",
    "share_new float64 not null",
    "sales float64 not null",
]

[outputs.segments]
description = "Members who were reached, by the brand's own segments."
max_rows = 100
columns = ["segment utf8 not null", "reached int64 not null", "buyers int64 not null", "sales float64 not null"]
*/

CREATE TEMP VIEW buyers AS
SELECT shopper, sum(cents) AS cents
FROM hub.sales
WHERE day >= :start
GROUP BY shopper;

CREATE TEMP VIEW earlier AS
SELECT DISTINCT shopper FROM hub.sales WHERE day < :start;

CREATE TEMP VIEW reached AS
SELECT DISTINCT shopper FROM hub.contacts;

-- How often shoppers bought who saw nothing.
CREATE TEMP VIEW base AS
SELECT CAST(count(b.shopper) AS DOUBLE) / count(*) AS conversion
FROM hub.shoppers AS s
LEFT JOIN reached AS r ON r.shopper = s.shopper
LEFT JOIN buyers AS b ON b.shopper = s.shopper
WHERE r.shopper IS NULL;

CREATE TEMP VIEW seen AS
SELECT campaign, placement, shopper, count(*) AS contacts
FROM hub.contacts
GROUP BY campaign, placement, shopper;

CREATE TABLE output.placements AS
SELECT
    s.campaign,
    s.placement,
    count(*) AS reached,
    avg(s.contacts) AS frequency,
    count(b.shopper) AS buyers,
    CAST(count(b.shopper) AS DOUBLE) / count(*) AS conversion,
    CAST(count(b.shopper) AS DOUBLE) / count(*) / (SELECT conversion FROM base) AS lift,
    CAST(count(b.shopper) - count(CASE WHEN b.shopper IS NOT NULL THEN e.shopper END) AS DOUBLE)
        / count(b.shopper) AS share_new,
    sum(b.cents) / 100.0 AS sales
FROM seen AS s
LEFT JOIN buyers AS b ON b.shopper = s.shopper
LEFT JOIN earlier AS e ON e.shopper = s.shopper
GROUP BY s.campaign, s.placement
HAVING count(b.shopper) >= :k
ORDER BY s.campaign, s.placement;

CREATE TABLE output.segments AS
SELECT
    c.segment,
    count(*) AS reached,
    count(b.shopper) AS buyers,
    sum(b.cents) / 100.0 AS sales
FROM brand.club AS c
JOIN reached AS r ON r.shopper = c.shopper
LEFT JOIN buyers AS b ON b.shopper = c.shopper
GROUP BY c.segment
HAVING count(b.shopper) >= :k
ORDER BY c.segment;
