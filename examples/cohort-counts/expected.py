"""Computes expected/ from data/ without Glovebox. Python 3 alone."""

import csv
from collections import Counter
from decimal import ROUND_HALF_UP, Decimal

SITES = ["alpine", "baltic", "coastal"]
MIN_COUNT, STEP = 10, 5
CRITERIA = ["0 all", "1 age", "2 stage", "3 performance status", "4 kidneys", "5 drugs"]


def rows(name):
    with open(f"data/{name}.csv", newline="") as file:
        return list(csv.DictReader(file))


def write(name, header, table):
    with open(f"expected/{name}.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(table)


def rounded(count):
    return (count + STEP // 2) // STEP * STEP


criteria = rows("criteria")[0]
forbidden = {row["drug"] for row in rows("excluded_drugs")}
funnel, eligible, carriers = [], set(), Counter()
for site in SITES:
    takes_forbidden = {row["patient_id"] for row in rows(f"{site}_drugs") if row["drug"] in forbidden}
    remain = rows(f"{site}_patients")
    tests = [
        lambda p: True,
        lambda p: int(criteria["min_age"]) <= int(p["age"]) <= int(criteria["max_age"]),
        lambda p: p["stage"] in criteria["stages"].split(),
        lambda p: int(p["ecog"]) <= int(criteria["max_ecog"]),
        lambda p: p["egfr_ml_min"] and float(p["egfr_ml_min"]) >= float(criteria["min_egfr_ml_min"]),
        lambda p: p["patient_id"] not in takes_forbidden,
    ]
    for criterion, test in zip(CRITERIA, tests):
        remain = [patient for patient in remain if test(patient)]
        funnel.append((site, criterion, rounded(len(remain)) if len(remain) >= MIN_COUNT else ""))
    eligible |= {patient["patient_id"] for patient in remain}
    carriers.update(
        row["variant"] for row in rows(f"{site}_variants") if row["patient_id"] in eligible
    )
write("funnel", ["site", "criterion", "patients"], funnel)
cent = Decimal("0.01")
write(
    "variants",
    ["variant", "carriers", "share"],
    [
        (name, rounded(count), (Decimal(count) / len(eligible)).quantize(cent, ROUND_HALF_UP))
        for name, count in sorted(carriers.items())
        if count >= MIN_COUNT
    ],
)
