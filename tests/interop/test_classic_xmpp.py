"""The slixmpp program that readers of older texts have: it runs with three lines repaired.

`process()` is gone from slixmpp, the server is not where DNS says, and its certificate is its own.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import slixmpp
from slixmpp.exceptions import IqError, IqTimeout
from tests.interop.conftest import PASSWORD, RunningServer

TIMEOUT_S = 20


class SimpleClient(slixmpp.ClientXMPP):  # type: ignore[misc]  # slixmpp has no types
    """Sends one message once the session has started, stays until it has heard enough, and keeps that."""

    def __init__(self, jid: str, password: str, recipient: str, message: str) -> None:
        super().__init__(jid, password)
        self.recipient = recipient
        self.message = message
        self.heard: list[tuple[str, str]] = []
        self.enough = asyncio.Event()
        self.add_event_handler("session_start", self.start)
        self.add_event_handler("message", self.message_received)

    async def start(self, _event: Any) -> None:
        try:
            self.send_presence()
            await self.get_roster()
            self.send_message(mto=self.recipient, mbody=self.message, mtype="chat")
            await self.enough.wait()
        except (IqError, IqTimeout):
            self.heard.append(("error", "roster"))
        self.disconnect()

    def message_received(self, message: Any) -> None:
        if message["type"] in ("chat", "normal"):
            self.heard.append((message["from"].bare, message["body"]))
            self.enough.set()


def test_the_classic_program_logs_in_sends_and_receives(running: RunningServer) -> None:
    async def run(name: str, recipient: str, text: str, *, listen: bool) -> list[tuple[str, str]]:
        address = f"{name}@{running.domain}"
        client = SimpleClient(address, PASSWORD, f"{recipient}@{running.domain}", text)
        client.ssl_context = ssl.create_default_context(cafile=running.certificate)
        if not listen:
            client.enough.set()
        client.connect("127.0.0.1", running.ports["xmpp"])
        async with asyncio.timeout(TIMEOUT_S):
            await client.disconnected
        return client.heard

    asyncio.run(run("romeo", "mercutio", "Good morrow.", listen=False))
    heard = asyncio.run(run("mercutio", "romeo", "Is the day so young?", listen=True))

    assert (f"romeo@{running.domain}", "Good morrow.") in heard
