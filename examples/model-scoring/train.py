"""Trains the vendor's network on every other row of data/wdbc.csv, writes model/tumour.onnx and the clinic's table.

The network is 30 → 8 → 1: features are scaled, then Gemm, Relu, Gemm, Sigmoid. The file is ONNX, written by hand, as
the format is a few nested protocol-buffer messages. Python 3 alone.
"""

import csv
import math
import random
import struct

random.seed(20260307)
HIDDEN, EPOCHS, RATE, DECAY = 8, 60, 0.05, 1e-3
FEATURES = [
    f"{which}_{name}"
    for which in ("mean", "error", "worst")
    for name in (
        "radius", "texture", "perimeter", "area", "smoothness", "compactness", "concavity", "concave_points",
        "symmetry", "fractal_dimension",
    )
]

with open("data/wdbc.csv", newline="") as file:
    rows = [[float(value) for value in row] for row in list(csv.reader(file))[1:]]
# In the source 0 is malignant.
labelled = [(row[:-1], 1.0 - row[-1]) for row in rows]
own, clinic = labelled[0::2], labelled[1::2]

means = [math.fsum(column) / len(own) for column in zip(*(x for x, _ in own))]
scales = [
    math.sqrt(math.fsum((value - mean) ** 2 for value in column) / len(own))
    for column, mean in zip(zip(*(x for x, _ in own)), means)
]
points = [([(v - m) / s for v, m, s in zip(x, means, scales)], y) for x, y in own]
first = [[random.gauss(0, 0.25) for _ in FEATURES] for _ in range(HIDDEN)]
first_bias = [0.0] * HIDDEN
second = [random.gauss(0, 0.35) for _ in range(HIDDEN)]
second_bias = 0.0
for _ in range(EPOCHS):
    random.shuffle(points)
    for x, y in points:
        raw = [sum(w * v for w, v in zip(row, x)) + b for row, b in zip(first, first_bias)]
        hidden = [max(0.0, value) for value in raw]
        missed = 1 / (1 + math.exp(-sum(w * h for w, h in zip(second, hidden)) - second_bias)) - y
        for unit in range(HIDDEN):
            if raw[unit] > 0:
                back = RATE * missed * second[unit]
                first[unit] = [w * (1 - RATE * DECAY) - back * v for w, v in zip(first[unit], x)]
                first_bias[unit] -= back
            second[unit] -= RATE * (missed * hidden[unit] + DECAY * second[unit])
        second_bias -= RATE * missed


def varint(value):
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def field(number, value):
    """A field of a message: an integer, or bytes or text with a length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def node(op, inputs, output, **attributes):
    body = b"".join(field(1, name) for name in inputs) + field(2, output) + field(3, output) + field(4, op)
    for name, value in attributes.items():
        body += field(5, field(1, name) + field(3, value) + field(20, 2))
    return body


def tensor(name, shape, values):
    dims = b"".join(field(1, size) for size in shape)
    return dims + field(2, 1) + field(8, name) + field(9, struct.pack(f"<{len(values)}f", *values))


def value_info(name, columns):
    dims = field(1, field(2, "n")) + field(1, field(1, columns))
    return field(1, name) + field(2, field(1, field(1, 1) + field(2, dims)))


graph = b"".join([
    field(1, node("Sub", ["features", "means"], "centred")),
    field(1, node("Div", ["centred", "scales"], "scaled")),
    field(1, node("Gemm", ["scaled", "first", "first_bias"], "hidden", transB=1)),
    field(1, node("Relu", ["hidden"], "active")),
    field(1, node("Gemm", ["active", "second", "second_bias"], "score", transB=1)),
    field(1, node("Sigmoid", ["score"], "probability")),
    field(2, "tumour"),
    field(5, tensor("means", [30], means)),
    field(5, tensor("scales", [30], scales)),
    field(5, tensor("first", [HIDDEN, 30], [w for row in first for w in row])),
    field(5, tensor("first_bias", [HIDDEN], first_bias)),
    field(5, tensor("second", [1, HIDDEN], second)),
    field(5, tensor("second_bias", [1], [second_bias])),
    field(11, value_info("features", 30)),
    field(12, value_info("probability", 1)),
])
with open("model/tumour.onnx", "wb") as file:
    file.write(field(1, 8) + field(2, "train.py") + field(7, graph) + field(8, field(1, "") + field(2, 13)))

with open("data/biopsies.csv", "w", newline="") as file:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["biopsy", *FEATURES, "malignant"])
    for number, (x, y) in enumerate(clinic):
        writer.writerow([f"b{number:04}", *x, int(y)])
