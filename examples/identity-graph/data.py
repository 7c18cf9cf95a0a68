"""Makes data/: an identity vendor's edges, a shop's customers, a publisher's visitors. Python 3 alone."""

import csv
import hashlib
import random

random.seed(20260305)

PEOPLE = 1400
SEGMENTS, INTERESTS = ["new", "regular", "lapsed"], ["cooking", "sport", "travel"]


def identifier(kind, number):
    return kind + hashlib.sha256(f"{kind}{number}".encode()).hexdigest()[:15]


def write(name, header, rows):
    with open(f"data/{name}.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


edges, customers, visitors, devices = [], [], [], []
for person in range(PEOPLE):
    mail = identifier("m", person)
    own = [identifier("d", f"{person}.{device}") for device in range(random.randint(1, 3))]
    devices += own
    for device in own:
        if random.random() < 0.8:
            edges.append((mail, device, round(random.uniform(0.55, 0.98), 3)))
    for left, right in zip(own, own[1:]):
        if random.random() < 0.7:
            edges.append((left, right, round(random.uniform(0.5, 0.9), 3)))
    segment, interest = random.choice(SEGMENTS), random.choice(INTERESTS)
    if segment == "lapsed" and random.random() < 0.5:
        interest = "travel"
    if random.random() < 0.6:
        customers.append((mail, segment))
    for device in own:
        if random.random() < 0.5:
            visitors.append((device, interest))
    if random.random() < 0.05:  # a visitor who logged in
        visitors.append((mail, interest))

# Shared tablets, airport networks: strong enough to fool a plain threshold now and then.
for _ in range(500):
    left, right = random.sample(devices, 2)
    edges.append((left, right, round(random.uniform(0.05, 0.62), 3)))
hub = identifier("d", "café")
edges += [(hub, device, 0.71) for device in random.sample(devices, 40)]

for table in (edges, customers, visitors):
    random.shuffle(table)
write("edges", ["left_id", "right_id", "strength"], edges)
write("customers", ["mail_id", "segment"], customers)
write("visitors", ["visitor_id", "interest"], visitors)
