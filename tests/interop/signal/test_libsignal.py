"""libsignal, in its own process, on the other side of sessions, groups and safety numbers."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from uuid import UUID

import pytest
from tests.interop.signal.judge import CannotInstall, Judge, JudgeError, install

from sabir.crypto import (
    Fingerprint,
    GroupCipher,
    GroupSessionBuilder,
    IdentityKeyPair,
    InMemoryProtocolStore,
    InvalidMessageError,
    PreKeySignalMessage,
    ProtocolAddress,
    SenderKeyDistributionMessage,
    SenderKeyMessage,
    SessionBuilder,
    SessionCipher,
    SignalMessage,
    SignalProtocolError,
    UntrustedIdentityError,
    curve,
)

GROUP = UUID("d1d1d1d1-7000-11eb-b32a-33b8a8a487a6")
OURS = ProtocolAddress("ours", 1)


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judge]:
    folder = tmp_path_factory.mktemp("libsignal")
    try:
        install(folder)
    except CannotInstall as reason:
        pytest.skip(str(reason))
    judge = Judge(folder)
    try:
        yield judge
    finally:
        judge.close()


class Us:
    """A device of ours and one of libsignal's."""

    def __init__(self, judge: Judge, name: str) -> None:
        self.judge = judge
        self.name = name
        self.address = ProtocolAddress(name, 1)
        self.identity = bytes.fromhex(judge.ask("device", name=name, registrationId=77))
        self.store = InMemoryProtocolStore(IdentityKeyPair.generate(), 5)
        self.cipher = SessionCipher(self.store, self.address)

    def begin(self, *, one_time: bool = True) -> None:
        """Begin a session with it."""
        SessionBuilder(self.store, self.address).process(self.judge.bundle(self.name, one_time=one_time))

    def let_begin(self, *, one_time: bool = True) -> None:
        """Let it begin a session with us."""
        self.judge.process(self.name, "ours", self.store.make_bundle(one_time))

    def says(self, *texts: bytes) -> list[SignalMessage | PreKeySignalMessage]:
        """Let it encrypt."""
        return self.judge.encrypt(self.name, "ours", texts)

    def reads(self, *messages: SignalMessage | PreKeySignalMessage) -> list[bytes | str]:
        """Let it decrypt."""
        return self.judge.decrypt(self.name, "ours", messages)


@pytest.fixture
def us(judge: Judge, request: pytest.FixtureRequest) -> Us:
    return Us(judge, request.node.name)


def epoch_of(message: SignalMessage | PreKeySignalMessage) -> int:
    """Return the epoch that the post-quantum ratchet of a message's sender is in."""
    inner = message.message if isinstance(message, PreKeySignalMessage) else message
    epoch = shift = 0
    for byte in inner.pq_ratchet[1:]:
        epoch |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    return epoch


@pytest.mark.parametrize("one_time", [True, False])
@pytest.mark.parametrize("who", ["we", "it"])
def test_a_session_begins_from_either_side(us: Us, who: str, one_time: bool) -> None:
    if who == "we":
        us.begin(one_time=one_time)
        ours = [us.cipher.encrypt(text) for text in (b"one", b"two")]
        assert [message.type for message in ours] == [3, 3]
        assert us.reads(ours[1], ours[0]) == [b"two", b"one"]
    else:
        us.let_begin(one_time=one_time)
        theirs = us.says(b"one", b"two")
        assert [message.type for message in theirs] == [3, 3]
        assert [us.cipher.decrypt(message) for message in reversed(theirs)] == [b"two", b"one"]

    for number in range(4):
        text = b"%d" % number
        (message,) = us.says(text)
        assert us.cipher.decrypt(message) == text
        assert us.reads(us.cipher.encrypt(text)) == [text]
    assert us.says(b"x")[0].type == us.cipher.encrypt(b"x").type == 2


