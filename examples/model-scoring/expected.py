"""Computes expected/ from data/biopsies.csv and model/tumour.onnx without Glovebox. Python 3 alone."""

import csv
import math
import struct


def write(name, header, table):
    with open(f"expected/{name}.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(table)


def message(data):
    """The fields of a protocol-buffer message: number and value."""
    place = 0

    def varint():
        nonlocal place
        value, shift = 0, 0
        while True:
            byte, place = data[place], place + 1
            value, shift = value | (byte & 127) << shift, shift + 7
            if byte < 128:
                return value

    while place < len(data):
        key = varint()
        value = varint()
        if key & 7 == 2:
            place, value = place + value, data[place : place + value]
        yield key >> 3, value


with open("model/tumour.onnx", "rb") as file:
    graph = next(value for number, value in message(file.read()) if number == 7)
weights = {}
for number, value in message(graph):
    if number == 5:
        tensor = dict(message(value))
        weights[tensor[8].decode()] = struct.unpack(f"<{len(tensor[9]) // 4}f", tensor[9])


def probability(x):
    scaled = [(v - m) / s for v, m, s in zip(x, weights["means"], weights["scales"])]
    rows = [weights["first"][at : at + 30] for at in range(0, len(weights["first"]), 30)]
    hidden = [
        max(0.0, math.fsum(w * v for w, v in zip(row, scaled)) + b) for row, b in zip(rows, weights["first_bias"])
    ]
    score = math.fsum(w * h for w, h in zip(weights["second"], hidden)) + weights["second_bias"][0]
    return 1 / (1 + math.exp(-score))


with open("data/biopsies.csv", newline="") as file:
    biopsies = list(csv.reader(file))[1:]
scored = [(row[0], probability([float(value) for value in row[1:-1]]), row[-1] == "1") for row in biopsies]
assert all(abs(p - 0.5) > 1e-3 for _, p, _ in scored), "one is too close to call"
write("scores", ["biopsy", "probability", "suspect"], [(b, p, ["false", "true"][p >= 0.5]) for b, p, _ in scored])
counts = [[0, 0], [0, 0]]
for _, p, malignant in scored:
    counts[malignant][p >= 0.5] += 1
print("clinic: benign", counts[0], "malignant", counts[1])
