"""Says which of the modules that `setup.py` compiles run interpreted in this environment, and what would help.

With `--check` it ends with 1 if any does.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import PurePath

from tools.spec_table import ROOT


def to_compile() -> list[str]:
    """Return the names of the modules in the lists of `setup.py`."""
    tree = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
    paths: list[str] = []
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            if node.target.id in ("COMPILED", "CYTHON"):
                paths += ast.literal_eval(node.value)
    return [".".join(PurePath(path).with_suffix("").parts[1:]) for path in paths]


def is_compiled(name: str) -> bool:
    """Return whether the module of that name is machine code here."""
    found = importlib.util.find_spec(name)
    return found is not None and (found.origin or "").endswith(tuple(EXTENSION_SUFFIXES))


def main() -> int:
    """Report, if there is anything to report."""
    names = to_compile()
    interpreted = [name for name in names if not is_compiled(name)]
    if len(interpreted) == len(names):
        print("Sabir runs interpreted: it works, but slower. For the fast one:")
        print("  apt-get install gcc python3-dev, then make clean venv")
    elif interpreted:
        print(f"These modules run interpreted, which is slower: {', '.join(interpreted)}.")
        print("  .venv/bin/pip install -v --no-build-isolation --no-deps . says why")
    return 1 if interpreted and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
