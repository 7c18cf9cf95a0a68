"""Computes expected/ from data/ without Glovebox. Python 3 alone."""

import csv
from collections import defaultdict

K, START = 20, 30


def rows(name):
    with open(f"data/{name}.csv", newline="") as file:
        return list(csv.DictReader(file))


def write(name, header, table):
    with open(f"expected/{name}.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(table)


shoppers = {row["shopper"] for row in rows("shoppers")}
for brand, club, column, group in (
    ("cola", "cola_club", "mail_sha256", "tier"),
    ("chips", "chips_friends", "member", "region"),
):
    before, after, spent = set(), set(), defaultdict(int)
    for sale in (sale for sale in rows("sales") if sale["brand"] == brand):
        (after if int(sale["day"]) >= START else before).add(sale["shopper"])
        if int(sale["day"]) >= START:
            spent[sale["shopper"]] += int(sale["cents"])
    contacts = defaultdict(lambda: defaultdict(int))
    for seen in (seen for seen in rows("contacts") if seen["brand"] == brand):
        contacts[seen["campaign"], seen["placement"]][seen["shopper"]] += 1
    seen_any = set().union(*contacts.values())
    unseen = shoppers - seen_any
    base = len(unseen & after) / len(unseen)

    table = []
    for (campaign, placement), reached in sorted(contacts.items()):
        buyers = reached.keys() & after
        if len(buyers) < K:
            continue
        new = buyers - before
        table.append(
            (
                campaign,
                placement,
                len(reached),
                sum(reached.values()) / len(reached),
                len(buyers),
                len(buyers) / len(reached),
                len(buyers) / len(reached) / base,
                len(new) / len(buyers),
                sum(spent[shopper] for shopper in buyers) / 100,
            )
        )
    write(
        f"{brand}_placements",
        ["campaign", "placement", "reached", "frequency", "buyers", "conversion", "lift", "share_new", "sales"],
        table,
    )

    segments = defaultdict(list)
    for member in rows(club):
        segments[member[group]].append(member[column])
    table = []
    for segment, members in sorted(segments.items()):
        reached = [member for member in members if member in seen_any]
        buyers = [member for member in reached if member in after]
        if len(buyers) >= K:
            sold = sum(spent[member] for member in buyers) / 100
            table.append((segment, len(reached), len(buyers), sold))
    write(f"{brand}_segments", ["segment", "reached", "buyers", "sales"], table)
