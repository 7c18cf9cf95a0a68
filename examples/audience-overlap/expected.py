"""Computes expected/ from data/ without Glovebox. Python 3 alone."""

import csv
from collections import defaultdict

K = 25


def rows(name):
    with open(f"data/{name}.csv", newline="") as file:
        return list(csv.DictReader(file))


def write(name, header, table):
    with open(f"expected/{name}.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(table)


customers = {row["email_sha256"]: row for row in rows("customers")}
readers = {row["email_sha256"]: row for row in rows("readers")}
both = customers.keys() & readers.keys()
write(
    "overlap",
    ["customers", "readers", "matched", "share_of_customers", "share_of_readers"],
    [(len(customers), len(readers), len(both), len(both) / len(customers), len(both) / len(readers))],
)

audience = defaultdict(int)
for reader in readers.values():
    audience[reader["interest"]] += 1
segments = defaultdict(list)
for person in both:
    segments[readers[person]["interest"], customers[person]["tier"]].append(person)
table = []
for (interest, tier), people in sorted(segments.items()):
    if len(people) >= K:
        share = len(people) / sum(len(p) for (_, t), p in segments.items() if t == tier)
        visits = sum(int(readers[person]["visits_30d"]) for person in people) / len(people)
        index = 100 * share / (audience[interest] / len(readers))
        table.append((interest, tier, len(people), visits, index))
write("segments", ["interest", "tier", "people", "mean_visits", "affinity_index"], table)
