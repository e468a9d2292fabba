"""slixmpp, as it comes from its makers, logs in over TLS, has a roster, talks and reads history."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Any
from xml.etree import ElementTree

import pytest
import slixmpp
from slixmpp.exceptions import IqError
from slixmpp.xmlstream.handler import CoroutineCallback
from slixmpp.xmlstream.matcher import MatchXPath
from tests.interop.conftest import PASSWORD, RunningServer

from sabir.protocols.xmpp.client import ClientStream, Phase

TIMEOUT_S = 20
PLUGINS = (
    "xep_0004", "xep_0030", "xep_0054", "xep_0059", "xep_0085", "xep_0092", "xep_0184", "xep_0191", "xep_0198",
    "xep_0199", "xep_0280", "xep_0308", "xep_0313", "xep_0333", "xep_0352", "xep_0359", "xep_0424", "xep_0444",
)  # fmt: skip


class Client(slixmpp.ClientXMPP):  # type: ignore[misc]  # slixmpp has no types
    """A client that keeps what it hears."""

    def __init__(self, running: RunningServer, name: str, resource: str, password: str = PASSWORD) -> None:
        super().__init__(f"{name}@{running.domain}/{resource}", password)
        self.ssl_context = ssl.create_default_context(cafile=running.certificate)
        for plugin in PLUGINS:
            self.register_plugin(plugin)
        self.messages: asyncio.Queue[Any] = asyncio.Queue()
        self.presences: asyncio.Queue[Any] = asyncio.Queue()
        self.started = asyncio.get_running_loop().create_future()
        self.add_event_handler("message", self.messages.put_nowait)
        self.add_event_handler(
            "session_start", lambda _: self.started.done() or self.started.set_result(True)
        )
        self.add_event_handler(
            "failed_all_auth", lambda _: self.started.done() or self.started.set_result(False)
        )
        self._port = running.ports["xmpp"]

    async def begin(self) -> None:
        """Log in, fetch the roster, be available."""
        self.connect("127.0.0.1", self._port)
        assert await self.started
        await self.get_roster()
        self.send_presence()

    async def next_message(self, wanted: Callable[[Any], bool]) -> Any:
        """Return the next message that is `wanted`."""
        while not wanted(message := await self.messages.get()):
            pass
        return message


def play(running: RunningServer, scene: Callable[[Client, Client], Awaitable[None]]) -> None:
    """Log two clients in and let them act."""

    async def main() -> None:
        romeo, juliet = Client(running, "romeo", "orchard"), Client(running, "juliet", "balcony")
        async with asyncio.timeout(TIMEOUT_S):
            await romeo.begin()
            await juliet.begin()
            await scene(romeo, juliet)
            await asyncio.gather(romeo.disconnect(), juliet.disconnect())

    asyncio.run(main())


@pytest.mark.spec("RFC 6120 §5.4")
@pytest.mark.spec("RFC 6120 §6.4")
def test_two_clients_talk_over_tls_and_find_it_in_their_archive(running: RunningServer) -> None:
    async def scene(romeo: Client, juliet: Client) -> None:
        romeo.send_message(mto=juliet.boundjid.bare, mbody="Art thou not Romeo?", mtype="chat")

        heard = await juliet.next_message(lambda message: message["body"])
        assert heard["body"] == "Art thou not Romeo?"
        assert heard["from"] == romeo.boundjid
        juliet.send_message(mto=heard["from"], mbody="Neither, fair saint.", mtype="chat")
        assert (await romeo.next_message(lambda message: message["body"]))["body"] == "Neither, fair saint."

        page = await juliet.plugin["xep_0313"].retrieve(with_jid=romeo.boundjid.bare, iterator=False)
        found = [each["mam_result"]["forwarded"]["stanza"]["body"] for each in page["mam"]["results"]]
        assert found[-2:] == ["Art thou not Romeo?", "Neither, fair saint."]
        ids = [each["mam_result"]["id"] for each in page["mam"]["results"]]
        assert heard["stanza_id"]["id"] in ids

    play(running, scene)


@pytest.mark.spec("RFC 6121 §3.1")
def test_a_subscription_is_asked_granted_and_shows_presence(running: RunningServer) -> None:
    async def scene(romeo: Client, juliet: Client) -> None:
        seen: asyncio.Queue[Any] = asyncio.Queue()
        romeo.add_event_handler("got_online", seen.put_nowait)
        juliet.roster.auto_authorize = True
        romeo.send_presence_subscription(pto=juliet.boundjid.bare)

        while (await seen.get())["from"].bare != juliet.boundjid.bare:
            pass
        await romeo.get_roster()
        assert romeo.client_roster[juliet.boundjid.bare]["subscription"] in ("to", "both")

    play(running, scene)


@pytest.mark.spec("XEP-0030 §3.1")
def test_services_answer(running: RunningServer) -> None:
    async def scene(romeo: Client, juliet: Client) -> None:
        info = await romeo.plugin["xep_0030"].get_info(jid=running.domain)
        assert {"urn:xmpp:ping", "urn:xmpp:carbons:2", "urn:xmpp:blocking"} <= set(
            info["disco_info"]["features"]
        )
        items = await romeo.plugin["xep_0030"].get_items(jid=running.domain)
        assert f"rooms.{running.domain}" in [item[0] for item in items["disco_items"]["items"]]
        assert await romeo.plugin["xep_0199"].ping(running.domain) < TIMEOUT_S
        assert await romeo.plugin["xep_0199"].ping(juliet.boundjid) < TIMEOUT_S
        version = await romeo.plugin["xep_0092"].get_version(running.domain)
        assert version["software_version"]["name"] == "Sabir"

        card = romeo.plugin["xep_0054"].stanza.VCardTemp()
        card["FN"] = "Romeo Montague"
        await romeo.plugin["xep_0054"].publish_vcard(card)
        seen = await juliet.plugin["xep_0054"].get_vcard(romeo.boundjid.bare)
        assert seen["vcard_temp"]["FN"] == "Romeo Montague"

    play(running, scene)


@pytest.mark.spec("XEP-0191 §3.2")
def test_who_is_blocked_is_not_heard(running: RunningServer) -> None:
    async def scene(romeo: Client, juliet: Client) -> None:
        await juliet.plugin["xep_0191"].block(romeo.boundjid.bare)
        refused = asyncio.get_running_loop().create_future()
        romeo.add_event_handler("message_error", refused.set_result)
        romeo.send_message(mto=juliet.boundjid.bare, mbody="Hello?", mtype="chat")
        assert (await refused)["error"]["condition"] == "service-unavailable"
        await juliet.plugin["xep_0191"].unblock(romeo.boundjid.bare)
        romeo.send_message(mto=juliet.boundjid.bare, mbody="Better?", mtype="chat")
        assert (await juliet.next_message(lambda message: message["body"]))["body"] == "Better?"

    play(running, scene)


@pytest.mark.spec("XEP-0280 §6")
def test_another_device_gets_copies(running: RunningServer) -> None:
    async def scene(romeo: Client, juliet: Client) -> None:
        phone = Client(running, "romeo", "phone")
        await phone.begin()
        await phone.plugin["xep_0280"].enable()
        copies: asyncio.Queue[Any] = asyncio.Queue()
        phone.add_event_handler("carbon_sent", copies.put_nowait)
        romeo.send_message(mto=juliet.boundjid.bare, mbody="Both of us", mtype="chat")
        copy = await copies.get()
        assert copy["carbon_sent"]["body"] == "Both of us"
        await phone.disconnect()

    play(running, scene)


@pytest.mark.spec("XEP-0353 §3.3")
@pytest.mark.spec("XEP-0166 §6")
def test_a_call_is_set_up_and_the_other_device_stops_ringing(running: RunningServer) -> None:
    async def scene(romeo: Client, juliet: Client) -> None:
        desk = Client(running, "juliet", "desk")
        rings: dict[Client, asyncio.Queue[Any]] = {}
        copies: asyncio.Queue[Any] = asyncio.Queue()
        for client in (romeo, juliet, desk):
            client.register_plugin("xep_0353")
            rings[client] = asyncio.Queue()
            client.add_event_handler("jingle_message_propose", rings[client].put_nowait)
        await desk.begin()
        await desk.plugin["xep_0280"].enable()
        desk.add_event_handler("carbon_sent", copies.put_nowait)
        answered: asyncio.Queue[Any] = asyncio.Queue()
        romeo.add_event_handler("jingle_message_proceed", answered.put_nowait)

        romeo.plugin["xep_0353"].propose(
            juliet.boundjid.bare, "call-1", [("urn:xmpp:jingle:apps:rtp:1", "audio")]
        )
        assert (await rings[juliet].get())["jingle_propose"]["id"] == "call-1"
        assert (await rings[desk].get())["jingle_propose"]["id"] == "call-1"

        juliet.plugin["xep_0353"].proceed(romeo.boundjid, "call-1")
        assert (await answered.get())["from"] == juliet.boundjid
        assert (await copies.get())["carbon_sent"]["jingle_proceed"]["id"] == "call-1"

        offered = asyncio.get_running_loop().create_future()
        juliet.register_handler(
            CoroutineCallback(
                "jingle", MatchXPath("{jabber:client}iq/{urn:xmpp:jingle:1}jingle"), _accepting(offered)
            )
        )
        offer = romeo.make_iq_set(ito=juliet.boundjid)
        offer.append(
            ElementTree.fromstring(
                "<jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='call-1'/>"
            )
        )
        assert (await offer.send())["from"] == juliet.boundjid
        assert (await offered)["from"] == romeo.boundjid
        await desk.disconnect()

    play(running, scene)


def _accepting(offered: asyncio.Future[Any]) -> Callable[[Any], Awaitable[None]]:
    async def accept(iq: Any) -> None:
        iq.reply().send()
        offered.set_result(iq)

    return accept


@pytest.mark.spec("XEP-0368 §2")
def test_a_client_connects_by_tls_from_the_first_byte(running: RunningServer) -> None:
    context = ssl.create_default_context(cafile=running.certificate)
    context.set_alpn_protocols(["xmpp-client"])
    address = ("127.0.0.1", running.ports["xmpp-tls"])
    with (
        socket.create_connection(address, timeout=TIMEOUT_S) as plain,
        context.wrap_socket(plain, server_hostname=running.domain) as tls,
    ):
        assert tls.selected_alpn_protocol() == "xmpp-client"
        stream = ClientStream(running.domain, "nurse", PASSWORD, resource="tls")
        while stream.phase is Phase.NEGOTIATING:
            tls.sendall(stream.drain())
            stream.receive(tls.recv(65_536))
        assert stream.jid == f"nurse@{running.domain}/tls"


@pytest.mark.logs_errors
def test_a_wrong_password_is_refused(running: RunningServer) -> None:
    async def main() -> None:
        client = Client(running, "romeo", "x", password="wrong")
        async with asyncio.timeout(TIMEOUT_S):
            client.connect("127.0.0.1", running.ports["xmpp"])
            assert not await client.started
            client.abort()

    asyncio.run(main())


def test_an_unknown_request_is_told_so(running: RunningServer) -> None:
    async def scene(romeo: Client, juliet: Client) -> None:
        iq = romeo.make_iq_get(queryxmlns="urn:example:unknown", ito=running.domain)
        with pytest.raises(IqError) as caught:
            await iq.send()
        assert caught.value.condition == "service-unavailable"

    play(running, scene)