@pytest.mark.parametrize("who", ["we", "it"])
def test_a_thousand_messages_each_way_in_random_order_with_losses(us: Us, who: str) -> None:
    dice = random.Random(5)
    us.begin() if who == "we" else us.let_begin()
    if who == "we":
        assert us.reads(us.cipher.encrypt(b"begin")) == [b"begin"]
    else:
        assert us.cipher.decrypt(us.says(b"begin")[0]) == b"begin"
    to_it: list[tuple[bytes, SignalMessage | PreKeySignalMessage]] = []
    to_us: list[tuple[bytes, SignalMessage | PreKeySignalMessage]] = []
    said_by_us = said_by_it = 0
    while said_by_us < 1000 or said_by_it < 1000:
        ours, theirs = ([os.urandom(dice.randrange(300)) for _ in range(dice.randrange(8))] for _ in "12")
        said_by_us += len(ours)
        said_by_it += len(theirs)
        to_it += [(text, us.cipher.encrypt(text)) for text in ours]
        to_us += zip(theirs, us.says(*theirs), strict=True)
        for waiting in (to_it, to_us):
            dice.shuffle(waiting)
            # Some stay on the way until the next round, when ratchets have stepped; every tenth of these is lost.
            arrived, waiting[:] = waiting[2:], [each for each in waiting[:2] if dice.random() > 0.1]
            if waiting is to_it:
                assert us.reads(*(message for _, message in arrived)) == [text for text, _ in arrived]
            else:
                assert [us.cipher.decrypt(message) for _, message in arrived] == [text for text, _ in arrived]
            if dice.random() < 0.3:
                waiting.clear()  # none may stay for more than five steps of the other's ratchet
    (last,) = us.says(b"end")
    ours_last = us.cipher.encrypt(b"end")
    assert us.cipher.decrypt(last) == b"end"
    assert us.reads(ours_last) == [b"end"]
    # Both have agreed on new post-quantum secrets again and again.
    assert epoch_of(last) > 5
    assert epoch_of(ours_last) > 5


def test_it_begins_again_after_it_lost_its_state(us: Us) -> None:
    us.begin()
    assert us.reads(us.cipher.encrypt(b"first")) == [b"first"]
    us.cipher.decrypt(us.says(b"answer")[0])

    us.judge.ask("forget", name=us.name, peer="ours")
    (refused,) = us.reads(us.cipher.encrypt(b"you know me"))
    assert isinstance(refused, str)
    us.let_begin()

    assert us.cipher.decrypt(us.says(b"again")[0]) == b"again"
    assert us.reads(us.cipher.encrypt(b"welcome back")) == [b"welcome back"]


def test_we_begin_again_after_we_lost_our_state(us: Us) -> None:
    us.let_begin()
    us.cipher.decrypt(us.says(b"first")[0])
    assert us.reads(us.cipher.encrypt(b"answer")) == [b"answer"]

    us.store.delete_session(us.address)
    us.begin()

    assert us.reads(us.cipher.encrypt(b"again")) == [b"again"]
    assert us.cipher.decrypt(us.says(b"welcome back")[0]) == b"welcome back"


def test_both_begin_at_once(us: Us) -> None:
    us.begin()
    us.let_begin()
    ours, (theirs,) = us.cipher.encrypt(b"ours"), us.says(b"theirs")

    assert us.reads(ours) == [b"ours"]
    assert us.cipher.decrypt(theirs) == b"theirs"
    for number in range(6):
        text = b"%d" % number
        message, (other,) = us.cipher.encrypt(text), us.says(text)
        assert us.reads(message) == [text]
        assert us.cipher.decrypt(other) == text


def test_a_changed_identity_is_seen_on_both_sides(us: Us) -> None:
    us.begin()
    assert us.reads(us.cipher.encrypt(b"first")) == [b"first"]
    us.cipher.decrypt(us.says(b"answer")[0])

    replaced = InMemoryProtocolStore(IdentityKeyPair.generate(), 6)
    bundle = us.judge.bundle(us.name, one_time=True)
    SessionBuilder(replaced, us.address).process(bundle)
    message = SessionCipher(replaced, us.address).encrypt(b"it is me")
    assert us.reads(message) == ["UntrustedIdentity"]
    us.judge.ask("trust", name=us.name, peer="ours", identity=replaced.identity_key_pair.public_key.hex())
    assert us.reads(message) == [b"it is me"]

    us.judge.ask("device", name=us.name, registrationId=78)
    us.let_begin()
    (theirs,) = us.says(b"me too")
    with pytest.raises(UntrustedIdentityError) as refusal:
        us.cipher.decrypt(theirs)
    us.store.save_identity(us.address, refusal.value.identity_key)
    assert us.cipher.decrypt(theirs) == b"me too"


