"""A component written with slixmpp (XEP-0114), beside a real server."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.neighbours import Authority, Names, Person, Sabir, wait_until

slixmpp = pytest.importorskip("slixmpp")

DOMAIN, SECRET = "echo.sabir.test", "a shared secret"


class Echo:
    """A bot at every address of its domain, in a thread of its own."""

    def __init__(self, port: int, secret: str) -> None:
        self.is_up = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run(port, secret)), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(10)

    async def _run(self, port: int, secret: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        bot = self._bot = slixmpp.ComponentXMPP(DOMAIN, secret, "127.0.0.1", port)
        bot.register_plugin("xep_0030")
        bot.add_event_handler("session_start", lambda _: self.is_up.set())
        bot.add_event_handler("message", self._heard)
        bot.add_event_handler("presence_subscribe", self._asked)
        bot.connect()
        await bot.wait_until("session_start", timeout=20)
        await bot.plugin["xep_0030"].add_identity("gateway", "echo", "Echo", jid=bot.boundjid)
        await self._over.wait()
        bot.disconnect()
        await bot.wait_until("disconnected", timeout=10)

    def _heard(self, message: Any) -> None:
        if message["type"] in ("chat", "normal") and message["body"]:
            message.reply(f"You said: {message['body']}").send()

    def _asked(self, presence: Any) -> None:
        self._bot.send_presence(pto=presence["from"].bare, pfrom=presence["to"], ptype="subscribed")
        self._bot.send_presence(pto=presence["from"].bare, pfrom=presence["to"], pstatus="Echoing")


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[Sabir]:
    names = Names()
    ours = Sabir(tmp_path / "sabir", Authority(tmp_path), names)
    ours.settings = [f'[xmpp]\ncomponents = {{ "{DOMAIN}" = "{SECRET}" }}']
    ours.add("juliet")
    ours.start()
    try:
        yield ours
    finally:
        ours.kill()
        names.close()


def test_a_component_answers_messages_subscriptions_and_discovery(ours: Sabir) -> None:
    echo = Echo(ours.component_port, SECRET)
    juliet = Person(ours, "juliet")
    try:
        wait_until(echo.is_up.is_set, "handshake of the component")

        juliet.say(f"<message to='anybody@{DOMAIN}' type='chat' id='m'><body>Hello</body></message>")
        assert juliet.wait_for_body("You said: Hello").get("from") == f"anybody@{DOMAIN}"

        juliet.say(f"<presence to='bot@{DOMAIN}' type='subscribe'/>")
        juliet.wait_for_presence(f"bot@{DOMAIN}", "subscribed")
        juliet.wait_for(lambda each: each.child_text("status") == "Echoing", "its presence")

        juliet.say(
            f"<iq type='get' id='d' to='{DOMAIN}'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>"
        )
        answer = juliet.wait_for_answer("d")
        identity = answer.elements()[0].find("identity")
        assert identity is not None
        assert identity.get("category") == "gateway"
    finally:
        juliet.close()
        echo.stop()
