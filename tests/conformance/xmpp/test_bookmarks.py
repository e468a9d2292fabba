"""Bookmarks (XEP-0402), as older clients see them (XEP-0048), and private XML (XEP-0049)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.pubsub import (
    OWNER,
    PUBSUB,
    be_interested,
    error_of,
    events,
    fetch,
    ids,
    publish,
)
from tests.support.xmpp import Peer, XmppServer, server_in

from sabir.wire.xml import Element

NEW, OLD = "urn:xmpp:bookmarks:1", "storage:bookmarks"
PRIVATE = "jabber:iq:private"
OPTIONS = {
    "persist_items": "true",
    "max_items": "max",
    "send_last_published_item": "never",
    "access_model": "whitelist",
}
PLAY = "theplay@rooms.localhost"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[XmppServer]:
    yield from server_in(tmp_path, "romeo", "juliet")


def bookmark(peer: Peer, jid: str, attributes: str = "autojoin='true'", inside: str = "") -> Element:
    room = f"<conference xmlns='{NEW}' {attributes}>{inside}</conference>"
    return publish(peer, NEW, room, jid, **OPTIONS)


def rooms(storage: Element) -> list[dict[str, str]]:
    """Return the rooms of a document, with their texts."""
    return [
        {**room.attributes, **{each.name: each.text() for each in room.elements()}}
        for room in storage.find_all("conference")
    ]


def private(peer: Peer) -> Element:
    """Return the document from private storage."""
    answered = peer.ask(f"<query xmlns='{PRIVATE}'><storage xmlns='{OLD}'/></query>")
    return answered.elements()[0].elements()[0]


def in_node(peer: Peer) -> Element:
    """Return the document from its node."""
    answered = fetch(peer, OLD)
    assert ids(answered) == ["current"]
    return answered.elements()[0].elements()[0].elements()[0].elements()[0]


@pytest.mark.spec("XEP-0402 §3.3")
@pytest.mark.spec("XEP-0402 §5.3.1")
def test_a_bookmark_is_seen_by_clients_of_all_three_kinds(server: XmppServer) -> None:
    juliet = server.log_in("juliet")

    answered = bookmark(
        juliet, PLAY, "name='The Play&apos;s' autojoin='1'", "<nick>JC</nick><password>x</password>"
    )

    assert answered.get("type") == "result"
    expected = [{"jid": PLAY, "name": "The Play's", "autojoin": "1", "nick": "JC", "password": "x"}]
    assert rooms(private(juliet)) == rooms(in_node(juliet)) == expected
    assert ids(fetch(juliet, NEW)) == [PLAY]


@pytest.mark.spec("XEP-0402 §5.3.2")
@pytest.mark.parametrize("way", ["private", "node"])
def test_a_document_is_taken_apart_and_only_what_changed_is_told(server: XmppServer, way: str) -> None:
    juliet, phone = server.log_in("juliet"), server.log_in("juliet", "phone")
    be_interested(phone, NEW)
    extension = "<extensions><pin xmlns='urn:pin'/></extensions>"
    for name in ("a", "b", "c"):
        bookmark(juliet, f"{name}@rooms.localhost", f"name='{name}' autojoin='true'", extension)
    events(phone)
    storage = (
        f"<storage xmlns='{OLD}'><conference jid='A@rooms.localhost' name='a' autojoin='1'/>"
        "<conference jid='b@rooms.localhost' name='B'><nick>jules</nick></conference>"
        "<conference jid='d@rooms.localhost'/><url name='x' url='http://x.org/'/></storage>"
    )

    if way == "private":
        answered = juliet.ask(f"<query xmlns='{PRIVATE}'>{storage}</query>", type="set")
    else:
        answered = publish(juliet, OLD, storage, "current", persist_items="1", access_model="whitelist")

    assert answered.get("type") == "result"
    told = [(each.elements()[0].name, each.elements()[0].get("id")) for each in events(phone)]
    assert told == [
        ("item", "b@rooms.localhost"),
        ("item", "d@rooms.localhost"),
        ("retract", "c@rooms.localhost"),
    ]
    assert sorted(str(id_) for id_ in ids(fetch(juliet, NEW))) == [f"{n}@rooms.localhost" for n in "abd"]
    read = fetch(juliet, NEW, inside="<item id='b@rooms.localhost'/>").serialise()
    assert "urn:pin" in read
    assert "jules" in read
    assert rooms(private(juliet)) == rooms(in_node(juliet))
    assert [url.get("url") for url in private(juliet).find_all("url")] == ["http://x.org/"]


@pytest.mark.spec("XEP-0048 §3.2")
def test_devices_that_look_at_the_document_are_told_and_shown_it_when_they_come(server: XmppServer) -> None:
    juliet, old = server.log_in("juliet"), server.log_in("juliet", "old")
    be_interested(old, OLD)
    assert events(old) == []

    bookmark(juliet, PLAY)

    (told,) = events(old)
    assert told.get("node") == OLD
    assert rooms(told.elements()[0].elements()[0])[0]["jid"] == PLAY
    late = server.log_in("juliet", "late", presence="")
    be_interested(late, OLD)
    assert [each.get("node") for each in events(late)] == [OLD]
    retract = f"<retract node='{NEW}' notify='1'><item id='{PLAY}'/></retract>"
    juliet.ask(f"<pubsub xmlns='{PUBSUB}'>{retract}</pubsub>", type="set")
    (told,) = events(old)
    assert rooms(told.elements()[0].elements()[0]) == []


@pytest.mark.spec("XEP-0402 §8")
def test_bookmarks_are_nobody_elses_business(server: XmppServer) -> None:
    juliet, romeo = server.log_in("juliet"), server.log_in("romeo")
    juliet.ask(
        f"<query xmlns='{PRIVATE}'><storage xmlns='{OLD}'><conference jid='{PLAY}'/></storage></query>",
        type="set",
    )

    assert error_of(fetch(romeo, NEW, "juliet@localhost"))[2] == "closed-node"
    assert error_of(fetch(romeo, OLD, "juliet@localhost"))[1] == "item-not-found"
    asked = romeo.ask(
        f"<query xmlns='{PRIVATE}'><storage xmlns='{OLD}'/></query>", type="get", to="juliet@localhost"
    )
    assert error_of(asked)[1] == "forbidden"
    shown = juliet.ask(f"<pubsub xmlns='{OWNER}'><configure node='{NEW}'/></pubsub>").serialise()
    assert "<value>whitelist</value>" in shown
    assert "<value>max</value>" in shown


@pytest.mark.spec("XEP-0048 §3.1")
def test_nonsense_about_the_document_is_refused(server: XmppServer) -> None:
    juliet = server.log_in("juliet")
    good = f"<storage xmlns='{OLD}'/>"

    assert error_of(publish(juliet, OLD, "<a xmlns='urn:a'/>"))[1] == "bad-request"
    bad = publish(juliet, OLD, f"<storage xmlns='{OLD}'><conference jid='@'/></storage>")
    assert error_of(bad)[1] == "bad-request"
    assert error_of(publish(juliet, OLD, good, access_model="open"))[2] == "precondition-not-met"
    made = juliet.ask(f"<pubsub xmlns='{PUBSUB}'><create node='{OLD}'/></pubsub>", type="set")
    assert error_of(made)[1] == "conflict"
    assert error_of(fetch(juliet, OLD, inside="<item id='x'/>"))[1] == "item-not-found"
    many = "".join(f"<conference jid='r{number}@rooms.localhost'/>" for number in range(1_001))
    assert error_of(publish(juliet, OLD, f"<storage xmlns='{OLD}'>{many}</storage>"))[1] == "not-acceptable"
    assert publish(juliet, OLD, good).get("type") == "result"


@pytest.mark.spec("XEP-0049 §2")
def test_private_documents_are_kept_by_name_and_namespace(tmp_path: Path) -> None:
    server = XmppServer(tmp_path)
    server.add("juliet")
    juliet = server.log_in("juliet")
    prefs = "<exodus xmlns='exodus:prefs'><nick>Ham&amp;let</nick></exodus>"

    empty = juliet.ask(f"<query xmlns='{PRIVATE}'><exodus xmlns='exodus:prefs'/></query>")
    juliet.ask(f"<query xmlns='{PRIVATE}'>{prefs}</query>", type="set")
    server.close()
    server = XmppServer(tmp_path)
    juliet = server.log_in("juliet")
    kept = juliet.ask(f"<query xmlns='{PRIVATE}'><exodus xmlns='exodus:prefs'/></query>")

    assert empty.elements()[0].elements()[0].elements() == []
    assert kept.elements()[0].elements()[0].child_text("nick") == "Ham&let"
    server.close()


@pytest.mark.spec("XEP-0049 §2.3")
@pytest.mark.spec("XEP-0049 §3")
def test_private_storage_refuses_what_it_must(server: XmppServer) -> None:
    juliet = server.log_in("juliet")
    two = "<a xmlns='urn:a'/><b xmlns='urn:b'/>"

    for inside in ("", two, "<a/>"):
        refused = juliet.ask(f"<query xmlns='{PRIVATE}'>{inside}</query>", type="set")
        assert error_of(refused)[1] == "not-acceptable"
    large = juliet.ask(f"<query xmlns='{PRIVATE}'><a xmlns='urn:a'>{'x' * 70_000}</a></query>", type="set")
    assert error_of(large)[1] == "policy-violation"
    for number in range(210):
        answered = juliet.ask(f"<query xmlns='{PRIVATE}'><a xmlns='urn:{number}'/></query>", type="set")
    assert error_of(answered)[1] == "resource-constraint"


@pytest.mark.spec("XEP-0402 §6")
def test_what_is_kept_in_step_is_announced(server: XmppServer) -> None:
    info = "<query xmlns='http://jabber.org/protocol/disco#info'/>"

    found = server.log_in("juliet").ask(info).elements()[0].find_all("feature")

    assert {f"{NEW}#compat", f"{NEW}#compat-pep"} <= {each.get("var") for each in found}
