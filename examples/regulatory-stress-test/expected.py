"""Computes expected/ from data/ without Glovebox, with Python's own normal distribution. Python 3 alone."""

import csv
from collections import defaultdict
from math import fsum, sqrt
from statistics import NormalDist

BANKS = ["north", "south", "east"]
MIN_LOANS, HURDLE = 20, 0.08
NORMAL = NormalDist()


def rows(name):
    with open(f"data/{name}.csv", newline="") as file:
        return list(csv.DictReader(file))


def write(name, header, table):
    with open(f"expected/{name}.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(table)


scenario = {row["sector"]: row for row in rows("scenario")}


def stressed(loan):
    shock = scenario[loan["sector"]]
    correlation = float(shock["asset_correlation"])
    factor = NORMAL.inv_cdf(float(shock["factor_quantile"]))
    threshold = NORMAL.inv_cdf(float(loan["pd"])) + sqrt(correlation) * factor
    default = NORMAL.cdf(threshold / sqrt(1 - correlation))
    return float(loan["exposure"]) * default * min(1.0, float(loan["lgd"]) + float(shock["lgd_add_on"]))


banks, sectors = [], []
for bank in BANKS:
    loans, capital = rows(f"{bank}_loans"), rows(f"{bank}_capital")[0]
    expected = fsum(float(loan["exposure"]) * float(loan["pd"]) * float(loan["lgd"]) for loan in loans)
    loss = fsum(stressed(loan) for loan in loans)
    cet1, weighted = float(capital["cet1"]), float(capital["weighted_assets"])
    after = (cet1 - loss) / weighted
    banks.append((bank, len(loans), expected, loss, cet1 / weighted, after, str(after >= HURDLE).lower()))
    groups = defaultdict(list)
    for loan in loans:
        groups[loan["sector"]].append(loan)
    for sector, group in sorted(groups.items()):
        if len(group) >= MIN_LOANS:
            exposure = fsum(float(loan["exposure"]) for loan in group)
            sectors.append((bank, sector, len(group), exposure, fsum(map(stressed, group)) / exposure))
write(
    "banks",
    ["bank", "loans", "expected_loss", "stressed_loss", "ratio_before", "ratio_after", "passes"],
    banks,
)
write("sectors", ["bank", "sector", "loans", "exposure", "loss_rate"], sectors)
