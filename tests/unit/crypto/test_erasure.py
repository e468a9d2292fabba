"""Any enough chunks give the message back."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from sabir.crypto.erasure import CHUNKS, chunk, join


@given(st.integers(1, 36), st.data())
@settings(max_examples=60, deadline=None)
def test_any_enough_chunks_give_the_message_back(count: int, data: st.DataObject) -> None:
    message = data.draw(st.binary(min_size=32 * count, max_size=32 * count))
    numbers = data.draw(st.lists(st.integers(0, CHUNKS - 1), min_size=count, max_size=count + 3, unique=True))

    chunks = {number: chunk(message, number) for number in numbers}

    assert join(count, chunks) == message


def test_the_first_chunks_are_the_message_itself() -> None:
    message = bytes(range(96))

    assert [chunk(message, number) for number in range(3)] == [message[:32], message[32:64], message[64:]]


def test_fewer_chunks_than_there_were_give_nothing() -> None:
    message = bytes(range(96))

    assert join(3, {7: chunk(message, 7), 9: chunk(message, 9)}) is None


def test_the_field_is_the_one_of_libsignal() -> None:
    # A header as libsignal 0.103.0 sent it: its three first chunks, and two of those after.
    message = bytes.fromhex(HEADER)

    assert chunk(message, 3).hex() == FOURTH
    assert chunk(message, 7).hex() == EIGHTH


HEADER = (
    "b07b5d2dd4315fc31ff68a5a2b6a077f090289e7f5657d37767a0919635b06d7"
    "69e918ad1d87726a615dbb9925cf127c817593e8c1c705614fbb3bc117d60efe"
    "5d08cb37da154dc0b7554a803219b092f3acdf6e06a922392d2d1937dbb61bfb"
)
FOURTH = "849a8eb713a36069c9fe7b433cbca5917bdbc561320b5a6f14ec2befaf3b13d2"
EIGHTH = "670cc6e01af17120cf6c479a1ebe8dfa47bdf2248fae7aed0116cdc0993d1c72"
