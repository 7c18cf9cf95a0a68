"""Rows for `sources.rs`: `sources_data.py ROWS FILE`."""

import hashlib
import sys

import numpy
import pyarrow
import pyarrow.parquet

rows, file = int(sys.argv[1]), sys.argv[2]
number = numpy.arange(1, rows + 1)
pyarrow.parquet.write_table(pyarrow.table({
    "hem": [hashlib.md5(str(n).encode()).hexdigest() for n in number.tolist()],
    "segment": [f"segment-{n % 10}" for n in number.tolist()],
    "spend": pyarrow.array(number % 1000, pyarrow.int64()),
}), file, row_group_size=250_000, compression="zstd")
