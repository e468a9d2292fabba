"""Both sides of the braid, state by state, and whatever the network does to their messages."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sabir.crypto.braid import machine
from sabir.crypto.braid.messages import Kind, Message
from sabir.crypto.braid.states import (
    Braid,
    Ct1Acknowledged,
    Ct1Received,
    Ct1Sampled,
    Ct2Sampled,
    EkReceivedCt1Sampled,
    EkSentCt1Received,
    HeaderReceived,
    HeaderSent,
    KeysUnsampled,
    NoHeaderReceived,
)
from sabir.crypto.errors import InvalidMessageError

SECRET = bytes(32)


class Side:
    """One side, and the secrets that it gave."""

    def __init__(self, braid: Braid, seed: int) -> None:
        self.braid = braid
        self.secrets: dict[int, bytes] = {}
        self.random = Random(seed).randbytes

    def send(self) -> Message:
        sent = machine.send(self.braid, self.random)
        self.braid = sent.braid
        if sent.secret is not None:
            self.secrets[sent.braid.epoch] = sent.secret
        return Message(sent.braid.epoch, 1, sent.kind, sent.number, sent.chunk)

    def receive(self, message: Message) -> None:
        got = machine.receive(self.braid, message)
        self.braid = got.braid
        if got.secret is not None:
            self.secrets[got.braid.epoch - 1] = got.secret


def sides(seed: int = 1) -> tuple[Side, Side]:
    return Side(machine.first_to_send(SECRET), seed), Side(machine.first_to_answer(SECRET), seed + 1)


def until(sender: Side, receiver: Side, state: type) -> None:
    """Let both talk in turn until the receiver is in `state`."""
    for _ in range(200):
        receiver.receive(sender.send())
        if isinstance(receiver.braid.state, state):
            return
        sender.receive(receiver.send())
    raise AssertionError(f"never {state.__name__}")


@pytest.mark.spec("ML-KEM Braid §2.5")
def test_two_who_talk_in_turn_go_through_the_states_and_swap_parts() -> None:
    alice, bob = sides()
    seen: list[list[str]] = [[], []]
    while alice.braid.epoch < 3 or bob.braid.epoch < 3:
        for one, other in ((alice, bob), (bob, alice)):
            other.receive(one.send())
            for side, names in zip((alice, bob), seen, strict=True):
                name = type(side.braid.state).__name__
                if not names or names[-1] != name:
                    names.append(name)

    makes = ["KeysSampled", "HeaderSent", "Ct1Received", "EkSentCt1Received"]
    answers = ["NoHeaderReceived", "HeaderReceived", "Ct1Sampled", "Ct1Acknowledged", "Ct2Sampled"]
    assert seen[0] == [*makes, *answers, "KeysUnsampled"][: len(seen[0])]
    assert seen[1] == [*answers, "KeysUnsampled", *makes, "NoHeaderReceived"][: len(seen[1])]
    assert alice.secrets == bob.secrets
    assert len(set(alice.secrets.values())) == 2


@pytest.mark.spec("ML-KEM Braid §2.5")
@given(st.integers(0, 2**32), st.floats(0, 0.7), st.floats(0.1, 0.9), st.booleans())
@settings(max_examples=25, deadline=None)
def test_whatever_is_lost_late_or_doubled_both_agree(
    seed: int, loss: float, share: float, shuffled: bool
) -> None:
    network = Random(seed)
    alice, bob = sides(seed)
    under_way: list[tuple[Side, Message]] = []
    for _ in range(4000):
        one, other = (alice, bob) if network.random() < share else (bob, alice)
        message = one.send()
        if network.random() >= loss:
            under_way.append((other, message))
            if network.random() < 0.1:
                under_way.append((other, message))
        while len(under_way) > (8 if shuffled else 0):
            receiver, message = under_way.pop(network.randrange(len(under_way)) if shuffled else 0)
            # The other side cannot be ahead of what it was told, however late it comes.
            receiver.receive(message)
        if alice.braid.epoch > 2 and bob.braid.epoch > 2:
            break

    both = alice.secrets.keys() & bob.secrets.keys()
    assert {1, 2} <= both
    assert all(alice.secrets[epoch] == bob.secrets[epoch] for epoch in both)


@pytest.mark.spec("ML-KEM Braid §2.5")
def test_all_of_the_key_may_arrive_before_anything_of_ct1_is_acknowledged() -> None:
    alice, bob = sides()
    until(bob, alice, HeaderSent)
    for _ in range(machine.EK_CHUNKS):
        bob.receive(alice.send())
    assert isinstance(bob.braid.state, EkReceivedCt1Sampled)

    while not isinstance(alice.braid.state, Ct1Received):
        alice.receive(bob.send())
    bob.receive(alice.send())

    assert isinstance(bob.braid.state, Ct2Sampled)


@pytest.mark.spec("ML-KEM Braid §2.5")
def test_the_last_piece_of_the_key_may_acknowledge_ct1() -> None:
    alice, bob = sides()
    until(bob, alice, HeaderSent)
    for _ in range(machine.EK_CHUNKS - 1):
        bob.receive(alice.send())
    while not isinstance(alice.braid.state, Ct1Received):
        alice.receive(bob.send())
    assert isinstance(bob.braid.state, Ct1Sampled)

    bob.receive(alice.send())

    assert isinstance(bob.braid.state, Ct2Sampled)


@pytest.mark.spec("ML-KEM Braid §2.5")
def test_who_speaks_alone_repeats_itself_in_ever_new_pieces() -> None:
    alice, bob = sides()
    sent = [alice.send() for _ in range(50)]

    assert {message.kind for message in sent} == {Kind.HEADER}
    assert [message.number for message in sent] == list(range(50))
    for message in sent[-3:]:
        bob.receive(message)
    assert isinstance(bob.braid.state, HeaderReceived)


@pytest.mark.spec("ML-KEM Braid §2.5")
def test_a_piece_of_another_state_or_an_earlier_epoch_changes_nothing() -> None:
    alice, bob = sides()
    until(bob, alice, NoHeaderReceived)
    assert alice.braid.epoch == 2

    for kind in Kind:
        for epoch in (1, 2) if kind is not Kind.HEADER else (1,):
            before = alice.braid
            alice.receive(Message(epoch, 1, kind, 0, bytes(32)))
            assert alice.braid == before


@pytest.mark.spec("ML-KEM Braid §2.5")
@pytest.mark.parametrize("epoch", [2, 3, 2**63])
def test_an_epoch_that_cannot_be_is_refused(epoch: int) -> None:
    for side in sides():
        with pytest.raises(InvalidMessageError):
            side.receive(Message(epoch, 1))
    alice, bob = sides()
    until(alice, bob, Ct2Sampled)
    with pytest.raises(InvalidMessageError):
        bob.receive(Message(epoch + 1, 1))


def altered(message: Message, at: int) -> Message:
    chunk = bytearray(message.chunk)
    chunk[at] ^= 0x01
    return Message(message.epoch, message.index, message.kind, message.number, bytes(chunk))


@pytest.mark.spec("ML-KEM Braid §2.3")
@pytest.mark.parametrize("at", range(32))
@pytest.mark.parametrize("which", range(machine.HEADER_CHUNKS))
def test_a_header_that_was_altered_anywhere_is_refused_and_the_true_one_still_read(
    which: int, at: int
) -> None:
    alice, bob = sides()
    sent = [alice.send() for _ in range(machine.HEADER_CHUNKS)]
    last = sent.pop(which)
    for message in sent:
        bob.receive(message)
    before = bob.braid

    with pytest.raises(InvalidMessageError):
        bob.receive(altered(last, at))

    assert bob.braid == before
    bob.receive(last)
    assert isinstance(bob.braid.state, HeaderReceived)


@pytest.mark.spec("ML-KEM Braid §2.3")
@pytest.mark.parametrize("at", [0, 31])
@pytest.mark.parametrize("which", range(machine.CT2_CHUNKS))
def test_a_ciphertext_that_was_altered_anywhere_is_refused(which: int, at: int) -> None:
    alice, bob = sides()
    until(alice, bob, Ct2Sampled)
    sent = [bob.send() for _ in range(machine.CT2_CHUNKS)]
    last = sent.pop(which)
    for message in sent:
        alice.receive(message)
    before = alice.braid
    assert isinstance(before.state, EkSentCt1Received)

    with pytest.raises(InvalidMessageError):
        alice.receive(altered(last, at))

    assert alice.braid == before
    alice.receive(last)
    assert alice.secrets == bob.secrets


@pytest.mark.spec("ML-KEM Braid §2.3")
@pytest.mark.parametrize("kind", [Kind.EK, Kind.CT1])
def test_an_altered_piece_of_key_or_ct1_is_found_out_when_the_whole_is_tried(kind: Kind) -> None:
    alice, bob = sides()
    refused = 0
    spoiled = False
    for _ in range(200):
        for one, other in ((alice, bob), (bob, alice)):
            message = one.send()
            if message.kind is kind and not spoiled:
                message, spoiled = altered(message, 7), True
            try:
                other.receive(message)
            except InvalidMessageError:
                refused += 1

    assert refused
    assert 1 not in alice.secrets


def test_a_secret_is_held_no_longer_than_it_is_needed() -> None:
    alice, bob = sides()
    until(alice, bob, Ct2Sampled)
    assert not isinstance(bob.braid.state, Ct1Acknowledged | Ct1Sampled)
    until(bob, alice, NoHeaderReceived)

    assert alice.braid.state == NoHeaderReceived({})
    bob.receive(alice.send())
    assert bob.braid.state == KeysUnsampled()
