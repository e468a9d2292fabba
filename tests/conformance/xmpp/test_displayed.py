"""How far a person has read, on all devices (XEP-0490)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.pubsub import be_interested, events, fetch, ids, publish
from tests.support.xmpp import Peer, XmppServer, server_in

from sabir.wire.xml import Element

NODE = "urn:xmpp:mds:displayed:0"
SID = "urn:xmpp:sid:0"
OPTIONS = {
    "persist_items": "true",
    "max_items": "max",
    "send_last_published_item": "never",
    "access_model": "whitelist",
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[XmppServer]:
    yield from server_in(tmp_path, "romeo", "juliet")


def displayed(id_: str, by: str = "juliet@localhost") -> str:
    return f"<displayed xmlns='{NODE}'><stanza-id xmlns='{SID}' by='{by}' id='{id_}'/></displayed>"


def stanza_id(message: Element) -> str:
    mark = message.find("stanza-id", SID)
    assert mark is not None
    return mark.get("id") or ""


def said(romeo: Peer, juliet: Peer, *texts: str) -> list[str]:
    """Let romeo say something to juliet; return the ids that her archive gave, and what romeo called them."""
    for text in texts:
        romeo.say(f"<message to='juliet@localhost' type='chat' id='{text}'><body>{text}</body></message>")
    return [stanza_id(each) for each in juliet.hear() if each.name == "message"]


def told(peer: Peer) -> list[tuple[str | None, str | None, str | None]]:
    """Return chat, id and giver of the id of each marker that a device is told of."""
    found = []
    for items in events(peer):
        item = items.elements()[0]
        named = item.elements()[0].find("stanza-id", SID)
        assert named is not None
        found.append((item.get("id"), named.get("id"), named.get("by")))
    return found


def marker(server: XmppServer, chat: str = "romeo") -> int:
    """Return how far juliet has read, as the core knows it: a position, 0 for nothing."""
    services = server.services
    juliet, romeo = services.accounts.find("juliet"), services.accounts.find("romeo")
    assert juliet is not None
    assert romeo is not None
    room = services.rooms.find(chat)
    conversation = room if room is not None else services.directory.direct(juliet, romeo)
    assert conversation is not None
    row = services.reads.marker(juliet, conversation)
    return 0 if row is None else row.position


@pytest.mark.spec("XEP-0490 §4.2")
@pytest.mark.spec("XEP-0490 §4.3")
def test_what_a_device_has_displayed_is_told_to_the_others_and_moves_the_marker(server: XmppServer) -> None:
    romeo, juliet, phone = server.log_in("romeo"), server.log_in("juliet"), server.log_in("juliet", "phone")
    be_interested(phone, NODE)
    first, second = said(romeo, juliet, "one", "two")
    phone.hear()

    publish(juliet, NODE, displayed(second), "romeo@localhost", **OPTIONS)

    assert told(phone) == [("romeo@localhost", second, "juliet@localhost")]
    assert marker(server) == 2
    publish(juliet, NODE, displayed(first), "romeo@localhost", **OPTIONS)
    assert marker(server) == 2  # it only moves forward


@pytest.mark.spec("XEP-0490 §5.1")
def test_what_names_no_message_of_the_chat_moves_nothing(server: XmppServer) -> None:
    romeo, juliet = server.log_in("romeo"), server.log_in("juliet")
    (first,) = said(romeo, juliet, "one")

    for chat, payload in (
        ("romeo@localhost", displayed("0" * 32)),
        ("romeo@localhost", displayed("nonsense")),
        ("romeo@localhost", f"<displayed xmlns='{NODE}'/>"),
        ("hall@rooms.localhost", displayed(first)),
        ("x", displayed(first)),
    ):
        assert publish(juliet, NODE, payload, chat, **OPTIONS).get("type") == "result"

    assert marker(server) == 0


@pytest.mark.spec("XEP-0490 §4.4")
def test_a_marker_moved_otherwise_is_published_where_the_node_is_used(server: XmppServer) -> None:
    romeo, juliet, phone = server.log_in("romeo"), server.log_in("juliet"), server.log_in("juliet", "phone")
    be_interested(phone, NODE)
    first, second, third = said(romeo, juliet, "one", "two", "three")
    read = "<message to='romeo@localhost' type='chat'><displayed xmlns='urn:xmpp:chat-markers:0' id='{}'/></message>"

    juliet.say(read.format("one"))
    assert fetch(juliet, NODE).get("type") == "error"
    publish(juliet, NODE, displayed(second), "romeo@localhost", **OPTIONS)
    phone.hear()
    juliet.say(read.format("two"))
    assert told(phone) == []
    juliet.say(read.format("three"))

    assert told(phone) == [("romeo@localhost", third, "juliet@localhost")]
    assert ids(fetch(juliet, NODE)) == ["romeo@localhost"]
    assert first != second


@pytest.mark.spec("XEP-0490 §4.2")
def test_rooms_are_marked_by_the_ids_that_they_give(server: XmppServer) -> None:
    romeo, juliet, phone = server.log_in("romeo"), server.log_in("juliet"), server.log_in("juliet", "phone")
    be_interested(phone, NODE)
    muc = "<x xmlns='http://jabber.org/protocol/muc'/>"
    for peer in (romeo, juliet):
        peer.say(f"<presence to='hall@rooms.localhost/{peer.jid.partition('@')[0]}'>{muc}</presence>")
    juliet.hear()
    for text in ("one", "two"):
        romeo.say(
            f"<message to='hall@rooms.localhost' type='groupchat' id='{text}'><body>{text}</body></message>"
        )
    first, second = [stanza_id(each) for each in juliet.hear() if each.name == "message"]

    publish(juliet, NODE, displayed(first, "hall@rooms.localhost"), "hall@rooms.localhost", **OPTIONS)
    assert told(phone) == [("hall@rooms.localhost", first, "hall@rooms.localhost")]
    before = marker(server, "hall")
    juliet.say(
        "<message to='hall@rooms.localhost' type='groupchat'>"
        f"<displayed xmlns='urn:xmpp:chat-markers:0' id='{second}'/></message>"
    )

    assert marker(server, "hall") > before
    assert told(phone) == [("hall@rooms.localhost", second, "hall@rooms.localhost")]


@pytest.mark.spec("XEP-0490 §4.5.2")
@pytest.mark.spec("XEP-0490 §4.5.3")
@pytest.mark.spec("XEP-0490 §5.2")
@pytest.mark.spec("XEP-0490 §7")
def test_a_marker_within_a_message_is_published_and_goes_no_further(server: XmppServer) -> None:
    romeo, juliet, phone = server.log_in("romeo"), server.log_in("juliet"), server.log_in("juliet", "phone")
    juliet.ask("<enable xmlns='urn:xmpp:carbons:2'/>", type="set")
    phone.ask("<enable xmlns='urn:xmpp:carbons:2'/>", type="set")
    be_interested(phone, NODE)
    (first,) = said(romeo, juliet, "one")
    phone.hear()
    info = juliet.ask("<query xmlns='http://jabber.org/protocol/disco#info'/>").serialise()
    assert "urn:xmpp:mds:server-assist:0" in info

    juliet.say(
        "<message to='romeo@localhost' type='chat'><displayed xmlns='urn:xmpp:chat-markers:0' id='one'/>"
        f"{displayed(first)}</message>",
        f"<message to='romeo@localhost' type='chat'><body>answer</body>{displayed(first)}</message>",
    )

    heard = romeo.hear()
    assert len(heard) == 2
    assert all(NODE not in each.serialise() for each in heard)
    assert any(each.find("displayed", "urn:xmpp:chat-markers:0") is not None for each in heard)
    assert set(told(phone)) == {("romeo@localhost", first, "juliet@localhost")}
    assert all(NODE not in each.serialise() for each in phone.hear())
    shown = juliet.ask(
        f"<pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><configure node='{NODE}'/></pubsub>"
    ).serialise()
    assert "<value>whitelist</value>" in shown
    assert marker(server) == 1


@pytest.mark.spec("XEP-0490 §5.2")
def test_a_marker_within_a_message_to_a_room_stays_with_the_server(server: XmppServer) -> None:
    romeo, juliet = server.log_in("romeo"), server.log_in("juliet")
    muc = "<x xmlns='http://jabber.org/protocol/muc'/>"
    for peer in (romeo, juliet):
        peer.say(f"<presence to='hall@rooms.localhost/{peer.jid.partition('@')[0]}'>{muc}</presence>")
    juliet.hear()
    romeo.say("<message to='hall@rooms.localhost' type='groupchat' id='m'><body>hm</body></message>")
    (first,) = [stanza_id(each) for each in juliet.hear() if each.name == "message"]
    romeo.hear()

    juliet.say(
        f"<message to='hall@rooms.localhost' type='groupchat'><body>yes</body>"
        f"{displayed(first, 'hall@rooms.localhost')}</message>"
    )

    (message,) = romeo.hear()
    assert NODE not in message.serialise()
    assert ids(fetch(juliet, NODE)) == ["hall@rooms.localhost"]