def test_no_byte_of_a_message_can_be_altered_on_either_side(us: Us) -> None:
    us.begin()
    assert us.reads(us.cipher.encrypt(b"first")) == [b"first"]
    (theirs,) = us.says(b"answer")
    data = theirs.serialize()
    for place in range(len(data)):
        altered = bytearray(data)
        altered[place] ^= 1
        with pytest.raises(SignalProtocolError):
            us.cipher.decrypt(SignalMessage.deserialize(bytes(altered)))
    assert us.cipher.decrypt(theirs) == b"answer"

    ours = us.cipher.encrypt(b"thanks")
    assert isinstance(ours, SignalMessage)
    body = ours.serialize()
    altered_ones = []
    for place in range(len(body)):
        altered = bytearray(body)
        altered[place] ^= 1
        altered_ones.append(
            SignalMessage(b"", 0, 0, b"", b"", b"", bytes(altered))  # only the bytes are sent
        )
    assert all(isinstance(refused, str) for refused in us.reads(*altered_ones))
    assert us.reads(ours) == [b"thanks"]


def test_what_another_wrote_is_refused(us: Us) -> None:
    us.let_begin()
    (first,) = us.says(b"first")
    assert us.cipher.decrypt(first) == b"first"
    stranger = InMemoryProtocolStore(us.store.identity_key_pair, 9)
    with pytest.raises(SignalProtocolError):
        SessionCipher(stranger, us.address).decrypt(first)
    with pytest.raises(JudgeError):
        us.judge.ask("learn", name=us.name, sender="ours", message="33")
    with pytest.raises(InvalidMessageError):
        SenderKeyMessage.deserialize(bytes.fromhex("33"))


def test_signatures_are_verified_on_both_sides(us: Us) -> None:
    identity = us.store.identity_key_pair
    for number in range(8):
        message = b"message %d" % number
        ours = identity.sign(message).hex()
        theirs = bytes.fromhex(us.judge.ask("sign", name=us.name, message=message.hex()))

        assert us.judge.ask(
            "verify", identity=identity.public_key.hex(), message=message.hex(), signature=ours
        )
        assert not us.judge.ask(
            "verify", identity=identity.public_key.hex(), message=message.hex() + "00", signature=ours
        )
        assert curve.verify(us.identity, message, theirs)
        assert not curve.verify(us.identity, message + b"x", theirs)


def test_identities_and_safety_numbers_are_the_same(us: Us) -> None:
    identity = us.store.identity_key_pair
    public, serialized = us.judge.ask("identity", data=identity.serialize().hex())
    assert (public, serialized) == (identity.public_key.hex(), identity.serialize().hex())

    ours = Fingerprint.of(b"+1", identity.public_key, b"+2", us.identity)
    digits, scannable = us.judge.ask(
        "fingerprint",
        ours=b"+2".hex(),
        ourKey=us.identity.hex(),
        theirs=b"+1".hex(),
        theirKey=identity.public_key.hex(),
    )
    assert ours.digits == digits
    assert ours.matches(bytes.fromhex(scannable))


def test_a_group_is_read_on_both_sides(us: Us) -> None:
    texts = [b"message %d" % number for number in range(20)]
    told = us.judge.ask("distribute", name=us.name, group=str(GROUP))
    GroupSessionBuilder(us.store).process(
        us.address, SenderKeyDistributionMessage.deserialize(bytes.fromhex(told))
    )
    theirs = us.judge.ask(
        "groupEncrypt", name=us.name, group=str(GROUP), plaintexts=[each.hex() for each in texts]
    )
    order = random.Random(3).sample(range(20), 20)
    reader = GroupCipher(us.store, us.address)
    for number in order:
        assert reader.decrypt(SenderKeyMessage.deserialize(bytes.fromhex(theirs[number]))) == texts[number]

    announced = GroupSessionBuilder(us.store).create(OURS, GROUP.bytes)
    us.judge.ask("learn", name=us.name, sender="ours", message=announced.serialize().hex())
    writer = GroupCipher(us.store, OURS)
    ours = [writer.encrypt(GROUP.bytes, text).serialize().hex() for text in texts]
    read = us.judge.ask(
        "groupDecrypt", name=us.name, sender="ours", messages=[ours[number] for number in order]
    )
    assert read == [texts[number].hex() for number in order]
