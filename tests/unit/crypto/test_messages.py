from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.crypto.curve import KeyPair
from sabir.crypto.errors import (
    InvalidMessageError,
    InvalidVersionError,
    LegacyMessageError,
    SignalProtocolError,
)
from sabir.crypto.messages import (
    MAX_MESSAGE_BYTES,
    PreKeySignalMessage,
    SenderKeyDistributionMessage,
    SenderKeyMessage,
    SignalMessage,
)
from sabir.crypto.protobuf import Fields, Writer

KEY = KeyPair.generate()
MAC_KEY = bytes(range(32))
IDENTITIES = b"a" * 33 + b"b" * 33
UUID = bytes(range(16))
PLAIN = SignalMessage.create(MAC_KEY, IDENTITIES, KEY.public_key, 7, 3, bytes(32), b"\x01\x01\x01\x00")
FIRST = PreKeySignalMessage(9, 11, 12, 13, b"\x08" + bytes(1568), KEY.public_key, KEY.public_key, PLAIN)
GROUP = SenderKeyMessage.create(KEY, UUID, 5, 6, bytes(16))
TOLD = SenderKeyDistributionMessage(UUID, 5, 6, bytes(32), KEY.public_key)
KINDS = [
    (SignalMessage, PLAIN),
    (PreKeySignalMessage, FIRST),
    (SenderKeyMessage, GROUP),
    (SenderKeyDistributionMessage, TOLD),
]


def without(kind: Any, message: Any, field: int) -> bytes:
    """Return the message without one of its fields, MAC or signature zero."""
    data = message.serialize()
    behind = {SignalMessage: 8, SenderKeyMessage: 64}.get(kind, 0)
    fields = Fields(data[1 : len(data) - behind])
    writer = Writer()
    for number, value in zip(fields._fields, fields._values, strict=True):
        if number == field:
            continue
        if isinstance(value, bytes):
            writer.data(number, value)
        else:
            writer.number(number, value)
    return data[:1] + writer.finish() + bytes(behind)


@pytest.mark.parametrize(("kind", "message"), KINDS)
def test_what_is_written_is_read(kind: Any, message: Any) -> None:
    read = kind.deserialize(message.serialize())

    for name in kind.__slots__:
        if name != "message":
            assert getattr(read, name) == getattr(message, name)


def test_types_are_those_of_libsignal() -> None:
    assert (PLAIN.type, FIRST.type, GROUP.type) == (2, 3, 7)


def test_the_mac_is_that_of_its_key_and_people_only() -> None:
    read = SignalMessage.deserialize(PLAIN.serialize())

    assert read.has_mac_of(MAC_KEY, IDENTITIES)
    assert not read.has_mac_of(bytes(32), IDENTITIES)
    assert not read.has_mac_of(MAC_KEY, IDENTITIES[33:] + IDENTITIES[:33])


def test_the_signature_is_that_of_its_key_only() -> None:
    read = SenderKeyMessage.deserialize(GROUP.serialize())

    assert read.is_signed_by(KEY.public_key)
    assert not read.is_signed_by(KeyPair.generate().public_key)


@pytest.mark.parametrize(("kind", "message"), KINDS)
def test_truncated_and_oversize_messages_are_refused(kind: Any, message: Any) -> None:
    data: bytes = message.serialize()
    behind = {SignalMessage: 8, SenderKeyMessage: 64}.get(kind, 0)

    for length in range(len(data) - behind):
        if behind and length > len(data) - 2 * behind:
            continue  # what is cut off the end is taken from the MAC or signature, which is checked later
        with pytest.raises(InvalidMessageError):
            kind.deserialize(data[:length])
    with pytest.raises(InvalidMessageError, match="more than"):
        kind.deserialize(data + bytes(MAX_MESSAGE_BYTES))


@pytest.mark.parametrize(("kind", "message"), KINDS)
def test_other_versions_are_refused_by_name(kind: Any, message: Any) -> None:
    data: bytes = message.serialize()

    with pytest.raises(LegacyMessageError):
        kind.deserialize(bytes((data[0] - 0x10,)) + data[1:])
    with pytest.raises(InvalidVersionError):
        kind.deserialize(bytes((data[0] + 0x10,)) + data[1:])


@pytest.mark.parametrize(
    ("kind", "message", "field"),
    [
        *((SignalMessage, PLAIN, field) for field in (1, 2, 4)),
        *((PreKeySignalMessage, FIRST, field) for field in (2, 3, 4, 6, 7, 8)),
        *((SenderKeyMessage, GROUP, field) for field in (1, 2, 3, 4)),
        *((SenderKeyDistributionMessage, TOLD, field) for field in (1, 2, 3, 4, 5)),
    ],
)
def test_a_message_without_a_field_that_it_needs_is_refused(kind: Any, message: Any, field: int) -> None:
    with pytest.raises(InvalidMessageError, match=f"field {field}"):
        kind.deserialize(without(kind, message, field))


def test_messages_with_bad_keys_are_refused() -> None:
    bad = b"\x05" + bytes(32)
    plain = SignalMessage.create(MAC_KEY, IDENTITIES, bad, 7, 3, bytes(32), b"")
    refused = [
        (SignalMessage, plain.serialize()),
        (PreKeySignalMessage, PreKeySignalMessage(1, 2, 3, 4, b"", bad, KEY.public_key, PLAIN).serialize()),
        (PreKeySignalMessage, PreKeySignalMessage(1, 2, 3, 4, b"", KEY.public_key, bad, PLAIN).serialize()),
        (SenderKeyDistributionMessage, SenderKeyDistributionMessage(UUID, 1, 2, bytes(32), bad).serialize()),
        (
            SenderKeyDistributionMessage,
            SenderKeyDistributionMessage(UUID, 1, 2, bytes(31), KEY.public_key).serialize(),
        ),
        (SenderKeyMessage, SenderKeyMessage.create(KEY, b"short", 1, 2, bytes(16)).serialize()),
    ]

    for kind, data in refused:
        with pytest.raises(InvalidMessageError):
            kind.deserialize(data)


@given(st.sampled_from(KINDS), st.binary(max_size=120), st.integers(0, 200))
def test_any_bytes_are_a_message_or_one_of_our_errors(one: tuple[Any, Any], junk: bytes, place: int) -> None:
    kind, message = one
    data: bytes = message.serialize()

    for bytes_ in (junk, data[:place] + junk, data[:place] + junk + data[place:], data[:1] + junk):
        with contextlib.suppress(SignalProtocolError):
            kind.deserialize(bytes_)
