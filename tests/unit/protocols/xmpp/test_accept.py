"""What a client may not say for others is stripped; what it says is classified."""

from __future__ import annotations

import pytest

from sabir.core.model.event import ENCRYPTED, SILENT, UNREAD, Kind
from sabir.core.model.signals import TypingState
from sabir.protocols.xmpp import accept
from sabir.protocols.xmpp.accept import STRIPPED, Accepted
from sabir.protocols.xmpp.codec import stanza_of
from sabir.wire.xml import Element, parse

CONTEXT = b" xmlns='jabber:client'"
BODY = "<body>b</body>"


def accepted(children: str, attributes: str = "", language: bytes = b"") -> Accepted:
    stanza = stanza_of(parse(f"<message to='x@y'{attributes}>{children}</message>".encode(), CONTEXT))
    return accept.accept(stanza, b" from='me@localhost/r'", language, "localhost")


def shown(result: Accepted) -> Element:
    return parse(b"<message" + result.native, CONTEXT)


FORGERIES = [
    *[f"<x xmlns='{namespace.decode()}'><y/></x>" for namespace in STRIPPED if b"carbons" not in namespace],
    "<received xmlns='urn:xmpp:carbons:2'/>",
    "<stanza-id xmlns='urn:xmpp:sid:0' by='localhost' id='1'/>",
    "<delay xmlns='urn:xmpp:delay' from='localhost' stamp='2020-01-01T00:00:00Z'/>",
    "<delay xmlns='urn:xmpp:delay' from='rooms.localhost' stamp='2020-01-01T00:00:00Z'/>",
    "<delay xmlns='urn:xmpp:delay' from='a@localhost' stamp='2020-01-01T00:00:00Z'/>",
    "<delay xmlns='urn:xmpp:delay' stamp='2020-01-01T00:00:00Z'/>",
    "<delay xmlns='urn:xmpp:delay' from='@' stamp='2020-01-01T00:00:00Z'/>",
    "<x xmlns='jabber:x:delay' from='localhost' stamp='20200101T00:00:00'/>",
    "<retracted xmlns='urn:xmpp:message-retract:1' stamp='2020-01-01T00:00:00Z'/>",
    "<addresses xmlns='http://jabber.org/protocol/address'><address type='to' jid='x@y'/>"
    "<address type='ofrom' jid='eve@localhost/r'/></addresses>",
]


@pytest.mark.parametrize("forgery", FORGERIES)
def test_what_only_servers_say_is_stripped(forgery: str) -> None:
    message = shown(accepted(f"<a xmlns='urn:a'/>{forgery}{BODY}<b xmlns='urn:b'/>"))

    assert [child.name for child in message.elements()] == ["a", "body", "b"]


@pytest.mark.parametrize(
    "kept",
    [
        "<origin-id xmlns='urn:xmpp:sid:0' id='1'/>",
        "<addresses xmlns='http://jabber.org/protocol/address'><address type='cc' jid='x@y'/></addresses>",
        "<delay xmlns='urn:xmpp:delay' from='example.com' stamp='2020-01-01T00:00:00Z'/>",
        "<x xmlns='urn:example:unknown'><stanza-id xmlns='urn:xmpp:sid:0' by='a' id='1'/></x>",
        "<forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='x'/></forwarded>",
    ],
)
def test_everything_else_is_kept(kept: str) -> None:
    assert parse(kept.encode(), CONTEXT) in shown(accepted(BODY + kept)).elements()


def test_the_sender_is_ours_to_write_and_the_receiver_is_left_out() -> None:
    message = shown(accepted(BODY, " from='juliet@localhost' type='chat' id='1'"))

    assert message.attributes == {"from": "me@localhost/r", "type": "chat", "id": "1"}


def test_the_language_of_the_stream_is_written_where_none_is_said() -> None:
    assert shown(accepted(BODY, language=b"de")).get("xml:lang") == "de"
    assert shown(accepted(BODY, " xml:lang='en'", language=b"de")).get("xml:lang") == "en"


def test_a_wish_for_no_copies_is_kept_in_words_that_remain() -> None:
    message = shown(accepted(BODY + "<private xmlns='urn:xmpp:carbons:2'/>"))

    assert [(child.name, child.namespace) for child in message.elements()][1:] == [
        ("no-copy", "urn:xmpp:hints")
    ]


