import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.wire.websocket.codec import (
    BINARY,
    CLOSE,
    CONTINUATION,
    INVALID_DATA,
    NO_STATUS,
    NORMAL,
    PING,
    PROTOCOL_ERROR,
    TEXT,
    TOO_BIG,
    Decoder,
    encode,
    encode_close,
    encode_masked,
    masked,
    read_close,
)
from sabir.wire.websocket.errors import FrameError

KEY = b"\x37\xfa\x21\x3d"
MAX_BYTES = 100_000

messages = st.lists(st.tuples(st.sampled_from([TEXT, BINARY]), st.text(max_size=400)), max_size=5)


def heard(decoder: Decoder, *pieces: bytes) -> list[tuple[int, bytes]]:
    found = []
    for piece in pieces:
        decoder.feed(piece)
        while (message := decoder.next()) is not None:
            found.append((message.opcode, message.payload))
    return found


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def fault(data: bytes, max_bytes: int = MAX_BYTES) -> int:
    with pytest.raises(FrameError) as raised:
        heard(Decoder(max_bytes), data)
    return raised.value.code


@pytest.mark.spec("RFC 6455 §5.7")
def test_the_examples_of_the_specification_are_read() -> None:
    assert heard(Decoder(10), b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58") == [(TEXT, b"Hello")]
    assert heard(Decoder(10, masked=False), b"\x01\x03Hel\x80\x02lo") == [(TEXT, b"Hello")]
    assert heard(Decoder(10, masked=False), b"\x89\x05Hello") == [(PING, b"Hello")]
    assert encode(BINARY, bytes(256))[:4] == b"\x82\x7e\x01\x00"
    assert encode(BINARY, bytes(65536))[:10] == b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"


@given(messages, st.integers(1, 300), st.binary(min_size=4, max_size=4))
def test_messages_survive_any_chunking(said: list[tuple[int, str]], size: int, key: bytes) -> None:
    data = b"".join(encode_masked(opcode, text.encode(), key) for opcode, text in said)

    assert heard(Decoder(MAX_BYTES), *cut(data, size)) == [(opcode, text.encode()) for opcode, text in said]


@given(st.sampled_from([0, 1, 125, 126, 65_535, 65_536, 90_000]), st.booleans())
def test_every_length_is_written_and_read_alike(size: int, is_client: bool) -> None:
    payload = b"a" * size
    data = encode_masked(TEXT, payload, KEY) if is_client else encode(TEXT, payload)

    assert heard(Decoder(MAX_BYTES, masked=is_client), data) == [(TEXT, payload)]


@given(st.binary(max_size=200), st.integers(1, 50))
def test_any_bytes_are_messages_or_a_frame_error(data: bytes, size: int) -> None:
    with contextlib.suppress(FrameError):
        for _, payload in heard(Decoder(100), *cut(data, size)):
            assert len(payload) <= 125


@given(st.binary(max_size=50), st.binary(min_size=4, max_size=4))
@pytest.mark.spec("RFC 6455 §5.3")
def test_masking_is_what_the_specification_writes_octet_by_octet(payload: bytes, key: bytes) -> None:
    assert masked(payload, key) == bytes(octet ^ key[at % 4] for at, octet in enumerate(payload))


@pytest.mark.spec("RFC 6455 §5.4")
def test_control_frames_come_between_fragments() -> None:
    data = (
        encode_masked(TEXT, b"a", KEY, is_last=False)
        + encode_masked(PING, b"?", KEY)
        + encode_masked(CONTINUATION, b"", KEY, is_last=False)
        + encode_masked(CONTINUATION, b"b", KEY)
    )

    assert heard(Decoder(10), data) == [(PING, b"?"), (TEXT, b"ab")]


@pytest.mark.spec("RFC 6455 §5.4")
def test_a_character_may_be_cut_in_two_by_fragments() -> None:
    data = encode_masked(TEXT, b"\xc3", KEY, is_last=False) + encode_masked(CONTINUATION, b"\xa9", KEY)

    assert heard(Decoder(10), data) == [(TEXT, "é".encode())]


@pytest.mark.spec("RFC 6455 §5.1", "RFC 6455 §5.2", "RFC 6455 §5.4", "RFC 6455 §5.5")
@pytest.mark.parametrize(
    "data",
    [
        encode(TEXT, b"not masked"),
        b"\xc1" + encode_masked(TEXT, b"a", KEY)[1:],  # a reserved bit
        encode_masked(0x3, b"a", KEY),
        encode_masked(0xB, b"a", KEY),
        encode_masked(CONTINUATION, b"a", KEY),
        encode_masked(TEXT, b"a", KEY, is_last=False) + encode_masked(TEXT, b"b", KEY),
        encode_masked(PING, b"a", KEY, is_last=False),
        encode_masked(PING, b"a" * 126, KEY),
        b"\x81\xfe\x00\x05" + KEY + masked(b"Hello", KEY),  # a length written too long
        b"\x81\xff\x00\x00\x00\x00\x00\x00\x00\x05" + KEY + masked(b"Hello", KEY),
        b"\x81\xff\x80\x00\x00\x00\x00\x00\x00\x05" + KEY,
    ],
)
def test_what_is_no_frame_of_a_client_is_a_protocol_error(data: bytes) -> None:
    assert fault(data) == PROTOCOL_ERROR


@pytest.mark.spec("RFC 6455 §8.1")
@pytest.mark.parametrize("text", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\xaf"])
def test_text_that_is_not_utf8_is_refused(text: bytes) -> None:
    assert fault(encode_masked(TEXT, text, KEY)) == INVALID_DATA


@pytest.mark.spec("RFC 6455 §10.4")
def test_a_message_over_the_limit_is_refused_when_its_length_is_known() -> None:
    assert fault(encode_masked(BINARY, bytes(11), KEY)[:6], max_bytes=10) == TOO_BIG
    fragments = encode_masked(BINARY, bytes(6), KEY, is_last=False) + encode_masked(
        CONTINUATION, bytes(5), KEY
    )
    assert fault(fragments, max_bytes=10) == TOO_BIG


@pytest.mark.spec("RFC 6455 §7.4")
@pytest.mark.parametrize(
    ("payload", "code"), [(b"", NO_STATUS), (b"\x03\xe8", NORMAL), (b"\x0f\xa0bye", 4000)]
)
def test_the_code_of_a_close_frame_is_read(payload: bytes, code: int) -> None:
    assert read_close(payload) == code
    assert heard(Decoder(10, masked=False), encode_close(code)) == [
        (CLOSE, b"" if code == NO_STATUS else code.to_bytes(2, "big"))
    ]


@pytest.mark.spec("RFC 6455 §7.4")
@pytest.mark.parametrize(
    "payload", [b"\x03", b"\x00\x01", b"\x03\xed", b"\x03\xee", b"\x07\xd0", b"\xff\xff", b"\x03\xe8\xff"]
)
def test_a_close_frame_with_a_wrong_code_or_reason_is_a_fault(payload: bytes) -> None:
    with pytest.raises(FrameError):
        read_close(payload)
