/* glovebox notebook
name = "campaign-measurement"
version = "1.0.0"
description = """
Reach, frequency, conversions and return on spend of a campaign, by channel and by what customers are worth.
How much of an order each contact earned, and who is worth what, the library `attribution` decides.
Groups with fewer than :k buyers stay in the room."""

[inputs."press.impressions"]
columns = { person = "utf8", channel = "utf8", day = "int64", cost_micros = "int64" }

[inputs."shop.customers"]
columns = { person = "utf8", orders_12m = "int64", recency_days = "int64" }

[inputs."shop.orders"]
columns = { person = "utf8", day = "int64", cents = "int64" }

[libraries.attribution]

[parameters.k]
type = "int64"
description = "Fewest buyers in a group that leaves the room."
default = 20
minimum = 20

[outputs.frequency]
description = "How often people who were reached so many times bought."
max_rows = 4
columns = ["contacts utf8 not null", "people int64 not null", "buyers int64 not null", "conversion float64 not null"]

[outputs.channels]
description = "Orders with a contact before them, orders earned, and revenue earned for each unit of spend."
max_rows = 20
columns = [
    "channel utf8 not null",
    "reach int64 not null",
    "impressions int64 not null",
    "frequency float64 not null",
    "conversions int64 not null",
    "credit float64 not null",
    "roas float64",
]

[outputs.segments]
description = "Customers who were reached, by what they are worth."
max_rows = 3
columns = [
    "segment utf8 not null",
    "reach int64 not null",
    "buyers int64 not null",
    "conversion float64 not null",
    "roas float64",
]
*/

CREATE TEMP VIEW reached AS
SELECT person, count(*) AS contacts, sum(cost_micros) AS cost_micros
FROM press.impressions
GROUP BY person;

CREATE TABLE output.frequency AS
SELECT
    CASE WHEN contacts = 1 THEN '1' WHEN contacts <= 3 THEN '2-3' WHEN contacts <= 6 THEN '4-6' ELSE '7+' END AS contacts,
    count(*) AS people,
    count(o.person) AS buyers,
    CAST(count(o.person) AS DOUBLE) / count(*) AS conversion
FROM reached AS r
LEFT JOIN shop.orders AS o ON o.person = r.person
GROUP BY 1
HAVING count(o.person) >= :k
ORDER BY 1;

-- The contacts on the way to each order, numbered.
CREATE TEMP VIEW paths AS
SELECT
    o.person,
    o.cents,
    i.channel,
    o.day - i.day AS days_before,
    row_number() OVER (PARTITION BY o.person ORDER BY i.day, i.channel, i.cost_micros) AS contact,
    count(*) OVER (PARTITION BY o.person) AS contacts
FROM shop.orders AS o
JOIN press.impressions AS i ON i.person = o.person AND i.day <= o.day;

CREATE TEMP VIEW weighed AS
SELECT
    person,
    cents,
    channel,
    attribution.weight(CAST(contact AS BIGINT), contacts, days_before) AS weight
FROM paths;

CREATE TEMP VIEW credits AS
SELECT w.channel, w.person, w.cents, w.weight / t.weight AS credit
FROM weighed AS w
JOIN (SELECT person, sum(weight) AS weight FROM weighed GROUP BY person) AS t ON t.person = w.person;

CREATE TEMP VIEW earned AS
SELECT channel, count(DISTINCT person) AS conversions, sum(credit) AS credit, sum(credit * cents) AS cents
FROM credits
GROUP BY channel;

CREATE TEMP VIEW spent AS
SELECT channel, count(DISTINCT person) AS reach, count(*) AS impressions, sum(cost_micros) AS cost_micros
FROM press.impressions
GROUP BY channel;

CREATE TABLE output.channels AS
SELECT
    s.channel,
    min(s.reach) AS reach,
    min(s.impressions) AS impressions,
    min(CAST(s.impressions AS DOUBLE) / s.reach) AS frequency,
    min(e.conversions) AS conversions,
    min(e.credit) AS credit,
    attribution.roas(e.cents, s.cost_micros) AS roas
FROM spent AS s
JOIN earned AS e ON e.channel = s.channel
WHERE e.conversions >= :k
GROUP BY s.channel
ORDER BY s.channel;

CREATE TEMP VIEW worth AS
SELECT
    attribution.worth(c.orders_12m, c.recency_days) AS segment,
    r.cost_micros,
    coalesce(CAST(o.cents AS DOUBLE), 0.0) AS cents,
    o.person AS buyer
FROM shop.customers AS c
JOIN reached AS r ON r.person = c.person
LEFT JOIN shop.orders AS o ON o.person = c.person;

CREATE TABLE output.segments AS
SELECT
    segment,
    count(*) AS reach,
    count(buyer) AS buyers,
    CAST(count(buyer) AS DOUBLE) / count(*) AS conversion,
    attribution.roas(cents, cost_micros) AS roas
FROM worth
GROUP BY segment
HAVING count(buyer) >= :k
ORDER BY segment;
