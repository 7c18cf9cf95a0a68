"""Makes data/: the instant payments of three banks, and a ring of mules that is paid from all of them. Python 3 alone."""

import csv
import random

random.seed(20260403)

BANKS = ["north", "south", "east"]
AREAS = [202, 206, 212, 303, 312, 404, 415, 503, 512, 617, 702, 801]
PAYEES, MULES, PAYMENTS = 900, 30, 1600

# Numbers 555-0100 to 555-0199 belong to nobody.
numbers = [f"1{area}5550{line}" for area in AREAS for line in range(100, 200)]
random.shuffle(numbers)
payees = numbers[:PAYEES]
mules = set(payees[:MULES])


def spelt(bank, number):
    """Each bank has its own way to keep a number; all have the country code."""
    area, exchange, line = number[1:4], number[4:7], number[7:]
    if bank == "north":
        return f"+1 ({area}) {exchange}-{line}"
    if bank == "south":
        return f"1-{area}-{exchange}-{line}"
    return "+" + number


def payments(bank):
    usual = random.sample(payees[MULES:], 420)
    for number in range(1, PAYMENTS + 1):
        if random.random() < 0.045:
            payee = random.choice(payees[:MULES])
            amount, new, reported = random.randrange(300, 2500), random.random() < 0.93, random.random() < 0.35
        else:
            payee = random.choice(usual)
            amount, new, reported = random.randrange(5, 400), random.random() < 0.2, random.random() < 0.006
        payee = random.choices([spelt(bank, payee), ""], [99, 1])[0]
        yield f"{bank[0].upper()}{number:06}", payee, amount, str(new).lower(), str(reported).lower()


for bank in BANKS:
    with open(f"data/{bank}.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["payment_id", "phone", "amount", "first_to_payee", "reported"])
        writer.writerows(payments(bank))
