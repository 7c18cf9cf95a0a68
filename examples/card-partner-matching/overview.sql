/* glovebox notebook
name = "overview"
version = "1.0.0"
description = "How many people both companies know, by tier and income band, in groups of at least :min_people."

[inputs."bank.customers"]
columns = { email = "utf8", income_band = "utf8" }

[inputs."airline.members"]
columns = { email = "utf8", tier = "utf8" }

[parameters.min_people]
type = "int64"
description = "Fewest people in a group that leaves the room."
default = 25
minimum = 25

[outputs.overview]
description = "One row for each tier and band."
max_rows = 12
columns = ["tier utf8 not null", "income_band utf8 not null", "people int64 not null"]
*/

CREATE TABLE output.overview AS
SELECT m.tier, c.income_band, count(*) AS people
FROM bank.customers AS c
JOIN airline.members AS m ON m.email = c.email
GROUP BY m.tier, c.income_band
HAVING count(*) >= :min_people
ORDER BY m.tier, c.income_band;
