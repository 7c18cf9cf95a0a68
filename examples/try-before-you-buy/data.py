"""Makes data/: a data vendor's households, a sample of them, and a shop's mailing. Python 3 alone."""

import csv
import random

random.seed(20260406)

PEOPLE, HOUSEHOLDS, CUSTOMERS = 9000, 6000, 3000
SAMPLE = 0.25


def write(name, header, rows):
    with open(f"data/{name}.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def address(person, style):
    spelt = f"person.{person:05}@example.{'com' if person % 3 else 'org'}"
    return spelt if style == "vendor" else random.choice([spelt, spelt.upper(), " " + spelt.title()])


households = {}
for person in random.sample(range(PEOPLE), HOUSEHOLDS):
    electric = random.random() < 0.18
    households[person] = (
        random.choices(["low", "middle", "high"], [30, 50, 20])[0],
        str(random.random() < 0.35).lower(),
        str(electric).lower(),
        str(random.random() < 0.10).lower(),
    )
HEADER = ["email", "income", "children", "electric_car", "moved_recently"]
full = [(address(person, "vendor"), *traits) for person, traits in households.items()]
write("full", HEADER, full)
write("sample", HEADER, random.sample(full, int(HOUSEHOLDS * SAMPLE)))

customers = []
for number, person in enumerate(random.sample(range(PEOPLE), CUSTOMERS), 1):
    income, _, electric, _ = households.get(person, ("middle", "false", "false", "false"))
    chance = 0.06 + 0.16 * (electric == "true") + {"low": -0.02, "middle": 0, "high": 0.03}[income]
    customers.append((f"K{number:05}", address(person, "shop"), str(random.random() < chance).lower()))
write("customers", ["customer_id", "email", "answered"], customers)
