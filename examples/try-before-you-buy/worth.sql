/* glovebox notebook
name = "worth"
version = "1.0.0"
description = """
What a vendor's attributes are worth to a shop: how many customers they cover, and how much likelier
those with an attribute answer a mailing. For a sample or for everything: the binding says which."""

[inputs."shop.customers"]
columns = { email = "utf8", answered = "boolean" }

[inputs."vendor.attributes"]
columns = { email = "utf8", income = "utf8", children = "boolean", electric_car = "boolean", moved_recently = "boolean" }

[parameters.min_people]
type = "int64"
description = "Fewest people in a group that leaves the room."
default = 20
minimum = 20

[outputs.coverage]
description = "One row: how many customers the vendor knows."
max_rows = 1
columns = ["customers int64 not null", "matched int64 not null", "share float64 not null"]

[outputs.lift]
description = "Answer rates of customers with an attribute and of all matched ones; a lift of 2: twice as likely."
max_rows = 50
columns = [
    "attribute utf8 not null",
    "people int64 not null",
    "answer_rate float64 not null",
    "lift float64",
]
*/

CREATE TEMP VIEW matched AS
SELECT CASE WHEN c.answered THEN 1.0 ELSE 0.0 END AS answer, a.income, a.children, a.electric_car, a.moved_recently
FROM shop.customers AS c
JOIN vendor.attributes AS a ON a.email = c.email;

CREATE TABLE output.coverage AS
SELECT customers, matched, CAST(matched AS DOUBLE) / customers AS share
FROM (SELECT count(*) AS customers FROM shop.customers)
CROSS JOIN (SELECT count(*) AS matched FROM matched)
WHERE matched >= :min_people;

CREATE TEMP VIEW marked AS
SELECT 'children' AS attribute, answer FROM matched WHERE children
UNION ALL
SELECT 'electric car' AS attribute, answer FROM matched WHERE electric_car
UNION ALL
SELECT 'moved recently' AS attribute, answer FROM matched WHERE moved_recently
UNION ALL
SELECT 'income ' || income AS attribute, answer FROM matched;

CREATE TABLE output.lift AS
SELECT
    m.attribute,
    count(*) AS people,
    avg(m.answer) AS answer_rate,
    avg(m.answer) / min(t.answer_rate) AS lift
FROM marked AS m
CROSS JOIN (SELECT avg(answer) AS answer_rate FROM matched) AS t
GROUP BY m.attribute
HAVING count(*) >= :min_people
ORDER BY m.attribute;
