"""Makes data/: a hospital's discharges. No real patient; the rates are like those of published studies. Python 3 alone."""

import csv
import math
import random

random.seed(20260306)

with open("data/discharges.csv", "w", newline="") as file:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(
        ["patient", "surname", "fold", "age", "female", "prior_admissions", "stay_days", "chronic", "creatinine",
         "to_home", "readmitted"]
    )
    for patient in range(3200):
        age = min(95, max(18, round(random.gauss(64, 17))))
        female = random.random() < 0.52
        chronic = min(8, int(random.expovariate(1 / (0.6 + age / 45))))
        prior = min(9, int(random.expovariate(1 / (0.3 + chronic / 3))))
        stay = 1 + int(random.expovariate(1 / (2.5 + chronic * 0.6)))
        creatinine = round(math.exp(random.gauss(0.0 + 0.05 * chronic, 0.28)), 2)
        home = random.random() < 0.85 - 0.004 * (age - 40)
        drawn = -3.3 + 0.012 * (age - 60) + 0.28 * prior + 0.045 * stay + 0.16 * chronic + 0.55 * creatinine - 0.35 * home
        readmitted = random.random() < 1 / (1 + math.exp(-drawn))
        writer.writerow(
            [f"p{patient:05}", f"Surname{random.randrange(900)}", patient % 4, age, int(female), prior, stay, chronic,
             f"{creatinine:.2f}", int(home), int(readmitted)]
        )
