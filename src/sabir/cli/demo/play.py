"""The play itself: both clients say their lines, and each must be heard by both."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from importlib.metadata import version
from typing import Final, Protocol

from rich.console import Console
from rich.live import Live

from sabir.cli.demo import view
from sabir.cli.demo.irc_client import IrcClient
from sabir.cli.demo.script import IRC_NAME, SCRIPT, XMPP_NAME, Heard, Line
from sabir.cli.demo.stage import Stage
from sabir.cli.demo.transcript import Transcript
from sabir.cli.demo.xmpp_client import XmppClient

HEARD_S: Final = 10.0
"""How long a line may take to reach both; it takes milliseconds."""
PACE_S: Final = 0.6
"""Between lines, for somebody who watches."""


class Client(Protocol):
    """A client that can talk in the room."""

    async def say(self, line: Line) -> None:
        """Say a line, in the client's protocol."""
        ...


async def play(stage: Stage, console: Console, *, stay: bool) -> bool:
    """Let the clients talk; return whether both saw every line.

    With `stay`, it goes on until it is cancelled, and shows what is said in the room.

    Raises:
        OSError: a client could not log in.
    """
    scene = Scene(stage, console)
    try:
        await scene.open()
        missing = await scene.perform(watched=console.is_terminal)
        console.print(view.verdict(missing))
        if stay:
            console.print()
            console.print(view.invitation(stage))
            scene.show_what_follows()
            await asyncio.Event().wait()
    finally:
        await scene.close()
    return not missing


class Scene:
    """Both clients in the room."""

    def __init__(self, stage: Stage, console: Console) -> None:
        self._console: Final = console
        self._stage: Final = stage
        self._news: Final = asyncio.Event()
        self._follow = False
        self._xmpp_log: Final = Transcript(self._listener("XMPP"))
        self._irc_log: Final = Transcript(self._listener("IRC"))
        self._xmpp: Final = XmppClient(
            f"{XMPP_NAME}@{stage.domain}",
            stage.passwords[XMPP_NAME],
            f"{stage.room}@rooms.{stage.domain}",
            self._xmpp_log,
        )
        self._irc: Final = IrcClient(IRC_NAME, stage.passwords[IRC_NAME], f"#{stage.room}", self._irc_log)

    async def open(self) -> None:
        """Log both in."""
        stage = self._stage
        xmpp, irc = stage.doors["xmpp"], stage.doors["irc-tls"]
        await self._xmpp.start(xmpp.host, xmpp.port, stage.certificate)
        await self._irc.start(irc.host, irc.port, stage.certificate)

    async def close(self) -> None:
        """Log both out."""
        await self._irc.stop()
        await self._xmpp.stop()

    async def perform(self, *, watched: bool) -> list[str]:
        """Play the script; return what was not heard, in words."""
        speakers: dict[str, Client] = {XMPP_NAME: self._xmpp, IRC_NAME: self._irc}
        heads = (
            f"{XMPP_NAME} · XMPP · slixmpp {version('slixmpp')}",
            f"{IRC_NAME} · IRC · irc {version('irc')}",
        )
        missing: list[str] = []
        with Live(console=self._console, auto_refresh=False) as live:
            for at, line in enumerate(SCRIPT):
                if watched and at:
                    await asyncio.sleep(PACE_S)
                try:
                    await speakers[line.who].say(line)
                except KeyError:
                    missing.append(f"{line.who} cannot {line.act.value}, for want of the line it is about")
                    continue
                missing += await self._heard_by_both(line)
                rows = [
                    (said, self._xmpp_log.find(said), self._irc_log.find(said)) for said in SCRIPT[: at + 1]
                ]
                live.update(view.conversation(heads, rows), refresh=True)
        if not watched:
            self._console.print()  # Live ends such output without a line feed.
        return missing

    def show_what_follows(self) -> None:
        """From now on, print what the clients hear."""
        self._follow = True

    async def _heard_by_both(self, line: Line) -> list[str]:
        logs = {XMPP_NAME: self._xmpp_log, IRC_NAME: self._irc_log}
        try:
            async with asyncio.timeout(HEARD_S):
                while not all(log.find(line) for log in logs.values()):
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            pass
        return [
            f"{name} did not see {line.who}'s {line.act.value} “{line.text}”"
            for name, log in logs.items()
            if log.find(line) is None
        ]

    def _listener(self, protocol: str) -> Callable[[Heard], None]:
        def heard(heard: Heard) -> None:
            self._news.set()
            if self._follow:
                self._console.print(view.overheard(protocol, heard))

        return heard
