"""Makes data/: lung cancer patients of three hospitals in one data model, and a sponsor's criteria. Python 3 alone."""

import csv
import random

random.seed(20260405)

SITES = {"alpine": 620, "baltic": 840, "coastal": 450}
VARIANTS = ["EGFR L858R", "EGFR exon 19 deletion", "KRAS G12C", "ALK fusion", "BRAF V600E", "RET fusion"]
SHARES = [0.12, 0.11, 0.13, 0.05, 0.02, 0.015]
DRUGS = ["amiodarone", "apixaban", "carbamazepine", "metformin", "osimertinib", "prednisone", "rifampicin", "warfarin"]


def write(name, header, rows):
    with open(f"data/{name}.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


for site, size in SITES.items():
    patients, drugs, variants = [], [], []
    for number in range(1, size + 1):
        patient = f"{site[0]}{number:04}"
        age = min(92, max(24, round(random.gauss(66, 10))))
        patients.append(
            (
                patient,
                age,
                random.choices(["I", "II", "III", "IV"], [20, 12, 26, 42])[0],
                random.choices([0, 1, 2, 3], [28, 42, 20, 10])[0],
                random.choices([round(max(14, random.gauss(78, 20)), 1), ""], [96, 4])[0],
            )
        )
        drugs += [(patient, drug) for drug in DRUGS if random.random() < 0.06]
        variants += [(patient, name) for name, share in zip(VARIANTS, SHARES) if random.random() < share]
    write(f"{site}_patients", ["patient_id", "age", "stage", "ecog", "egfr_ml_min"], patients)
    write(f"{site}_drugs", ["patient_id", "drug"], drugs)
    write(f"{site}_variants", ["patient_id", "variant"], variants)

write("criteria", ["min_age", "max_age", "stages", "max_ecog", "min_egfr_ml_min"], [(18, 75, "III IV", 1, 60.0)])
write("excluded_drugs", ["drug"], [["carbamazepine"], ["rifampicin"], ["osimertinib"]])
