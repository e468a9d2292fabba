"""`sabir blocklist`: addresses of other servers that nothing is taken from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sabir.admin import commands
from sabir.cli.options import DEFAULT_DATA, Config, Data, Json, Set, read_settings
from sabir.cli.output import out, show, tabulate
from sabir.cli.reach import ask
from sabir.core.services.blocklists import entry_of

app = typer.Typer(
    help="Refuse people and servers whom others have found to be abusive.", no_args_is_help=True
)

Source = Annotated[str, typer.Argument(metavar="SOURCE", help="Where the list is from, e.g. xmppbl.org.")]


@app.command("import")
def import_(
    source: Source,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="An address, a domain or the SHA-256 of one a line; what follows a space is ignored.",
        ),
    ],
    data: Data = DEFAULT_DATA,
    config: Config = None,
    set_: Set = None,
) -> None:
    """Put a list in the place of the one that was imported from the same source before.

    For example:

        sabir blocklist import xmppbl.org muc_bans_sha256.txt
    """
    lines = [line.split() for line in file.read_text(encoding="utf-8").splitlines()]
    entries = [entry_of(words[0]) for words in lines if words and not words[0].startswith("#")]
    ask(data, read_settings(data, config, set_), commands.SetBlockList(source, entries))
    out.print(f"{len(set(entries))} entries.")


@app.command()
def remove(source: Source, data: Data = DEFAULT_DATA, config: Config = None, set_: Set = None) -> None:
    """Take a list away.

    For example:

        sabir blocklist remove xmppbl.org
    """
    ask(data, read_settings(data, config, set_), commands.SetBlockList(source, []))
    out.print("Removed.")


@app.command("list")
def list_(json: Json = False, data: Data = DEFAULT_DATA, config: Config = None, set_: Set = None) -> None:
    """Show which lists there are.

    For example:

        sabir blocklist list
    """
    answer = ask(data, read_settings(data, config, set_), commands.ListBlockLists())
    assert isinstance(answer, commands.BlockLists)
    if json:
        show(answer)
        return
    tabulate(("Source", "Entries"), [(source, str(size)) for source, size in sorted(answer.sizes.items())])
