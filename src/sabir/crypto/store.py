"""What a device must remember: the interface that sessions are built on, and one that forgets when the program ends."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from enum import Enum
from typing import Final, Protocol

from sabir.crypto.curve import KeyPair, is_same_key
from sabir.crypto.errors import InvalidMessageError
from sabir.crypto.keys import (
    MAX_ID,
    MAX_REGISTRATION_ID,
    IdentityKeyPair,
    KyberPreKeyRecord,
    PreKeyBundle,
    PreKeyRecord,
    ProtocolAddress,
    SignedPreKeyRecord,
)
from sabir.crypto.record import SessionRecord
from sabir.crypto.sender_keys import SenderKeyRecord


class Direction(Enum):
    """What for an identity is to be trusted."""

    SENDING = "sending"
    RECEIVING = "receiving"


class ProtocolStore(Protocol):
    """Where a device keeps its keys and sessions. Everything given out is a value that nobody changes.

    One store serves one device, and one message at a time: two encryptions at once would use the same keys.
    """

    @property
    def identity_key_pair(self) -> IdentityKeyPair:
        """Our identity."""
        ...

    @property
    def registration_id(self) -> int:
        """The number of our installation."""
        ...

    def transaction(self) -> AbstractContextManager[None]:
        """Enclose changes that one message causes: all of them are kept, or none."""
        ...

    def is_trusted_identity(
        self, address: ProtocolAddress, identity_key: bytes, direction: Direction
    ) -> bool:
        """Return whether this is the identity key that we trust, or the first of somebody new."""
        ...

    def get_identity(self, address: ProtocolAddress) -> bytes | None:
        """Return the identity key that is trusted."""
        ...

    def save_identity(self, address: ProtocolAddress, identity_key: bytes) -> bool:
        """Trust this identity key from now on; return whether it replaces another."""
        ...

    def load_session(self, address: ProtocolAddress) -> SessionRecord | None:
        """Return the sessions with a device."""
        ...

    def store_session(self, address: ProtocolAddress, record: SessionRecord) -> None:
        """Keep the sessions with a device, instead of those before."""
        ...

    def load_prekey(self, number: int) -> PreKeyRecord | None:
        """Return a one-time prekey that was not used yet."""
        ...

    def remove_prekey(self, number: int) -> None:
        """Forget a one-time prekey: it was used."""
        ...

    def load_signed_prekey(self, number: int) -> SignedPreKeyRecord | None:
        """Return a signed prekey, the newest or an older one that messages may still be made with."""
        ...

    def load_kyber_prekey(self, number: int) -> KyberPreKeyRecord | None:
        """Return a Kyber prekey, one-time or last resort."""
        ...

    def mark_kyber_prekey_used(self, number: int, signed_prekey_id: int, base_key: bytes) -> None:
        """Forget a Kyber prekey if it is a one-time one, else note who used it (PQXDH §4.2: replay).

        Raises:
            InvalidMessageError: The last resort was used with these very keys before.
        """
        ...

    def load_sender_key(self, sender: ProtocolAddress, distribution_id: bytes) -> SenderKeyRecord | None:
        """Return what we know to read a sender's messages to a group (our own: to write them)."""
        ...

    def store_sender_key(
        self, sender: ProtocolAddress, distribution_id: bytes, record: SenderKeyRecord
    ) -> None:
        """Keep what we know of a sender in a group."""
        ...


