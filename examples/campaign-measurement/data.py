"""Makes data/: a publisher's impressions and a web shop's customers and orders. Python 3 alone."""

import csv
import hashlib
import random

random.seed(20260304)

PEOPLE, DAYS = 2400, 28
CHANNELS = {  # chance to be reached, most contacts, cost of a contact in millionths, effect
    "audio": (0.20, 4, 120_000, 0.010),
    "display": (0.45, 8, 60_000, 0.004),
    "video": (0.30, 5, 250_000, 0.030),
}


def hashed(person):
    return hashlib.sha256(f"buyer{person}@example.com".encode()).hexdigest()[:32]


def write(name, header, rows):
    with open(f"data/{name}.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


impressions, customers, orders = [], [], []
for person in range(PEOPLE):
    is_customer = random.random() < 0.6
    before = int(random.expovariate(1 / 3))
    recency = random.randint(1, 360)
    if is_customer:
        customers.append((hashed(person), before, recency))
    chance = 0.04 + (0.16 if before > 3 else 0)
    last = 0
    for channel, (reach, most, cost, effect) in CHANNELS.items():
        if random.random() < reach:
            for _ in range(random.randint(1, most)):
                day = random.randrange(DAYS)
                last = max(last, day)
                chance += effect
                price = round(cost * random.uniform(0.7, 1.3))
                impressions.append((hashed(person), channel, day, price))
    if is_customer and random.random() < chance:
        orders.append((hashed(person), random.randint(min(last, DAYS - 1), DAYS - 1), random.randint(900, 6000)))

impressions.sort(key=lambda row: (row[2], row[0], row[1]))
orders.sort(key=lambda row: (row[1], row[0]))
write("impressions", ["person", "channel", "day", "cost_micros"], impressions)
write("customers", ["person", "orders_12m", "recency_days"], customers)
write("orders", ["person", "day", "cents"], orders)
