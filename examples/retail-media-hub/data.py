"""Makes data/: a supermarket's sales, a screen network's contacts, two brands' clubs. Python 3 alone."""

import csv
import hashlib
import random

random.seed(20260303)

SHOPPERS, DAYS, START = 2500, 60, 30  # campaigns run on days 30 to 59
CAMPAIGNS = {  # placement, how much a contact raises the chance to buy
    "cola": [("summer-fridge", "app", 0.10), ("summer-fridge", "aisle screen", 0.03)],
    "chips": [("big-bag", "app", 0.02), ("big-bag", "till screen", 0.08)],
}
PRICES = {"cola": [119, 249, 399], "chips": [199, 299], "other": [89, 149, 499]}


def hashed(person):
    return hashlib.sha256(f"shopper{person}@example.com".encode()).hexdigest()[:20]


def write(name, header, rows):
    with open(f"data/{name}.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


sales, exposures = [], []
for person in range(SHOPPERS):
    for _ in range(random.randint(0, 2)):
        sales.append((hashed(person), "other", random.choice(PRICES["other"]), random.randrange(DAYS)))
    for brand, campaigns in CAMPAIGNS.items():
        habit = random.betavariate(1, 8)
        lift = 0.0
        for campaign, placement, effect in campaigns:
            for _ in range(random.choices([0, 1, 2, 4], [0.72, 0.14, 0.09, 0.05])[0]):
                lift += effect
                exposures.append((hashed(person), brand, campaign, placement, random.randrange(START, DAYS)))
        for first, chance in ((0, habit), (START, min(0.9, habit + lift))):
            if random.random() < chance:
                for _ in range(random.randint(1, 3)):
                    sales.append(
                        (hashed(person), brand, random.choice(PRICES[brand]), random.randrange(first, first + 30))
                    )

random.shuffle(sales)
exposures.sort(key=lambda row: (row[4], row[0]))
write("shoppers", ["shopper"], [(shopper,) for shopper in sorted({sale[0] for sale in sales})])
write("sales", ["shopper", "brand", "cents", "day"], sales)
write("contacts", ["shopper", "brand", "campaign", "placement", "day"], exposures)
for name, column, group, groups, size in (
    ("cola_club", "mail_sha256", "tier", ["green", "blue", "black"], 900),
    ("chips_friends", "member", "region", ["north", "south"], 600),
):
    members = random.sample(range(SHOPPERS + 400), size)
    write(name, [column, group], [(hashed(person), random.choice(groups)) for person in members])
