"""Chat topics but for plain messages: reactions, files, threads, direct messages, what is retained, history."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from tests.support.mqtt import PASSWORD, V5, V311, Net, Peer, numbers

from sabir.core.errors import Refusal
from sabir.core.model import content as words
from sabir.core.model import mimi
from sabir.core.model.conversation import Conversation, Role
from sabir.protocols.mqtt.types import packets as p
from sabir.protocols.mqtt.types import properties as ids
from sabir.protocols.mqtt.types.properties import Properties
from sabir.protocols.mqtt.types.reasons import Reason

BOTH = pytest.mark.parametrize("version", [V311, V5])
ROOM = "chat/v1/r/lobby"
ADA, BOB = "chat/v1/u/ada", "chat/v1/u/bob"


@pytest.fixture
def net() -> Net:
    return Net()


def room(net: Net, name: str = "lobby") -> Conversation:
    found = net.services.rooms.find(name)
    assert found is not None
    return found


def objects(peer: Peer, topic: str = "") -> list[dict[str, Any]]:
    """Return the JSON objects that came since the last call, on one topic or all."""
    return [json.loads(each.payload) for each in peer.messages() if topic in ("", each.topic)]


def say(peer: Peer, topic: str, /, **fields: Any) -> int:
    """Publish a JSON object at QoS 1, and return the reason code."""
    answers = peer.publish(topic, json.dumps(fields).encode(), 1)
    (ack,) = [each for each in answers if isinstance(each, p.Ack)]
    kept = [each for each in answers if isinstance(each, p.Publish)]
    assert not kept, "one that listens is not to say"
    return ack.reason


def typed(**texts: str) -> Properties:
    """Return properties: `content_type` and `response_topic`, and user properties."""
    made = Properties()
    for name, value in texts.items():
        if name == "content_type":
            made.texts[ids.CONTENT_TYPE] = value
        elif name == "response_topic":
            made.texts[ids.RESPONSE_TOPIC] = value
        else:
            made.users.append((name.replace("_", "-"), value))
    return made


def set_role(net: Net, by: Peer, name: str, role: Role) -> None:
    net.services.moderation.set_role(
        by.session, room(net), net.account(name).actor, role, "", lambda *told: None, _fail
    )
    net.run()


def _fail(refusal: Refusal) -> None:
    raise AssertionError(refusal)


# Messages


@BOTH
def test_reactions_come_and_go_by_json(net: Net, version: int) -> None:
    ada, bob = net.connect("a", version, login="ada"), net.connect("b", version, login="bob")
    bob.subscribe(f"{ROOM}/msg")
    say(ada, f"{ROOM}/msg", text="we won")
    (first,) = objects(bob)

    assert say(ada, f"{ROOM}/msg", reaction="👍", reply_to=first["id"]) == 0
    assert say(ada, f"{ROOM}/msg", reaction="👍", reply_to=first["id"]) == 0  # again: nothing changes
    assert say(ada, f"{ROOM}/msg", reaction="👍", reply_to=first["id"], deleted=True) == 0
    if version == V5:
        assert say(ada, f"{ROOM}/msg", reaction="👍", reply_to="00" * 16) == Reason.PAYLOAD_FORMAT_INVALID

    shown = objects(bob)
    assert [(each["reaction"], each["reply_to"], each.get("deleted", False)) for each in shown] == [
        ("👍", first["id"], False),
        ("👍", first["id"], True),
    ]
    assert {each["sender"] for each in shown} == {"ada"}


def test_reactions_come_and_go_by_properties(net: Net) -> None:
    ada, bob = net.connect("a", login="ada"), net.connect("b", login="bob")
    bob.subscribe(f"{ROOM}/msg")
    ada.publish(f"{ROOM}/text", b"we won")
    (first,) = objects(bob)

    ada.publish(f"{ROOM}/text", "🎉".encode(), properties=typed(reply_to=first["id"], disposition="reaction"))
    (put,) = objects(bob)
    ada.publish(f"{ROOM}/text", b"", properties=typed(replaces=put["id"], disposition="reaction"))
    (gone,) = objects(bob)

    assert (put["reaction"], put["reply_to"]) == ("🎉", first["id"])
    assert (gone["reaction"], gone["reply_to"], gone["deleted"]) == ("🎉", first["id"], True)
    assert net.services.messaging.reactions(net.world.store.events[1].seq, net.account("ada").actor.id) == {}


@BOTH
def test_all_that_a_message_says_comes_back_as_it_was_said(net: Net, version: int) -> None:
    ada, bob = net.connect("a", version, login="ada"), net.connect("b", version, login="bob")
    bob.subscribe(f"{ROOM}/msg")
    wanted = {
        "text": "bob: a cat",
        "markdown": "bob: a **cat**",
        "lang": "en",
        "topic": "cats",
        "mentions": ["bob"],
        "files": [
            {
                "url": "https://x.example/cat.png",
                "type": "image/png",
                "name": "cat.png",
                "size": 5,
                "sha256": "ab" * 32,
                "description": "a cat",
                "inline": True,
            }
        ],
        "expires": 60,
        "spoiler": "cute",
        "geo": "geo:1,2",
    }

    say(ada, f"{ROOM}/msg", **wanted, id="forged", sender="forged", ts=1, to="forged")

    (got,) = objects(bob)
    assert {name: value for name, value in got.items() if name not in ("id", "sender", "ts")} == wanted
    assert (got["sender"], len(got["id"]), got["ts"]) == ("ada", 32, net.world.clock.value_ms)


def test_text_with_properties_is_the_same_message(net: Net) -> None:
    ada, bob, eve = (net.connect(name, login=name) for name in ("ada", "bob", "eve"))
    bob.subscribe(f"{ROOM}/msg")
    eve.subscribe(f"{ROOM}/text")
    users = typed(topic="cats", lang="en", expires="60", spoiler="cute", geo="geo:1,2", kind="notice")
    users.users.extend([("mention", "bob"), ("mention", "eve")])

    ada.publish(f"{ROOM}/text", b"bob, eve: a cat", properties=users)
    ada.publish(f"{ROOM}/text", b"a **cat**", properties=typed(content_type="text/markdown"))

    first, second = objects(bob)
    assert first["mentions"] == ["bob", "eve"]
    assert (first["topic"], first["lang"], first["expires"], first["spoiler"]) == ("cats", "en", 60, "cute")
    assert second["markdown"] == "a **cat**"
    plain = eve.messages()
    assert [each.payload for each in plain] == [b"bob, eve: a cat", b"a **cat**"]
    shown = plain[0].properties.users
    assert [value for name, value in shown if name == "mention"] == ["bob", "eve"]
    assert {("topic", "cats"), ("expires", "60"), ("geo", "geo:1,2"), ("kind", "notice")} <= set(shown)


def test_mimi_content_goes_in_and_comes_out(net: Net) -> None:
    ada, bob, eve = (net.connect(name, login=name) for name in ("ada", "bob", "eve"))
    bob.subscribe(f"{ROOM}/msg")
    eve.subscribe(f"{ROOM}/msg/cbor")
    forged = words.extended(words.markdown("a **cat**"), words.SENDER_URI, "mimi://x/u/eve")
    cbor = typed(content_type=mimi.MEDIA_TYPE)

    ada.publish(f"{ROOM}/msg", mimi.encode(forged, bytes(16)), 1, properties=cbor)
    (as_json,) = objects(bob)
    (as_cbor,) = eve.messages()
    first = bytes.fromhex(as_json["id"])
    edit = mimi.encode(words.edit(first, words.text("a dog")), bytes(16))
    ada.publish(f"{ROOM}/msg", edit, 1, properties=cbor)
    ada.publish(f"{ROOM}/msg", mimi.encode(words.reaction(first, "👍"), bytes(16)), 1, properties=cbor)
    edited, reacted = objects(bob)
    unreact = words.unreaction(first, bytes.fromhex(reacted["id"]))
    ada.publish(f"{ROOM}/msg", mimi.encode(unreact, bytes(16)), 1, properties=cbor)
    ada.publish(f"{ROOM}/msg", mimi.encode(words.delete(first), bytes(16)), 1, properties=cbor)
    unreacted, deleted = objects(bob)

    assert (as_json["text"], as_json["markdown"]) == ("a **cat**", "a **cat**")
    assert as_cbor.properties.texts[ids.CONTENT_TYPE] == mimi.MEDIA_TYPE
    assert as_cbor.properties.data[ids.CORRELATION_DATA] == first
    assert mimi.decode(as_cbor.payload)[0] == words.markdown("a **cat**")
    assert dict(as_cbor.properties.users)["sender"] == "ada"
    assert (edited["text"], edited["replaces"]) == ("a dog", as_json["id"])
    assert (reacted["reaction"], reacted["reply_to"]) == ("👍", as_json["id"])
    assert (unreacted["reaction"], unreacted["deleted"]) == ("👍", True)
    assert (deleted["deleted"], deleted["replaces"]) == (True, as_json["id"])
    assert len(eve.messages()) == 4


def test_threads_have_topics_of_their_own(net: Net) -> None:
    ada, bob = net.connect("a", login="ada"), net.connect("b", login="bob")
    bob.subscribe(f"{ROOM}/t/cats/text")
    ada.subscribe(f"{ROOM}/msg", no_local=False)

    ada.publish(f"{ROOM}/t/cats/text", b"about cats")
    ada.publish(f"{ROOM}/text", b"about all")
    ada.publish(f"{ROOM}/t/dogs/msg", b'{"text":"about dogs","topic":"lies"}')

    assert [(each.topic, each.payload) for each in bob.messages()] == [(f"{ROOM}/t/cats/text", b"about cats")]
    assert ada.one(p.Answers, ada.subscribe(f"{ROOM}/t/cats/meta")).reasons == [Reason.TOPIC_FILTER_INVALID]
    bob.subscribe(f"{ROOM}/history")
    (answer,) = [
        json.loads(each.payload)
        for each in bob.publish(f"{ROOM}/history", b"")
        if isinstance(each, p.Publish)
    ]
    assert [(each["text"], each.get("topic")) for each in answer["messages"]] == [
        ("about cats", "cats"),
        ("about all", None),
        ("about dogs", "dogs"),
    ]


BAD = [
    {"reaction": "👍"},
    {"reaction": "👍" * 40, "reply_to": "00" * 16},
    {"reaction": "👍", "reply_to": "00" * 16, "text": "x"},
    {"files": [{"url": "ftp://x"}]},
    {"files": [{"url": "https://x", "sha256": "zz"}]},
    {"files": [{"url": "https://x", "size": -1}]},
    {"files": [{"url": "https://x"}] * 17},
    {"text": "x", "mentions": ["a"] * 21},
    {"text": "x", "topic": "t" * 1025},
    {"text": "x", "expires": -1},
    {"text": "x", "geo": "here"},
    {"text": "x", "deleted": True, "replaces": "00" * 16},
]


@pytest.mark.parametrize("fields", BAD, ids=[str(sorted(each)) + str(at) for at, each in enumerate(BAD)])
def test_what_makes_no_sense_is_refused_with_a_reason(net: Net, fields: dict[str, Any]) -> None:
    ada = net.connect("a", login="ada")

    ack = ada.one(p.Ack, ada.publish(f"{ROOM}/msg", json.dumps(fields).encode(), 1))

    assert ack.reason == Reason.PAYLOAD_FORMAT_INVALID
    assert ack.properties.texts[ids.REASON_STRING]


BAD_CBOR = [
    b"",
    b"\x87",
    b"\x80",
    b"{}",
    mimi.encode(words.Content(body=words.NullPart()), bytes(16)),
    mimi.encode(words.reply(bytes(32), words.text("x")), bytes(16)),
]


@pytest.mark.parametrize("payload", BAD_CBOR)
def test_bad_mimi_content_is_refused(net: Net, payload: bytes) -> None:
    ada = net.connect("a", login="ada")
    answers = ada.publish(f"{ROOM}/msg", payload, 1, properties=typed(content_type=mimi.MEDIA_TYPE))
    assert ada.one(p.Ack, answers).reason == Reason.PAYLOAD_FORMAT_INVALID


@pytest.mark.spec("MQTT 5.0 §3.4")
def test_reason_strings_are_for_those_who_want_them(net: Net) -> None:
    ada = net.connect("a", login="ada", properties=numbers(request_problem_info=0))
    ack = ada.one(p.Ack, ada.publish(f"{ROOM}/msg", b"{", 1))
    assert (ack.reason, ack.properties.texts) == (Reason.PAYLOAD_FORMAT_INVALID, {})


def test_who_speaks_311_is_told_why_on_its_own_status(net: Net) -> None:
    ada, old = net.connect("a", login="ada"), net.connect("o", V311, login="bob")
    ada.subscribe(f"{ROOM}/text")
    old.subscribe(f"{BOB}/status")
    set_role(net, ada, "bob", Role.BANNED)

    answers = old.publish(f"{ROOM}/text", b"let me in", 1)

    assert [each.reason for each in answers if isinstance(each, p.Ack)] == [0]
    (told,) = [json.loads(each.payload) for each in answers if isinstance(each, p.Publish)]
    assert told == {"status": "refused", "reason": Refusal.BANNED.value, "text": f"{ROOM}/text"}
    assert not old.is_out


# Rules of rooms


def test_a_visitor_of_a_moderated_room_is_heard_once_it_has_a_voice(net: Net) -> None:
    ada, bob = net.connect("a", login="ada"), net.connect("b", login="bob")
    ada.subscribe(f"{ROOM}/text")
    config = msgspec.structs.replace(room(net).config, moderated=True)
    net.services.moderation.configure(ada.session, room(net), config, lambda: None, _fail)
    net.run()

    refused = bob.one(p.Ack, bob.publish(f"{ROOM}/text", b"hello?", 1))
    say(ada, f"{ROOM}/mod", action="role", name="bob", role="member")

    assert (refused.reason, refused.properties.texts[ids.REASON_STRING]) == (
        Reason.NOT_AUTHORIZED,
        Refusal.NO_VOICE.value,
    )
    assert bob.one(p.Ack, bob.publish(f"{ROOM}/text", b"hello", 1)).reason == 0
    assert [each.payload for each in ada.messages()] == [b"hello"]


def test_a_room_with_a_password_wants_it(net: Net) -> None:
    ada, bob, eve, old = (net.connect(name, login=name) for name in ("ada", "bob", "eve", "old"))
    ada.subscribe(f"{ROOM}/text")
    config = msgspec.structs.replace(room(net).config, key="sesame")
    net.services.moderation.configure(ada.session, room(net), config, lambda: None, _fail)
    net.run()

    assert bob.one(p.Answers, bob.subscribe(f"{ROOM}/text")).reasons == [Reason.NOT_AUTHORIZED]
    opened = bob.send(p.Subscribe(1, [p.Filter(f"{ROOM}/text")], typed(key="sesame")))
    assert [each.reasons for each in opened if isinstance(each, p.Answers)] == [[0]]
    assert eve.one(p.Ack, eve.publish(f"{ROOM}/text", b"x", 1, properties=typed(key="no"))).reason == 0x87
    assert eve.one(p.Ack, eve.publish(f"{ROOM}/text", b"x", 1, properties=typed(key="sesame"))).reason == 0
    assert say(old, f"{ROOM}/status", status="joined", key="sesame") == 0
    assert len(room(net).attendees) == 4
    assert say(old, f"{ROOM}/status", status="left") == 0
    assert len(room(net).attendees) == 3


def test_moderators_kick_ban_invite_and_take_messages_away(net: Net) -> None:
    ada, bob, eve = (net.connect(name, login=name) for name in ("ada", "bob", "eve"))
    ada.subscribe(f"{ROOM}/msg")
    bob.subscribe(f"{ROOM}/status")
    eve.subscribe(f"{ROOM}/status")
    eve.subscribe("chat/v1/u/eve/status")
    bob.publish(f"{ROOM}/text", b"rude")
    (rude,) = objects(ada)
    bob.took(), eve.took()

    assert say(bob, f"{ROOM}/mod", action="kick", name="eve") == Reason.NOT_AUTHORIZED
    answers = ada.publish(f"{ROOM}/mod", json.dumps({"action": "delete", "id": rude["id"]}).encode(), 1)
    (gone,) = [json.loads(each.payload) for each in answers if isinstance(each, p.Publish)]
    assert (gone["deleted"], gone["replaces"]) == (True, rude["id"])
    assert say(ada, f"{ROOM}/mod", action="kick", name="eve", reason="noise") == 0
    assert objects(bob)[-1] == {"status": "kicked", "name": "eve", "by": "ada", "reason": "noise"}
    assert objects(eve)[-1]["status"] == "kicked"
    assert say(ada, f"{ROOM}/mod", action="invite", name="eve", reason="be nice") == 0
    assert objects(eve) == [{"status": "invited", "room": "lobby", "by": "ada", "reason": "be nice"}]
    eve.subscribe(f"{ROOM}/status")
    assert objects(bob) == [{"status": "joined", "name": "eve", "role": "member"}]
    assert say(ada, f"{ROOM}/mod", action="ban", name="eve") == 0
    assert objects(bob) == [{"status": "banned", "name": "eve", "by": "ada"}]
    eve.took()
    assert [each.reason for each in eve.publish(f"{ROOM}/text", b"x", 1) if isinstance(each, p.Ack)] == [
        Reason.NOT_AUTHORIZED
    ]
    assert say(ada, f"{ROOM}/mod", action="unban", name="eve") == 0
    assert eve.one(p.Ack, eve.publish(f"{ROOM}/text", b"x", 1)).reason == 0
    ada.took()
    assert say(ada, f"{ROOM}/mod", action="kick", name="nobody") == Reason.TOPIC_NAME_INVALID
    for wrong in (
        {"action": "dance"},
        {"action": "delete"},
        {"action": "role", "name": "bob", "role": "king"},
    ):
        assert say(ada, f"{ROOM}/mod", **wrong) == Reason.PAYLOAD_FORMAT_INVALID


# State


@BOTH
def test_what_a_room_is_about_is_retained_and_can_be_set(net: Net, version: int) -> None:
    ada, bob = net.connect("a", version, login="ada"), net.connect("b", version, login="bob")
    assert say(ada, f"{ROOM}/meta", topic="all about cats") == 0
    assert say(ada, f"{ROOM}/meta", title="The lobby", description="for all") == 0
    suback, got = bob.subscribe(f"{ROOM}/meta", 1)
    ada.publish(f"{ROOM}/meta", b'{"topic":"dogs"}', 1)
    (new,) = bob.messages()

    assert isinstance(suback, p.Answers)
    assert isinstance(got, p.Publish)
    shown = json.loads(got.payload)
    assert got.retain
    assert (shown["topic"], shown["topic_by"], shown["title"], shown["description"]) == (
        "all about cats",
        "ada",
        "The lobby",
        "for all",
    )
    assert json.loads(new.payload)["topic"] == "dogs"
    assert not new.retain


def test_who_is_in_a_room_is_retained_and_follows(net: Net) -> None:
    ada, bob = net.connect("a", login="ada"), net.connect("b", login="bob")

    answers = ada.subscribe(f"{ROOM}/members", 1)
    bob.subscribe(f"{ROOM}/text")
    soon = ada.messages()
    net.pass_time(1.5)
    (later,) = ada.messages()

    assert isinstance(answers[0], p.Answers)
    assert isinstance(answers[1], p.Publish)
    assert answers[1].retain
    assert json.loads(answers[1].payload) == {"count": 1, "members": [{"name": "ada", "role": "owner"}]}
    assert soon == []
    assert json.loads(later.payload)["members"] == [
        {"name": "ada", "role": "owner"},
        {"name": "bob", "role": "member"},
    ]
    assert bob.one(p.Ack, bob.publish(f"{ROOM}/members", b"{}", 1)).reason == Reason.NOT_AUTHORIZED


@BOTH
@pytest.mark.parametrize("payload", [b"composing", b'{"state":"composing"}'])
def test_typing_is_shown_in_rooms_and_between_two(net: Net, version: int, payload: bytes) -> None:
    ada, bob = net.connect("a", version, login="ada"), net.connect("b", version, login="bob")
    bob.subscribe(f"{ROOM}/typing")
    bob.subscribe(f"{BOB}/typing")

    ada.publish(f"{ROOM}/typing", payload)
    ada.publish(f"{BOB}/typing", payload)

    assert [(each.topic, json.loads(each.payload)) for each in bob.messages()] == [
        (f"{ROOM}/typing", {"state": "composing", "sender": "ada"}),
        (f"{BOB}/typing", {"state": "composing", "sender": "ada", "to": "bob"}),
    ]
    assert net.world.store.events[1:] == []  # the room was made, and that is all
    if version == V5:
        assert ada.one(p.Ack, ada.publish(f"{ROOM}/typing", b"dancing", 1)).reason == 0x99


def test_receipts_go_to_the_writer(net: Net) -> None:
    ada, bob = net.connect("a", login="ada"), net.connect("b", login="bob")
    ada.subscribe(f"{ADA}/status")
    bob.subscribe(f"{BOB}/inbox")
    ada.publish(f"{BOB}/text", b"read me")
    (got,) = objects(bob)

    assert say(bob, f"{ADA}/status", status="delivered", id=got["id"]) == 0
    assert say(bob, f"{ADA}/status", status="read", id=got["id"]) == 0
    assert say(bob, f"{ADA}/status", status="read", id="00" * 16) == Reason.PAYLOAD_FORMAT_INVALID

    assert objects(ada) == [
        {"status": "delivered", "name": "bob", "id": got["id"]},
        {"status": "read", "name": "bob", "id": got["id"]},
    ]


# People


@BOTH
def test_direct_messages_reach_all_devices_of_both(net: Net, version: int) -> None:
    ada, phone, bob = (net.connect(name, version, login=login) for name, login in
                       (("a", "ada"), ("p", "ada"), ("b", "bob")))  # fmt: skip
    ada.subscribe(f"{ADA}/inbox")
    phone.subscribe(f"{ADA}/#", 1)
    bob.subscribe(f"{BOB}/text")
    phone.took()

    ada.publish(f"{BOB}/text", b"hello bob", 1)
    heard = bob.messages()
    bob.publish(f"{ADA}/inbox", b'{"text":"hello ada"}', 1)

    assert [each.payload for each in heard] == [b"hello bob"]
    shown = objects(phone, f"{ADA}/inbox")
    assert [(each["sender"], each["to"], each["text"]) for each in shown] == [
        ("ada", "bob", "hello bob"),
        ("bob", "ada", "hello ada"),
    ]


def test_direct_messages_obey_block_lists(net: Net) -> None:
    ada, bob = net.connect("a", login="ada"), net.connect("b", login="bob")
    bob.subscribe(f"{BOB}/#")
    net.services.roster.block(net.account("bob"), ["ada"], lambda: None, _fail)
    net.run()
    bob.took()

    refused = ada.one(p.Ack, ada.publish(f"{BOB}/text", b"hello", 1))
    ada.publish(f"{BOB}/typing", b"composing")

    assert (refused.reason, refused.properties.texts[ids.REASON_STRING]) == (
        Reason.NOT_AUTHORIZED,
        Refusal.BLOCKED.value,
    )
    assert ada.one(p.Ack, ada.publish(f"{BOB}/reply/x", b"answer", 1)).reason in (0, 0x10)
    assert bob.messages() == []


def test_the_topics_of_a_person_are_its_own(net: Net) -> None:
    ada = net.connect("a", login="ada")
    net.account("bob")
    for what in ("inbox", "text", "typing", "status", "history", "read", "presence", "reply/x", "#", "+"):
        assert ada.one(p.Answers, ada.subscribe(f"{BOB}/{what}")).reasons == [Reason.NOT_AUTHORIZED], what
    for what in ("read", "presence"):
        assert ada.one(p.Ack, ada.publish(f"{BOB}/{what}", b"{}", 1)).reason == Reason.NOT_AUTHORIZED
    assert ada.one(p.Ack, ada.publish("chat/v1/u/nobody/text", b"x", 1)).reason == Reason.TOPIC_NAME_INVALID


def test_presence_is_retained_and_ends_with_the_connection(net: Net) -> None:
    ada, phone, bob = (net.connect(name, login=login) for name, login in
                       (("a", "ada"), ("p", "ada"), ("b", "bob")))  # fmt: skip
    befriend(net, "ada", "bob")

    answers = bob.subscribe(f"{ADA}/presence", 1)
    ada.publish(f"{ADA}/presence", b'{"show":"away","status":"at lunch"}')
    phone.publish(f"{ADA}/presence", b"online")
    phone.publish(f"{ADA}/presence", b"offline")
    ada.close()

    assert isinstance(answers[1], p.Publish)
    assert (answers[1].retain, json.loads(answers[1].payload)["show"]) == (True, "offline")
    assert [each["show"] for each in objects(bob)] == ["away", "online", "away", "offline"]
    assert phone.one(p.Ack, phone.publish(f"{ADA}/presence", b"dancing", 1)).reason == 0x99
    bob.send(p.Unsubscribe(2, [f"{ADA}/presence"]))
    phone.publish(f"{ADA}/presence", b"online")
    assert bob.messages() == []


def befriend(net: Net, one: str, other: str) -> None:
    """Let two see each other's presence."""
    roster = net.services.roster
    for mine, theirs in ((one, other), (other, one)):
        account, actor = net.account(mine), net.account(theirs).actor
        roster.ask(account, actor, b"", lambda *told: None, _fail)
        net.run()
        roster.approve(net.account(theirs), account.actor, lambda *told: None, _fail)
        net.run()


