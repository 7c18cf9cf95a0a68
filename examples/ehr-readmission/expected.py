"""Computes expected/ from data/ without Glovebox, the expert's method included. Python 3 alone."""

import csv
import math

TERMS = ["age", "female", "prior_admissions", "stay_days", "chronic", "creatinine", "to_home"]
K = 10


def write(name, header, table):
    with open(f"expected/{name}.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(table)


def inverse(matrix):
    """Gauss-Jordan with pivoting."""
    size = len(matrix)
    a = [row[:] + [float(i == j) for j in range(size)] for i, row in enumerate(matrix)]
    for column in range(size):
        pivot = max(range(column, size), key=lambda row: abs(a[row][column]))
        a[column], a[pivot] = a[pivot], a[column]
        a[column] = [value / a[column][column] for value in a[column]]
        for row in range(size):
            if row != column:
                factor = a[row][column]
                a[row] = [x - factor * y for x, y in zip(a[row], a[column])]
    return [row[size:] for row in a]


def fit(points, labels):
    """Maximum likelihood by Newton's method: weights and their covariance."""
    size = len(points[0])
    weights = [0.0] * size
    for _ in range(50):
        gradient = [0.0] * size
        information = [[0.0] * size for _ in range(size)]
        for x, y in zip(points, labels):
            p = 1 / (1 + math.exp(-sum(w * v for w, v in zip(weights, x))))
            for i in range(size):
                gradient[i] += (y - p) * x[i]
                for j in range(size):
                    information[i][j] += p * (1 - p) * x[i] * x[j]
        covariance = inverse(information)
        step = [sum(c * g for c, g in zip(row, gradient)) for row in covariance]
        weights = [w + s for w, s in zip(weights, step)]
        if max(map(abs, step)) < 1e-12:
            return weights, covariance
    raise SystemExit("did not converge")


with open("data/discharges.csv", newline="") as file:
    discharges = list(csv.DictReader(file))
points = [[1.0] + [float(row[term]) for term in TERMS] for row in discharges]
labels = [int(row["readmitted"]) for row in discharges]
train = [index for index, row in enumerate(discharges) if row["fold"] != "0"]
test = [index for index, row in enumerate(discharges) if row["fold"] == "0"]
weights, covariance = fit([points[i] for i in train], [labels[i] for i in train])

errors = [math.sqrt(covariance[i][i]) for i in range(len(weights))]
write(
    "model",
    ["term", "weight", "standard_error", "p_value"],
    [
        (term, weight, error, math.erfc(abs(weight / error) / math.sqrt(2)))
        for term, weight, error in zip(["intercept", *TERMS], weights, errors)
    ],
)
risks = [1 / (1 + math.exp(-sum(w * v for w, v in zip(weights, points[i])))) for i in test]
write(
    "risks",
    ["patient", "risk", "readmitted"],
    [(discharges[i]["patient"], risk, ["false", "true"][labels[i]]) for i, risk in zip(test, risks)],
)

seen = [labels[i] for i in test]
pairs = [(p > q) + 0.5 * (p == q) for p, y in zip(risks, seen) if y for q, z in zip(risks, seen) if not z]
write("quality", ["patients", "readmitted", "auc"], [(len(test), sum(seen), sum(pairs) / len(pairs))])
order = sorted(range(len(test)), key=lambda i: (risks[i], discharges[test[i]]["patient"]))
fifths = []
for fifth in range(5):
    part = [i for place, i in enumerate(order) if place * 5 // len(order) == fifth]
    readmitted = sum(seen[i] for i in part)
    if readmitted >= K:
        fifths.append((fifth + 1, len(part), math.fsum(risks[i] for i in part) / len(part), readmitted / len(part)))
write("calibration", ["fifth", "patients", "predicted", "observed"], fifths)
