"""Sessions as a program uses them: builder, cipher and store."""

from __future__ import annotations

import dataclasses
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.crypto.conftest import ALICE, BOB, Person, in_session, two_people

from sabir.crypto import (
    DuplicateMessageError,
    IdentityKeyPair,
    InMemoryProtocolStore,
    InvalidKeyError,
    InvalidKeyIdError,
    InvalidMessageError,
    InvalidSessionError,
    NoSessionError,
    PreKeySignalMessage,
    ProtocolAddress,
    SessionBuilder,
    SessionCipher,
    SessionRecord,
    SignalProtocolError,
    UntrustedIdentityError,
)
from sabir.crypto.messages import MAX_PLAINTEXT_BYTES
from sabir.crypto.record import MAX_ARCHIVED

PEOPLE = tuple[Person, Person]


@pytest.mark.spec("PQXDH §3.3")
@pytest.mark.parametrize("one_time", [True, False])
def test_a_session_begins_with_and_without_a_one_time_prekey(strangers: PEOPLE, one_time: bool) -> None:
    alice, bob = strangers
    bundle = bob.store.make_bundle(one_time)

    SessionBuilder(alice.store, BOB).process(bundle)
    first = alice.cipher.encrypt(b"good morrow")
    again = alice.cipher.encrypt(b"cousin")

    assert (first.type, again.type) == (3, 3)
    assert bob.reads_first(again.serialize()) == b"cousin"
    assert bob.reads_first(first.serialize()) == b"good morrow"
    answer = bob.cipher.encrypt(b"is the day so young?")
    assert answer.type == 2
    assert alice.reads(answer.serialize()) == b"is the day so young?"
    assert alice.cipher.encrypt(b"but new struck nine").type == 2
    assert (bundle.prekey_id is None) != one_time
    if bundle.prekey_id is not None:
        assert bob.store.load_prekey(bundle.prekey_id) is None
        assert bob.store.load_kyber_prekey(bundle.kyber_prekey_id) is None
    else:
        assert bob.store.load_kyber_prekey(bundle.kyber_prekey_id) is not None


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_whatever_order_loss_and_repetition_each_message_is_read_once(data: st.DataObject) -> None:
    people = in_session()
    on_the_way: list[list[tuple[bytes, bytes]]] = [[], []]
    said = 0
    for action in data.draw(st.lists(st.sampled_from("ssSSrrRRdD"), max_size=80)):
        who = int(action.isupper())
        waiting = on_the_way[who]
        if action in "sS":
            said += 1
            text = b"%d" % said
            on_the_way[1 - who].append((text, people[who].says(text)))
        elif waiting:
            text, message = waiting.pop(data.draw(st.integers(0, min(3, len(waiting) - 1))))
            if action in "rR":
                assert people[who].reads(message) == text
                with pytest.raises(DuplicateMessageError):
                    people[who].reads(message)


def test_no_byte_of_a_message_can_be_altered(pair: PEOPLE) -> None:
    alice, bob = pair
    message = alice.says(b"what light through yonder window breaks")
    before = bob.store.load_session(ALICE)

    for place in range(len(message)):
        for bit in (1, 0x80):
            altered = bytearray(message)
            altered[place] ^= bit
            with pytest.raises(SignalProtocolError) as refusal:
                bob.reads(bytes(altered))
            assert isinstance(refusal.value, InvalidMessageError | DuplicateMessageError)
    assert bob.store.load_session(ALICE) is before
    assert bob.reads(message) == b"what light through yonder window breaks"


def test_no_byte_of_a_first_message_that_matters_can_be_altered(strangers: PEOPLE) -> None:
    """Only the registration id is not covered by anything, and the version that the sender could also speak."""
    alice, bob = strangers
    SessionBuilder(alice.store, BOB).process(bob.store.make_bundle())
    message = alice.cipher.encrypt(b"o, speak again")
    data = message.serialize()

    for place in random.Random(7).sample(range(len(data)), 400):
        altered = bytearray(data)
        altered[place] ^= 1
        store = bob.store
        try:
            read = PreKeySignalMessage.deserialize(bytes(altered))
            SessionCipher(store, ALICE).decrypt(read)
        except SignalProtocolError:
            continue
        assert place == 0 or read.registration_id != alice.store.registration_id
        break  # the keys of this bundle are used up now
    else:
        assert bob.store.load_session(ALICE) is None


