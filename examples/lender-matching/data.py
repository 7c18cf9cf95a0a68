"""Makes data/: a marketplace's loan applicants and two lenders' products. Python 3 alone."""

import csv
import random

random.seed(20260402)

STATES = ["CA", "FL", "IL", "NY", "OH", "TX", "WA"]
PURPOSES = ["car", "debt", "home", "study"]


def write(name, header, rows):
    with open(f"data/{name}.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def applicant(number):
    score = min(850, max(480, round(random.gauss(675, 75))))
    income = round(random.lognormvariate(10.95, 0.45), -2)
    debts = round(income / 12 * random.betavariate(2, 6), -1)
    amount = random.choice(range(2_000, 40_500, 500))
    return (
        f"A{number:05}",
        random.choice(STATES),
        random.choices(PURPOSES, [25, 40, 25, 10])[0],
        score,
        int(income),
        int(debts),
        amount,
        random.choice([24, 36, 48, 60]),
    )


write(
    "applicants",
    ["applicant_id", "state", "purpose", "credit_score", "annual_income", "monthly_debts", "amount", "months"],
    [applicant(number) for number in range(1, 1201)],
)
HEADER = ["product", "purpose", "state", "min_score", "max_debt_ratio", "min_income", "max_amount", "annual_rate"]
write(
    "harbour_products",
    HEADER,
    [
        (product, purpose, state, score, ratio, income, most, rate)
        for product, purpose, score, ratio, income, most, rate in [
            ("prime", "car", 720, 0.36, 45_000, 35_000, 0.064),
            ("prime", "debt", 730, 0.34, 50_000, 30_000, 0.079),
            ("prime", "home", 710, 0.38, 45_000, 40_000, 0.069),
            ("standard", "car", 660, 0.40, 32_000, 20_000, 0.108),
            ("standard", "debt", 670, 0.38, 36_000, 18_000, 0.129),
        ]
        for state in ["CA", "NY", "WA", "IL"]
    ],
)
write(
    "prairie_products",
    HEADER,
    [
        (product, purpose, state, score, ratio, income, most, rate)
        for product, purpose, score, ratio, income, most, rate in [
            ("flex", "debt", 620, 0.45, 24_000, 15_000, 0.169),
            ("flex", "car", 600, 0.45, 24_000, 18_000, 0.149),
            ("scholar", "study", 580, 0.50, 0, 25_000, 0.089),
            ("plus", "debt", 700, 0.40, 40_000, 25_000, 0.099),
            ("plus", "home", 690, 0.42, 38_000, 30_000, 0.084),
        ]
        for state in ["TX", "FL", "OH", "IL", "NY"]
    ],
)
