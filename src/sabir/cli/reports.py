"""`sabir report`: what people report of others."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from sabir.admin import commands
from sabir.cli.options import DEFAULT_DATA, Config, Data, Json, Set, read_settings
from sabir.cli.output import out, show, tabulate
from sabir.cli.reach import ask

app = typer.Typer(help="See what people report of others, and close reports.", no_args_is_help=True)


@app.command("list")
def list_(json: Json = False, data: Data = DEFAULT_DATA, config: Config = None, set_: Set = None) -> None:
    """List the reports that nobody has closed, the newest first.

    For example:

        sabir report list
    """
    answer = ask(data, read_settings(data, config, set_), commands.ListReports())
    assert isinstance(answer, commands.Reports)
    if json:
        show(answer)
        return
    rows = [
        (each.id, _when(each.at_ms), each.reporter, each.reported, each.reason, each.text)
        for each in answer.reports
    ]
    tabulate(("Id", "When (UTC)", "By", "Reported", "Reason", "Says"), rows)


def _when(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M}"


@app.command()
def close(
    id_: Annotated[str, typer.Argument(metavar="ID", help="As `sabir report list` shows it.")],
    data: Data = DEFAULT_DATA,
    config: Config = None,
    set_: Set = None,
) -> None:
    """Forget a report that was dealt with.

    For example:

        sabir report close 018f3a1c00007000800000000000002a
    """
    ask(data, read_settings(data, config, set_), commands.CloseReport(id_))
    out.print("Closed.")
