/* glovebox notebook
name = "lookalike-audience"
version = "1.0.0"
description = """
The :size viewers who are most like the shop's best customers, by the model that was trained in this room.
Reads nothing of the shop's: customers are neither marked nor left out."""

[inputs."stream.viewers"]
columns = { viewer_id = "utf8", nature_hours = "float64", sport_hours = "float64", drama_hours = "float64", evening_share = "float64", tenure_months = "int64" }

[inputs."stream.model"]
columns = { term = "utf8", weight = "float64" }

[parameters.size]
type = "int64"
description = "Viewers in the audience."
default = 200
minimum = 100
maximum = 1000

[outputs.audience]
max_rows = 1000
columns = ["viewer_id utf8 not null", "score float64 not null"]
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

CREATE TEMP VIEW scored AS
SELECT
    v.viewer_id,
    1.0 / (1.0 + exp(-(
        w.intercept + w.nature * v.nature_hours + w.sport * v.sport_hours + w.drama * v.drama_hours
        + w.evening * v.evening_share + w.tenure * v.tenure_months
    ))) AS score
FROM stream.viewers AS v
CROSS JOIN weights AS w;

CREATE TABLE output.audience AS
SELECT viewer_id, score
FROM (SELECT viewer_id, score, row_number() OVER (ORDER BY score DESC, viewer_id) AS place FROM scored)
WHERE place <= :size
ORDER BY viewer_id;
