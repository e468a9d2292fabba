"""The exact parser takes one element and nothing that a stream may not carry."""

from __future__ import annotations

import gc

import pytest

from sabir.wire.xml import MAX_DEPTH, XmlError, XmlFault, parse, parse_opening
from sabir.wire.xml.parser import MAX_ATTRIBUTES, MAX_ELEMENTS

BAD = [
    (b"<a><!-- x --></a>", XmlFault.RESTRICTED),
    (b"<a><?x y?></a>", XmlFault.RESTRICTED),
    (b"<a>&lol;</a>", XmlFault.RESTRICTED),
    (b"<a b='&lol;'/>", XmlFault.RESTRICTED),
    (b"<a>\xff</a>", XmlFault.BAD_ENCODING),
    (b"<a>\xed\xa0\x80</a>", XmlFault.BAD_ENCODING),
    (b"<a>\x00</a>", XmlFault.NOT_WELL_FORMED),
    (b"<a></b>", XmlFault.NOT_WELL_FORMED),
    (b"<a", XmlFault.NOT_WELL_FORMED),
    (b"<a/><b/>", XmlFault.NOT_WELL_FORMED),
    (b"text", XmlFault.NOT_WELL_FORMED),
    (b"<a/></_><_>", XmlFault.NOT_WELL_FORMED),
    (b"<x:a/>", XmlFault.NOT_WELL_FORMED),
    (b"<a b='1' b='2'/>", XmlFault.NOT_WELL_FORMED),
    (b"<a>" * (MAX_DEPTH + 1) + b"</a>" * (MAX_DEPTH + 1), XmlFault.TOO_DEEP),
    (b"<a>" + b"<b/>" * MAX_ELEMENTS + b"</a>", XmlFault.TOO_MANY),
    (b"<a" + b"".join(b" a%d=''" % n for n in range(MAX_ATTRIBUTES + 1)) + b"/>", XmlFault.TOO_MANY),
]


@pytest.mark.parametrize(("data", "fault"), BAD, ids=[str(data[:24]) for data, _ in BAD])
def test_what_a_stream_may_not_carry_is_refused_with_its_reason(data: bytes, fault: XmlFault) -> None:
    with pytest.raises(XmlError) as caught:
        parse(data)

    assert caught.value.fault is fault


def test_sixty_four_levels_are_accepted() -> None:
    assert parse(b"<a>" * MAX_DEPTH + b"</a>" * MAX_DEPTH).name == "a"


def test_an_element_is_read_in_the_context_of_its_stream() -> None:
    element = parse(b"<message><x:y/></message>", b" xmlns='jabber:client' xmlns:x='urn:x'")

    assert element.namespace == "jabber:client"
    assert element.elements()[0].namespace == "urn:x"


def test_the_opening_of_a_stream_tells_its_namespaces() -> None:
    opening = parse_opening(
        b"<?xml version='1.0'?>\n<stream:stream xmlns='jabber:client' to='localhost' "
        b"xmlns:stream='http://etherx.jabber.org/streams' version='1.0' xml:lang='en'>"
    )

    assert (opening.element.name, opening.element.namespace) == ("stream", "http://etherx.jabber.org/streams")
    assert opening.default_namespace == "jabber:client"
    assert opening.element.get("xml:lang") == "en"
    assert parse(b"<stream:x/>", opening.declarations).namespace == "http://etherx.jabber.org/streams"


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"<?xml version='1.0' encoding='ISO-8859-1'?><a>", XmlFault.BAD_ENCODING),
        (b"<!DOCTYPE a><a>", XmlFault.RESTRICTED),
        (b"<a b='&x;'>", XmlFault.RESTRICTED),
        (b"<a/>", XmlFault.NOT_WELL_FORMED),
        (b"GET / HTTP/1.1\r\n", XmlFault.NOT_WELL_FORMED),
    ],
)
def test_an_opening_that_is_none_is_refused(data: bytes, fault: XmlFault) -> None:
    with pytest.raises(XmlError) as caught:
        parse_opening(data)

    assert caught.value.fault is fault


def test_an_opening_without_namespace_has_none() -> None:
    assert parse_opening(b"<a>").default_namespace == ""


def test_a_parse_leaves_nothing_for_the_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        for _ in range(10):
            parse(b"<a><b>c</b></a>")
        with pytest.raises(XmlError):
            parse(b"<a></b>")
        assert gc.collect() == 0
    finally:
        gc.enable()
