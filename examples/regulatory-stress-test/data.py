"""Makes data/: the loan books and capital of three banks, and a supervisor's scenario. Python 3 alone."""

import csv
import random

random.seed(20260407)

SECTORS = ["agriculture", "construction", "energy", "households", "property", "retail"]
RATINGS = {"A": 0.002, "BBB": 0.006, "BB": 0.018, "B": 0.055, "CCC": 0.16}
BOOKS = {  # loans, sectors' weights, ratings' weights, capital by weighted assets
    "north": (900, [10, 15, 10, 35, 20, 10], [20, 40, 25, 12, 3], 0.185),
    "south": (700, [5, 25, 5, 15, 42, 8], [8, 27, 35, 23, 7], 0.19),
    "east": (500, [25, 5, 30, 15, 2, 23], [15, 35, 30, 16, 4], 0.155),
}


def write(name, header, rows):
    with open(f"data/{name}.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


for bank, (loans, sectors, ratings, ratio) in BOOKS.items():
    book = []
    for number in range(1, loans + 1):
        sector = random.choices(SECTORS, sectors)[0]
        rating = random.choices(list(RATINGS), ratings)[0]
        exposure = round(random.lognormvariate(13.2, 0.9), 2)
        lgd = round(min(0.9, max(0.1, random.gauss(0.35 if sector in ("property", "households") else 0.5, 0.1))), 3)
        pd = round(RATINGS[rating] * random.uniform(0.7, 1.4), 5)
        book.append((f"{bank[0].upper()}{number:05}", sector, rating, f"{exposure:.2f}", pd, lgd))
    write(f"{bank}_loans", ["loan_id", "sector", "rating", "exposure", "pd", "lgd"], book)
    weighted = round(sum(float(loan[3]) for loan in book) * 0.65, 2)
    write(f"{bank}_capital", ["cet1", "weighted_assets"], [(f"{weighted * ratio:.2f}", f"{weighted:.2f}")])

write(
    "scenario",
    ["sector", "asset_correlation", "factor_quantile", "lgd_add_on"],
    [
        ("agriculture", 0.12, 0.90, 0.03),
        ("construction", 0.20, 0.995, 0.10),
        ("energy", 0.18, 0.95, 0.05),
        ("households", 0.10, 0.97, 0.04),
        ("property", 0.24, 0.999, 0.15),
        ("retail", 0.15, 0.98, 0.06),
    ],
)
