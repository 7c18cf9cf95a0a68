"""Computes expected/ from data/ without Glovebox, the partner's method included. Python 3 alone."""

import csv
import math
from collections import defaultdict
from decimal import ROUND_HALF_EVEN, Decimal

K = 20


def rows(name):
    with open(f"data/{name}.csv", newline="") as file:
        return list(csv.DictReader(file))


def write(name, header, table):
    with open(f"expected/{name}.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(table)


def roas(cents, micros):
    ratio = Decimal(round(cents)) / 100 / (Decimal(micros) / 1_000_000)
    return float(ratio.quantize(Decimal("0.0001"), ROUND_HALF_EVEN))


def worth(orders, recency):
    score = math.log(1 + orders) * 3 - recency / 45
    return "high" if score >= 3 else "middle" if score >= 0 else "low"


impressions, customers, orders = rows("impressions"), rows("customers"), rows("orders")
contacts = defaultdict(list)  # of a person: day, channel, cost
for seen in impressions:
    contacts[seen["person"]].append((int(seen["day"]), seen["channel"], int(seen["cost_micros"])))
bought = {order["person"]: order for order in orders}
assert len(bought) == len(orders), "a person orders once"

reach, cost = defaultdict(set), defaultdict(int)
count = defaultdict(int)
for person, seen in contacts.items():
    for _, channel, micros in seen:
        reach[channel].add(person)
        count[channel] += 1
        cost[channel] += micros

table = defaultdict(lambda: [0, 0])
for person, seen in contacts.items():
    times = len(seen)
    bucket = "1" if times == 1 else "2-3" if times <= 3 else "4-6" if times <= 6 else "7+"
    table[bucket][0] += 1
    table[bucket][1] += person in bought
write(
    "frequency",
    ["contacts", "people", "buyers", "conversion"],
    [(bucket, people, buyers, buyers / people) for bucket, (people, buyers) in sorted(table.items()) if buyers >= K],
)

credit, revenue, touched = defaultdict(float), defaultdict(float), defaultdict(int)
for person, order in bought.items():
    path = sorted((day, channel, micros) for day, channel, micros in contacts[person] if day <= int(order["day"]))
    weights = [
        (2 if place in (0, len(path) - 1) else 1) * 0.5 ** ((int(order["day"]) - day) / 7)
        for place, (day, _, _) in enumerate(path)
    ]
    for (_, channel, _), weight in zip(path, weights):
        credit[channel] += weight / math.fsum(weights)
        revenue[channel] += weight / math.fsum(weights) * int(order["cents"])
    for channel in {channel for _, channel, _ in path}:
        touched[channel] += 1
write(
    "channels",
    ["channel", "reach", "impressions", "frequency", "conversions", "credit", "roas"],
    [
        (
            channel,
            len(people),
            count[channel],
            count[channel] / len(people),
            touched[channel],
            credit[channel],
            roas(revenue[channel], cost[channel]),
        )
        for channel, people in sorted(reach.items())
        if touched[channel] >= K
    ],
)

segments = defaultdict(lambda: [0, 0, 0, 0])
for customer in customers:
    segment = segments[worth(int(customer["orders_12m"]), int(customer["recency_days"]))]
    seen = contacts.get(customer["person"])
    if seen:
        segment[0] += 1
        segment[3] += sum(micros for _, _, micros in seen)
        if customer["person"] in bought:
            segment[1] += 1
            segment[2] += int(bought[customer["person"]]["cents"])
write(
    "segments",
    ["segment", "reach", "buyers", "conversion", "roas"],
    [
        (name, people, buyers, buyers / people, roas(cents, micros))
        for name, (people, buyers, cents, micros) in sorted(segments.items())
        if buyers >= K
    ],
)
