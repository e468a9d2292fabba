"""`sabir quickstart` and `sabir config`: write a configuration, check it, show it."""

from __future__ import annotations

import dataclasses

import typer

from sabir.app import data as data_folder
from sabir.app import manual, settings, values
from sabir.cli.options import DEFAULT_DATA, Config, Data, Set, read_settings, settings_file
from sabir.cli.output import called, out, refuse

app = typer.Typer(help="Check and show the settings.", no_args_is_help=True)

Domain = typer.Option(
    "localhost", "--domain", metavar="NAME", help="What stands after the @ in every address."
)


def quickstart(data: Data = DEFAULT_DATA, domain: str = Domain) -> None:
    """Write a configuration that works, with every setting explained, and say what comes next.

    A server for this machine alone:

        sabir quickstart

    A server for the world:

        sabir quickstart --domain chat.example.org --data /var/lib/sabir
    """
    chosen: dict[str, dict[str, object]] = {"server": {"domain": domain}}
    if domain != "localhost":
        chosen["server"]["listen"] = ("0.0.0.0", "::")
    file = data / settings.FILE_NAME
    if file.exists():
        refuse(f"{file} is there already. Change it by hand, or move it away and run this again.")
    read_settings(data, None, [f"server.domain={domain}"])
    data_folder.prepare(data)
    file.write_text(manual.sample(chosen), encoding="utf-8")
    where = "" if data == DEFAULT_DATA else f" --data {data}"
    out.print(f"Wrote {file}", markup=False)
    out.print("\nNext, two people, and the server:\n", markup=False)
    for line in (f"user add ada{where}", f"user add bob{where}", f"serve{where}"):
        out.print(f"  {called()} {line}", style="bold", markup=False)
    out.print(
        f"\nThen log in as ada@{domain} with any XMPP client, or as ada with any IRC client.", markup=False
    )


@app.command()
def check(data: Data = DEFAULT_DATA, config: Config = None, set_: Set = None) -> None:
    """Say everything that is wrong with the settings, and how to put it right.

    Before a restart:

        sabir config check --data /var/lib/sabir

    Before the new file is put in place:

        sabir config check --config new.toml
    """
    read_settings(data, config, set_)
    file = settings_file(data, config)
    out.print(f"{file} is good." if file else "No file: every setting has its default.", markup=False)


@app.command()
def show(data: Data = DEFAULT_DATA, config: Config = None, set_: Set = None) -> None:
    """Print the settings in force. What differs from the default is marked.

    What would this change?

        sabir config show --set limits.enabled=false
    """
    found = read_settings(data, config, set_)
    for section in dataclasses.fields(found):
        chosen = getattr(found, section.name)
        out.print(f"\\[{section.name}]", style="bold")
        for entry in manual.entries(type(chosen)):
            value = getattr(chosen, entry.key)
            mark = "" if value == entry.default else f"  # default: {values.shown(entry.default)}"
            out.print(f"{entry.key} = {values.shown(value)}{mark}", markup=False)
        out.print()
