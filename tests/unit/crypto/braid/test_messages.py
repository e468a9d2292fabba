"""The bytes of the `pq_ratchet` field."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.crypto.braid.messages import WITH_CHUNK, Kind, Message, decode, encode
from sabir.crypto.errors import InvalidMessageError

kinds = st.sampled_from(Kind)


@st.composite
def messages(draw: st.DrawFn) -> Message:
    kind = draw(kinds)
    epoch, index = draw(st.integers(1, 2**64 - 1)), draw(st.integers(0, 2**32 - 1))
    if kind not in WITH_CHUNK:
        return Message(epoch, index, kind)
    return Message(epoch, index, kind, draw(st.integers(0, 65535)), draw(st.binary(min_size=32, max_size=32)))


@given(messages())
def test_a_message_comes_back_as_it_went(message: Message) -> None:
    data = encode(message)

    assert decode(data) == message
    assert len(data) <= 52


@given(st.binary(max_size=60))
def test_any_bytes_are_one_message_or_refused(data: bytes) -> None:
    for attempt in (data, b"\x01" + data, b"\x01\x01\x01" + data):
        try:
            message = decode(attempt)
        except InvalidMessageError:
            continue
        assert encode(message) == attempt


@pytest.mark.parametrize(
    ("data", "message"),
    [
        # Sent by libsignal 0.103.0.
        ("01011f00", Message(1, 31)),
        ("01012d04", Message(1, 45, Kind.CT1_ACK)),
        (
            "01010101009" + "0" * 63,
            Message(1, 1, Kind.HEADER, 0, bytes.fromhex("9" + "0" * 63)),
        ),
        ("0181018f0200", Message(129, 271)),
    ],
)
def test_messages_look_like_those_of_libsignal(data: str, message: Message) -> None:
    assert decode(bytes.fromhex(data)) == message


@pytest.mark.parametrize(
    "data",
    [
        "",
        "02010100",
        "0100" + "0100",  # epoch 0
        "01810001" + "00",  # a number longer than it needs to be
        "01" + "ff" * 9 + "02" + "0100",  # an epoch of 65 bits
        "0101" + "ffffffff1f" + "00",  # an index of more than 32 bits
        "01010107",  # a kind that does not exist
        "0101010100" + "00" * 31,
        "0101010100" + "00" * 33,
        "0101010180800400" + "00" * 32,  # piece 65,536
    ],
)
def test_what_is_no_message_is_refused(data: str) -> None:
    with pytest.raises(InvalidMessageError):
        decode(bytes.fromhex(data))
