"""Computes expected/ from data/ without Glovebox: phone numbers are compared as such. Python 3 alone."""

import csv
from collections import defaultdict
from math import exp, sqrt
from statistics import NormalDist

MIN_CELL = 11
Z = NormalDist().inv_cdf(0.975)


def rows(name, phone):
    with open(f"data/{name}.csv", newline="") as file:
        for row in csv.DictReader(file):
            digits = "".join(digit for digit in row[phone] if digit.isdigit())
            if digits:
                yield digits, row


def write(name, header, table):
    with open(f"expected/{name}.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(table)


ill = {phone for phone, row in rows("visits", "patient_phone") if row["diagnosis"] == "J45"}
residents = dict(rows("residents", "phone"))
districts, groups = defaultdict(list), defaultdict(list)
for phone, dwelling in rows("dwellings", "tenant_phone"):
    if phone in residents:
        damp, case = dwelling["damp"] == "true", phone in ill
        age = "children" if residents[phone]["age_band"] == "0-17" else "adults"
        districts[dwelling["district"], damp].append(case)
        groups[age, residents[phone]["energy_support"] == "true"].append((damp, case))

write(
    "rates",
    ["district", "damp", "residents", "cases", "per_1000"],
    [
        (district, str(damp).lower(), len(cases), sum(cases), 1000 * sum(cases) / len(cases))
        for (district, damp), cases in sorted(districts.items())
        if sum(cases) >= MIN_CELL and len(cases) - sum(cases) >= MIN_CELL
    ],
)
table = []
for (age, support), people in sorted(groups.items()):
    damp = [case for is_damp, case in people if is_damp]
    dry = [case for is_damp, case in people if not is_damp]
    if sum(damp) >= MIN_CELL and sum(dry) >= MIN_CELL:
        ratio = (sum(damp) / len(damp)) / (sum(dry) / len(dry))
        deviation = sqrt(1 / sum(damp) - 1 / len(damp) + 1 / sum(dry) - 1 / len(dry))
        table.append((age, str(support).lower(), ratio, ratio * exp(-Z * deviation), ratio * exp(Z * deviation)))
write("risk", ["age", "energy_support", "risk_ratio", "low", "high"], table)
