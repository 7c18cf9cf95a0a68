"""Computes expected/ from data/ without Glovebox: addresses are compared as such. Python 3 alone."""

import csv
from collections import Counter

MIN_PEOPLE = 25


def rows(name):
    with open(f"data/{name}.csv", newline="") as file:
        return list(csv.DictReader(file))


def write(name, header, table):
    with open(f"expected/{name}.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(table)


def normal(address):
    """UID2's rule; None for what is no address."""
    name, at, domain = address.strip().lower().partition("@")
    if not (name and at and domain):
        return None
    if domain == "gmail.com":
        name = name.split("+")[0].replace(".", "")
    return f"{name}@{domain}"


customers = {normal(row["email"]): row for row in rows("customers") if normal(row["email"])}
members = {normal(row["email"]): row for row in rows("members") if normal(row["email"])}
both = [(customers[person], members[person]) for person in customers.keys() & members.keys()]
eligible = [
    (customer, member)
    for customer, member in both
    if customer["standing"] == "good" and customer["holds_card"] == "false" and member["opted_in"] == "true"
]

write(
    "prospects",
    ["customer_id", "offer"],
    sorted(
        (
            customer["customer_id"],
            "gold" if member["tier"] == "gold" and customer["income_band"] in "AB" else "standard",
        )
        for customer, member in eligible
        if member["tier"] in ("silver", "gold")
    ),
)
write(
    "invitations",
    ["member_no"],
    sorted([member["member_no"]] for customer, member in eligible if customer["income_band"] in "ABC"),
)
groups = Counter((member["tier"], customer["income_band"]) for customer, member in both)
write(
    "overview",
    ["tier", "income_band", "people"],
    [(*group, people) for group, people in sorted(groups.items()) if people >= MIN_PEOPLE],
)
