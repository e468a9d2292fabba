"""`sabir room`: the rooms."""

from __future__ import annotations

from typing import Annotated

import typer

from sabir.admin import commands
from sabir.cli.options import DEFAULT_DATA, Config, Data, Json, Set, read_settings
from sabir.cli.output import out, show, tabulate
from sabir.cli.reach import ask

app = typer.Typer(help="Make and list rooms, whether the server runs or not.", no_args_is_help=True)

Name = Annotated[
    str, typer.Argument(metavar="ROOM", help="lobby is #lobby on IRC and lobby@rooms.DOMAIN on XMPP.")
]


@app.command()
def create(
    name: Name,
    owner: Annotated[str, typer.Option("--owner", metavar="NAME", help="The account that owns the room.")],
    data: Data = DEFAULT_DATA,
    config: Config = None,
    set_: Set = None,
) -> None:
    """Make a room that stays when everybody has left.

    For example:

        sabir room create lobby --owner ada
    """
    settings = read_settings(data, config, set_)
    name = name.removeprefix("#")
    ask(data, settings, commands.CreateRoom(name, owner))
    out.print(f"#{name} on IRC, {name}@rooms.{settings.server.domain} on XMPP.", markup=False)


@app.command("list")
def list_(json: Json = False, data: Data = DEFAULT_DATA, config: Config = None, set_: Set = None) -> None:
    """List all rooms, those that are hidden from directories too.

    For example:

        sabir room list
    """
    answer = ask(data, read_settings(data, config, set_), commands.ListRooms())
    assert isinstance(answer, commands.Rooms)
    if json:
        show(answer)
        return
    rows = [
        (r.name, r.title, str(r.members), str(r.attendees), str(r.entries), r.topic) for r in answer.rooms
    ]
    tabulate(("Name", "Title", "Members", "Here now", "Entries", "Topic"), rows)


@app.command()
def members(
    name: Name, json: Json = False, data: Data = DEFAULT_DATA, config: Config = None, set_: Set = None
) -> None:
    """List who belongs to a room, and who is there now, by which protocols.

    For example:

        sabir room members lobby
    """
    answer = ask(data, read_settings(data, config, set_), commands.ListMembers(name.removeprefix("#")))
    assert isinstance(answer, commands.Members)
    if json:
        show(answer)
        return
    rows = [(each.name, each.role, each.nick, " ".join(each.protocols)) for each in answer.members]
    tabulate(("Name", "Role", "Here as", "By"), rows)
