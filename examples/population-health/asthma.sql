/* glovebox notebook
name = "asthma"
version = "1.0.0"
description = """
Emergency visits for asthma by district and damp housing, and how much likelier they are in damp
dwellings with and without energy support. Counts of fewer than :min_cell people do not leave."""

[inputs."hospital.visits"]
columns = { patient_phone = "utf8", diagnosis = "utf8" }

[inputs."housing.dwellings"]
columns = { tenant_phone = "utf8", district = "utf8", damp = "boolean" }

[inputs."benefits.residents"]
columns = { phone = "utf8", age_band = "utf8", energy_support = "boolean" }

[parameters.min_cell]
type = "int64"
description = "Fewest people in any count that leaves the room, cases as well as residents."
default = 11
minimum = 11

[outputs.rates]
description = "People with a visit for 1,000 residents."
max_rows = 100
columns = [
    "district utf8 not null",
    "damp boolean not null",
    "residents int64 not null",
    "cases int64 not null",
    "per_1000 float64 not null",
]

[outputs.risk]
description = "Risk in damp dwellings by that in dry ones, with its 95 % interval."
max_rows = 10
columns = [
    "age utf8 not null",
    "energy_support boolean not null",
    "risk_ratio float64 not null",
    "low float64 not null",
    "high float64 not null",
]
*/

-- Everyone whom housing and benefits both know, and whether the hospital saw them with asthma.
CREATE TEMP VIEW people AS
SELECT
    d.district,
    d.damp,
    CASE WHEN r.age_band = '0-17' THEN 'children' ELSE 'adults' END AS age,
    r.energy_support,
    CASE WHEN v.phone IS NULL THEN 0 ELSE 1 END AS is_case
FROM housing.dwellings AS d
JOIN benefits.residents AS r ON r.phone = d.tenant_phone
LEFT JOIN (
    SELECT DISTINCT patient_phone AS phone FROM hospital.visits WHERE diagnosis = 'J45'
) AS v ON v.phone = d.tenant_phone;

CREATE TABLE output.rates AS
SELECT district, damp, count(*) AS residents, sum(is_case) AS cases, 1000.0 * sum(is_case) / count(*) AS per_1000
FROM people
GROUP BY district, damp
HAVING sum(is_case) >= :min_cell AND count(*) - sum(is_case) >= :min_cell
ORDER BY district, damp;

CREATE TEMP VIEW cells AS
SELECT
    age,
    energy_support,
    CAST(sum(CASE WHEN damp THEN is_case ELSE 0 END) AS DOUBLE) AS damp_cases,
    CAST(sum(CASE WHEN damp THEN 1 ELSE 0 END) AS DOUBLE) AS damp_people,
    CAST(sum(CASE WHEN damp THEN 0 ELSE is_case END) AS DOUBLE) AS dry_cases,
    CAST(sum(CASE WHEN damp THEN 0 ELSE 1 END) AS DOUBLE) AS dry_people
FROM people
GROUP BY age, energy_support;

-- The interval is that of the logarithm of the ratio (Katz).
CREATE TABLE output.risk AS
SELECT
    age,
    energy_support,
    ratio AS risk_ratio,
    ratio * exp(-1.959963984540054 * deviation) AS low,
    ratio * exp(1.959963984540054 * deviation) AS high
FROM (
    SELECT
        *,
        damp_cases / damp_people / (dry_cases / dry_people) AS ratio,
        sqrt(1 / damp_cases - 1 / damp_people + 1 / dry_cases - 1 / dry_people) AS deviation
    FROM cells
    WHERE damp_cases >= :min_cell AND dry_cases >= :min_cell
)
ORDER BY age, energy_support;
