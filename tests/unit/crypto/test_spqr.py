"""The post-quantum ratchet as a session uses it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sabir.crypto.braid.messages import Kind, Message, encode
from sabir.crypto.errors import (
    DuplicateMessageError,
    InvalidMessageError,
    InvalidSessionError,
    InvalidVersionError,
    LegacyMessageError,
)
from sabir.crypto.key_chain import MOST_JUMP, MOST_SKIPPED
from sabir.crypto.spqr import BRAID, NONE, Direction, SparsePostQuantumRatchet

SECRET = bytes(range(32))
RECORDED = Path(__file__).parents[2] / "vectors/spqr/libsignal.json"


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
    bob, offer, unused = bob.send(os.urandom)
    alice, ignored = alice.receive(offer)
    alice, message, key = alice.send(os.urandom)

    bob, heard = bob.receive(message)

    assert (unused, ignored) == (None, None)
    assert (message, key, heard) == (b"", None, None)
    assert bob.send(os.urandom)[1:] == (b"", None)
    assert (bob.epoch, alice.epoch) == (0, 0)


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


@pytest.mark.spec("Double Ratchet §5")
def test_a_conversation_heals_again_and_again_and_every_key_is_another() -> None:
    alice, bob = pair()
    keys = []
    while alice.epoch < 4:
        alice, message, sent = alice.send(os.urandom)
        bob, heard = bob.receive(message)
        bob, answer, replied = bob.send(os.urandom)
        alice, told = alice.receive(answer)
        assert (heard, told) == (sent, replied)
        keys += [sent, replied]

    assert bob.epoch in (3, 4)
    assert len(set(keys)) == len(keys)


@pytest.mark.spec("Double Ratchet §5")
def test_messages_that_were_sent_before_the_last_epoch_are_still_read() -> None:
    alice, bob = pair()
    late = []
    while alice.epoch < 3:
        alice, message, sent = alice.send(os.urandom)
        if len(late) % 7 == 3:
            late.append((message, sent, alice.epoch))
        else:
            late.append((b"", None, alice.epoch))
            bob, _ = bob.receive(message)
        bob, answer, _ = bob.send(os.urandom)
        alice, _ = alice.receive(answer)

    for message, sent, epoch in late:
        if message and epoch > 1:
            bob, heard = bob.receive(message)
            assert heard == sent


@pytest.mark.spec("Double Ratchet §5")
def test_the_keys_of_epochs_long_gone_are_deleted() -> None:
    alice, bob = pair()
    alice, first, _ = alice.send(os.urandom)
    while alice.epoch < 4:
        alice, message, _ = alice.send(os.urandom)
        bob, _ = bob.receive(message)
        bob, answer, _ = bob.send(os.urandom)
        alice, _ = alice.receive(answer)

    with pytest.raises(InvalidMessageError):
        bob.receive(first)
    assert bob.chain is not None
    assert len(bob.chain.links) <= 3


def test_two_thousand_keys_are_kept_for_what_may_still_come_and_no_more() -> None:
    alice, bob = pair()
    sent = []
    for _ in range(MOST_SKIPPED + 10):
        alice, message, key = alice.send(os.urandom)
        sent.append((message, key))

    bob, heard = bob.receive(sent[-1][0])
    assert heard == sent[-1][1]
    bob, heard = bob.receive(sent[10][0])

    assert heard == sent[10][1]
    with pytest.raises(DuplicateMessageError):
        bob.receive(sent[8][0])
    assert len(bob.serialize()) < MOST_SKIPPED * 40


def test_keys_that_were_passed_over_are_forgotten_while_later_messages_come_in_order() -> None:
    alice, bob = pair()
    alice, lost, _ = alice.send(os.urandom)
    alice, kept, key = alice.send(os.urandom)
    for _ in range(MOST_SKIPPED):
        alice, message, _ = alice.send(os.urandom)
        bob, _ = bob.receive(message)

    bob, heard = bob.receive(kept)

    assert heard == key
    with pytest.raises(DuplicateMessageError):
        bob.receive(lost)


@given(st.integers(0, 260), st.integers(0, 2**32), st.integers(-1, 2), st.sampled_from(Kind))
@settings(max_examples=150, deadline=None)
def test_whatever_a_stranger_sends_is_read_or_refused_in_our_words(
    past: int, seed: int, ahead: int, kind: Kind
) -> None:
    alice, bob = talked(past)
    noise = Random(seed)
    for side in (alice, bob):
        for number in (0, 1, noise.randrange(65536)):
            message = Message(
                max(1, side.epoch + ahead), noise.randrange(200), kind, number, noise.randbytes(32)
            )
            try:
                after, key = side.receive(encode(message))
            except (InvalidMessageError, DuplicateMessageError):
                continue
            assert key is not None
            after.send(os.urandom)


@cache
def talked(count: int) -> tuple[SparsePostQuantumRatchet, SparsePostQuantumRatchet]:
    """Return two after `count` messages each way."""
    if not count:
        return pair()
    alice, bob = talked(count - 1)
    alice, message, _ = alice.send(os.urandom)
    bob, _ = bob.receive(message)
    bob, answer, _ = bob.send(os.urandom)
    alice, _ = alice.receive(answer)
    return alice, bob


def test_a_message_too_far_ahead_is_refused_and_costs_nothing() -> None:
    _, bob = pair()

    with pytest.raises(InvalidMessageError):
        bob.receive(bytes((1, 1)) + b"\xaa\xc3\x01" + b"\x00")  # number 25,002

    assert MOST_JUMP == 25_000


def test_a_refused_message_changes_nothing() -> None:
    alice, bob = pair()
    while alice.epoch < 2:
        alice, message, _ = alice.send(os.urandom)
        bob, _ = bob.receive(message)
        bob, answer, _ = bob.send(os.urandom)
        alice, _ = alice.receive(answer)
    alice, message, key = alice.send(os.urandom)
    before = bob.serialize()

    for at in range(len(message)):
        spoiled = bytearray(message)
        spoiled[at] ^= 0x80
        try:
            _, heard = bob.receive(bytes(spoiled))
        except (InvalidMessageError, DuplicateMessageError):
            continue
        # What is not found out here gives another key, or is found out by the code over the whole message.
        assert heard != key or spoiled[3:] != message[3:]

    assert bob.serialize() == before
    assert bob.receive(message).key == key


def test_the_state_stays_small_however_long_people_talk() -> None:
    network = Random(4)
    alice, bob = pair()
    largest = 0
    for count in range(100_000):
        if network.random() < 0.5:
            alice, message, sent = alice.send(network.randbytes)
            if network.random() < 0.9:
                bob, heard = bob.receive(message)
                assert heard == sent
        else:
            bob, message, sent = bob.send(network.randbytes)
            if network.random() < 0.9:
                alice, heard = alice.receive(message)
                assert heard == sent
        if count % 97 == 0:
            largest = max(largest, len(alice.serialize()), len(bob.serialize()))

    assert alice.epoch > 500
    assert largest < 8_000


def dice() -> Callable[[int], bytes]:
    """Return a source of bytes that is the same each time."""
    count = 0

    def throw(size: int) -> bytes:
        nonlocal count
        count += 1
        return hashlib.shake_256(count.to_bytes(4, "big")).digest(size)

    return throw


@pytest.mark.spec("Double Ratchet §5")
def test_what_libsignal_sent_is_read_and_gives_the_keys_that_it_read_ours_with() -> None:
    recorded = json.loads(RECORDED.read_text())
    alice = SparsePostQuantumRatchet.initial(Direction.A2B, bytes.fromhex(recorded["secret"]))
    digest, random = hashlib.sha256(), dice()

    for step in recorded["steps"]:
        if step is None:
            alice, message, key = alice.send(random)
            digest.update(message)
        else:
            alice, key = alice.receive(bytes.fromhex(step))
        assert key is not None
        digest.update(key)

    assert alice.epoch == 4
    assert digest.hexdigest() == recorded["sha256"]


def test_an_initial_state_wants_a_key_of_the_right_length_and_versions_that_exist() -> None:
    for secret, minimum, version in ((SECRET[:31], BRAID, BRAID), (SECRET, BRAID, NONE), (SECRET, NONE, 2)):
        with pytest.raises(ValueError, match="32 bytes"):
            SparsePostQuantumRatchet.initial(Direction.A2B, secret, minimum=minimum, version=version)


def test_a_state_whose_parts_do_not_belong_together_sends_nothing() -> None:
    alice, _ = pair()
    assert alice.braid is not None
    damaged = msgspec.structs.replace(alice, braid=msgspec.structs.replace(alice.braid, epoch=2))

    with pytest.raises(InvalidSessionError):
        damaged.send(os.urandom)
