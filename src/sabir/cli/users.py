"""`sabir user`: the accounts."""

from __future__ import annotations

import csv
import itertools
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from sabir.admin import commands
from sabir.app.passwords import Passwords
from sabir.cli.options import DEFAULT_DATA, Config, Data, Json, Set, read_settings
from sabir.cli.output import err, misused, out, refuse, show, tabulate
from sabir.cli.reach import ask, operator
from sabir.protocols.xmpp.features.onboarding import PAGE, registration_uri

app = typer.Typer(
    help="Make, list and change accounts, whether the server runs or not.", no_args_is_help=True
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The account's name, without the domain.")]
Password = Annotated[
    str | None,
    typer.Option(
        "--password",
        metavar="PW",
        help="Better leave it out: others can see it here. You are then asked, or, where there is no terminal, "
        "a line of standard input is read.",
    ),
]

IMPORT_AT_ONCE = 250
MOST_TOLD = 20


@app.command()
def add(
    name: Name,
    password: Password = None,
    data: Data = DEFAULT_DATA,
    config: Config = None,
    set_: Set = None,
) -> None:
    """Make an account. The person can log in at once, with any client of any protocol.

    For example:

        sabir user add ada
    """
    settings = read_settings(data, config, set_)
    ask(data, settings, commands.AddUser(name, _asked() if password is None else password))
    out.print(f"{name}@{settings.server.domain} can log in.", markup=False)


@app.command()
def invite(
    name: Annotated[
        str,
        typer.Option("--name", metavar="NAME", help="Keep this name for the guest, who else chooses one."),
    ] = "",
    uses: Annotated[
        int, typer.Option("--uses", metavar="N", help="How many accounts may be made with it.")
    ] = 1,
    days: Annotated[
        int, typer.Option("--days", metavar="N", help="For how long; else as `policy.invitation_days` says.")
    ] = 0,
    json: Json = False,
    data: Data = DEFAULT_DATA,
    config: Config = None,
    set_: Set = None,
) -> None:
    """Make an invitation: a link by which somebody makes an account, with a password that only they know.

    For example:

        sabir user invite
        sabir user invite --name ada --days 3
    """
    settings = read_settings(data, config, set_)
    answer = ask(data, settings, commands.InviteUser(name, uses, days))
    assert isinstance(answer, commands.Invited)
    if json:
        show(answer)
        return
    until = datetime.fromtimestamp(answer.expires_ms / 1000, UTC)
    if answer.public_url:
        out.print(f"{answer.public_url}{PAGE}{answer.secret}", markup=False)
    out.print(registration_uri(answer.name, answer.secret, settings.server.domain), markup=False)
    err.print(f"Good until {until:%Y-%m-%d %H:%M} UTC, for {answer.uses} account(s).", markup=False)


@app.command("list")
def list_(json: Json = False, data: Data = DEFAULT_DATA, config: Config = None, set_: Set = None) -> None:
    """List the accounts, and from which protocols each is connected.

    For example:

        sabir user list
        sabir user list --json | jq -r '.users[] | select(.enabled | not) | .name'
    """
    answer = ask(data, read_settings(data, config, set_), commands.ListUsers())
    assert isinstance(answer, commands.Users)
    if json:
        show(answer)
        return
    rows = []
    for user in answer.users:
        made = datetime.fromtimestamp(user.created_ms / 1000, UTC).strftime("%Y-%m-%d")
        rows.append((user.name, made, " ".join(user.sessions), "" if user.enabled else "disabled"))
    tabulate(("Name", "Made", "Connected by", "State"), rows)


@app.command()
def passwd(
    name: Name,
    password: Password = None,
    data: Data = DEFAULT_DATA,
    config: Config = None,
    set_: Set = None,
) -> None:
    """Give an account a new password. Whoever is logged in has to log in again.

    For example:

        sabir user passwd ada
    """
    settings = read_settings(data, config, set_)
    ask(data, settings, commands.SetPassword(name, _asked() if password is None else password))
    out.print(f"{name} has a new password.", markup=False)


@app.command()
def disable(name: Name, data: Data = DEFAULT_DATA, config: Config = None, set_: Set = None) -> None:
    """Let an account no longer log in, and end its sessions. What it wrote stays.

    For example:

        sabir user disable ada
    """
    ask(data, read_settings(data, config, set_), commands.SetEnabled(name, enabled=False))
    out.print(f"{name} can no longer log in.", markup=False)


@app.command()
def enable(name: Name, data: Data = DEFAULT_DATA, config: Config = None, set_: Set = None) -> None:
    """Let a disabled account log in again.

    For example:

        sabir user enable ada
    """
    ask(data, read_settings(data, config, set_), commands.SetEnabled(name, enabled=True))
    out.print(f"{name} can log in again.", markup=False)


@app.command()
def delete(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data: Data = DEFAULT_DATA,
    config: Config = None,
    set_: Set = None,
) -> None:
    """Delete an account for good: its password, contacts, settings and memberships.

    What it wrote stays in the histories of others, and nobody gets its name again. For example:

        sabir user delete ada
    """
    if not yes and sys.stdin.isatty():
        typer.confirm(f"Delete {name} for good?", abort=True, err=True)
    ask(data, read_settings(data, config, set_), commands.DeleteUser(name))
    out.print(f"{name} is deleted.", markup=False)


@app.command("import")
def import_(
    file: Annotated[
        str, typer.Argument(metavar="CSV", help="Lines of name,password; - reads standard input.")
    ],
    data: Data = DEFAULT_DATA,
    config: Config = None,
    set_: Set = None,
) -> None:
    """Make many accounts from a file with a name and a password on each line, separated by a comma.

    Names that are taken are left as they are and told, so the same file can be given again. For example:

        sabir user import people.csv
    """
    settings = read_settings(data, config, set_)
    people = list(_people(file))
    made = 0
    refused: list[tuple[str, str]] = []
    bar = Progress(
        TextColumn("Importing"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=err,
        transient=True,
    )
    with operator(data, settings) as carry_out, bar:
        task = bar.add_task("", total=len(people))
        verifiers = Passwords().make_all(password for _, password in people)
        for some in _chunks(zip((name for name, _ in people), verifiers, strict=True)):
            users = [commands.NewUser(name, list(made_of)) for name, made_of in some if made_of]
            refused += [
                (name, "no password that a client could send") for name, made_of in some if not made_of
            ]
            answer = carry_out(commands.ImportUsers(users))
            if isinstance(answer, commands.Refused):
                refuse(answer.text)
            assert isinstance(answer, commands.Imported)
            made += answer.made
            refused += answer.refused
            bar.advance(task, len(some))
    out.print(f"Imported {made} accounts.", markup=False)
    if refused:
        told = "\n".join(f"{name}: {why}" for name, why in refused[:MOST_TOLD])
        more = f"\nand {len(refused) - MOST_TOLD} more" if len(refused) > MOST_TOLD else ""
        refuse(f"{len(refused)} were not imported:\n{told}{more}")


Verified = tuple[str, Sequence[tuple[str, bytes]] | None]


def _chunks(people: Iterator[Verified]) -> Iterator[list[Verified]]:
    while some := list(itertools.islice(people, IMPORT_AT_ONCE)):
        yield some


def _people(file: str) -> Iterator[tuple[str, str]]:
    """Yield name and password of each line of a CSV file; a first line that names the columns is skipped."""
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        misused(f"{file} cannot be read: {error}")
    rows = csv.reader(text.splitlines())
    for row in rows:
        if not row or (rows.line_num == 1 and [cell.strip().lower() for cell in row] == ["name", "password"]):
            continue
        if len(row) != 2:
            misused(f"{file}:{rows.line_num}: write a name, a comma and a password")
        yield row[0].strip(), row[1]


def _asked() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return password