STATE = "<composing xmlns='http://jabber.org/protocol/chatstates'/>"
STORE, NO_STORE = "<store xmlns='urn:xmpp:hints'/>", "<no-store xmlns='urn:xmpp:hints'/>"
OMEMO = "<encrypted xmlns='eu.siacs.conversations.axolotl'/>"
REACTIONS = "<reactions xmlns='urn:xmpp:reactions:0' id='t'><reaction>👍</reaction><reaction>🐢</reaction></reactions>"


@pytest.mark.parametrize(
    ("children", "what", "kind", "flags", "target"),
    [
        (BODY, accept.EVENT, Kind.MESSAGE, UNREAD, b""),
        (BODY + STATE, accept.EVENT, Kind.MESSAGE, UNREAD, b""),
        (OMEMO, accept.EVENT, Kind.MESSAGE, UNREAD | ENCRYPTED, b""),
        (BODY + OMEMO, accept.EVENT, Kind.MESSAGE, UNREAD | ENCRYPTED, b""),
        (STORE, accept.EVENT, Kind.MESSAGE, SILENT, b""),
        ("<subject>s</subject>", accept.SUBJECT, Kind.MESSAGE, SILENT, b""),
        ("<subject>s</subject>" + BODY, accept.EVENT, Kind.MESSAGE, UNREAD, b""),
        (BODY + "<replace xmlns='urn:xmpp:message-correct:0' id='t'/>", accept.EVENT, Kind.EDIT, 0, b"t"),
        ("<retract xmlns='urn:xmpp:message-retract:1' id='t'/>", accept.EVENT, Kind.DELETE, 0, b"t"),
        ("<propose xmlns='urn:xmpp:jingle-message:0' id='c'/>", accept.EVENT, Kind.CALL, 0, b""),
        ("<finish xmlns='urn:xmpp:jingle-message:0' id='c'/>", accept.EVENT, Kind.CALL, 0, b""),
        ("<proceed xmlns='urn:xmpp:jingle-message:0' id='c'/>", accept.EVENT, Kind.MESSAGE, SILENT, b""),
        ("<retract xmlns='urn:xmpp:jingle-message:0' id='c'/>", accept.EVENT, Kind.MESSAGE, SILENT, b""),
        ("<ringing xmlns='urn:xmpp:jingle-message:0' id='c'/>", accept.RELAY, Kind.MESSAGE, 0, b""),
        (REACTIONS, accept.REACTIONS, Kind.MESSAGE, 0, b"t"),
        (REACTIONS + BODY + STORE, accept.REACTIONS, Kind.MESSAGE, 0, b"t"),
        (STATE, accept.TYPING, Kind.MESSAGE, 0, b""),
        ("<received xmlns='urn:xmpp:receipts' id='t'/>", accept.DELIVERED, Kind.MESSAGE, 0, b"t"),
        ("<received xmlns='urn:xmpp:chat-markers:0' id='t'/>", accept.DELIVERED, Kind.MESSAGE, 0, b"t"),
        ("<displayed xmlns='urn:xmpp:chat-markers:0' id='t'/>", accept.DISPLAYED, Kind.MESSAGE, 0, b"t"),
        (BODY + NO_STORE, accept.RELAY, Kind.MESSAGE, UNREAD, b""),
        ("<attention xmlns='urn:xmpp:attention:0'/>", accept.RELAY, Kind.MESSAGE, 0, b""),
        ("", accept.RELAY, Kind.MESSAGE, 0, b""),
    ],
)
def test_a_message_is_classified_by_what_it_carries(
    children: str, what: int, kind: Kind, flags: int, target: bytes
) -> None:
    result = accepted(children)

    assert (result.what, result.kind, result.flags, result.target) == (what, kind, flags, target)


def test_the_parts_of_a_signal_are_read() -> None:
    assert accepted(STATE).state is TypingState.COMPOSING
    assert accepted(REACTIONS).emojis == ("👍", "🐢")


def test_the_senders_own_id_is_noted() -> None:
    origin = "<origin-id xmlns='urn:xmpp:sid:0' id='o'/>"

    assert accepted(BODY + origin).native_id == b"o"
    assert accepted(BODY + origin, " id='i'").native_id == b"i"