def test_a_will_may_end_ones_presence(net: Net) -> None:
    peer = net.open()
    net.account("ada")
    will = p.Will(f"{ADA}/presence", b"offline", 0, True)
    answers = peer.send(p.Connect(V5, "w", will=will, username="ada", password=PASSWORD.encode()))

    assert peer.one(p.Connack, answers).reason == 0
    peer.close()


def test_read_markers_are_retained_and_shared_between_devices(net: Net) -> None:
    ada, phone, bob = (net.connect(name, login=login) for name, login in
                       (("a", "ada"), ("p", "ada"), ("b", "bob")))  # fmt: skip
    ada.subscribe(f"{ADA}/inbox")
    phone.subscribe(f"{ADA}/read")
    phone.took()
    bob.publish(f"{ADA}/text", b"first")
    (first,) = objects(ada)
    ada.publish(f"{ROOM}/text", b"second")

    assert say(ada, f"{ADA}/read", to="bob", id=first["id"]) == 0
    assert say(ada, f"{ADA}/read", room="lobby", id=first["id"]) == Reason.PAYLOAD_FORMAT_INVALID
    assert say(ada, f"{ADA}/read", room="nowhere", id=first["id"]) == Reason.TOPIC_NAME_INVALID
    assert say(ada, f"{ADA}/read", id=first["id"]) == Reason.PAYLOAD_FORMAT_INVALID

    assert objects(phone) == [{"markers": [{"to": "bob", "id": first["id"], "ts": first["ts"]}]}]
    answers = net.connect("q", login="ada").subscribe(f"{ADA}/read")
    assert isinstance(answers[1], p.Publish)
    assert json.loads(answers[1].payload) == {"markers": [{"to": "bob", "ts": first["ts"]}]}


