"""Framing finds the end of an element once, whatever the pieces, and stops early at what cannot be right."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.wire.xml import MAX_DEPTH, Framer, XmlError, XmlFault

STANZAS = [
    b"<presence/>",
    b"<message to='b'><body>1 > 0 &amp; \"x\"</body></message>",
    b"<a b='>' c=\"/>\"><d e='/a>'/></a>",
    b"<a><![CDATA[</a>]]]]><![CDATA[>]]></a>",
    "<a>é€😀</a>".encode(),
]


@given(st.sampled_from(STANZAS), st.integers(1, 7), st.sampled_from([b"", b"<next/>", b"</stream:stream>"]))
def test_the_end_is_found_in_any_chunking(stanza: bytes, size: int, after: bytes) -> None:
    framer, data, end = Framer(0), b"", -1
    everything = stanza + after
    for at in range(0, len(everything), size):
        data = everything[: at + size]
        end = framer.find_end(data)
        if end >= 0:
            break

    assert end == len(stanza)


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"<a><!-", XmlFault.RESTRICTED),
        (b"<!DOCTYPE", XmlFault.RESTRICTED),
        (b"<a><!DOCTYPE", XmlFault.RESTRICTED),
        (b"<![CDATA[", XmlFault.RESTRICTED),
        (b"<?xml", XmlFault.RESTRICTED),
        (b"<a <", XmlFault.NOT_WELL_FORMED),
        (b"<a b='<", XmlFault.NOT_WELL_FORMED),
        (b"<a></a<", XmlFault.NOT_WELL_FORMED),
        (b"</a>", XmlFault.NOT_WELL_FORMED),
        (b"<a>\xff", XmlFault.BAD_ENCODING),
        (b"<a>" * (MAX_DEPTH + 1), XmlFault.TOO_DEEP),
    ],
)
def test_what_cannot_become_an_element_is_refused_before_it_ends(data: bytes, fault: XmlFault) -> None:
    with pytest.raises(XmlError) as caught:
        Framer(0).find_end(data)

    assert caught.value.fault is fault


def test_a_big_element_in_small_pieces_is_looked_at_once() -> None:
    text = b"<a>" + b"x" * 200_000 + b"</a>"
    framer, view = Framer(0), b""

    steps = 0
    for at in range(0, len(text), 50):
        view = text[: at + 50]
        steps += 1
        if framer.find_end(view) >= 0:
            break

    assert steps == -(-len(text) // 50)


def test_the_end_of_an_opening_tag_is_found_in_any_chunking() -> None:
    opening = b"<stream:stream to='a>b' x=\"'>\" >"
    for size in range(1, 8):
        framer = Framer(0)
        ends = [framer.find_start_tag_end(opening[: at + size]) for at in range(0, len(opening), size)]

        assert ends[-1] == len(opening)
        assert set(ends[:-1]) <= {-1}


@pytest.mark.parametrize("data", [b"</a>", b"  </a"])
def test_an_opening_cannot_be_an_end_tag(data: bytes) -> None:
    with pytest.raises(XmlError):
        Framer(0).find_start_tag_end(data)


def test_an_opening_waits_for_its_first_byte() -> None:
    assert Framer(0).find_start_tag_end(b"   ") == -1
    assert Framer(0).find_start_tag_end(b" <") == -1
