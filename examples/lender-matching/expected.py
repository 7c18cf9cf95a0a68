"""Computes expected/ from data/ without Glovebox. Python 3 alone."""

import csv
from collections import defaultdict

MIN_APPLICANTS = 20


def rows(name):
    with open(f"data/{name}.csv", newline="") as file:
        return list(csv.DictReader(file))


def write(name, header, table):
    with open(f"expected/{name}.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(table)


def payment(amount, rate, months):
    return amount * (rate / 12) / (1 - (1 + rate / 12) ** -months)


applicants = rows("applicants")
products = [
    (lender, product) for lender in ("harbour", "prairie") for product in rows(f"{lender}_products")
]


def suits(applicant, product):
    return (
        applicant["state"] == product["state"]
        and applicant["purpose"] == product["purpose"]
        and int(applicant["credit_score"]) >= int(product["min_score"])
        and int(applicant["annual_income"]) >= int(product["min_income"])
        and int(applicant["amount"]) <= int(product["max_amount"])
    )


offers = []
for applicant in applicants:
    choices = []
    for lender, product in products:
        if suits(applicant, product):
            rate = float(product["annual_rate"])
            monthly = payment(int(applicant["amount"]), rate, int(applicant["months"]))
            most = float(product["max_debt_ratio"]) * int(applicant["annual_income"]) / 12
            if int(applicant["monthly_debts"]) + monthly <= most:
                choices.append((rate, lender, product["product"], monthly))
    if choices:
        rate, lender, product, monthly = min(choices)
        offers.append((applicant["applicant_id"], lender, product, rate, round(monthly, 2)))
write("offers", ["applicant_id", "lender", "product", "annual_rate", "monthly_payment"], sorted(offers))

floors = defaultdict(lambda: 10_000)
for _, product in products:
    place = product["purpose"], product["state"]
    floors[place] = min(floors[place], int(product["min_score"]))
groups = defaultdict(list)
for applicant in applicants:
    groups[applicant["purpose"], int(applicant["credit_score"]) // 50 * 50].append(applicant)
table = []
for (purpose, band), people in sorted(groups.items()):
    if len(people) >= MIN_APPLICANTS:
        served = sum(int(a["credit_score"]) >= floors[a["purpose"], a["state"]] for a in people)
        amount = sum(int(a["amount"]) for a in people)
        table.append((purpose, band, len(people), amount / len(people), served / len(people)))
write("demand", ["purpose", "score_band", "applicants", "mean_amount", "share_served"], table)