class InMemoryProtocolStore:
    """A `ProtocolStore` that lasts as long as the program: for tests, examples and short-lived devices."""

    def __init__(self, identity: IdentityKeyPair, registration_id: int) -> None:
        if not 1 <= registration_id <= MAX_REGISTRATION_ID:
            raise ValueError(f"a registration id is in 1 to {MAX_REGISTRATION_ID}")
        self.identity_key_pair: Final = identity
        self.registration_id: Final = registration_id
        self._identities: dict[ProtocolAddress, bytes] = {}
        self._sessions: dict[ProtocolAddress, SessionRecord] = {}
        self._prekeys: dict[int, PreKeyRecord] = {}
        self._signed_prekeys: dict[int, SignedPreKeyRecord] = {}
        self._kyber_prekeys: dict[int, KyberPreKeyRecord] = {}
        self._last_resorts: dict[int, set[tuple[int, bytes]]] = {}
        self._sender_keys: dict[tuple[ProtocolAddress, bytes], SenderKeyRecord] = {}
        self._bundle: tuple[SignedPreKeyRecord, KyberPreKeyRecord] | None = None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Enclose changes; in memory, what was changed before an error stays changed."""
        yield

    def is_trusted_identity(
        self, address: ProtocolAddress, identity_key: bytes, direction: Direction
    ) -> bool:
        """Return whether the key is the first that we saw there, or the one that was saved since."""
        known = self._identities.get(address)
        return known is None or is_same_key(known, identity_key)

    def get_identity(self, address: ProtocolAddress) -> bytes | None:
        """Return the identity key that is trusted."""
        return self._identities.get(address)

    def save_identity(self, address: ProtocolAddress, identity_key: bytes) -> bool:
        """Trust this identity key from now on; return whether it replaces another."""
        known = self._identities.get(address)
        self._identities[address] = identity_key
        return known is not None and not is_same_key(known, identity_key)

    def load_session(self, address: ProtocolAddress) -> SessionRecord | None:
        """Return the sessions with a device."""
        return self._sessions.get(address)

    def store_session(self, address: ProtocolAddress, record: SessionRecord) -> None:
        """Keep the sessions with a device."""
        self._sessions[address] = record

    def delete_session(self, address: ProtocolAddress) -> None:
        """Forget all sessions with a device; its identity stays known."""
        self._sessions.pop(address, None)

    def load_prekey(self, number: int) -> PreKeyRecord | None:
        """Return a one-time prekey that was not used yet."""
        return self._prekeys.get(number)

    def store_prekey(self, record: PreKeyRecord) -> None:
        """Keep a one-time prekey."""
        self._prekeys[record.id] = record

    def remove_prekey(self, number: int) -> None:
        """Forget a one-time prekey."""
        self._prekeys.pop(number, None)

    def load_signed_prekey(self, number: int) -> SignedPreKeyRecord | None:
        """Return a signed prekey."""
        return self._signed_prekeys.get(number)

    def store_signed_prekey(self, record: SignedPreKeyRecord) -> None:
        """Keep a signed prekey."""
        self._signed_prekeys[record.id] = record

    def load_kyber_prekey(self, number: int) -> KyberPreKeyRecord | None:
        """Return a Kyber prekey."""
        return self._kyber_prekeys.get(number)

    def store_kyber_prekey(self, record: KyberPreKeyRecord, *, last_resort: bool = False) -> None:
        """Keep a Kyber prekey, of one time or the last resort."""
        self._kyber_prekeys[record.id] = record
        if last_resort:
            self._last_resorts[record.id] = set()

    def mark_kyber_prekey_used(self, number: int, signed_prekey_id: int, base_key: bytes) -> None:
        """Forget a Kyber prekey of one time, and note who used the last resort.

        Raises:
            InvalidMessageError: The last resort was used with these very keys before.
        """
        users = self._last_resorts.get(number)
        if users is None:
            self._kyber_prekeys.pop(number, None)
            return
        if (signed_prekey_id, base_key) in users:
            raise InvalidMessageError("a message that began a session before")
        users.add((signed_prekey_id, base_key))

    def load_sender_key(self, sender: ProtocolAddress, distribution_id: bytes) -> SenderKeyRecord | None:
        """Return what we know of a sender in a group."""
        return self._sender_keys.get((sender, distribution_id))

    def store_sender_key(
        self, sender: ProtocolAddress, distribution_id: bytes, record: SenderKeyRecord
    ) -> None:
        """Keep what we know of a sender in a group."""
        self._sender_keys[sender, distribution_id] = record

    def make_bundle(self, one_time: bool = True, *, device_id: int = 1, now_ms: int = 0) -> PreKeyBundle:
        """Return a bundle for one who wants to write to this device, and keep the private keys of it.

        Signed prekey and last resort are made once; with `one_time`, a one-time prekey and a Kyber prekey of one time
        are made for this bundle.
        """
        if self._bundle is None:
            signed = SignedPreKeyRecord.generate(
                self.identity_key_pair, _new_id(self._signed_prekeys), now_ms
            )
            kyber = KyberPreKeyRecord.generate(self.identity_key_pair, _new_id(self._kyber_prekeys), now_ms)
            self.store_signed_prekey(signed)
            self.store_kyber_prekey(kyber, last_resort=True)
            self._bundle = signed, kyber
        signed, kyber = self._bundle
        prekey: PreKeyRecord | None = None
        if one_time:
            prekey = PreKeyRecord(_new_id(self._prekeys), KeyPair.generate())
            self.store_prekey(prekey)
            kyber = KyberPreKeyRecord.generate(self.identity_key_pair, _new_id(self._kyber_prekeys), now_ms)
            self.store_kyber_prekey(kyber)
        return PreKeyBundle(
            registration_id=self.registration_id,
            device_id=device_id,
            prekey_id=None if prekey is None else prekey.id,
            prekey=None if prekey is None else prekey.key_pair.public_key,
            signed_prekey_id=signed.id,
            signed_prekey=signed.key_pair.public_key,
            signed_prekey_signature=signed.signature,
            identity_key=self.identity_key_pair.public_key,
            kyber_prekey_id=kyber.id,
            kyber_prekey=kyber.key_pair.public_key,
            kyber_prekey_signature=kyber.signature,
        )


def _new_id(
    taken: dict[int, PreKeyRecord] | dict[int, SignedPreKeyRecord] | dict[int, KyberPreKeyRecord],
) -> int:
    """Return an id that none of these has: random, so that it does not tell how many were made."""
    while True:
        number = 1 + secrets.randbelow(MAX_ID)
        if number not in taken:
            return number
