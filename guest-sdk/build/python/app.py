"""What componentize-py imports: the notebook is read here, at build time, and runs in `run`."""

import importlib
import os

import glovebox._notebook
import glovebox._wasm
import wit_world.imports
from wit_world import exports

HERE = os.path.dirname(__file__)
NOTEBOOK = next(name for name in os.listdir(HERE) if name in ("notebook.py", "notebook.ipynb"))
CELLS = glovebox._notebook.load(os.path.join(HERE, NOTEBOOK))

# The bindings look for their own modules when this one is done, and then there are no files.
for name in sorted(os.listdir(os.path.dirname(wit_world.imports.__file__))):
    if name.endswith(".py"):
        importlib.import_module(f"wit_world.imports.{name.removesuffix('.py')}")
glovebox._notebook.close_files()


class Run(exports.Run):
    def run(self) -> None:
        glovebox._notebook.run(CELLS)