def test_malformed_first_messages_leave_nothing(strangers: PEOPLE) -> None:
    alice, bob = strangers
    bundle = bob.store.make_bundle()
    SessionBuilder(alice.store, BOB).process(bundle)
    sent = alice.cipher.encrypt(b"x")
    assert isinstance(sent, PreKeySignalMessage)
    fields = {name: getattr(sent, name) for name in PreKeySignalMessage.__slots__ if name != "serialized"}
    other = IdentityKeyPair.generate().public_key

    for change, refusal in [
        ({"prekey_id": 1 + sent.prekey_id % 1000}, InvalidKeyIdError),  # type: ignore[operator]  # it has one
        ({"signed_prekey_id": sent.signed_prekey_id ^ 1}, InvalidKeyIdError),
        ({"kyber_prekey_id": sent.kyber_prekey_id ^ 1}, InvalidKeyIdError),
        ({"prekey_id": None}, InvalidMessageError),
        ({"base_key": other}, InvalidMessageError),
        ({"identity_key": other}, InvalidMessageError),
        ({"kyber_ciphertext": b"\x08" + bytes(1568)}, InvalidMessageError),
        ({"kyber_ciphertext": b"\x08" + bytes(1567)}, InvalidMessageError),
    ]:
        with pytest.raises(refusal):
            bob.cipher.decrypt(PreKeySignalMessage(**{**fields, **change}))
        assert bob.store.load_session(ALICE) is None
        assert bob.store.get_identity(ALICE) is None
        assert bundle.prekey_id is not None
        assert bob.store.load_prekey(bundle.prekey_id) is not None

    assert bob.reads_first(sent.serialize()) == b"x"


@pytest.mark.parametrize(
    "change",
    [
        {"identity_key": IdentityKeyPair.generate().public_key},
        {"identity_key": b"\x05" + bytes(32)},
        {"signed_prekey": IdentityKeyPair.generate().public_key},
        {"signed_prekey_signature": bytes(64)},
        {"signed_prekey_signature": b""},
        {"kyber_prekey": b"\x08" + bytes(1568)},
        {"kyber_prekey_signature": bytes(64)},
        {"registration_id": -1},
        {"prekey_id": 2**32},
        {"signed_prekey_id": -1},
        {"kyber_prekey_id": 2**32},
        {"prekey": None},
        {"prekey_id": None},
        {"prekey": b"\x05" + bytes(32)},
    ],
)
def test_a_bundle_with_bad_keys_or_signatures_is_refused(strangers: PEOPLE, change: Any) -> None:
    alice, bob = strangers

    with pytest.raises(InvalidKeyError):
        SessionBuilder(alice.store, BOB).process(dataclasses.replace(bob.store.make_bundle(), **change))
    assert alice.store.load_session(BOB) is None
    assert alice.store.get_identity(BOB) is None


def test_signed_rubbish_is_refused_too(strangers: PEOPLE) -> None:
    alice, bob = strangers
    bundle = bob.store.make_bundle()
    identity = bob.store.identity_key_pair

    for key in (b"\x05" + bytes(32), b"", b"\x05" + b"\xff" * 32):
        bad = dataclasses.replace(bundle, signed_prekey=key, signed_prekey_signature=identity.sign(key))
        with pytest.raises(InvalidKeyError):
            SessionBuilder(alice.store, BOB).process(bad)
    for key in (b"", b"\x08" + b"\xff" * 1568, b"\x0a" + bundle.kyber_prekey[1:]):
        bad = dataclasses.replace(bundle, kyber_prekey=key, kyber_prekey_signature=identity.sign(key))
        with pytest.raises(InvalidKeyError):
            SessionBuilder(alice.store, BOB).process(bad)


def test_without_a_session_nothing_is_sent_or_read(strangers: PEOPLE, pair: PEOPLE) -> None:
    alice, _ = strangers
    other, _ = pair

    with pytest.raises(NoSessionError):
        alice.cipher.encrypt(b"x")
    with pytest.raises(NoSessionError):
        alice.reads(other.says(b"x"))
    with pytest.raises(ValueError, match="at most"):
        other.cipher.encrypt(bytes(MAX_PLAINTEXT_BYTES + 1))


def test_the_largest_message_is_read(pair: PEOPLE) -> None:
    alice, bob = pair
    text = bytes(MAX_PLAINTEXT_BYTES)

    assert bob.reads(alice.says(text)) == text


