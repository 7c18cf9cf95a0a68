"""Small tables whose results are computed here, by other means than the host's."""

import pyarrow as pa
import pyarrow.parquet as pq

CUSTOMERS = 4_000
EXPOSURES = 6_000


def customers():
    """Rows of the retailer: one in three has a segment of its own."""
    return [{"hem": f"{number * 7919 % 10_007:05}", "segment": "abc"[number % 3], "spend": number % 50}
            for number in range(CUSTOMERS)]


def exposures():
    return [{"hem": f"{number * 6089 % 10_007:05}", "campaign": number % 4} for number in range(EXPOSURES)]


def write_parquet(path, rows):
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def overlap(least):
    """What the notebook `reach` gives: customers reached, and what they spent."""
    spend = {row["hem"]: row for row in customers()}
    groups = {}
    for row in exposures():
        customer = spend.get(row["hem"])
        if customer:
            reach, total = groups.get((customer["segment"], row["campaign"]), (0, 0))
            groups[customer["segment"], row["campaign"]] = (reach + 1, total + customer["spend"])
    return [{"segment": segment, "campaign": campaign, "reach": reach, "spend": total}
            for (segment, campaign), (reach, total) in sorted(groups.items()) if reach >= least]


REACH = """/* glovebox notebook
name = "reach"
version = "1.0.0"
description = "Customers whom each campaign reached, by segment"
[inputs."retail.customers"]
columns = { hem = "utf8", segment = "utf8", spend = "int64" }
[inputs."media.exposures"]
columns = { hem = "utf8", campaign = "int64" }
[parameters.least]
type = "int64"
description = "Fewest people in a group"
default = 10
minimum = 5
[outputs.reach]
columns = ["segment utf8", "campaign int64", "reach int64 not null", "spend int64"]
*/
CREATE TABLE output.reach AS
SELECT c.segment, e.campaign, count(*) AS reach, sum(c.spend) AS spend
FROM retail.customers c JOIN media.exposures e ON c.hem = e.hem
GROUP BY c.segment, e.campaign HAVING count(*) >= :least ORDER BY 1, 2;
"""

# Billions of pairs: long enough to be interrupted, whatever the machine.
SLOW = """/* glovebox notebook
name = "slow"
version = "1.0.0"
description = "Takes its time"
[inputs."retail.customers"]
columns = { spend = "int64" }
[outputs.pairs]
columns = ["n int64"]
*/
CREATE TABLE output.pairs AS
SELECT count(*) AS n FROM retail.customers a, retail.customers b, retail.customers c
WHERE a.spend * b.spend * c.spend % 7 = 3;
"""
