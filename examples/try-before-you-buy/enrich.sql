/* glovebox notebook
name = "enrich"
version = "1.0.0"
description = "What was bought: whether each of the shop's customers has an electric car, where the vendor knows."

[inputs."shop.customers"]
columns = { customer_id = "utf8", email = "utf8" }

[inputs."vendor.full"]
columns = { email = "utf8", electric_car = "boolean" }

[outputs.customers]
description = "One row for each customer whom the vendor knows."
max_rows = 100_000
columns = ["customer_id utf8 not null", "electric_car boolean"]
*/

CREATE TABLE output.customers AS
SELECT c.customer_id, f.electric_car
FROM shop.customers AS c
JOIN vendor.full AS f ON f.email = c.email
ORDER BY c.customer_id;
