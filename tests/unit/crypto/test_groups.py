from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sabir.crypto import (
    DuplicateMessageError,
    GroupCipher,
    GroupSessionBuilder,
    IdentityKeyPair,
    InMemoryProtocolStore,
    InvalidMessageError,
    InvalidSessionError,
    NoSessionError,
    ProtocolAddress,
    SenderKeyDistributionMessage,
    SenderKeyMessage,
    SenderKeyRecord,
)
from sabir.crypto.messages import MAX_PLAINTEXT_BYTES
from sabir.crypto.sender_keys import MAX_JUMP, MAX_SKIPPED, MAX_STATES

ADA = ProtocolAddress("ada", 1)
GROUP = bytes(range(16))


def member() -> InMemoryProtocolStore:
    return InMemoryProtocolStore(IdentityKeyPair.generate(), 1)


def told(sender: InMemoryProtocolStore, *members: InMemoryProtocolStore) -> None:
    """Let Ada tell her chain to members."""
    message = GroupSessionBuilder(sender).create(ADA, GROUP)
    for each in members:
        GroupSessionBuilder(each).process(ADA, SenderKeyDistributionMessage.deserialize(message.serialize()))


def group() -> tuple[GroupCipher, GroupCipher, InMemoryProtocolStore, InMemoryProtocolStore]:
    """Return Ada's cipher and that of a member, and their stores."""
    ada, ben = member(), member()
    told(ada, ben)
    return GroupCipher(ada, ADA), GroupCipher(ben, ADA), ada, ben


def test_all_members_read_the_same_bytes() -> None:
    ada, ben, eve = member(), member(), member()
    told(ada, ben)
    sender = GroupCipher(ada, ADA)
    before = sender.encrypt(GROUP, b"before").serialize()
    told(ada, eve)
    data = sender.encrypt(GROUP, b"hear ye").serialize()

    for each in (ben, eve):
        assert GroupCipher(each, ADA).decrypt(SenderKeyMessage.deserialize(data)) == b"hear ye"
    assert GroupCipher(ben, ADA).decrypt(SenderKeyMessage.deserialize(before)) == b"before"
    with pytest.raises(DuplicateMessageError):  # sent before Eve was told
        GroupCipher(eve, ADA).decrypt(SenderKeyMessage.deserialize(before))


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(8)), st.sets(st.integers(0, 7)))
def test_whatever_order_and_loss_each_message_is_read_once(order: list[int], lost: set[int]) -> None:
    sender, reader, _, _ = group()
    messages = [sender.encrypt(GROUP, b"%d" % number) for number in range(8)]

    for number in order:
        if number not in lost:
            assert reader.decrypt(messages[number]) == b"%d" % number
            with pytest.raises(DuplicateMessageError):
                reader.decrypt(messages[number])


def test_no_byte_of_a_message_can_be_altered() -> None:
    sender, reader, _, ben = group()
    message = sender.encrypt(GROUP, b"hear ye").serialize()
    before = ben.load_sender_key(ADA, GROUP)

    for place in range(len(message)):
        altered = bytearray(message)
        altered[place] ^= 1
        with pytest.raises((InvalidMessageError, NoSessionError)):
            reader.decrypt(SenderKeyMessage.deserialize(bytes(altered)))
    assert ben.load_sender_key(ADA, GROUP) is before
    assert reader.decrypt(SenderKeyMessage.deserialize(message)) == b"hear ye"


def test_who_left_cannot_read_a_new_chain() -> None:
    sender, left, ada, _ = group()
    stays = member()
    GroupSessionBuilder(stays).process(ADA, GroupSessionBuilder(ada).reset(ADA, GROUP))
    message = sender.encrypt(GROUP, b"now we are alone")

    assert GroupCipher(stays, ADA).decrypt(message) == b"now we are alone"
    with pytest.raises(NoSessionError):
        left.decrypt(message)


def test_chains_jumps_and_what_they_leave_are_bounded() -> None:
    sender, reader, ada, ben = group()
    old = sender.encrypt(GROUP, b"old")
    for _ in range(MAX_STATES):
        GroupSessionBuilder(ben).process(ADA, GroupSessionBuilder(ada).reset(ADA, GROUP))
    record = ben.load_sender_key(ADA, GROUP)
    assert record is not None
    assert len(record.states) == MAX_STATES
    with pytest.raises(NoSessionError):
        reader.decrypt(old)
    state = record.states[0]
    with pytest.raises(InvalidMessageError, match="are missing"):
        state.taken(MAX_JUMP + 1)
    assert len(state.taken(MAX_JUMP)[0].skipped) == MAX_SKIPPED
    assert len(state.taken(MAX_JUMP)[0].taken(MAX_JUMP + 5)[0].skipped) == MAX_SKIPPED


def test_being_told_a_chain_again_does_not_make_it_readable_again() -> None:
    sender, reader, ada, ben = group()
    announced = GroupSessionBuilder(ada).create(ADA, GROUP)
    message = sender.encrypt(GROUP, b"once")
    assert reader.decrypt(message) == b"once"

    GroupSessionBuilder(ben).process(ADA, announced)

    with pytest.raises(DuplicateMessageError):
        reader.decrypt(message)


def test_a_chain_goes_on_from_its_serialised_form() -> None:
    sender, reader, ada, ben = group()
    late = sender.encrypt(GROUP, b"late")
    assert reader.decrypt(sender.encrypt(GROUP, b"heard")) == b"heard"
    for store in (ada, ben):
        record = store.load_sender_key(ADA, GROUP)
        assert record is not None
        read = SenderKeyRecord.deserialize(record.serialize())
        assert read.serialize() == record.serialize()
        store.store_sender_key(ADA, GROUP, read)

    assert reader.decrypt(late) == b"late"
    assert reader.decrypt(sender.encrypt(GROUP, b"next")) == b"next"


@pytest.mark.parametrize("data", [b"", b"\x02", b"\x01\x0a\x01\x08", b"\x01\xff", b"\x01\x0a\x00"])
def test_what_is_no_record_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidSessionError):
        SenderKeyRecord.deserialize(data)


def test_what_cannot_be_done_is_said() -> None:
    ada, ben = member(), member()

    with pytest.raises(NoSessionError):
        GroupCipher(ada, ADA).encrypt(GROUP, b"x")
    told(ada, ben)
    with pytest.raises(NoSessionError, match="another's"):
        GroupCipher(ben, ADA).encrypt(GROUP, b"x")
    with pytest.raises(InvalidMessageError, match="our own"):
        GroupCipher(ada, ADA).decrypt(GroupCipher(ada, ADA).encrypt(GROUP, b"x"))
    with pytest.raises(ValueError, match="16 bytes"):
        GroupSessionBuilder(ada).create(ADA, b"lobby")
    with pytest.raises(ValueError, match="at most"):
        GroupCipher(ada, ADA).encrypt(GROUP, os.urandom(1) * (MAX_PLAINTEXT_BYTES + 1))
    for what in (SenderKeyRecord().distribution, lambda group: SenderKeyRecord().encrypt(group, b"x")):
        with pytest.raises(NoSessionError, match="no chain"):
            what(GROUP)