# History


def talk(net: Net) -> list[str]:
    """Say ten things in the lobby, and return their ids."""
    ada = net.connect("talker", login="ada")
    for number in range(10):
        ada.publish(f"{ROOM}/text", b"%d" % number)
    return [event.event_id.hex() for event in net.world.store.events if event.protocol == "mqtt"]


@BOTH
def test_history_comes_on_the_topic_where_it_is_asked_for(net: Net, version: int) -> None:
    ids_ = talk(net)
    bob = net.connect("b", version, login="bob")
    bob.subscribe(f"{ROOM}/history", 1)

    def ask(**fields: Any) -> dict[str, Any]:
        answers = bob.publish(f"{ROOM}/history", json.dumps(fields).encode() if fields else b"", 1)
        (answer,) = [json.loads(each.payload) for each in answers if isinstance(each, p.Publish)]
        return dict(answer)

    def texts(answer: dict[str, Any]) -> str:
        return "".join(each["text"] for each in answer["messages"])

    assert texts(ask()) == "0123456789"
    latest = ask(limit=3, id="q1")
    assert (texts(latest), latest["id"], latest["room"], "complete" in latest) == (
        "789",
        "q1",
        "lobby",
        False,
    )
    assert texts(ask(before=ids_[7], limit=3)) == "456"
    after = ask(after=ids_[7])
    assert (texts(after), after["complete"]) == ("89", True)
    assert texts(ask(after=ids_[1], before=ids_[5])) == "234"


