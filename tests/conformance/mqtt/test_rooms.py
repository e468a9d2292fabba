"""Topics that are rooms: what is said there, and what other protocols say."""

from __future__ import annotations

import json

import pytest
from tests.support.mqtt import V5, V311, Net, Peer, numbers

from sabir.core.errors import Refusal
from sabir.core.model.conversation import Conversation, Role
from sabir.protocols.mqtt.types import packets as p
from sabir.protocols.mqtt.types import properties as ids
from sabir.protocols.mqtt.types.properties import Properties
from sabir.protocols.mqtt.types.reasons import Reason

BOTH = pytest.mark.parametrize("version", [V311, V5])
TEXT, MSG = "chat/v1/r/lobby/text", "chat/v1/r/lobby/msg"


@pytest.fixture
def net() -> Net:
    return Net()


def room(net: Net, name: str = "lobby") -> Conversation:
    found = net.services.rooms.find(name)
    assert found is not None
    return found


def said(peer: Peer) -> list[dict[str, object]]:
    return [json.loads(each.payload) for each in peer.messages()]


def users(**values: str) -> Properties:
    made = Properties()
    made.users.extend((name.replace("_", "-"), value) for name, value in values.items())
    return made


@BOTH
def test_a_device_joins_a_room_by_subscribing_and_hears_what_is_said(net: Net, version: int) -> None:
    ada, lamp = net.connect("a", version, login="ada"), net.connect("l", version, login="lamp")

    answer = ada.one(p.Answers, ada.subscribe(TEXT, 2))

    assert answer.reasons == [1]
    assert [attendee.nick for attendee in room(net).attendees.values()] == ["ada"]
    lamp.publish(TEXT, b"it is dark", 1)  # joins too, as JOIN would
    assert [attendee.nick for attendee in room(net).attendees.values()] == ["ada", "lamp"]
    (got,) = ada.messages()
    assert (got.topic, got.payload, got.qos, got.retain) == (TEXT, b"it is dark", 1, False)
    if version == V5:
        assert got.properties.numbers == {ids.PAYLOAD_FORMAT: 1}
        assert len(got.properties.data[ids.CORRELATION_DATA]) == 16
        assert dict(got.properties.users)["sender"] == "lamp"
        assert int(dict(got.properties.users)["ts"]) == net.world.clock.value_ms


@BOTH
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_message_to_a_room_is_acknowledged_when_it_is_in_the_log(net: Net, version: int, qos: int) -> None:
    ada = net.connect("a", version, login="ada")
    ada.subscribe(TEXT)
    net.world.store.stalled = True

    assert ada.publish(TEXT, b"hello", qos, packet_id=5) == []
    net.world.store.stalled = False
    net.world.store.go()
    net.run()

    answers = [each for each in ada.took() if isinstance(each, p.Ack)]
    assert [(each.kind, each.reason) for each in answers] == [[], [(p.PUBACK, 0)], [(p.PUBREC, 0)]][qos]
    assert [event.native for event in net.world.store.events if event.protocol == "mqtt"] == [
        b'{"text":"hello"}'
    ]


def test_one_hears_oneself_unless_one_does_not_want_to(net: Net) -> None:
    ada = net.connect("a", login="ada")
    ada.subscribe(TEXT)
    assert [each.payload for each in ada.publish(TEXT, b"1") if isinstance(each, p.Publish)] == [b"1"]

    ada.subscribe(TEXT, no_local=True)

    assert ada.publish(TEXT, b"2") == []


def test_replies_corrections_and_deletions(net: Net) -> None:
    ada, reader, simple = (
        net.connect("a", login="ada"),
        net.connect("r", V311, login="bob"),
        net.connect("s", login="eve"),
    )
    reader.subscribe(MSG)
    simple.subscribe(TEXT)
    ada.publish(TEXT, b"first")
    (first,) = said(reader)
    assert (first["text"], first["sender"]) == ("first", "ada")
    first_id = str(first["id"])

    ada.publish(TEXT, b"answer", properties=users(reply_to=first_id))
    ada.publish(
        MSG, json.dumps({"text": "second", "replaces": first_id, "sender": "forged", "id": "00"}).encode()
    )
    ada.publish(TEXT, b"waves", properties=users(kind="emote"))
    ada.publish(MSG, json.dumps({"deleted": True, "replaces": first_id}).encode())

    answer, correction, emote, deletion = said(reader)
    assert (answer["text"], answer["reply_to"]) == ("answer", first_id)
    assert (correction["text"], correction["replaces"], correction["sender"]) == ("second", first_id, "ada")
    assert (emote["text"], emote["kind"]) == ("waves", "emote")
    assert (deletion["deleted"], deletion["replaces"]) == (True, first_id)
    shown = simple.messages()
    assert [each.payload for each in shown] == [b"first", b"answer", b"second", b"waves"]
    assert ("replaces", first_id) in shown[2].properties.users


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        (TEXT, b""),
        (TEXT, b"\xff"),
        (TEXT, b"a\0b"),
        (MSG, b"{"),
        (MSG, b"[]"),
        (MSG, b'{"text":5}'),
        (MSG, b'{"text":"x","kind":"loud"}'),
        (MSG, b'{"text":"x","reply_to":"zz"}'),
        (MSG, b'{"deleted":true}'),
        (MSG, b'{"text":"x","reaction":"+1"}'),
    ],
)
def test_what_cannot_be_said_is_refused(net: Net, topic: str, payload: bytes) -> None:
    ada, old = net.connect("a", login="ada"), net.connect("o", V311, login="bob")

    assert ada.one(p.Ack, ada.publish(topic, payload, 1)).reason == Reason.PAYLOAD_FORMAT_INVALID
    assert old.publish(topic, payload, 2) == []
    assert old.is_out  # 3.1.1 has no word for it
    assert [event for event in net.world.store.events if event.protocol == "mqtt"] == []


