"""The options that commands share, and what they stand for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from sabir.app import settings
from sabir.cli.output import misused

Data = Annotated[
    Path, typer.Option("--data", metavar="DIR", help="The folder with everything that the server keeps.")
]
Config = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Settings; without it, sabir.toml in the data folder."),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Override one setting; may be repeated."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]

DEFAULT_DATA = Path("sabir-data")


def read_settings(data: Path, config: Path | None, overrides: list[str] | None) -> settings.Settings:
    """Return the settings in force, or end the command with all that is wrong with them."""
    try:
        return settings.load(settings_file(data, config), os.environ, overrides or ())
    except settings.SettingsError as error:
        misused(str(error))


def settings_file(data: Path, config: Path | None) -> Path | None:
    """Return the file to read: the one named, or that of the data folder if there is one."""
    if config is not None:
        return config
    usual = data / settings.FILE_NAME
    return usual if usual.exists() else None
