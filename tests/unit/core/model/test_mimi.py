"""MIMI content in bytes: the published vectors, round trips, and bytes from strangers."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.core.model import cbor
from sabir.core.model import content as c
from sabir.core.model.cbor import Tag, Value
from sabir.core.model.content import (
    Content,
    Expiration,
    ExternalPart,
    MultiPart,
    NullPart,
    Part,
    PartSemantics,
    SinglePart,
)
from sabir.core.model.mimi import ContentSyntaxError, decode, encode, message_id

VECTORS = json.loads((Path(__file__).parents[3] / "vectors/mimi/vectors.json").read_text())["vectors"]
SALT = bytes(range(16))

vectors = pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])


@vectors
@pytest.mark.spec("draft-ietf-mimi-content-08 §6.1")
def test_each_vector_survives_the_way_in_and_out(vector: dict[str, str]) -> None:
    data = bytes.fromhex(vector["cbor"])

    content, salt = decode(data)

    assert encode(content, salt) == data


@vectors
@pytest.mark.spec("draft-ietf-mimi-content-08 §3.3")
def test_each_vector_has_the_published_message_id(vector: dict[str, str]) -> None:
    data = bytes.fromhex(vector["cbor"])
    content, salt = decode(data)

    got = message_id(vector["senderUri"], vector["roomUri"], data, salt)

    assert got.hex() == vector["messageId"]
    assert content.extensions == {c.SENDER_URI: vector["senderUri"], c.ROOM_URI: vector["roomUri"]}


def test_the_vectors_say_what_they_are_called() -> None:
    said = {vector["name"]: decode(bytes.fromhex(vector["cbor"]))[0] for vector in VECTORS}

    assert c.is_edit(said["edit"])
    assert c.is_delete(said["delete"])
    assert c.is_reaction(said["reaction"])
    assert c.is_unreaction(said["unlike"])
    assert said["expiring"].expires == Expiration(relative=False, time=1644390004)
    assert said["conferencing"].topic_id == b"Foo 118"


names = st.text(max_size=20)
octets = st.binary(max_size=40)
dispositions = st.integers(0, 255)
uint32 = st.integers(0, 2**32 - 1)
singles = st.builds(SinglePart, names, octets, dispositions, names)
externals = st.builds(
    ExternalPart,
    url=names,
    content_type=names,
    expires=uint32,
    size=st.integers(0, 2**64 - 1),
    enc_alg=st.integers(0, 2**16 - 1),
    key=octets,
    nonce=octets,
    aad=octets,
    hash_alg=st.integers(0, 255),
    content_hash=octets,
    description=names,
    filename=names,
    disposition=dispositions,
    language=names,
)


def parts(levels: int) -> st.SearchStrategy[Part]:
    leaves: st.SearchStrategy[Part] = st.one_of(st.builds(NullPart, dispositions, names), singles, externals)
    if levels == 1:
        return leaves
    inner = st.lists(parts(levels - 1), min_size=2, max_size=3).map(tuple)
    return st.one_of(leaves, st.builds(MultiPart, st.sampled_from(PartSemantics), inner, dispositions, names))


def values(levels: int) -> st.SearchStrategy[Value]:
    leaves: st.SearchStrategy[Value] = st.one_of(
        st.none(), st.booleans(), st.integers(-(2**64), 2**64 - 1), st.floats(allow_nan=False), octets, names
    )
    if levels == 0:
        return leaves
    keys = st.one_of(st.integers(-cbor.MAX_KEY, cbor.MAX_KEY), names, octets)
    return st.one_of(
        leaves,
        st.lists(values(levels - 1), max_size=3).map(tuple),
        st.dictionaries(keys, values(levels - 1), max_size=3),
        st.builds(Tag, st.integers(0, 2**64 - 1), values(levels - 1)),
    )


references = st.one_of(st.none(), st.binary(min_size=16, max_size=16), st.binary(min_size=32, max_size=32))
extension_keys = st.one_of(
    st.integers(3, cbor.MAX_KEY), st.integers(-cbor.MAX_KEY, -1), st.text(min_size=1, max_size=30)
)
expirations = st.one_of(st.none(), st.builds(Expiration, st.booleans(), uint32))
extensions = st.dictionaries(extension_keys, values(3), max_size=4)


@st.composite
def contents(draw: st.DrawFn) -> Content:
    return Content(
        replaces=draw(references),
        topic_id=draw(octets),
        expires=draw(expirations),
        in_reply_to=draw(references),
        extensions=draw(extensions),
        body=draw(parts(4)),
    )


@given(contents(), st.binary(min_size=16, max_size=16))
def test_any_content_survives_the_way_out_and_in(content: Content, salt: bytes) -> None:
    assert decode(encode(content, salt)) == (content, salt)


@given(
    st.one_of(
        st.binary(max_size=200), st.builds(lambda tail: b"\x87\x50" + SALT + tail, st.binary(max_size=60))
    )
)
def test_any_bytes_are_content_or_a_syntax_error(data: bytes) -> None:
    try:
        content, salt = decode(data)
    except ContentSyntaxError:
        return
    assert encode(content, salt) == data


@given(st.sampled_from(VECTORS), st.data())
def test_a_damaged_vector_is_content_or_a_syntax_error(vector: dict[str, str], draw: st.DataObject) -> None:
    data = bytearray.fromhex(vector["cbor"])
    at = draw.draw(st.integers(0, len(data) - 1))
    data[at : at + draw.draw(st.integers(0, 3))] = draw.draw(st.binary(max_size=3))
    try:
        content, salt = decode(bytes(data))
    except ContentSyntaxError:
        return
    assert encode(content, salt) == bytes(data)


@given(st.one_of(values(3), st.lists(values(2), min_size=7, max_size=7).map(tuple)))
def test_any_cbor_is_content_or_a_syntax_error(value: Value) -> None:
    data = cbor.encode(value)
    try:
        content, salt = decode(data)
    except ContentSyntaxError:
        return
    assert encode(content, salt) == data


GOOD: tuple[Value, ...] = (SALT, None, b"", None, None, {}, (1, "", 1, c.PLAIN, b"hi"))
EXTERNAL: tuple[Value, ...] = (6, "", 2, "", "https://d", 0, 0, 0, b"", b"", b"", 0, b"", "", "")


def nested(levels: int) -> Value:
    return (1, "", 0) if levels == 1 else (1, "", 3, 0, (nested(levels - 1), (1, "", 0)))


def deep(levels: int) -> Value:
    return () if levels == 1 else (deep(levels - 1),)


def test_the_pattern_of_the_refused_is_accepted() -> None:
    content, _ = decode(cbor.encode(GOOD))

    assert content == c.text("hi")
    assert isinstance(decode(cbor.encode((*GOOD[:6], EXTERNAL)))[0].body, ExternalPart)
    assert isinstance(decode(cbor.encode((*GOOD[:6], nested(4))))[0].body, MultiPart)
    assert decode(cbor.encode((*GOOD[:5], {"x": deep(3)}, GOOD[6])))[0].extensions == {"x": (((),),)}


@pytest.mark.spec("draft-ietf-mimi-content-08 §4.1")
@pytest.mark.parametrize(
    ("at", "value"),
    [
        (0, bytes(15)),
        (0, "0123456789abcdef"),
        (0, bytes(17)),
        (1, bytes(20)),
        (1, 7),
        (2, None),
        (2, bytes(1025)),
        (3, (1, 7)),
        (3, (True, -1)),
        (3, (True, 2**32)),
        (3, (True, True)),
        (3, (True,)),
        (3, 7),
        (4, bytes(33)),
        (5, ()),
        (5, dict.fromkeys(range(3, 68))),
        (5, {"": 0}),
        (5, {"x" * 256: 0}),
        (5, {b"x": 0}),
        (5, {1: b"mimi://d/u/x"}),
        (5, {2: 7}),
        (5, {"x": deep(4)}),
        (5, {"x": {"y": Tag(32, ((),))}}),
        (6, None),
        (6, (1, "")),
        (6, (256, "", 0)),
        (6, (True, "", 0)),
        (6, (1, b"", 0)),
        (6, (1, "", 4)),
        (6, (1, "", None)),
        (6, (1, "", 0, 0)),
        (6, (1, "", 1, c.PLAIN)),
        (6, (1, "", 1, c.PLAIN, "hi")),
        (6, (1, "", 1, "x" * 1025, b"hi")),
        (6, EXTERNAL[:-1]),
        (6, (1, "", 3, 3, ((1, "", 0), (1, "", 0)))),
        (6, (1, "", 3, "0", ((1, "", 0), (1, "", 0)))),
        (6, (1, "", 3, 0, ((1, "", 0),))),
        (6, (1, "", 3, 0, None)),
        (6, (1, "", 3, 0, ((1, "", 0),) * 256)),
        (6, nested(5)),
    ],
)
def test_content_that_breaks_a_rule_is_refused(at: int, value: Value) -> None:
    items = (*GOOD[:at], value, *GOOD[at + 1 :])

    with pytest.raises(ContentSyntaxError):
        decode(cbor.encode(items))


@pytest.mark.parametrize("at", range(3, 15))
def test_each_field_of_an_external_part_has_its_type(at: int) -> None:
    part = (*EXTERNAL[:at], None, *EXTERNAL[at + 1 :])

    with pytest.raises(ContentSyntaxError):
        decode(cbor.encode((*GOOD[:6], part)))


def test_a_message_that_is_too_long_is_refused_both_ways() -> None:
    content = Content(body=MultiPart(PartSemantics.PROCESS_ALL, (SinglePart(c.PLAIN, bytes(600_000)),) * 2))

    with pytest.raises(ContentSyntaxError, match="too long"):
        encode(content, SALT)
    with pytest.raises(ContentSyntaxError, match="too long"):
        decode(bytes(2_000_000))


@pytest.mark.parametrize(
    "content",
    [
        c.text("hi", language="\ud800"),
        c.extended(c.text("hi"), "\ud800", 1),
        c.extended(c.text("hi"), "x", "\ud800"),
        c.extended(c.text("hi"), "x", 2**64),
        Content(body=NullPart(), in_reply_to=b"short"),
    ],
)
def test_content_that_could_not_be_read_back_is_not_written(content: Content) -> None:
    with pytest.raises(ContentSyntaxError):
        encode(content, SALT)