OTHERS = (
    "chat/v1/#",
    "chat/v1/r/+/text",
    "chat/v1/r/lobby/nothing",
    "chat/v1/u/ada/nothing",
    "chat/v1/r/Lobby/text",
    f"$share/g/{TEXT}",
)


@pytest.mark.parametrize("name", OTHERS)
def test_other_chat_filters_and_topics_do_not_exist(net: Net, name: str) -> None:
    ada = net.connect("a", login="ada")

    assert ada.one(p.Answers, ada.subscribe(name)).reasons == [Reason.TOPIC_FILTER_INVALID]
    if "+" not in name and "#" not in name and "$" not in name:
        assert ada.one(p.Ack, ada.publish(name, b"x", 1)).reason == Reason.TOPIC_NAME_INVALID


def test_rooms_are_for_accounts_and_not_for_wills(net: Net) -> None:
    guest = net.connect("g")
    assert guest.one(p.Answers, guest.subscribe(TEXT)).reasons == [Reason.NOT_AUTHORIZED]
    assert guest.one(p.Ack, guest.publish(TEXT, b"x", 1)).reason == Reason.NOT_AUTHORIZED

    peer = net.open()
    answers = peer.send(p.Connect(V5, "w", will=p.Will(TEXT, b"gone", 0, False)))
    assert peer.one(p.Connack, answers).reason == Reason.TOPIC_NAME_INVALID


def test_plain_filters_do_not_hear_rooms(net: Net) -> None:
    ada, spy = net.connect("a", login="ada"), net.connect("s", login="eve")
    spy.subscribe("#")
    spy.subscribe("chat/#")

    ada.publish(TEXT, b"among us", 1)

    assert spy.messages() == []


def test_who_unsubscribes_or_disconnects_leaves(net: Net) -> None:
    ada, bob = net.connect("a", login="ada"), net.connect("b", login="bob")
    for peer in (ada, bob):
        peer.send(p.Subscribe(1, [p.Filter(TEXT), p.Filter(MSG)]))

    ada.send(p.Unsubscribe(2, [TEXT]))
    assert len(room(net).attendees) == 2
    ada.send(p.Unsubscribe(3, [MSG]))
    assert [attendee.nick for attendee in room(net).attendees.values()] == ["bob"]

    bob.close()
    assert net.services.rooms.find("lobby") is None or not room(net).attendees


@BOTH
def test_a_session_that_comes_back_is_in_its_rooms_again(net: Net, version: int) -> None:
    def come() -> Peer:
        return net.connect(
            "a", version, clean_start=False, login="ada", properties=numbers(session_expiry=1000)
        )

    bob = net.connect("b", login="bob")
    bob.subscribe(TEXT)
    come().subscribe(TEXT, 1)
    net.connect("x", login="ada").close()
    list(net.broker.sessions.values())[1].connection.close()  # type: ignore[union-attr]  # it is connected
    again = come()

    bob.publish(TEXT, b"welcome back")

    assert [each.payload for each in again.messages()] == [b"welcome back"]


def test_the_rules_of_the_room_count(net: Net) -> None:
    ada, bob = net.connect("a", login="ada"), net.connect("b", login="bob")
    ada.subscribe(TEXT)
    bob.subscribe(TEXT)
    net.services.moderation.set_role(
        ada.session, room(net), net.account("bob").actor, Role.BANNED, "", lambda *told: None, _fail
    )
    net.run()

    reasons = [bob.one(p.Ack, bob.publish(TEXT, b"x", 1)).reason for _ in range(2)]

    assert reasons == [Reason.NOT_AUTHORIZED] * 2
    assert bob.one(p.Answers, bob.subscribe(MSG)).reasons == [Reason.NOT_AUTHORIZED]
    assert ada.messages() == []


def _fail(refusal: Refusal) -> None:
    raise AssertionError(refusal)
