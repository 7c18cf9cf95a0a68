/* glovebox notebook
name = "delay-by-wind"
version = "1.0.0"
description = """
Departure delay by wind speed at each airport, for groups of at least :min_group flights.
Joins each flight with the weather at its airport in its scheduled hour."""

[inputs."airline.flights"]
columns = { origin = "utf8", time_hour = "utf8", dep_delay = "float64" }

[inputs."weather.hourly"]
columns = { origin = "utf8", time_hour = "utf8", wind_speed = "float64" }

[parameters.min_group]
type = "int64"
description = "Fewest flights in a group that leaves the room."
default = 50
minimum = 20

[outputs.delay_by_wind]
description = "One row for each airport and wind band."
max_rows = 100
columns = [
    "origin utf8 not null",
    "wind_mph utf8 not null",
    "flights int64 not null",
    "mean_delay float64",
    "share_late float64",
]
*/

CREATE TEMP VIEW flights_in_wind AS
SELECT
    f.origin,
    f.dep_delay,
    CASE
        WHEN w.wind_speed < 5 THEN '00-05'
        WHEN w.wind_speed < 10 THEN '05-10'
        WHEN w.wind_speed < 15 THEN '10-15'
        WHEN w.wind_speed < 20 THEN '15-20'
        WHEN w.wind_speed < 25 THEN '20-25'
        ELSE '25+'
    END AS wind_mph
FROM airline.flights AS f
JOIN weather.hourly AS w
    ON w.origin = f.origin
    AND w.time_hour = f.time_hour
WHERE f.dep_delay IS NOT NULL
    AND w.wind_speed IS NOT NULL;

CREATE TABLE output.delay_by_wind AS
SELECT
    origin,
    wind_mph,
    count(*) AS flights,
    avg(dep_delay) AS mean_delay,
    avg(CASE WHEN dep_delay > 15 THEN 1.0 ELSE 0.0 END) AS share_late
FROM flights_in_wind
GROUP BY origin, wind_mph
HAVING count(*) >= :min_group
ORDER BY origin, wind_mph;
