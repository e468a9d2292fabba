"""Any chunking gives the same stanzas; any bytes give stanzas or a stream error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.protocols.xmpp.codec import (
    Decoder,
    Frame,
    StreamEnd,
    child_element,
    element_of,
    encode_error_reply,
    encode_opening,
    encode_reply,
    encode_stream_error,
    stanza_of,
)
from sabir.protocols.xmpp.errors import (
    SERVICE_UNAVAILABLE,
    ErrorType,
    StanzaError,
    StreamCondition,
    StreamError,
)
from sabir.protocols.xmpp.types import Stanza
from sabir.wire.xml import Opening, parse

OPENING = (
    b"<?xml version='1.0'?><stream:stream to='localhost' version='1.0' xml:lang='de' xmlns='jabber:client'"
    b" xmlns:stream='http://etherx.jabber.org/streams' xmlns:x='urn:x'>"
)
STANZAS = [
    b"<presence/>",
    b"<message to='bob@localhost' type='chat' id='1'><body>hi &amp; bye</body>"
    b"<active xmlns='http://jabber.org/protocol/chatstates'/></message>",
    b"<iq type='get' id='2'><query xmlns='jabber:iq:roster'/></iq>",
    b"<message><body><![CDATA[<x>]]></body></message>",
    b"<message><x:y id='7'/></message>",
    b'<message to="a@b/c\'d" id="o\'clock"><body/></message>',
    "<message to='é@b'><body>€&#x41;</body></message>".encode(),
    b"<r xmlns='urn:xmpp:sm:3'/>",
]


def decoded(data: bytes, size: int, max_bytes: int = 262_144) -> list[Frame]:
    decoder, frames = Decoder(max_bytes), []
    for at in range(0, len(data), size):
        decoder.feed(data[at : at + size])
        while (frame := decoder.next()) is not None:
            frames.append(frame)
    return frames


@given(
    st.lists(st.sampled_from(STANZAS), max_size=5), st.integers(1, 200), st.sampled_from([b"", b" ", b"\n\n"])
)
def test_any_chunking_gives_the_same_stanzas(stanzas: list[bytes], size: int, between: bytes) -> None:
    data = OPENING + between + b"".join([stanza + between for stanza in stanzas]) + b"</stream:stream>"

    first, *frames, last = decoded(data, size)

    assert isinstance(first, Opening)
    assert isinstance(last, StreamEnd)
    context = b" xmlns='jabber:client' xmlns:x='urn:x'"
    assert [element_of(frame) for frame in frames if isinstance(frame, Stanza)] == [
        parse(stanza, context) for stanza in stanzas
    ]
    assert len(frames) == len(stanzas)


@given(st.lists(st.one_of(st.binary(max_size=20), st.sampled_from([*STANZAS, OPENING])), max_size=6))
def test_any_bytes_give_stanzas_or_a_stream_error(pieces: list[bytes]) -> None:
    decoder = Decoder(1000)
    try:
        for piece in [OPENING, *pieces]:
            decoder.feed(piece)
            while decoder.next() is not None:
                pass
    except StreamError as error:
        assert error.condition  # noqa: PT017


def test_a_stanza_knows_its_addresses_children_and_remaining_attributes() -> None:
    _, stanza = decoded(
        OPENING + b"<message from='a@b/c' to='bob@localhost' type='chat' id='1' xml:lang='en'>"
        b"<body>hi</body> <origin-id xmlns='urn:xmpp:sid:0' id='o'/></message>",
        4096,
    )
    assert isinstance(stanza, Stanza)

    assert (stanza.name, stanza.namespace, stanza.type, stanza.id) == (b"message", b"", b"chat", b"1")
    assert (stanza.to, stanza.sender) == (b"bob@localhost", b"a@b/c")
    assert stanza.attributes == b" type='chat' id='1' xml:lang='en'"
    assert [child[:3] for child in stanza.children] == [
        (b"body", None, None),
        (b"origin-id", b"urn:xmpp:sid:0", b"o"),
    ]
    assert child_element(stanza, stanza.children[0]).text() == "hi"
    assert stanza.data[stanza.head : stanza.end].startswith(b"><body>")


def test_a_stanza_made_from_a_tree_is_the_same_stanza() -> None:
    tree = parse(
        b"<message to='b' id='1'>x<y xmlns='urn:y' id='&apos;'/></message>", b" xmlns='jabber:client'"
    )

    stanza = stanza_of(tree)

    stanza.tree = None
    assert element_of(stanza) == tree
    assert stanza.data[stanza.children[0][3] : stanza.children[0][4]] == b"<y xmlns='urn:y' id='&apos;'/>"


@pytest.mark.parametrize(
    ("data", "condition"),
    [
        (b"\x16\x03\x01\x02\x00", StreamCondition.NOT_WELL_FORMED),
        (b"<?xml version='1.0' encoding='latin1'?><a>", StreamCondition.UNSUPPORTED_ENCODING),
        (b"<!DOCTYPE x>", StreamCondition.RESTRICTED_XML),
        (b"<a b='" + b"x" * 9000, StreamCondition.POLICY_VIOLATION),
        (OPENING + b"text", StreamCondition.BAD_FORMAT),
        (OPENING + b"</stream>", StreamCondition.NOT_WELL_FORMED),
        (OPENING + b"<message><body>&lol;</body></message>", StreamCondition.RESTRICTED_XML),
        (OPENING + b"<message><!--", StreamCondition.RESTRICTED_XML),
        (OPENING + b"<!DOCTYPE lolz [<!ENTITY lol 'lol'>", StreamCondition.RESTRICTED_XML),
        (OPENING + b"<message><body>\xff</body></message>", StreamCondition.UNSUPPORTED_ENCODING),
        (OPENING + b"<message><body>\xff", StreamCondition.UNSUPPORTED_ENCODING),
        (OPENING + b"<message></body>", StreamCondition.NOT_WELL_FORMED),
        (OPENING + b"<a>" * 1000, StreamCondition.POLICY_VIOLATION),
        (OPENING + b"<message><body>" + b"x" * 300_000, StreamCondition.POLICY_VIOLATION),
        (OPENING + b"<message>" + b"y" * 262_144 + b"</message>", StreamCondition.POLICY_VIOLATION),
        (OPENING + b"</stream:stream " + b" " * 300_000, StreamCondition.POLICY_VIOLATION),
    ],
)  # fmt: skip
@pytest.mark.parametrize("size", [1 << 20, 777])
def test_hostile_input_ends_the_stream_with_the_right_error(
    data: bytes, condition: StreamCondition, size: int
) -> None:
    with pytest.raises(StreamError) as caught:
        decoded(data, size)

    assert caught.value.condition is condition


def test_a_stream_may_restart_and_forget_what_came_in_clear() -> None:
    decoder = Decoder(10_000)
    decoder.feed(OPENING + b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/><message>")
    assert isinstance(decoder.next(), Opening)
    assert isinstance(decoder.next(), Stanza)

    decoder.clear()
    decoder.restart()
    decoder.feed(OPENING)

    assert isinstance(decoder.next(), Opening)
    assert decoder.next() is None


def test_answers_turn_the_addresses_round_and_are_well_formed() -> None:
    stanza = stanza_of(parse(b"<iq to='b' from='a' id='&lt;1'/>", b" xmlns='jabber:client'"))
    error = StanzaError(ErrorType.WAIT, "conflict", "it's <taken>", "<x xmlns='urn:x'/>")

    reply = parse(encode_reply(stanza, "result", "<q xmlns='u'/>", "me@d/r"), b" xmlns='jabber:client'")
    refusal = parse(encode_error_reply(stanza, error, ""), b" xmlns='jabber:client'")

    assert reply.attributes == {"type": "result", "id": "<1", "to": "me@d/r", "from": "b"}
    assert refusal.attributes == {"type": "error", "id": "<1", "from": "b"}
    assert [child.name for child in refusal.elements()[0].elements()] == ["conflict", "text", "x"]
    assert b"to=" not in encode_error_reply(stanza_of(parse(b"<iq/>")), SERVICE_UNAVAILABLE, "")


def test_our_opening_and_our_stream_error_make_one_document() -> None:
    document = encode_opening("localhost", "id'1", "a@b") + encode_stream_error(
        StreamError(StreamCondition.CONFLICT, "Somebody else.")
    )

    stream = parse(document.removeprefix(b"<?xml version='1.0'?>"))

    assert stream.get("id") == "id'1"
    assert [child.name for child in stream.elements()[0].elements()] == ["conflict", "text"]
