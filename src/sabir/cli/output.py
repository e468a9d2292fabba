"""What commands print: results on standard output, everything else on standard error, and how they end."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NoReturn

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

REFUSED = 1
USAGE = 2


def called() -> str:
    """Return how to type this program: `sabir`, or the path by which it was called if the shell finds no other."""
    program = Path(sys.argv[0])
    found = shutil.which("sabir")
    if program.name != "sabir" or (found and program.samefile(found)):
        return "sabir"
    return str(program)


def show(answer: msgspec.Struct) -> None:
    """Print an answer as JSON, for scripts."""
    out.print(msgspec.json.encode(answer).decode(), markup=False)


def tabulate(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table; what stands in it is text and no markup, whoever wrote it."""
    table = Table(*head)
    for row in rows:
        table.add_row(*map(Text, row))
    out.print(table)


def refuse(text: str) -> NoReturn:
    """Say why the command was not carried out, and end with 1."""
    err.print(text, style="red", markup=False)
    raise typer.Exit(REFUSED)


def misused(text: str) -> NoReturn:
    """Say what is wrong with how the command was given, and end with 2."""
    err.print(text, style="red", markup=False)
    raise typer.Exit(USAGE)
