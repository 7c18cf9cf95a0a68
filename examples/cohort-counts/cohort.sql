/* glovebox notebook
name = "cohort"
version = "1.0.0"
description = """
How many patients of each hospital meet a trial's criteria, one criterion after the other, and which
variants the eligible ones carry. Counts are rounded to :step, those of fewer than :min_count left out."""

[inputs."sponsor.criteria"]
columns = { min_age = "int64", max_age = "int64", stages = "utf8", max_ecog = "int64", min_egfr_ml_min = "float64" }

[inputs."sponsor.excluded_drugs"]
columns = { drug = "utf8" }

[inputs."alpine.patients"]
columns = { patient_id = "utf8", age = "int64", stage = "utf8", ecog = "int64", egfr_ml_min = "float64" }

[inputs."alpine.drugs"]
columns = { patient_id = "utf8", drug = "utf8" }

[inputs."alpine.variants"]
columns = { patient_id = "utf8", variant = "utf8" }

[inputs."baltic.patients"]
columns = { patient_id = "utf8", age = "int64", stage = "utf8", ecog = "int64", egfr_ml_min = "float64" }

[inputs."baltic.drugs"]
columns = { patient_id = "utf8", drug = "utf8" }

[inputs."baltic.variants"]
columns = { patient_id = "utf8", variant = "utf8" }

[inputs."coastal.patients"]
columns = { patient_id = "utf8", age = "int64", stage = "utf8", ecog = "int64", egfr_ml_min = "float64" }

[inputs."coastal.drugs"]
columns = { patient_id = "utf8", drug = "utf8" }

[inputs."coastal.variants"]
columns = { patient_id = "utf8", variant = "utf8" }

[parameters.min_count]
type = "int64"
description = "Fewest patients in a count that leaves the room."
default = 10
minimum = 10

[parameters.step]
type = "int64"
description = "What counts are rounded to, so that two of them do not give away one patient."
default = 5
minimum = 5
maximum = 50

[outputs.funnel]
description = "Patients that remain after each criterion."
max_rows = 30
columns = ["site utf8 not null", "criterion utf8 not null", "patients int64"]

[outputs.variants]
description = "Eligible patients of all hospitals who carry a variant."
max_rows = 100
columns = ["variant utf8 not null", "carriers int64 not null", "share float64 not null"]
*/

CREATE TEMP VIEW patients AS
SELECT 'alpine' AS site, * FROM alpine.patients
UNION ALL
SELECT 'baltic' AS site, * FROM baltic.patients
UNION ALL
SELECT 'coastal' AS site, * FROM coastal.patients;

CREATE TEMP VIEW excluded AS
SELECT DISTINCT d.patient_id
FROM (
    SELECT * FROM alpine.drugs
    UNION ALL
    SELECT * FROM baltic.drugs
    UNION ALL
    SELECT * FROM coastal.drugs
) AS d
JOIN sponsor.excluded_drugs AS x ON x.drug = d.drug;

-- How many of the criteria, in their order, a patient meets: 5 is eligible. An unknown is not met.
CREATE TEMP VIEW judged AS
SELECT
    p.site,
    p.patient_id,
    CASE
        WHEN NOT (p.age BETWEEN c.min_age AND c.max_age) THEN 0
        WHEN strpos(' ' || c.stages || ' ', ' ' || p.stage || ' ') = 0 THEN 1
        WHEN p.ecog > c.max_ecog THEN 2
        WHEN p.egfr_ml_min IS NULL OR p.egfr_ml_min < c.min_egfr_ml_min THEN 3
        WHEN x.patient_id IS NOT NULL THEN 4
        ELSE 5
    END AS met
FROM patients AS p
CROSS JOIN sponsor.criteria AS c
LEFT JOIN excluded AS x ON x.patient_id = p.patient_id;

CREATE TEMP VIEW counted AS
SELECT j.site, c.number, c.criterion, count(*) FILTER (WHERE j.met >= c.number) AS patients
FROM judged AS j
CROSS JOIN (
    VALUES (0, '0 all'), (1, '1 age'), (2, '2 stage'), (3, '3 performance status'), (4, '4 kidneys'), (5, '5 drugs')
) AS c (number, criterion)
GROUP BY j.site, c.number, c.criterion;

CREATE TABLE output.funnel AS
SELECT
    site,
    criterion,
    CASE WHEN patients >= :min_count THEN (patients + :step / 2) / :step * :step END AS patients
FROM counted
ORDER BY site, criterion;

CREATE TABLE output.variants AS
SELECT
    v.variant,
    (count(*) + :step / 2) / :step * :step AS carriers,
    round(CAST(count(*) AS DOUBLE) / min(e.patients), 2) AS share
FROM (
    SELECT * FROM alpine.variants
    UNION ALL
    SELECT * FROM baltic.variants
    UNION ALL
    SELECT * FROM coastal.variants
) AS v
JOIN judged AS j ON j.patient_id = v.patient_id AND j.met = 5
CROSS JOIN (SELECT count(*) AS patients FROM judged WHERE met = 5) AS e
GROUP BY v.variant
HAVING count(*) >= :min_count
ORDER BY v.variant;