def test_a_message_of_another_session_is_refused(pair: PEOPLE) -> None:
    _, bob = pair
    stranger, _ = in_session()

    with pytest.raises(InvalidMessageError):
        bob.reads(stranger.says(b"x"))


def test_both_begin_at_once_and_end_in_one_session(strangers: PEOPLE) -> None:
    alice, bob = strangers
    SessionBuilder(alice.store, BOB).process(bob.store.make_bundle())
    SessionBuilder(bob.store, ALICE).process(alice.store.make_bundle())
    hers, his = alice.says(b"one"), bob.says(b"two")

    assert bob.reads_first(hers) == b"one"
    assert alice.reads_first(his) == b"two"
    for number in range(4):
        text = b"%d" % number
        assert bob.reads(alice.says(text)) == text
        assert alice.reads(bob.says(text)) == text

    ours, theirs = alice.store.load_session(BOB), bob.store.load_session(ALICE)
    assert ours is not None
    assert ours.current is not None
    assert theirs is not None
    assert theirs.current is not None
    assert ours.current.base_key == theirs.current.base_key


def test_who_lost_its_sessions_begins_again_and_late_messages_are_read(pair: PEOPLE) -> None:
    alice, bob = pair
    late = alice.says(b"late")
    alice.store.delete_session(BOB)
    SessionBuilder(alice.store, BOB).process(bob.store.make_bundle(one_time=False))

    assert bob.reads_first(alice.says(b"again")) == b"again"
    assert bob.reads(late) == b"late"
    # The late message made its session the current one; what the other side can read decides in the end.
    assert alice.store.load_session(BOB) is not None
    assert bob.reads_first(alice.says(b"and again")) == b"and again"
    assert alice.reads(bob.says(b"yes")) == b"yes"


def test_archived_sessions_are_bounded(pair: PEOPLE) -> None:
    alice, bob = pair
    first = alice.says(b"of the first session")
    for _ in range(MAX_ARCHIVED + 1):
        SessionBuilder(alice.store, BOB).process(bob.store.make_bundle(one_time=False))
        bob.reads_first(alice.says(b"again"))

    for store, address in ((alice.store, BOB), (bob.store, ALICE)):
        record = store.load_session(address)
        assert record is not None
        assert len(record.archived) == MAX_ARCHIVED
        assert len(record.serialize()) < 60_000 + MAX_ARCHIVED * 4000
    with pytest.raises(InvalidMessageError):
        bob.reads(first)


def test_an_archived_session_is_read_but_not_sent_in(pair: PEOPLE) -> None:
    alice, bob = pair
    record = alice.store.load_session(BOB)
    assert record is not None
    alice.store.store_session(BOB, record.without_current())

    with pytest.raises(NoSessionError):
        alice.cipher.encrypt(b"x")
    assert alice.reads(bob.says(b"still here?")) == b"still here?"
    assert bob.reads(alice.says(b"again")) == b"again"
    assert SessionRecord().without_current().current is None


def test_a_changed_identity_is_seen_and_can_be_accepted(pair: PEOPLE) -> None:
    alice, bob = pair
    replaced = InMemoryProtocolStore(IdentityKeyPair.generate(), 3)
    SessionBuilder(replaced, ALICE).process(alice.store.make_bundle())
    message = SessionCipher(replaced, ALICE).encrypt(b"it is me")
    before = alice.store.load_session(BOB)

    with pytest.raises(UntrustedIdentityError) as refusal:
        alice.cipher.decrypt(message)
    with pytest.raises(UntrustedIdentityError):
        SessionBuilder(alice.store, BOB).process(replaced.make_bundle())
    assert alice.store.load_session(BOB) is before
    assert refusal.value.identity_key == replaced.identity_key_pair.public_key

    assert alice.store.save_identity(BOB, refusal.value.identity_key)
    assert alice.cipher.decrypt(message) == b"it is me"
    with pytest.raises(UntrustedIdentityError):
        alice.reads(bob.says(b"no, me"))
    assert SessionCipher(replaced, ALICE).decrypt(alice.cipher.encrypt(b"welcome")) == b"welcome"


def test_a_session_with_an_identity_no_longer_trusted_is_not_sent_in(pair: PEOPLE) -> None:
    alice, _ = pair
    alice.store.save_identity(BOB, IdentityKeyPair.generate().public_key)

    with pytest.raises(UntrustedIdentityError):
        alice.cipher.encrypt(b"x")


