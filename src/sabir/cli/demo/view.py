"""How the demo looks: the conversation side by side, then how to join it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from sabir.cli.demo.script import GUEST_NAME, IRC_NAME, ROOM, SCRIPT, XMPP_NAME, Act, Heard, Line
from sabir.cli.demo.stage import Stage

COLOURS: Final = {XMPP_NAME: "bright_cyan", IRC_NAME: "bright_magenta", GUEST_NAME: "bright_yellow"}
WIDTH: Final = 112


def screen() -> Console:
    """Return the console to show it on; where the output is no terminal, as wide as it needs to be."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=WIDTH)


def conversation(
    heads: tuple[str, str], rows: Sequence[tuple[Line, Heard | None, Heard | None]]
) -> RenderableType:
    """Return the lines, each as the two clients got it; one that did not come shows as missing."""
    table = Table(box=box.ROUNDED, expand=True, border_style="grey42", padding=(0, 1))
    table.title = Text(f"#{ROOM}, as each client saw it, in the words of its protocol", "grey62")
    for head in heads:
        table.add_column(Text(head, "bold"), ratio=1)
    for line, left, right in rows:
        table.add_row(_cell(line, left), _cell(line, right))
    return table


def verdict(missing: Sequence[str]) -> Text:
    """Return the last word: what was not heard, or that everything was."""
    if missing:
        return Text.assemble(("Missing: ", "bold red"), ("; ".join(missing), "red"))
    return Text.assemble(
        ("✓ ", "bold green"),
        (f"Both clients saw all {len(SCRIPT)} lines", "green"),
        ("  one room, one history", "grey62"),
    )


def invitation(stage: Stage) -> RenderableType:
    """Return how to join the room with a client of one's own."""
    xmpp, irc, irc_tls = stage.doors["xmpp"], stage.doors["irc"], stage.doors["irc-tls"]
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(style="bold")
    table.add_column()
    table.add_row("XMPP", f"address {GUEST_NAME}@{stage.domain}, server {xmpp.host}, port {xmpp.port}")
    table.add_row("", f"room {stage.room}@rooms.{stage.domain}")
    table.add_row("IRC", f"server {irc.host}, port {irc_tls.port} with TLS, or {irc.port} without")
    table.add_row("", f"nick {GUEST_NAME}, SASL or server password; /join #{stage.room}")
    table.add_row("Password", stage.passwords[GUEST_NAME])
    table.add_row(
        "At once", f"irssi -c {irc.host} -p {irc.port} -n {GUEST_NAME} -w {stage.passwords[GUEST_NAME]}"
    )
    hint = Text(
        "The certificate is the server's own: your client will ask you to accept it.\n"
        "What is said in the room appears below. Ctrl-C ends it, and nothing is kept.",
        "grey62",
    )
    return Panel(Group(table, Text(), hint), title="Join with a client of your own", border_style="grey42")


def overheard(protocol: str, heard: Heard) -> Text:
    """Return one line of what is said after the script."""
    text = Text(f"{protocol:<5}", "grey50")
    text.append_text(_words(heard.line, heard.shown))
    text.append(f"  {heard.form}", "grey50")
    return text


def _cell(line: Line, heard: Heard | None) -> RenderableType:
    if heard is None:
        return Text(f"… {line.who}: {line.act.value}", "grey42")
    return _Cell(_words(line, heard.shown), heard.form)


class _Cell:
    """A line, and at its right the words that carried it, where there is room for both."""

    def __init__(self, words: Text, form: str) -> None:
        self._words: Final = words
        self._form: Final = form

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        first, *others = self._words.split("\n")
        # The whole citation, or if need be the number alone: `<reply> XEP-0461`, `XEP-0461`.
        for form in (self._form, self._form.rpartition(" ")[2]):
            if first.cell_len + 1 + cell_len(form) <= options.max_width:
                row = Table.grid(expand=True, padding=(0, 1, 0, 0))
                row.add_column(ratio=1)
                row.add_column(justify="right", no_wrap=True)
                row.add_row(first, Text(form, "grey50"))
                yield row
                yield from others
                return
        yield self._words

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement.get(console, options, self._words)


def _words(line: Line, shown: str) -> Text:
    colour = COLOURS.get(line.who, "white")
    text = Text()
    match line.act:
        case Act.REACTION:
            text.append("  ")
            text.append(line.text)
            text.append(f" {line.who}", colour)
            text.append(f" on “{_short(line.about)}”", "grey62")
        case Act.ACTION:
            text.append(f"* {line.who} ", f"italic {colour}")
            text.append(line.text, "italic")
        case Act.REPLY:
            text.append(f"↱ {_short(line.about)}\n", "grey62")
            text.append(f"{line.who}: ", f"bold {colour}")
            text.append(shown)
        case Act.CORRECTION:
            text.append(f"{line.who}: ", f"bold {colour}")
            text.append(shown)
            text.append(" ✎", "yellow")
        case Act.TEXT:
            text.append(f"{line.who}: ", f"bold {colour}")
            text.append(shown)
    return text


def _short(text: str) -> str:
    return text if len(text) <= 24 else text[:23].rstrip() + "…"
