"""The post-quantum ratchet as a session uses it."""

from __future__ import annotations

import os

import pytest

from sabir.crypto.errors import (
    DuplicateMessageError,
    InvalidMessageError,
    InvalidSessionError,
    InvalidVersionError,
    LegacyMessageError,
)
from sabir.crypto.spqr import BRAID, NONE, Direction, SparsePostQuantumRatchet

SECRET = bytes(range(32))


def pair(minimum: int = BRAID) -> tuple[SparsePostQuantumRatchet, SparsePostQuantumRatchet]:
    return (
        SparsePostQuantumRatchet.initial(Direction.A2B, SECRET, minimum=minimum),
        SparsePostQuantumRatchet.initial(Direction.B2A, SECRET, minimum=minimum),
    )


def test_both_sides_have_the_same_key_for_each_message_in_any_order() -> None:
    alice, bob = pair()
    sent = []
    for _ in range(10):
        alice, message, key = alice.send(os.urandom)
        sent.append((message, key))

    for message, key in reversed(sent):
        bob, heard = bob.receive(message)
        assert heard == key

    assert len({key for _, key in sent}) == 10


def test_a_message_is_read_once() -> None:
    alice, bob = pair()
    alice, message, _ = alice.send(os.urandom)
    bob, _ = bob.receive(message)

    with pytest.raises(DuplicateMessageError):
        bob.receive(message)


def test_a_message_without_the_ratchet_is_refused_where_the_ratchet_is_required() -> None:
    _, bob = pair()

    with pytest.raises(LegacyMessageError):
        bob.receive(b"")


def test_a_side_that_may_goes_without_for_one_that_cannot() -> None:
    _, bob = pair(NONE)
    alice = SparsePostQuantumRatchet.initial(Direction.A2B, SECRET, minimum=NONE, version=NONE)
    alice, message, key = alice.send(os.urandom)

    bob, heard = bob.receive(message)

    assert (message, key, heard) == (b"", None, None)
    assert bob.send(os.urandom)[1:] == (b"", None)


def test_keys_are_used_once_each_side_knows_that_the_other_has_them() -> None:
    alice, bob = pair(NONE)
    alice, message, first = alice.send(os.urandom)
    bob, heard = bob.receive(message)
    bob, answer, second = bob.send(os.urandom)
    alice, told = alice.receive(answer)

    assert (first, heard) == (None, None)
    assert second is not None
    assert second == told


def test_nothing_is_spoken_down_once_the_version_is_settled() -> None:
    alice, bob = pair(NONE)
    alice, message, _ = alice.send(os.urandom)
    bob, _ = bob.receive(message)

    with pytest.raises(LegacyMessageError):
        bob.receive(b"")


def test_a_version_of_tomorrow_is_told_apart_from_nonsense() -> None:
    _, bob = pair()

    with pytest.raises(InvalidVersionError):
        bob.receive(b"\x02\x01\x01\x00")
    for bad in (
        b"\x01",
        b"\x01\x01",
        b"\x01\x01\x01",
        b"\x01\x01\x01\x07",
        b"\x01\x00\x01\x00",
        b"\x01\x01\x01\x00\x00",
    ):
        with pytest.raises(InvalidMessageError):
            bob.receive(bad)


def test_the_state_survives_being_stored_and_nothing_else_is_taken_for_it() -> None:
    alice, _ = pair()
    alice, _, _ = alice.send(os.urandom)

    assert SparsePostQuantumRatchet.deserialize(alice.serialize()) == alice
    for bad in (b"", b"\x90", alice.serialize()[:-1], b"hello"):
        with pytest.raises(InvalidSessionError):
            SparsePostQuantumRatchet.deserialize(bad)
