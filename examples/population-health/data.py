"""Makes data/: what a hospital, a housing office and a benefits agency know of a city's people. Python 3 alone."""

import csv
import random

random.seed(20260404)

PEOPLE = 4200
DISTRICTS = ["dockside", "hillside", "market", "riverside"]
AREAS = [202, 206, 212, 216, 303, 312, 313, 402, 404, 410, 415, 502, 503, 504, 512, 513, 602, 612, 614, 615, 617, 702,
         704, 713, 716, 801, 804, 808, 813, 816, 901, 904, 907, 913, 916, 917, 918, 919, 937, 941, 949, 952]


def write(name, header, rows):
    with open(f"data/{name}.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


# Numbers 555-0100 to 555-0199 belong to nobody.
phones = [f"1{area}5550{line}" for area in AREAS for line in range(100, 200)][:PEOPLE]
random.shuffle(phones)
people = []
for phone in phones:
    district = random.choices(DISTRICTS, [30, 20, 25, 25])[0]
    support = random.random() < {"dockside": 0.34, "hillside": 0.08, "market": 0.18, "riverside": 0.26}[district]
    damp = random.random() < {"dockside": 0.30, "hillside": 0.06, "market": 0.15, "riverside": 0.26}[district] + 0.08 * support
    child = random.random() < 0.22
    asthma = random.random() < (0.06 + 0.055 * damp + 0.02 * support) * (1.6 if child else 1)
    people.append((phone, district, support, damp, child, asthma))


def dotted(phone):
    return f"+{phone[0]} {phone[1:4]}.{phone[4:7]}.{phone[7:]}"


def dashed(phone):
    return f"{phone[0]}-{phone[1:4]}-{phone[4:7]}-{phone[7:]}"


seen = [person for person in people if random.random() < 0.85]
visits = []
for phone, _, _, _, _, asthma in random.sample(seen, len(seen)):
    if asthma:
        visits += [(dotted(phone), "J45", random.randint(1, 12)) for _ in range(random.choice([1, 1, 1, 2, 3]))]
    elif random.random() < 0.3:
        visits.append((dotted(phone), random.choice(["S52", "K35", "I10", "N20"]), random.randint(1, 12)))
random.shuffle(visits)
write("visits", ["patient_phone", "diagnosis", "month"], visits)

inspected = [person for person in people if random.random() < 0.8]
random.shuffle(inspected)
write(
    "dwellings",
    ["tenant_phone", "district", "damp"],
    [(dashed(phone), district, str(damp).lower()) for phone, district, _, damp, _, _ in inspected],
)
known = random.sample(people, int(PEOPLE * 0.95))
write(
    "residents",
    ["phone", "age_band", "energy_support"],
    [
        (random.choices(["+" + phone, ""], [98, 2])[0], "0-17" if child else random.choice(["18-44", "45-64", "65+"]), str(support).lower())
        for phone, _, support, _, child, _ in known
    ],
)
