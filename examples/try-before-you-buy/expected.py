"""Computes expected/ from data/ without Glovebox: addresses are compared as such. Python 3 alone."""

import csv
from collections import defaultdict

MIN_PEOPLE = 20


def rows(name):
    with open(f"data/{name}.csv", newline="") as file:
        return [{**row, "email": row["email"].strip().lower()} for row in csv.DictReader(file)]


def write(name, header, table):
    with open(f"expected/{name}.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(table)


customers = rows("customers")
for source in ("sample", "full"):
    attributes = {row["email"]: row for row in rows(source)}
    answers, marked = [], defaultdict(list)
    for customer in customers:
        row = attributes.get(customer["email"])
        if row is None:
            continue
        answer = customer["answered"] == "true"
        answers.append(answer)
        marked[f"income {row['income']}"].append(answer)
        for column in ("children", "electric_car", "moved_recently"):
            if row[column] == "true":
                marked[column.replace("_", " ")].append(answer)
    write(
        f"{source}_coverage",
        ["customers", "matched", "share"],
        [(len(customers), len(answers), len(answers) / len(customers))],
    )
    overall = sum(answers) / len(answers)
    write(
        f"{source}_lift",
        ["attribute", "people", "answer_rate", "lift"],
        [
            (attribute, len(group), sum(group) / len(group), sum(group) / len(group) / overall)
            for attribute, group in sorted(marked.items())
            if len(group) >= MIN_PEOPLE
        ],
    )

known = {row["email"]: row["electric_car"] for row in rows("full")}
write(
    "customers",
    ["customer_id", "electric_car"],
    sorted((row["customer_id"], known[row["email"]]) for row in customers if row["email"] in known),
)