def test_history_goes_to_the_response_topic_with_the_correlation_data(net: Net) -> None:
    talk(net)
    bob = net.connect("b", login="bob", properties=numbers(request_response_info=1))
    where = bob.connack.properties.texts[ids.RESPONSE_INFO]
    bob.subscribe(f"{where}/#", 1)
    bob.subscribe("plain/answers")
    for topic in (f"{where}/7", "plain/answers"):
        wanted = typed(response_topic=topic)
        wanted.data[ids.CORRELATION_DATA] = b"seven"
        answers = bob.publish(f"{ROOM}/history", b'{"limit":1}', 1, properties=wanted)
        (got,) = [each for each in answers if isinstance(each, p.Publish)]
        assert (got.topic, got.properties.data[ids.CORRELATION_DATA]) == (topic, b"seven")
        assert [each["text"] for each in json.loads(got.payload)["messages"]] == ["9"]

    for topic in (f"{ADA}/reply/x", f"{ROOM}/text", "$SYS/x"):
        answers = bob.publish(f"{ROOM}/history", b"", 1, properties=typed(response_topic=topic))
        assert bob.one(p.Ack, answers).reason == Reason.NOT_AUTHORIZED


def test_history_is_for_those_who_may_read_it(net: Net) -> None:
    talk(net)
    ada, bob = net.connect("a", login="ada"), net.connect("b", login="bob")
    ada.subscribe(f"{ROOM}/text")
    bob.subscribe(f"{BOB}/#")
    set_role(net, ada, "bob", Role.BANNED)
    bob.took()

    assert ada.one(p.Ack, ada.publish("chat/v1/r/nowhere/history", b"", 1)).reason == 0x90
    for bad in (b'{"limit":0}', b'{"limit":251}', b'{"before":"x"}', b"[]", b'{"since":-1}'):
        assert ada.one(p.Ack, ada.publish(f"{ROOM}/history", bad, 1)).reason == 0x99
    ack, told = bob.publish(f"{ROOM}/history", b"", 1)
    assert {type(ack), type(told)} == {p.Ack, p.Publish}
    assert [each.reason for each in (ack, told) if isinstance(each, p.Ack)] == [Reason.NOT_AUTHORIZED]


