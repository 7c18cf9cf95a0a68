"""What componentize-py imports: the notebook is read here, at build time, and runs in `run`."""

import os

import glovebox._notebook
import glovebox._wasm
from wit_world import exports

NOTEBOOK = next(
    os.path.join(os.path.dirname(__file__), name)
    for name in os.listdir(os.path.dirname(__file__))
    if name in ("notebook.py", "notebook.ipynb")
)
CELLS = glovebox._notebook.load(NOTEBOOK)
glovebox._notebook.close_files()


class Run(exports.Run):
    def run(self) -> None:
        glovebox._notebook.run(CELLS)
