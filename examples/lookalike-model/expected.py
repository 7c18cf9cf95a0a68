"""Computes expected/ from data/ without Glovebox: Newton's method to the optimum. Python 3 alone."""

import csv
import math

ALPHA = 1.0  # the penalty of the notebook
K = 10  # fewest customers in a decile whose lift leaves
FEATURES = ["nature_hours", "sport_hours", "drama_hours", "evening_share", "tenure_months"]


def rows(name):
    with open(f"data/{name}.csv", newline="") as file:
        return list(csv.DictReader(file))


def write(name, header, table):
    with open(f"expected/{name}.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(table)


def solve(matrix, vector):
    """Gaussian elimination with pivoting."""
    size = len(vector)
    a = [row[:] + [value] for row, value in zip(matrix, vector)]
    for column in range(size):
        pivot = max(range(column, size), key=lambda row: abs(a[row][column]))
        a[column], a[pivot] = a[pivot], a[column]
        for row in range(column + 1, size):
            factor = a[row][column] / a[column][column]
            a[row] = [x - factor * y for x, y in zip(a[row], a[column])]
    solution = [0.0] * size
    for row in reversed(range(size)):
        rest = sum(a[row][column] * solution[column] for column in range(row + 1, size))
        solution[row] = (a[row][size] - rest) / a[row][row]
    return solution


def sigmoid(value):
    return 1 / (1 + math.exp(-value))


def fit(points, labels):
    """Minimises log loss + ALPHA / 2 * |weights|², the intercept (last) unpenalised."""
    size = len(points[0])
    weights = [0.0] * size
    for _ in range(50):
        gradient = [ALPHA * w for w in weights[:-1]] + [0.0]
        hessian = [[ALPHA if i == j and i < size - 1 else 0.0 for j in range(size)] for i in range(size)]
        for x, y in zip(points, labels):
            p = sigmoid(sum(w * v for w, v in zip(weights, x)))
            for i in range(size):
                gradient[i] += (p - y) * x[i]
                for j in range(size):
                    hessian[i][j] += p * (1 - p) * x[i] * x[j]
        step = solve(hessian, gradient)
        weights = [w - s for w, s in zip(weights, step)]
        if max(map(abs, step)) < 1e-13:
            return weights
    raise SystemExit("did not converge")


def auc(scores, labels):
    """The share of pairs of one seed and one other viewer in which the seed scores higher."""
    seeds = [s for s, y in zip(scores, labels) if y]
    others = [s for s, y in zip(scores, labels) if not y]
    wins = sum((s > o) + 0.5 * (s == o) for s in seeds for o in others)
    return wins / (len(seeds) * len(others))


viewers = rows("viewers")
best = {row["email_sha256"] for row in rows("best_customers")}
labels = [int(viewer["email_sha256"] in best) for viewer in viewers]
columns = [[float(viewer[name]) for viewer in viewers] for name in FEATURES]
means = [math.fsum(column) / len(column) for column in columns]
scales = [
    math.sqrt(math.fsum((value - mean) ** 2 for value in column) / len(column))
    for column, mean in zip(columns, means)
]
points = [
    [(column[row] - mean) / scale for column, mean, scale in zip(columns, means, scales)] + [1.0]
    for row in range(len(viewers))
]
weights = fit(points, labels)
scores = [sum(w * v for w, v in zip(weights, x)) for x in points]

# On the features as they are, so that who scores needs neither mean nor scale.
plain = [w / scale for w, scale in zip(weights, scales)]
intercept = weights[-1] - math.fsum(p * mean for p, mean in zip(plain, means))
write("model", ["term", "weight"], sorted([("intercept", intercept), *zip(FEATURES, plain)]))
write("quality", ["viewers", "seeds", "auc"], [(len(viewers), sum(labels), auc(scores, labels))])

ranked = sorted(
    ((-score, viewer["viewer_id"], label) for score, viewer, label in zip(scores, viewers, labels)),
)
deciles = []
for tenth in range(10):
    part = [label for at, (_, _, label) in enumerate(ranked) if at * 10 // len(ranked) == tenth]
    lift = sum(part) / len(part) / (sum(labels) / len(labels))
    deciles.append((tenth + 1, len(part), lift if sum(part) >= K else ""))
write("deciles", ["decile", "viewers", "lift"], deciles)

# Two fits that differ in the last digits choose the same people: the edge is wide enough.
SIZE = 200
assert ranked[SIZE][0] - ranked[SIZE - 1][0] > 1e-4
write(
    "audience",
    ["viewer_id", "score"],
    [(viewer, sigmoid(-score)) for score, viewer, _ in sorted(ranked[:SIZE], key=lambda row: row[1])],
)
