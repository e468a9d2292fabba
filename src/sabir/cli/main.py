"""The commands, in the order in which `sabir --help` shows them."""

from __future__ import annotations

from typing import Annotated

import typer

from sabir import __version__
from sabir.cli import backups, blocklists, chat, configuration, moving, reports, rooms, server, users
from sabir.cli.demo import demo
from sabir.cli.output import out

app = typer.Typer(
    name="sabir",
    help="One messaging server that speaks every protocol. Start with: sabir demo",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(demo)
app.command()(chat.chat)
app.command()(configuration.quickstart)
app.command()(server.serve)
app.command()(server.status)
app.command()(server.announce)
app.command()(backups.backup)
app.command()(backups.restore)
app.command()(moving.export)
app.command("import")(moving.import_)
app.add_typer(configuration.app, name="config")
app.add_typer(users.app, name="user")
app.add_typer(rooms.app, name="room")
app.add_typer(reports.app, name="report")
app.add_typer(blocklists.app, name="blocklist")


def _version(wanted: bool) -> None:
    if wanted:
        out.print(f"sabir {__version__}", markup=False)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command that the shell gave."""
    app()
