import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.protocols.xmpp.bosh import BoshSyntaxError, encode, opening, read
from sabir.protocols.xmpp.codec import StreamEnd
from sabir.protocols.xmpp.errors import StreamError
from sabir.protocols.xmpp.framing import FramedDecoder, declared, encode_open
from sabir.protocols.xmpp.types import Stanza
from sabir.wire.xml import Opening, parse

OPEN = b"<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>"
pieces = st.lists(
    st.sampled_from(
        [
            OPEN,
            b"<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>",
            b"<iq xmlns='jabber:client' type='get' id='a'><ping xmlns='urn:xmpp:ping'/></iq>",
            b"<a:iq xmlns:a='jabber:client'/>",
            b"<r xmlns='urn:xmpp:sm:3'/>",
            b"<body xmlns='http://jabber.org/protocol/httpbind' rid='1'>",
            b"</body>",
            b"<",
            b"<![CDATA[",
            b"&lt;",
            b"\xc3",
            b" ",
        ]
    ),
    max_size=4,
).map(b"".join)


@given(st.lists(st.one_of(pieces, st.binary(max_size=30)), max_size=5))
def test_any_messages_are_frames_or_a_stream_error(messages: list[bytes]) -> None:
    decoder = FramedDecoder(1_000)
    with contextlib.suppress(StreamError):
        for message in (OPEN, *messages):
            decoder.feed(message)
            while (frame := decoder.next()) is not None:
                assert isinstance(frame, Stanza | Opening | StreamEnd)
                if isinstance(frame, Opening):
                    decoder.restart()


@pytest.mark.parametrize("name", ["iq", "a:iq"])
def test_a_stanza_is_read_alike_by_the_scanner_and_by_the_exact_parser(name: str) -> None:
    prefix, _, _ = name.rpartition(":")
    xmlns = f"xmlns:{prefix}" if prefix else "xmlns"
    decoder = FramedDecoder(1_000)
    decoder.feed(OPEN)
    decoder.feed(f"<{name} {xmlns}='jabber:client' type='get' id='1' to='b'/>".encode())

    assert isinstance(decoder.next(), Opening)
    stanza = decoder.next()

    assert isinstance(stanza, Stanza)
    assert (stanza.name, stanza.namespace, stanza.type, stanza.id, stanza.to) == (
        b"iq",
        b"",
        b"get",
        b"1",
        b"b",
    )


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=20), st.text(alphabet="abc'<&\"", max_size=5))
def test_our_opening_is_a_document_whatever_the_names(domain: str, to: str) -> None:
    element = parse(encode_open(domain, "id", to))

    assert (element.name, element.get("version")) == ("open", "1.0")
    assert (element.get("to") or "") == to


@pytest.mark.parametrize(
    ("stanza", "expected"),
    [
        (b"<message to='a'", b"<message xmlns='jabber:client' to='a'"),
        (b"<message xmlns='jabber:client'>", b"<message xmlns='jabber:client'>"),
        (b"<presence/>", b"<presence xmlns='jabber:client'/>"),
        (b"<iq id='1'/>", b"<iq xmlns='jabber:client' id='1'/>"),
        (b"<r xmlns='urn:xmpp:sm:3'/>", b"<r xmlns='urn:xmpp:sm:3'/>"),
        (
            b"<stream:features><a/></stream:features>",
            b"<stream:features xmlns:stream='http://etherx.jabber.org/streams'><a/></stream:features>",
        ),
    ],
)
def test_what_would_have_its_namespace_from_the_stream_gets_it(stanza: bytes, expected: bytes) -> None:
    assert declared(stanza) == expected


@given(st.one_of(pieces, st.binary(max_size=60)))
def test_any_body_is_a_request_or_a_syntax_error(body: bytes) -> None:
    with contextlib.suppress(BoshSyntaxError):
        request = read(body)
        assert request.rid > 0
        parse(opening(request))
        parse(encode(request.messages))
