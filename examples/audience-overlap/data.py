"""Makes data/: a shop's customers and a newspaper's readers, some of them the same people. Python 3 alone."""

import csv
import hashlib
import random

random.seed(20260301)

PEOPLE, CUSTOMERS, READERS = 6000, 1200, 2000
TIERS = ["basic", "silver", "gold"]
INTERESTS = ["cooking", "finance", "gardening", "running", "travel"]
SHARES = {  # readers of each interest, by how much a customer's tier draws them to it
    None: [0.24, 0.20, 0.22, 0.16, 0.18],
    "basic": [0.26, 0.18, 0.22, 0.18, 0.16],
    "silver": [0.18, 0.20, 0.16, 0.28, 0.18],
    "gold": [0.10, 0.24, 0.08, 0.34, 0.24],
}


def hashed(person):
    return hashlib.sha256(f"person{person}@example.com".encode()).hexdigest()


def write(name, header, rows):
    with open(f"data/{name}.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


people = range(PEOPLE)
customers = {
    person: (random.choices(TIERS, [0.5, 0.3, 0.2])[0], random.randint(20, 900))
    for person in random.sample(people, CUSTOMERS)
}
# A customer is twice as likely to read the newspaper as anybody else.
weights = {person: 2 if person in customers else 1 for person in people}
readers = sorted(people, key=lambda person: random.random() ** (1 / weights[person]), reverse=True)
readers = readers[:READERS]

write(
    "customers",
    ["email_sha256", "tier", "spend_12m"],
    [(hashed(person), tier, spend) for person, (tier, spend) in customers.items()],
)
random.shuffle(readers)
write(
    "readers",
    ["email_sha256", "interest", "visits_30d", "reader_id"],
    [
        (
            hashed(person),
            random.choices(INTERESTS, SHARES[customers[person][0] if person in customers else None])[0],
            1 + int(random.expovariate(1 / 9)),
            f"r-{number:05}",
        )
        for number, person in enumerate(readers)
    ],
)
