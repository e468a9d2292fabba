"""`sabir backup` and `sabir restore`."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Annotated

import typer

from sabir.app import data as data_folder
from sabir.base.clock import SystemClock
from sabir.cli.options import DEFAULT_DATA, Data
from sabir.cli.output import out, refuse
from sabir.media import copies as files
from sabir.media.disk import FOLDER_NAME
from sabir.storage import backup as copies
from sabir.storage import lock
from sabir.storage.sqlite.connections import FILE_NAME as STORE_NAME


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The copy to make; it must not exist.")],
    data: Data = DEFAULT_DATA,
    media: Annotated[
        Path | None,
        typer.Option(
            "--media", metavar="DIR", help="Where files that people shared go; FILE.media without it."
        ),
    ] = None,
) -> None:
    """Copy all messages, accounts and rooms to a file, and shared files to a folder, whether the server runs or not.

    With the same folder for every copy, only new files are copied. For example:

        sabir backup sabir-2026-11-24.db --media sabir-media
    """
    try:
        copies.backup(data, file)
        keys = copies.files_of(file)
        missing = files.copy(keys, data / FOLDER_NAME, media or _beside(file)) if keys else 0
    except copies.BackupError as error:
        refuse(f"{error}.")
    except (OSError, sqlite3.Error) as error:
        refuse(f"{file} cannot be written: {error}.")
    out.print(f"{file}: {file.stat().st_size} bytes.", markup=False)
    if keys:
        out.print(f"{media or _beside(file)}: {len(keys) - missing} files.", markup=False)
    if missing:
        out.print(f"Files that were lost, or deleted meanwhile: {missing}.", markup=False)


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A copy that sabir backup made.")],
    data: Data = DEFAULT_DATA,
    media: Annotated[
        Path | None,
        typer.Option("--media", metavar="DIR", help="Where its files are; FILE.media without it."),
    ] = None,
) -> None:
    """Put a copy in the place of what the data folder has; the server must not run.

    Clients notice and read their histories anew; no number is given to two
    messages.

    For example:

        sabir restore sabir-2026-11-24.db
    """
    try:
        data_folder.prepare(data)
        with lock.acquire(data) as held:
            done = copies.restore(file, held, SystemClock().now_ms())
            keys = copies.files_of(data / STORE_NAME)
            missing = files.copy(keys, media or _beside(file), data / FOLDER_NAME) if keys else 0
    except lock.Locked:
        refuse(f"A server runs on {data}: stop it first.")
    except copies.BackupError as error:
        refuse(f"{error}.")
    except (OSError, sqlite3.Error) as error:
        refuse(f"{data} cannot be written: {error}.")
    out.print(f"Restored, as generation {done.generation} of the log.", markup=False)
    if done.erased:
        out.print(f"Erased again, because they were erased since: {done.erased} messages.", markup=False)
    if missing:
        out.print(f"Files that are nowhere to be found: {missing}.", markup=False)
    if done.replaced is not None:
        out.print(f"What was there before is in {done.replaced}; delete it when all is well.", markup=False)


def _beside(file: Path) -> Path:
    return file.with_name(f"{file.name}.media")