def test_history_shows_what_became_of_messages(net: Net) -> None:
    ids_ = talk(net)
    ada = net.connect("a", login="ada")
    ada.publish(f"{ROOM}/msg", json.dumps({"text": "nine", "replaces": ids_[9]}).encode())
    ada.publish(f"{ROOM}/msg", json.dumps({"deleted": True, "replaces": ids_[8]}).encode())
    ada.publish(f"{ROOM}/msg", json.dumps({"reaction": "👍", "reply_to": ids_[7]}).encode())
    ada.subscribe(f"{ROOM}/history")

    answers = [each for each in ada.publish(f"{ROOM}/history", b'{"limit":6}') if isinstance(each, p.Publish)]
    seven, eight, nine, edit, delete, reaction = json.loads(answers[0].payload)["messages"]
    assert (seven["text"], nine["text"]) == ("7", "9")
    assert (eight["deleted"], "text" in eight) == (True, False)
    assert (edit["replaces"], edit["text"]) == (ids_[9], "nine")
    assert (delete["replaces"], delete["deleted"]) == (ids_[8], True)
    assert (reaction["reply_to"], reaction["reaction"]) == (ids_[7], "👍")


def test_history_of_direct_messages(net: Net) -> None:
    ada, bob, eve = (net.connect(name, login=name) for name in ("ada", "bob", "eve"))
    bob.publish(f"{ADA}/text", b"from bob")
    eve.publish(f"{ADA}/text", b"from eve")
    ada.subscribe(f"{ADA}/history")

    def ask(topic: str) -> dict[str, Any]:
        answers = ada.publish(topic, b"")
        (answer,) = [json.loads(each.payload) for each in answers if isinstance(each, p.Publish)]
        return dict(answer)

    everything, with_bob = ask(f"{ADA}/history"), ask(f"{BOB}/history")

    assert [each["text"] for each in everything["messages"]] == ["from bob", "from eve"]
    assert ([each["text"] for each in with_bob["messages"]], with_bob["to"]) == (["from bob"], "bob")


@pytest.mark.spec("MQTT 5.0 §4.10")
def test_response_information_names_a_topic_where_others_may_answer(net: Net) -> None:
    ada = net.connect("a", login="ada", properties=numbers(request_response_info=1))
    bob = net.connect("b", login="bob", properties=numbers(request_response_info=0))
    where = ada.connack.properties.texts[ids.RESPONSE_INFO]
    assert ids.RESPONSE_INFO not in bob.connack.properties.texts
    ada.subscribe(f"{where}/+", 1)
    answer = typed(content_type="text/plain")
    answer.data[ids.CORRELATION_DATA] = b"1"

    bob.publish(f"{where}/lamp", b"on", 1, properties=answer)

    (got,) = ada.messages()
    assert (got.topic, got.payload, got.properties.data) == (
        f"{where}/lamp",
        b"on",
        {ids.CORRELATION_DATA: b"1"},
    )
    assert bob.one(p.Ack, bob.publish(f"{ADA}/reply/else", b"on", 1)).reason == 0
