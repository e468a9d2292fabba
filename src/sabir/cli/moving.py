"""`sabir export` and `sabir import`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from sabir.app import data as data_folder
from sabir.app import moving
from sabir.cli.options import DEFAULT_DATA, Config, Data, Set, read_settings
from sabir.cli.output import err, out, refuse
from sabir.protocols.xmpp.pie.reading import PieError
from sabir.storage.lock import Locked

MOST_TOLD = 20


def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to make; it must not exist.")],
    data: Data = DEFAULT_DATA,
    config: Config = None,
    set_: Set = None,
) -> None:
    """Write all accounts to a file that other servers can import (XEP-0227); the server must not run.

    It has what checks their passwords, contacts, cards, settings, what they have
    published, and their messages. Rooms are in `sabir backup`. Keep the file as
    safe as passwords. For example:

        sabir export accounts.xml
    """
    settings = read_settings(data, config, set_)
    bar = Progress(
        TextColumn("Exporting"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=err,
        transient=True,
        disable=not err.is_terminal,
    )
    try:
        with bar:
            task = bar.add_task("", total=None)
            count = moving.export(
                data, settings, file, lambda done, total: bar.update(task, completed=done, total=total)
            )
    except Locked:
        refuse(f"A server runs on {data}: stop it first.")
    except FileExistsError:
        refuse(f"{file} exists already: choose another name.")
    except OSError as error:
        refuse(f"{file} cannot be written: {error}.")
    out.print(f"{file}: {_counted(count, 'account')}.", markup=False)


def import_(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE", help="Exports of a server that knows XEP-0227.")
    ],
    host: Annotated[
        str,
        typer.Option("--host", metavar="DOMAIN", help="The domain to import, where it is not server.domain."),
    ] = "",
    data: Data = DEFAULT_DATA,
    config: Config = None,
    set_: Set = None,
) -> None:
    """Make the accounts of another server's export (XEP-0227), with their messages; the server must not run.

    Prosody, ejabberd and others write such files. Accounts that exist are left as
    they are, and told. With --host, addresses of that domain become addresses of
    this server. For example:

        sabir import accounts.xml --host old.example.org
    """
    settings = read_settings(data, config, set_)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=err,
        transient=True,
        disable=not err.is_terminal,
    )
    try:
        data_folder.prepare(data)
        with bar:
            task = bar.add_task("Reading", total=2 * sum(file.stat().st_size for file in files))
            messages = bar.add_task("Messages", total=None, visible=False)
            moved = moving.import_(
                data,
                settings,
                files,
                (host or settings.server.domain).lower(),
                lambda size: bar.advance(task, size),
                lambda done, total: bar.update(messages, completed=done, total=total, visible=True),
            )
    except Locked:
        refuse(f"A server runs on {data}: stop it first.")
    except PieError as error:
        refuse(f"{error}.")
    except OSError as error:
        refuse(f"{error.filename or 'The export'} cannot be read: {error.strerror or error}.")
    said = f" and {_counted(moved.messages, 'message')}" if moved.messages else ""
    out.print(f"Imported {_counted(moved.accounts, 'account')}{said}.", markup=False)
    for other, count in moved.hosts.items():
        err.print(f"Left out: {count} of {other}; --host {other} imports them.", markup=False)
    for text in moved.reports[:MOST_TOLD]:
        err.print(text, markup=False)
    if len(moved.reports) > MOST_TOLD:
        err.print(f"and {len(moved.reports) - MOST_TOLD} more.", markup=False)
    if not moved.accounts:
        raise typer.Exit(1)


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"
