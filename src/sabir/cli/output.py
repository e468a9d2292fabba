"""What commands print: results on standard output, everything else on standard error, and how they end."""

from __future__ import annotations

from typing import NoReturn

import typer
from rich.console import Console

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

REFUSED = 1
USAGE = 2


def refuse(text: str) -> NoReturn:
    """Say why the command was not carried out, and end with 1."""
    err.print(text, style="red", markup=False)
    raise typer.Exit(REFUSED)


def misused(text: str) -> NoReturn:
    """Say what is wrong with how the command was given, and end with 2."""
    err.print(text, style="red", markup=False)
    raise typer.Exit(USAGE)
