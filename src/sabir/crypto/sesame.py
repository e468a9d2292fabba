"""Sesame (rev 2): sessions with all devices of people, when devices come and go and messages cannot be read.

States and rules, in the words of the specification:

* There is a record for each user that we have written to or heard from, and in it one for each device: its identity
  key, since when it is stale, and its sessions, which are those of the store; the current one is the active session.
* Who the devices of a user are is told by the server (`update_devices`): after every answer of it that refuses an
  outdated list, and whenever a list is fetched. What is no longer listed becomes stale: nothing is sent to it any more,
  what comes from it can still be read, and it is forgotten `MAX_LATENCY_MS` later.
* A device whose identity key changed is another device: its sessions are forgotten.
* Before something is sent, each device needs an active session: `wanted` names those whose bundles are to be fetched.
* Both begin at once: each side has two sessions, and both go over to the one in which a message was read last; the
  record of sessions does that.
* What was sent is kept for a while, so that it can be sent again to who could not read it (§4.1).

It does no I/O and reads no clock: times are arguments, in milliseconds of Unix time. The caller stores `serialize`
sealed, in one transaction with what the store keeps.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from sabir.crypto import curve
from sabir.crypto.cipher import SessionBuilder, SessionCipher
from sabir.crypto.errors import InvalidSessionError, NoSessionError
from sabir.crypto.keys import PreKeyBundle, ProtocolAddress
from sabir.crypto.messages import PreKeySignalMessage, SignalMessage
from sabir.crypto.protobuf import Fields, ProtobufError, Writer
from sabir.crypto.store import ProtocolStore

DAY_MS: Final = 24 * 60 * 60 * 1000
MAX_LATENCY_MS: Final = 45 * DAY_MS
"""How long a message may be on its way: what is stale for longer is forgotten."""
MAX_UNANSWERED_MS: Final = 30 * DAY_MS
"""A session that was begun this long ago and never answered is not sent in any more (§4.2)."""
KEPT_MS: Final = 14 * DAY_MS
"""How long what was sent can be sent again."""
MAX_KEPT: Final = 1000
"""Messages that can be sent again, the newest."""
MAX_KEPT_BYTES: Final = 4 << 20
"""What they hold together."""
MAX_TRIES: Final = 5
"""How often one message is sent again."""
MAX_DEVICES: Final = 127
MAX_USERS: Final = 100_000
"""Users with a record; of more, messages are read, but their devices are not remembered."""
RECORD_VERSION: Final = 1

_ID_BYTES: Final = 16


class SesameStore(ProtocolStore, Protocol):
    """A store that can also forget."""

    def delete_session(self, address: ProtocolAddress) -> None:
        """Forget all sessions with a device."""
        ...


@dataclass(frozen=True, slots=True)
class Envelope:
    """A message for one device.

    Attributes:
        id: 16 bytes that name it, for `retry` and `delivered`.
        address: Whom it is for.
        message: What to send.
    """

    id: bytes
    address: ProtocolAddress
    message: SignalMessage | PreKeySignalMessage


class DeviceRecord:
    """A device of a user: its identity key, since when it is stale, and when its last session was begun by us."""

    __slots__ = ("begun_ms", "identity_key", "stale_since_ms")

    def __init__(self, identity_key: bytes) -> None:
        self.identity_key: bytes = identity_key
        self.stale_since_ms: int | None = None
        self.begun_ms: int = 0


class MessageRecord:
    """What was sent to a device (§4.1)."""

    __slots__ = ("plaintext", "sent_ms", "session", "tries", "user")

    def __init__(self, user: str, plaintext: bytes, session: bytes, sent_ms: int, tries: int) -> None:
        self.user: str = user
        self.plaintext: bytes = plaintext
        self.session: bytes = session
        self.sent_ms: int = sent_ms
        self.tries: int = tries


class Sesame:
    """The sessions of one device of ours, whose address is `own`, with all devices that it writes to or hears from."""

    def __init__(self, store: SesameStore, own: ProtocolAddress) -> None:
        self._store = store
        self._own = own
        self._users: dict[str, dict[int, DeviceRecord]] = {}
        self._sent: dict[bytes, MessageRecord] = {}
        self._sent_bytes: int = 0

    def devices(self, user: str) -> list[int]:
        """Return the devices of a user that are sent to."""
        return [
            number for number, device in self._users.get(user, {}).items() if device.stale_since_ms is None
        ]

    def update_devices(self, user: str, identities: Mapping[int, bytes], now_ms: int) -> None:
        """Take what the server says: the devices of a user and their identity keys (33 bytes); none, if it is gone.

        Raises:
            InvalidKeyError: An identity key is no proper key; nothing is changed.
            ValueError: More than `MAX_DEVICES`, or more users than can be kept; nothing is changed.
        """
        if len(identities) > MAX_DEVICES or (user not in self._users and len(self._users) >= MAX_USERS):
            raise ValueError("too many devices or users")
        for identity_key in identities.values():
            curve.check_public_key(identity_key)
        for number, identity_key in identities.items():
            if (user, number) != (self._own.name, self._own.device_id):
                self._update(ProtocolAddress(user, number), identity_key).stale_since_ms = None
        for number, device in self._users.get(user, {}).items():
            if number not in identities and device.stale_since_ms is None:
                device.stale_since_ms = now_ms

    def wanted(self, users: Iterable[str], now_ms: int) -> list[ProtocolAddress]:
        """Return the devices, of these users and our own others, whose bundles are needed before we can send."""
        return [
            address
            for user in dict.fromkeys((*users, self._own.name))
            for address in self._addresses(user)
            if not self._has_active(address, now_ms)
        ]

    def begin(self, address: ProtocolAddress, bundle: PreKeyBundle, now_ms: int) -> None:
        """Begin a session from a bundle that was fetched.

        Raises:
            UntrustedIdentityError: The identity is not the one that the store trusts.
            InvalidKeyError: A key or signature in the bundle is bad.
        """
        SessionBuilder(self._store, address).process(bundle)
        self._update(address, bundle.identity_key).begun_ms = now_ms

    def encrypt(self, users: Iterable[str], plaintext: bytes, now_ms: int) -> list[Envelope]:
        """Encrypt for all devices of these users and our own others that have an active session.

        If the server then says that a list was outdated: `update_devices`, `wanted`, `begin`, and once more for the
        devices that it named, with `encrypt_to`.

        Raises:
            UntrustedIdentityError: The store no longer trusts an identity; nothing was encrypted for that device or
                those after it.
        """
        return [
            self.encrypt_to(address, plaintext, now_ms)
            for user in dict.fromkeys((*users, self._own.name))
            for address in self._addresses(user)
            if self._has_active(address, now_ms)
        ]

    def encrypt_to(self, address: ProtocolAddress, plaintext: bytes, now_ms: int) -> Envelope:
        """Encrypt for one device.

        Raises:
            NoSessionError: `wanted` names it.
            UntrustedIdentityError: The store no longer trusts its identity.
        """
        return self._encrypt(address, plaintext, now_ms, 0)

    def decrypt(self, address: ProtocolAddress, message: SignalMessage | PreKeySignalMessage) -> bytes:
        """Return the plaintext of a message from a device, known or not.

        Raises:
            SignalProtocolError: As `SessionCipher.decrypt`. A message that cannot be read, and is no duplicate, may be
                asked for again by the id that came with it.
        """
        plaintext = SessionCipher(self._store, address).decrypt(message)
        record = self._store.load_session(address)
        assert record is not None  # that it was read in
        assert record.current is not None
        if address.name in self._users or len(self._users) < MAX_USERS:
            self._update(address, record.current.their_identity)
        return plaintext

    def retry(self, message_id: bytes, address: ProtocolAddress, now_ms: int) -> bool:
        """Take the request of a device to be sent a message again that it could not read (§4.1).

        Return whether it shall be: then `wanted` may name the device, and `resend` comes next. The request proves
        nothing, so it can only make us send to a device of the user whom the message was for, and not too often.
        """
        sent = self._sent.get(message_id)
        if sent is None or sent.user != address.name or sent.tries >= MAX_TRIES:
            return False
        if now_ms - sent.sent_ms > KEPT_MS or address.device_id not in self.devices(address.name):
            return False
        record = self._store.load_session(address)
        if record is not None and record.current is not None and record.current.base_key == sent.session:
            # The other side has no such session (any more): what is sent next begins another.
            with self._store.transaction():
                self._store.store_session(address, record.without_current())
        return True

    def resend(self, message_id: bytes, address: ProtocolAddress, now_ms: int) -> Envelope:
        """Encrypt a message again, under a new id; the old id is forgotten.

        Raises:
            NoSessionError: `wanted` names the device: fetch its bundle and `begin` first. Or `retry` did not agree.
            UntrustedIdentityError: The store no longer trusts its identity.
        """
        sent = self._sent.get(message_id)
        if sent is None or sent.user != address.name:
            raise NoSessionError("no such message to send again")
        envelope = self._encrypt(address, sent.plaintext, now_ms, sent.tries + 1)
        if message_id in self._sent:
            self._drop(message_id)
        return envelope

    def delivered(self, message_id: bytes, user: str) -> None:
        """Take a receipt of a user: what was read need not be kept (§4.1)."""
        sent = self._sent.get(message_id)
        if sent is not None and sent.user == user:
            self._drop(message_id)

    def tick(self, now_ms: int) -> None:
        """Forget what is stale, or was sent, for too long; once a day is enough."""
        for user in list(self._users):
            devices = self._users[user]
            for number, device in list(devices.items()):
                if device.stale_since_ms is not None and now_ms - device.stale_since_ms > MAX_LATENCY_MS:
                    self._store.delete_session(ProtocolAddress(user, number))
                    del devices[number]
            if not devices:
                del self._users[user]
        for message_id, sent in list(self._sent.items()):
            if now_ms - sent.sent_ms > KEPT_MS:
                self._drop(message_id)

    def serialize(self) -> bytes:
        """Return all but the sessions, with the plaintexts that may be sent again: seal it (`sabir.crypto.seal`)."""
        writer = Writer()
        for user, devices in self._users.items():
            part = Writer()
            part.data(1, user.encode())
            for number, device in devices.items():
                one = Writer()
                one.number(1, number)
                one.data(2, device.identity_key)
                one.optional_number(3, device.stale_since_ms)
                one.number(4, device.begun_ms)
                part.data(2, one.finish())
            writer.data(1, part.finish())
        kept = Writer()
        for message_id, sent in self._sent.items():
            one = Writer()
            one.data(1, message_id)
            one.data(2, sent.user.encode())
            one.data(3, sent.plaintext)
            one.data(4, sent.session)
            one.number(5, sent.sent_ms)
            one.number(6, sent.tries)
            kept.data(1, one.finish())
        writer.data(2, kept.finish())
        return bytes((RECORD_VERSION,)) + writer.finish()

    @classmethod
    def deserialize(cls, store: SesameStore, own: ProtocolAddress, data: bytes) -> Sesame:
        """Go on from what `serialize` returned.

        Raises:
            InvalidSessionError: It is damaged or of an unknown version.
        """
        if data[:1] != bytes((RECORD_VERSION,)):
            raise InvalidSessionError("a list of devices of an unknown version")
        sesame = cls(store, own)
        try:
            fields = Fields(data[1:], MAX_USERS + 1)
            for part in fields.every(1):
                user = Fields(part)
                sesame._users[user.needed_data(1).decode()] = dict(map(_device_read, user.every(2)))
            for part in Fields(fields.needed_data(2)).every(1):
                one = Fields(part)
                sent = MessageRecord(
                    one.needed_data(2).decode(),
                    one.needed_data(3),
                    one.needed_data(4),
                    one.long_number(5) or 0,
                    one.number(6) or 0,
                )
                sesame._keep(one.needed_data(1), sent)
        except (ProtobufError, UnicodeDecodeError) as error:
            raise InvalidSessionError("a damaged list of devices") from error
        return sesame

    def _addresses(self, user: str) -> list[ProtocolAddress]:
        return [ProtocolAddress(user, number) for number in self.devices(user)]

    def _has_active(self, address: ProtocolAddress, now_ms: int) -> bool:
        record = self._store.load_session(address)
        if record is None or record.current is None:
            return False
        begun_ms = self._users[address.name][address.device_id].begun_ms
        return record.current.pending is None or now_ms - begun_ms <= MAX_UNANSWERED_MS

    def _update(self, address: ProtocolAddress, identity_key: bytes) -> DeviceRecord:
        """Return the record of a device with this identity key; sessions of another key are forgotten."""
        devices = self._users.setdefault(address.name, {})
        device = devices.get(address.device_id)
        if device is None or not curve.is_same_key(device.identity_key, identity_key):
            if device is not None:
                self._forget_others(address, identity_key)
            device = devices[address.device_id] = DeviceRecord(identity_key)
        return device

    def _forget_others(self, address: ProtocolAddress, identity_key: bytes) -> None:
        record = self._store.load_session(address)
        if record is not None:
            with self._store.transaction():
                self._store.store_session(address, record.only_with(identity_key))

    def _encrypt(self, address: ProtocolAddress, plaintext: bytes, now_ms: int, tries: int) -> Envelope:
        if address.device_id not in self.devices(address.name) or not self._has_active(address, now_ms):
            raise NoSessionError(f"no active session with {address}")
        message = SessionCipher(self._store, address).encrypt(plaintext)
        record = self._store.load_session(address)
        assert record is not None  # that it was sent in
        assert record.current is not None
        message_id = secrets.token_bytes(_ID_BYTES)
        self._keep(message_id, MessageRecord(address.name, plaintext, record.current.base_key, now_ms, tries))
        return Envelope(message_id, address, message)

    def _keep(self, message_id: bytes, sent: MessageRecord) -> None:
        self._sent[message_id] = sent
        self._sent_bytes += len(sent.plaintext)
        while len(self._sent) > MAX_KEPT or self._sent_bytes > MAX_KEPT_BYTES:
            self._drop(next(iter(self._sent)))

    def _drop(self, message_id: bytes) -> None:
        self._sent_bytes -= len(self._sent.pop(message_id).plaintext)


def _device_read(data: bytes) -> tuple[int, DeviceRecord]:
    fields = Fields(data)
    device = DeviceRecord(fields.needed_data(2))
    device.stale_since_ms = fields.long_number(3)
    device.begun_ms = fields.long_number(4) or 0
    return fields.needed_number(1), device
