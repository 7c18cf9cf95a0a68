"""Computes expected/ from data/ without Glovebox, the vendor's logic included. Python 3 alone."""

import csv
from collections import defaultdict

THRESHOLD, LARGEST, K = 0.6, 6, 20


def rows(name):
    with open(f"data/{name}.csv", newline="") as file:
        return list(csv.DictReader(file))


def write(name, header, table):
    with open(f"expected/{name}.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(table)


# People are sets of ids. The strongest edge first; an edge that would make too large a person is a shared device's.
people = {}
edges = [(float(edge["strength"]), edge["left_id"], edge["right_id"]) for edge in rows("edges")]
for strength, left, right in sorted(edges, key=lambda edge: (-edge[0], edge[1], edge[2])):
    one, other = people.setdefault(left, {left}), people.setdefault(right, {right})
    if strength >= THRESHOLD and one is not other and len(one) + len(other) <= LARGEST:
        one |= other
        for identifier in other:
            people[identifier] = one
person = {identifier: min(ids) for identifier, ids in people.items()}


def resolved(identifier):
    return person.get(identifier, identifier)


customers, visitors = rows("customers"), rows("visitors")
mails = {customer["mail_id"] for customer in customers}
direct = mails & {visitor["visitor_id"] for visitor in visitors}
interests = defaultdict(set)
for visitor in visitors:
    interests[resolved(visitor["visitor_id"])].add(visitor["interest"])
matched = {resolved(mail) for mail in mails} & interests.keys()
write("reach", ["customers", "matched_directly", "matched_by_graph"], [(len(mails), len(direct), len(matched))])

segments = defaultdict(set)
for customer in customers:
    found = resolved(customer["mail_id"])
    for interest in interests.get(found, ()):
        segments[customer["segment"], interest].add(found)
write(
    "segments",
    ["segment", "interest", "people"],
    [(*key, len(found)) for key, found in sorted(segments.items()) if len(found) >= K],
)
