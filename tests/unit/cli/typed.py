"""Commands as an operator types them, in this process."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner, Result

from sabir.cli.main import app


def sabir(*words: str | Path, said: str | None = None) -> Result:
    """Run `sabir` with these words, and this on standard input."""
    return CliRunner().invoke(app, [str(word) for word in words], input=said)
