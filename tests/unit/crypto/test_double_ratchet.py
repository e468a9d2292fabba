from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sabir.crypto.curve import KeyPair
from sabir.crypto.double_ratchet import MAX_JUMP, MAX_RECEIVING_CHAINS, MAX_SKIPPED, DoubleRatchet, Step
from sabir.crypto.errors import DuplicateMessageError, InvalidMessageError, NoSessionError

ROOT = bytes(range(32))


def two() -> tuple[DoubleRatchet, DoubleRatchet]:
    """Return both ends of a new ratchet."""
    signed = KeyPair.generate()
    return DoubleRatchet.begin(ROOT, signed.public_key), DoubleRatchet.answer(ROOT, signed)


def heard(ratchet: DoubleRatchet, step: Step) -> DoubleRatchet:
    """Receive a message, which must have the seed that it was sent with."""
    after, seed = ratchet.receive(step.ratchet_key, step.counter)
    assert seed == step.seed
    return after


@settings(max_examples=60)
@given(st.data())
def test_whatever_order_and_loss_each_message_has_its_seed_once(data: st.DataObject) -> None:
    ends = list(two())
    first = ends[0].send()
    ends[0], ends[1] = first.ratchet, heard(ends[1], first)
    on_the_way: list[list[Step]] = [[], []]  # to each end
    seeds = {first.seed}
    for action in data.draw(st.lists(st.sampled_from("sSrRdD"), max_size=60)):
        end = int(action.isupper())
        waiting = on_the_way[end]
        if action in "sS":
            step = ends[end].send()
            ends[end] = step.ratchet
            assert step.seed not in seeds
            seeds.add(step.seed)
            on_the_way[1 - end].append(step)
        elif waiting:
            step = waiting.pop(data.draw(st.integers(0, len(waiting) - 1)))
            if action in "dD":
                continue  # lost
            newer = [chain.ratchet_key for chain in ends[end].receiving]
            if len(newer) == MAX_RECEIVING_CHAINS and step.ratchet_key not in newer:
                continue  # of a chain that may be forgotten
            ends[end] = heard(ends[end], step)
            with pytest.raises(DuplicateMessageError):
                ends[end].receive(step.ratchet_key, step.counter)


def test_keys_change_with_every_answer() -> None:
    alice, bob = two()
    keys = []
    for _ in range(5):
        step = alice.send()
        alice, bob = step.ratchet, heard(bob, step)
        answer = bob.send()
        bob, alice = answer.ratchet, heard(alice, answer)
        keys += [step.ratchet_key, answer.ratchet_key]
        assert step.counter == answer.counter == 0

    assert len(set(keys)) == 10
    assert alice.root_key != ROOT


def test_a_message_says_how_long_the_chain_before_was() -> None:
    alice, bob = two()
    for _ in range(3):
        step = alice.send()
        alice, bob = step.ratchet, heard(bob, step)
    answer = bob.send()
    alice = heard(alice, answer)

    assert alice.send().previous_counter == 3


def test_who_answers_can_only_send_when_it_has_received() -> None:
    alice, bob = two()

    assert not bob.can_send
    with pytest.raises(NoSessionError):
        bob.send()
    assert heard(bob, alice.send()).can_send


def test_a_state_is_never_changed() -> None:
    alice, bob = two()
    one, other = alice.send(), alice.send()

    assert one.ratchet_key != other.ratchet_key
    assert bob.receive(one.ratchet_key, 5)[1] == bob.receive(one.ratchet_key, 5)[1]
    after = bob.receive(one.ratchet_key, 5)[0]
    after.receive(one.ratchet_key, 2)
    assert sorted(after.receiving[0].skipped) == [0, 1, 2, 3, 4]


def test_it_is_not_the_other_sides_turn_before_it_has_seen_our_key() -> None:
    alice, bob = two()
    step = alice.send()
    bob = heard(bob, step)

    with pytest.raises(InvalidMessageError, match="cannot have"):
        bob.receive(KeyPair.generate().public_key, 0)
    with pytest.raises(InvalidMessageError, match="cannot have"):
        alice.receive(KeyPair.generate().public_key, 0)


def test_jumps_and_what_they_leave_are_bounded() -> None:
    alice, bob = two()
    step = alice.send()

    with pytest.raises(InvalidMessageError, match="are missing"):
        bob.receive(step.ratchet_key, MAX_JUMP + 1)
    bob, _ = bob.receive(step.ratchet_key, MAX_JUMP)
    (chain,) = bob.receiving
    assert sorted(chain.skipped) == list(range(MAX_JUMP - MAX_SKIPPED, MAX_JUMP))
    with pytest.raises(DuplicateMessageError):
        bob.receive(step.ratchet_key, MAX_JUMP - MAX_SKIPPED - 1)
    bob, _ = bob.receive(step.ratchet_key, MAX_JUMP + 3)
    assert len(bob.receiving[0].skipped) == MAX_SKIPPED


def test_chains_are_bounded() -> None:
    alice, bob = two()
    steps = []
    for _ in range(MAX_RECEIVING_CHAINS + 2):
        late = alice.send()
        step = late.ratchet.send()
        steps.append(late)
        bob = heard(bob, step)
        answer = bob.send()
        bob, alice = answer.ratchet, heard(step.ratchet, answer)

    assert len(bob.receiving) == MAX_RECEIVING_CHAINS
    heard(bob, steps[-MAX_RECEIVING_CHAINS])
    # A key that was forgotten opens a chain like any new key, whose seeds are not those that were sent with it.
    _, seed = bob.receive(steps[0].ratchet_key, 0)
    assert seed != steps[0].seed


def test_state_is_bounded_after_100_000_messages() -> None:
    alice, bob = two()
    largest = 0
    for number in range(100_000):
        step = alice.send()
        alice = step.ratchet
        if number % 3:
            continue  # lost
        bob = heard(bob, step)
        if number % 30_000 == 0:
            answer = bob.send()
            bob, alice = answer.ratchet, heard(alice, answer)
        largest = max(largest, sum(len(chain.skipped) for chain in bob.receiving))

    assert len(bob.receiving) <= MAX_RECEIVING_CHAINS
    assert largest <= MAX_RECEIVING_CHAINS * MAX_SKIPPED
    assert alice.sent > 9_000
