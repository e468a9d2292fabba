"""The `sabir` command."""

from sabir.cli.main import main

__all__ = ["main"]
