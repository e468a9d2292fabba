"""People with several devices, on a server that is a few dictionaries."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from sabir.crypto import (
    Envelope,
    IdentityKeyPair,
    InMemoryProtocolStore,
    InvalidKeyError,
    InvalidSessionError,
    NoSessionError,
    PreKeyBundle,
    PreKeySignalMessage,
    ProtocolAddress,
    Sesame,
    SignalMessage,
    SignalProtocolError,
    UntrustedIdentityError,
)
from sabir.crypto.sesame import (
    DAY_MS,
    KEPT_MS,
    MAX_DEVICES,
    MAX_KEPT,
    MAX_KEPT_BYTES,
    MAX_LATENCY_MS,
    MAX_TRIES,
    MAX_UNANSWERED_MS,
)

NOW = 1_800_000_000_000


@dataclass
class Server:
    """Who has which devices."""

    devices: dict[str, dict[int, Device]] = field(default_factory=dict)

    def identities(self, user: str) -> dict[int, bytes]:
        return {number: each.identity for number, each in self.devices.get(user, {}).items()}

    def bundle(self, address: ProtocolAddress) -> PreKeyBundle:
        return self.devices[address.name][address.device_id].store.make_bundle(device_id=address.device_id)


class Device:
    """A client as simple as can be: it sends until the server takes it."""

    def __init__(self, server: Server, name: str, number: int) -> None:
        self.server = server
        self.address = ProtocolAddress(name, number)
        self.heard: list[bytes] = []
        self.reset()
        server.devices.setdefault(name, {})[number] = self

    def reset(self) -> None:
        """Begin with nothing: a new installation."""
        self.store = InMemoryProtocolStore(IdentityKeyPair.generate(), 1)
        self.sesame = Sesame(self.store, self.address)

    @property
    def identity(self) -> bytes:
        return self.store.identity_key_pair.public_key

    def prepare(self, *users: str, now_ms: int = NOW) -> None:
        for user in (*users, self.address.name):
            self.sesame.update_devices(user, self.server.identities(user), now_ms)
        for address in self.sesame.wanted(users, now_ms):
            self.sesame.begin(address, self.server.bundle(address), now_ms)

    def says(self, text: bytes, *users: str, now_ms: int = NOW) -> list[Envelope]:
        self.prepare(*users, now_ms=now_ms)
        return self.sesame.encrypt(users, text, now_ms)

    def hears(self, sender: Device, envelopes: list[Envelope]) -> bytes:
        (mine,) = (envelope for envelope in envelopes if envelope.address == self.address)
        kind = PreKeySignalMessage if mine.message.type == 3 else SignalMessage
        return self.sesame.decrypt(sender.address, kind.deserialize(mine.message.serialize()))


@pytest.fixture
def server() -> Server:
    return Server()


def people(server: Server) -> tuple[Device, Device, Device, Device]:
    """Return Ada's phone and desk, and Ben's phone and desk."""
    return (
        Device(server, "ada", 1),
        Device(server, "ada", 2),
        Device(server, "ben", 1),
        Device(server, "ben", 2),
    )


@pytest.mark.spec("Sesame §3")
def test_a_message_reaches_all_devices_of_a_user_and_our_own_others(server: Server) -> None:
    phone, desk, bens_phone, bens_desk = people(server)

    sent = phone.says(b"hello", "ben")

    assert {str(envelope.address) for envelope in sent} == {"ben.1", "ben.2", "ada.2"}
    for device in (desk, bens_phone, bens_desk):
        assert device.hears(phone, sent) == b"hello"
    answer = bens_desk.says(b"good day", "ada")
    for device in (phone, desk, bens_phone):
        assert device.hears(bens_desk, answer) == b"good day"


@pytest.mark.spec("Sesame §3")
def test_a_device_that_is_gone_is_not_sent_to_but_read_and_forgotten_in_the_end(server: Server) -> None:
    phone, _, bens_phone, bens_desk = people(server)
    sent = phone.says(b"hello", "ben")
    bens_desk.hears(phone, sent)
    late = bens_desk.says(b"late", "ada")
    later = bens_desk.says(b"later", "ada")
    del server.devices["ben"][2]

    sent = phone.says(b"one device less", "ben")

    assert {str(envelope.address) for envelope in sent} == {"ben.1", "ada.2"}
    assert bens_phone.hears(phone, sent) == b"one device less"
    assert phone.hears(bens_desk, late) == b"late"
    assert phone.sesame.devices("ben") == [1]
    phone.sesame.tick(NOW + MAX_LATENCY_MS)
    assert phone.store.load_session(bens_desk.address) is not None
    phone.sesame.tick(NOW + MAX_LATENCY_MS + 1)
    with pytest.raises(NoSessionError):
        phone.hears(bens_desk, later)


def test_a_user_who_is_gone_is_forgotten_whole(server: Server) -> None:
    phone, *_ = people(server)
    phone.says(b"hello", "ben")

    phone.sesame.update_devices("ben", {}, NOW)
    assert phone.sesame.encrypt(["ben"], b"x", NOW)[0].address.name == "ada"
    phone.sesame.tick(NOW + MAX_LATENCY_MS + 1)

    assert b"ben" not in phone.sesame.serialize().replace(b"hello", b"").replace(b"x", b"")[:400]
    assert phone.sesame.devices("ben") == []


def test_a_device_that_comes_back_is_sent_to_again(server: Server) -> None:
    phone, _, _, bens_desk = people(server)
    bens_desk.hears(phone, phone.says(b"hello", "ben"))
    phone.sesame.update_devices("ben", {1: server.devices["ben"][1].identity}, NOW)

    assert bens_desk.hears(phone, phone.says(b"again", "ben")) == b"again"


def test_a_new_installation_is_another_device_and_is_trusted_by_people_only(server: Server) -> None:
    phone, _, bens_phone, _ = people(server)
    bens_phone.hears(phone, phone.says(b"hello", "ben"))
    before = bens_phone.identity
    bens_phone.reset()

    with pytest.raises(UntrustedIdentityError) as refusal:
        phone.says(b"still you?", "ben")

    record = phone.store.load_session(bens_phone.address)
    assert record is not None
    assert record.current is None
    phone.store.save_identity(bens_phone.address, refusal.value.identity_key)
    assert bens_phone.hears(phone, phone.says(b"still you", "ben")) == b"still you"
    assert bens_phone.identity != before


def test_who_is_written_to_by_a_new_installation_forgets_the_old_one(server: Server) -> None:
    phone, _, bens_phone, _ = people(server)
    bens_phone.hears(phone, phone.says(b"hello", "ben"))
    bens_phone.reset()
    sent = bens_phone.says(b"me again", "ada")
    with pytest.raises(UntrustedIdentityError):
        phone.hears(bens_phone, sent)
    phone.store.save_identity(bens_phone.address, bens_phone.identity)

    assert phone.hears(bens_phone, sent) == b"me again"

    record = phone.store.load_session(bens_phone.address)
    assert record is not None
    assert record.archived == []


@pytest.mark.spec("Sesame §3")
def test_devices_that_begin_at_once_end_in_one_session(server: Server) -> None:
    phone, _, bens_phone, _ = people(server)
    hers, his = phone.says(b"one", "ben"), bens_phone.says(b"two", "ada")

    assert bens_phone.hears(phone, hers) == b"one"
    assert phone.hears(bens_phone, his) == b"two"
    for number in range(3):
        text = b"%d" % number
        assert bens_phone.hears(phone, phone.says(text, "ben")) == text
        assert phone.hears(bens_phone, bens_phone.says(text, "ada")) == text

    ours, theirs = phone.store.load_session(bens_phone.address), bens_phone.store.load_session(phone.address)
    assert ours is not None
    assert ours.current is not None
    assert theirs is not None
    assert theirs.current is not None
    assert ours.current.base_key == theirs.current.base_key


@pytest.mark.spec("Sesame §4.2")
def test_a_session_that_nobody_ever_answered_is_begun_again(server: Server) -> None:
    phone, *_ = people(server)
    phone.says(b"hello", "ben")

    assert phone.sesame.wanted(["ben"], NOW + MAX_UNANSWERED_MS) == []
    wanted = phone.sesame.wanted(["ben"], NOW + MAX_UNANSWERED_MS + 1)
    assert {str(address) for address in wanted} == {"ben.1", "ben.2", "ada.2"}
    assert phone.sesame.encrypt(["ben"], b"x", NOW + MAX_UNANSWERED_MS + 1) == []
    assert len(phone.says(b"x", "ben", now_ms=NOW + MAX_UNANSWERED_MS + 1)) == 3


@pytest.mark.spec("Sesame §4.1")
def test_what_could_not_be_read_is_sent_again_in_a_new_session(server: Server) -> None:
    phone, _, bens_phone, _ = people(server)
    bens_phone.hears(phone, phone.says(b"hello", "ben"))
    phone.hears(bens_phone, bens_phone.says(b"hi", "ada"))
    sent = phone.says(b"the treasure is under the oak", "ben")
    bens_phone.store.delete_session(phone.address)
    with pytest.raises(SignalProtocolError):
        bens_phone.hears(phone, sent)
    (message_id,) = (each.id for each in sent if each.address == bens_phone.address)

    assert phone.sesame.retry(message_id, bens_phone.address, NOW)
    with pytest.raises(NoSessionError):
        phone.sesame.resend(message_id, bens_phone.address, NOW)
    phone.prepare("ben")
    again = phone.sesame.resend(message_id, bens_phone.address, NOW)

    assert bens_phone.hears(phone, [again]) == b"the treasure is under the oak"
    assert not phone.sesame.retry(message_id, bens_phone.address, NOW)
    assert again.id != message_id


@pytest.mark.spec("Sesame §4.1")
def test_what_cannot_be_asked_for(server: Server) -> None:
    phone, desk, bens_phone, bens_desk = people(server)
    sent = phone.says(b"hello", "ben")
    (message_id,) = (each.id for each in sent if each.address == bens_phone.address)
    eve = Device(server, "eve", 1)
    phone.prepare("eve")
    sesame = phone.sesame

    assert not sesame.retry(bytes(16), bens_phone.address, NOW)
    assert not sesame.retry(message_id, eve.address, NOW)
    assert not sesame.retry(message_id, ProtocolAddress("ben", 9), NOW)
    assert not sesame.retry(message_id, bens_phone.address, NOW + KEPT_MS + 1)
    with pytest.raises(NoSessionError):
        sesame.resend(message_id, eve.address, NOW)
    assert sesame.retry(message_id, bens_desk.address, NOW)
    for _ in range(MAX_TRIES):
        assert sesame.retry(message_id, bens_phone.address, NOW)
        phone.prepare("ben")
        message_id = sesame.resend(message_id, bens_phone.address, NOW).id
    assert not sesame.retry(message_id, bens_phone.address, NOW)
    assert desk.address in {each.address for each in sent}


@pytest.mark.spec("Sesame §4.1")
def test_what_was_delivered_or_is_old_or_too_much_is_not_kept(server: Server) -> None:
    phone, _, bens_phone, _ = people(server)
    sent = phone.says(b"hello", "ben")
    (message_id,) = (each.id for each in sent if each.address == bens_phone.address)

    phone.sesame.delivered(message_id, "eve")
    assert phone.sesame.retry(message_id, bens_phone.address, NOW)
    phone.sesame.delivered(message_id, "ben")
    assert not phone.sesame.retry(message_id, bens_phone.address, NOW)
    phone.prepare("ben")
    first = phone.sesame.encrypt_to(bens_phone.address, b"first", NOW).id
    for _ in range(MAX_KEPT):
        last = phone.sesame.encrypt_to(bens_phone.address, b"x", NOW).id
    assert not phone.sesame.retry(first, bens_phone.address, NOW)
    assert phone.sesame.retry(last, bens_phone.address, NOW)
    phone.prepare("ben")
    for _ in range(6):
        phone.sesame.encrypt_to(bens_phone.address, bytes(1_000_000), NOW)
    assert len(phone.sesame.serialize()) < MAX_KEPT_BYTES + 10_000
    phone.sesame.tick(NOW + KEPT_MS + DAY_MS)
    assert len(phone.sesame.serialize()) < 1000


def test_everything_goes_on_from_the_serialised_form(server: Server) -> None:
    phone, _, bens_phone, bens_desk = people(server)
    sent = phone.says(b"hello", "ben")
    phone.sesame.update_devices("ben", {1: bens_phone.identity}, NOW)
    data = phone.sesame.serialize()

    phone.sesame = Sesame.deserialize(phone.store, phone.address, data)

    assert phone.sesame.serialize() == data
    assert phone.sesame.devices("ben") == [1]
    (message_id,) = (each.id for each in sent if each.address == bens_phone.address)
    assert phone.sesame.retry(message_id, bens_phone.address, NOW)
    assert not phone.sesame.retry(message_id, bens_desk.address, NOW)
    for bad in (
        b"",
        b"\x02" + data[1:],
        data[:-1],
        b"\x01\x0a\x02\x0a\x00",
        b"\x01\x0a\x03\x0a\x01\xff\x12\x00",
    ):
        with pytest.raises(InvalidSessionError):
            Sesame.deserialize(phone.store, phone.address, bad)


def test_lists_that_are_too_long_or_hold_bad_keys_change_nothing(server: Server) -> None:
    phone, _, bens_phone, _ = people(server)
    phone.prepare("ben")
    before = phone.sesame.serialize()

    with pytest.raises(ValueError, match="too many"):
        phone.sesame.update_devices("ben", dict.fromkeys(range(1, MAX_DEVICES + 2), bens_phone.identity), NOW)
    with pytest.raises(InvalidKeyError):
        phone.sesame.update_devices("ben", {1: bens_phone.identity, 2: bytes(33)}, NOW)
    assert phone.sesame.serialize() == before
    with pytest.raises(NoSessionError):
        phone.sesame.encrypt_to(ProtocolAddress("ben", 5), b"x", NOW)
