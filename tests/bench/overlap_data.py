#!/usr/bin/env python3
"""Writes two parties' Parquet tables for the overlap benchmark.

usage: overlap_data.py ROWS OUT_DIR        needs: numpy, pyarrow

retailer.parquet  hem utf8 (64 hex digits), segment utf8, ltv float64, region utf8
media.parquet     hem utf8 (64 hex digits), campaign int32, impressions int32, spend float64

Half of the keys are in both tables; media's keys are in random order within each quarter.
Deterministic: the same ROWS gives the same rows.
"""
import os
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

SEGMENTS = np.array(["auto", "beauty", "grocery", "home", "luxury", "pets", "sports", "tech", "toys", "travel"])
REGIONS = np.array(["NE", "NW", "SE", "SW", "MW"])
QUARTERS = 4


def hex_keys(ids):
    """64 hex digits for each id, uniformly distributed (splitmix64 four times over)."""
    words = []
    for salt in range(4):
        z = (ids.astype(np.uint64) + np.uint64(salt * 0x1234567 + 1)) * np.uint64(0x9E3779B97F4A7C15)
        z ^= z >> np.uint64(30)
        z *= np.uint64(0xBF58476D1CE4E5B9)
        z ^= z >> np.uint64(27)
        z *= np.uint64(0x94D049BB133111EB)
        words.append(z ^ (z >> np.uint64(31)))
    text = np.stack(words, 1).astype(">u8").tobytes().hex().encode()
    offsets = np.arange(0, 64 * (len(ids) + 1), 64, dtype=np.int64)
    return pa.LargeStringArray.from_buffers(len(ids), pa.py_buffer(offsets.tobytes()), pa.py_buffer(text)).cast(pa.string())


def write(path, quarters):
    writer = None
    for table in quarters:
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table, row_group_size=1 << 20)
    writer.close()


def main(rows, out):
    os.makedirs(out, exist_ok=True)
    rng = np.random.default_rng(7)
    m = rows // QUARTERS
    write(f"{out}/retailer.parquet", (
        pa.table({
            "hem": hex_keys(np.arange(q * m, (q + 1) * m)),
            "segment": SEGMENTS[rng.integers(0, 10, m)],
            "ltv": rng.gamma(2.0, 50.0, m).round(2),
            "region": REGIONS[rng.integers(0, 5, m)],
        }) for q in range(QUARTERS)))
    write(f"{out}/media.parquet", (
        pa.table({
            "hem": hex_keys(rng.permutation(np.arange(rows // 2 + q * m, rows // 2 + (q + 1) * m))),
            "campaign": rng.integers(0, 50, m).astype(np.int32),
            "impressions": rng.poisson(3, m).astype(np.int32),
            "spend": rng.gamma(1.0, 0.02, m),
        }) for q in range(QUARTERS)))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
