"""Two IRC libraries, as they come from their makers: over TLS, with SASL, talking and reading history."""

from __future__ import annotations

import asyncio
import gc
import ssl
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from tests.interop.conftest import PASSWORD, RunningServer

irc_client = pytest.importorskip("irc.client")
irc_connection = pytest.importorskip("irc.connection")
pydle = pytest.importorskip("pydle")

TIMEOUT_S = 20
STEP_S = 0.05


class Jaraco:
    """A client of the `irc` library, which has a loop of its own."""

    def __init__(self, running: RunningServer, name: str) -> None:
        self._reactor = irc_client.Reactor()
        self.heard: list[tuple[str, str, str, str]] = []
        trust = ssl.create_default_context(cafile=running.certificate)
        factory = irc_connection.Factory(wrapper=partial(trust.wrap_socket, server_hostname=running.domain))
        self._reactor.add_global_handler("all_events", self._hear)
        self.connection = self._reactor.server()
        self.connection.connect(
            "127.0.0.1", running.ports["irc-tls"], name, PASSWORD, sasl_login=name, connect_factory=factory
        )

    def _hear(self, connection: Any, event: Any) -> None:
        nick = event.source.nick if event.source and "!" in event.source else str(event.source)
        self.heard.append((event.type, nick, str(event.target), " ".join(event.arguments)))

    def until(self, found: Callable[[tuple[str, str, str, str]], bool]) -> tuple[str, str, str, str]:
        """Run the loop until something was heard; return it."""
        end = time.monotonic() + TIMEOUT_S
        while time.monotonic() < end:
            for one in self.heard:
                if found(one):
                    return one
            self._reactor.process_once(STEP_S)
        raise AssertionError(f"not heard; but: {self.heard}")

    def close(self) -> None:
        """Say goodbye."""
        self.connection.disconnect("bye")


@pytest.mark.spec("RFC 7194")
@pytest.mark.spec("IRCv3 sasl-3")
def test_the_irc_library_talks_over_tls_and_reads_history(running: RunningServer) -> None:
    romeo, juliet = Jaraco(running, "romeo"), Jaraco(running, "juliet")
    try:
        for client in (romeo, juliet):
            client.until(lambda one: one[0] == "welcome")
            client.connection.join("#verona")
            client.until(lambda one: one[0] == "endofnames")

        romeo.connection.privmsg("#verona", "what light through yonder window breaks?")
        juliet.connection.action("romeo", "sighs")

        assert juliet.until(lambda one: one[0] == "pubmsg") == (
            "pubmsg", "romeo", "#verona", "what light through yonder window breaks?"
        )  # fmt: skip
        assert romeo.until(lambda one: one[0] == "action")[1:] == ("juliet", "romeo", "sighs")
        juliet.connection.cap("REQ", "batch", "draft/chathistory", "server-time", "message-tags")
        juliet.connection.send_raw("CHATHISTORY LATEST #verona * 10")
        juliet.until(lambda one: one[0] == "batch" and "chathistory" in one[3])
        juliet.until(lambda one: one[0] == "batch" and one[2].startswith("-"))
        said = [one[3] for one in juliet.heard if one[0] == "pubmsg"]
        assert said == ["what light through yonder window breaks?"] * 2
    finally:
        romeo.close()
        juliet.close()


class Pydle(pydle.Client):  # type: ignore[misc]  # pydle has no types
    """A client of `pydle` that keeps the lines that it hears."""

    def __init__(self, name: str) -> None:
        super().__init__(name, sasl_username=name, sasl_password=PASSWORD, sasl_identity="")
        self.lines: asyncio.Queue[tuple[str, str, list[str]]] = asyncio.Queue()

    async def on_raw(self, message: Any) -> None:
        await super().on_raw(message)
        source = str(message.source or "").partition("!")[0]
        self.lines.put_nowait((source, str(message.command), [str(each) for each in message.params]))

    async def until(self, source: str, command: str) -> list[str]:
        """Return the parameters of the next such line."""
        while True:
            heard = await self.lines.get()
            if heard[:2] == (source, command):
                return heard[2]


# pydle forgets to close what it disconnects, and the collector complains about it.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.spec("IRCv3 sasl-3")
@pytest.mark.spec("IRCv3 chathistory")
def test_pydle_talks_over_tls_and_reads_history(running: RunningServer) -> None:
    async def play() -> None:
        romeo, juliet = Pydle("romeo"), Pydle("juliet")
        for client in (romeo, juliet):
            await client.connect("127.0.0.1", running.ports["irc-tls"], tls=True, tls_verify=False)
            while not client.registered:
                await client.lines.get()
        await romeo.join("#mantua")
        await romeo.until("romeo", "JOIN")
        await juliet.join("#mantua")
        await romeo.until("juliet", "JOIN")

        await romeo.message("#mantua", "is it even so?")
        assert await juliet.until("romeo", "PRIVMSG") == ["#mantua", "is it even so?"]
        await juliet.rawmsg("CAP", "REQ", "draft/chathistory batch message-tags server-time")
        await juliet.rawmsg("CHATHISTORY", "LATEST", "#mantua", "*", "10")
        assert await juliet.until("romeo", "PRIVMSG") == ["#mantua", "is it even so?"]
        for client in (romeo, juliet):
            await client.disconnect(expected=True)

    asyncio.run(asyncio.wait_for(play(), TIMEOUT_S))
    gc.collect()
