"""Computes expected/ from data/ without Glovebox: phone numbers are compared as such. Python 3 alone."""

import csv
from collections import defaultdict

BANKS = ["north", "south", "east"]
MIN_PAYMENTS, REVIEW_AT = 5, 50


def rows(bank):
    with open(f"data/{bank}.csv", newline="") as file:
        return [
            {**row, "phone": "".join(digit for digit in row["phone"] if digit.isdigit())}
            for row in csv.DictReader(file)
        ]


payments = {bank: rows(bank) for bank in BANKS}
by_payee = defaultdict(list)
for bank, table in payments.items():
    for row in table:
        if row["phone"]:
            by_payee[row["phone"]].append((bank, row["first_to_payee"] == "true", row["reported"] == "true"))

scores = {}
for phone, seen in by_payee.items():
    banks = len({bank for bank, _, _ in seen})
    if len(seen) >= MIN_PAYMENTS and banks >= 2:
        new = sum(new for _, new, _ in seen)
        reports = min(3, sum(reported for _, _, reported in seen))
        scores[phone] = 10 * (banks - 1) + 50 * new // len(seen) + 30 * reports // 3

for bank, table in payments.items():
    with open(f"expected/{bank}.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["payment_id", "score", "flag"])
        for row in sorted(table, key=lambda row: row["payment_id"]):
            score = scores.get(row["phone"], 0)
            if score >= REVIEW_AT:
                writer.writerow([row["payment_id"], score, "stop" if score >= REVIEW_AT + 30 else "review"])
