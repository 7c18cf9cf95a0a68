"""Makes data/: a bank's customers and an airline's members, some of them the same people. Python 3 alone."""

import csv
import random

random.seed(20260401)

PEOPLE, CUSTOMERS, MEMBERS = 2400, 1100, 1000
FIRST = "ada bo cai dana emil fay gus hana ines jon kim lea mia noor omar pia rui sven tara uli".split()
LAST = "abt berg cruz dahl eder falk good hahn iyer jung kohl lund marx nagy otto pohl rask stein tamm voss".split()
DOMAINS = ["example.com", "example.org", "example.net", "gmail.com"]


def address(person):
    """An address of nobody: the number is not a name that a mail service gives out."""
    first, last = random.choice(FIRST), random.choice(LAST)
    return f"{first}.{last}.{person:05}x0", random.choice(DOMAINS)


def bank_spelling(name, domain):
    return f"{name}@{domain}"


def airline_spelling(name, domain):
    """As people type it into a form: capitals, spaces, and at Gmail without dots or with a tag."""
    if domain == "gmail.com":
        name = random.choice([name, name.replace(".", ""), f"{name}+miles"])
    name = random.choice([name, name.title(), name.upper()])
    return random.choice(["", " "]) + f"{name}@{domain}" + random.choice(["", " "])


def write(name, header, rows):
    with open(f"data/{name}.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


addresses = [address(person) for person in range(PEOPLE)]
customers = random.sample(range(PEOPLE), CUSTOMERS)
members = random.sample(customers, 560) + random.sample(sorted(set(range(PEOPLE)) - set(customers)), MEMBERS - 560)
random.shuffle(members)

write(
    "customers",
    ["customer_id", "email", "income_band", "standing", "holds_card"],
    [
        (
            f"C{number:05}",
            random.choices([bank_spelling(*addresses[person]), "", "n/a"], [97, 2, 1])[0],
            random.choices("ABCD", [15, 30, 35, 20])[0],
            random.choices(["good", "watch"], [88, 12])[0],
            random.choices(["false", "true"], [80, 20])[0],
        )
        for number, person in enumerate(customers, 1)
    ],
)
write(
    "members",
    ["member_no", "email", "tier", "flights_12m", "opted_in"],
    [
        (
            700000 + number,
            airline_spelling(*addresses[person]),
            tier := random.choices(["blue", "silver", "gold"], [60, 27, 13])[0],
            {"blue": 1, "silver": 8, "gold": 20}[tier] + random.randrange(7),
            random.choices(["true", "false"], [85, 15])[0],
        )
        for number, person in enumerate(members, 1)
    ],
)