@pytest.mark.spec("PQXDH §4.2")
def test_a_first_message_is_not_read_twice_even_when_the_session_is_gone(strangers: PEOPLE) -> None:
    alice, bob = strangers
    SessionBuilder(alice.store, BOB).process(bob.store.make_bundle(one_time=False))
    first = alice.says(b"pay the apothecary")
    assert bob.reads_first(first) == b"pay the apothecary"

    with pytest.raises(DuplicateMessageError):
        bob.reads_first(first)
    bob.store.delete_session(ALICE)
    with pytest.raises(InvalidMessageError, match="before"):
        bob.reads_first(first)
    assert bob.store.load_session(ALICE) is None


def test_a_known_session_is_not_taken_over_by_another_identity(strangers: PEOPLE) -> None:
    alice, bob = strangers
    SessionBuilder(alice.store, BOB).process(bob.store.make_bundle())
    sent = alice.cipher.encrypt(b"x")
    assert isinstance(sent, PreKeySignalMessage)
    bob.reads_first(sent.serialize())
    other = IdentityKeyPair.generate().public_key
    bob.store.save_identity(ALICE, other)

    with pytest.raises(InvalidMessageError, match="another identity"):
        bob.cipher.decrypt(
            PreKeySignalMessage(
                sent.registration_id,
                sent.prekey_id,
                sent.signed_prekey_id,
                sent.kyber_prekey_id,
                sent.kyber_ciphertext,
                sent.base_key,
                other,
                sent.message,
            )
        )


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from("aAbB"), max_size=12))
def test_a_session_goes_on_from_its_serialised_form(actions: list[str]) -> None:
    alice, bob = two_people()
    SessionBuilder(alice.store, BOB).process(bob.store.make_bundle())
    skipped = [alice.says(b"skipped %d" % number) for number in range(3)]
    bob.reads_first(alice.says(b"first"))
    for action in actions:
        if action in "aA":
            sender, reader, address = alice, bob, ALICE
        else:
            sender, reader, address = bob, alice, BOB
        for store, whose in ((sender.store, BOB if address is ALICE else ALICE), (reader.store, address)):
            record = store.load_session(whose)
            assert record is not None
            data = record.serialize()
            assert SessionRecord.deserialize(data).serialize() == data
            store.store_session(whose, SessionRecord.deserialize(data))
        message = sender.cipher.encrypt(b"text")
        if action in "ab":
            assert reader.cipher.decrypt(message) == b"text"
    for number, late in enumerate(skipped):
        assert bob.reads_first(late) == b"skipped %d" % number


@given(st.binary(max_size=200), st.integers(0, 4000), st.integers(1, 255))
def test_a_damaged_record_is_refused_or_read(junk: bytes, place: int, flip: int) -> None:
    record = ALICE_RECORD
    damaged = bytearray(record)
    damaged[place % len(damaged)] ^= flip
    for data in (junk, b"\x01" + junk, bytes(damaged), record[: place % len(record)]):
        try:
            SessionRecord.deserialize(data)
        except InvalidSessionError:
            continue


def test_a_record_of_another_version_is_refused() -> None:
    for data in (b"", b"\x00", b"\x02" + ALICE_RECORD[1:]):
        with pytest.raises(InvalidSessionError, match="version"):
            SessionRecord.deserialize(data)


def test_state_stays_small_however_many_messages(pair: PEOPLE) -> None:
    alice, bob = pair
    for number in range(400):
        lost = alice.says(b"lost")
        assert bob.reads(alice.says(b"heard")) == b"heard"
        if number % 7 == 0:
            assert alice.reads(bob.says(b"answer")) == b"answer"
        del lost

    record = bob.store.load_session(ALICE)
    assert record is not None
    # 36 bytes for each message of the last chains that never came, in both ratchets; the braid, keys and chains.
    assert len(record.serialize()) < 400 * 80 + 20_000


def test_an_address_needs_a_name_and_a_device() -> None:
    assert str(ProtocolAddress("ada", 3)) == "ada.3"
    for name, device in (("", 1), ("ada", 0), ("ada", 2**31)):
        with pytest.raises(ValueError, match="no address"):
            ProtocolAddress(name, device)
    with pytest.raises(ValueError, match="registration id"):
        InMemoryProtocolStore(IdentityKeyPair.generate(), 0)


def _record() -> bytes:
    alice, _ = in_session()
    record = alice.store.load_session(BOB)
    assert record is not None
    return record.serialize()


ALICE_RECORD = _record()
