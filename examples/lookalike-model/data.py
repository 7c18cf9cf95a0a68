"""Makes data/: a streaming service's viewers and an outdoor shop's best customers. Python 3 alone."""

import csv
import hashlib
import math
import random

random.seed(20260302)

VIEWERS, ELSEWHERE = 2400, 120


def hashed(person):
    return hashlib.sha256(f"viewer{person}@example.com".encode()).hexdigest()


def write(name, header, rows):
    with open(f"data/{name}.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


viewers, best = [], []
for person in range(VIEWERS):
    nature = random.gammavariate(1.5, 4.0)
    sport = random.gammavariate(1.2, 6.0)
    drama = random.gammavariate(2.0, 8.0)
    evening = random.betavariate(4, 2)
    tenure = random.randint(1, 84)
    viewers.append(
        (f"v{person:05}", hashed(person), f"{nature:.2f}", f"{sport:.2f}", f"{drama:.2f}", f"{evening:.3f}", tenure)
    )
    drawn = -3.6 + 0.16 * nature + 0.05 * sport - 0.03 * drama - 1.0 * evening + 0.012 * tenure
    if random.random() < 1 / (1 + math.exp(-drawn)):
        best.append(hashed(person))

best += [hashed(VIEWERS + stranger) for stranger in range(ELSEWHERE)]
random.shuffle(best)
write(
    "viewers",
    ["viewer_id", "email_sha256", "nature_hours", "sport_hours", "drama_hours", "evening_share", "tenure_months"],
    viewers,
)
write("best_customers", ["email_sha256", "orders"], [(person, random.randint(3, 30)) for person in best])
