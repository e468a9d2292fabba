"""Long-lived keys of a device, those that it publishes for others to begin sessions with, and what others fetch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sabir.crypto import curve, kyber
from sabir.crypto.curve import KeyPair
from sabir.crypto.errors import InvalidKeyError, InvalidSessionError
from sabir.crypto.kyber import KyberKeyPair
from sabir.crypto.protobuf import Fields, ProtobufError, Writer

RECORD_VERSION: Final = 1
"""The first byte of serialised records; what other versions of Sabir wrote is read or refused by it."""
MAX_ID: Final = 0xFFFFFF
"""The greatest id of a prekey that every client takes."""
MAX_NUMBER: Final = 0xFFFFFFFF
"""The greatest id that a message can hold."""
MAX_REGISTRATION_ID: Final = 0x3FFF
MAX_DEVICE_ID: Final = 0x7FFFFFFF
"""OMEMO's; the servers of Signal give 1 to 127."""


@dataclass(frozen=True, slots=True)
class ProtocolAddress:
    """A device of somebody.

    Raises:
        ValueError: `device_id` is not in 1 to `MAX_DEVICE_ID`, or there is no name.
    """

    name: str
    device_id: int

    def __post_init__(self) -> None:
        if not self.name or not 1 <= self.device_id <= MAX_DEVICE_ID:
            raise ValueError(f"no address: {self.name!r}, device {self.device_id}")

    def __str__(self) -> str:
        return f"{self.name}.{self.device_id}"


@dataclass(frozen=True, slots=True)
class IdentityKeyPair:
    """The key pair that a device is known by."""

    key_pair: KeyPair

    @classmethod
    def generate(cls) -> IdentityKeyPair:
        """Return a new identity from the system's randomness."""
        return cls(KeyPair.generate())

    @property
    def public_key(self) -> bytes:
        """The identity key: 33 bytes."""
        return self.key_pair.public_key

    def sign(self, message: bytes) -> bytes:
        """Return the XEdDSA signature of `message`, 64 bytes."""
        return self.key_pair.sign(message)

    def serialize(self) -> bytes:
        """Return both keys in libsignal's form; seal it (`sabir.crypto.seal`) before it goes anywhere."""
        writer = Writer()
        writer.data(1, self.public_key)
        writer.data(2, self.key_pair.private_bytes())
        return writer.finish()

    @classmethod
    def deserialize(cls, data: bytes) -> IdentityKeyPair:
        """Read what `serialize`, ours or libsignal's, returned.

        Raises:
            InvalidKeyError: It is damaged, or the two keys are not of one pair.
        """
        try:
            fields = Fields(data)
            public_key, private_key = fields.needed_data(1), fields.needed_data(2)
        except ProtobufError as error:
            raise InvalidKeyError(f"no identity: {error}") from error
        pair = KeyPair.from_private(private_key)
        if not curve.is_same_key(pair.public_key, public_key):
            raise InvalidKeyError("the public key of this identity belongs to another private key")
        return cls(pair)


@dataclass(frozen=True, slots=True)
class PreKeyRecord:
    """A one-time prekey."""

    id: int
    key_pair: KeyPair

    def serialize(self) -> bytes:
        """Return the record in Sabir's versioned form, private key included."""
        return _written(self.id, self.key_pair.private_bytes(), None, None)

    @classmethod
    def deserialize(cls, data: bytes) -> PreKeyRecord:
        """Read what `serialize` returned.

        Raises:
            InvalidSessionError: It is damaged or of an unknown version.
        """
        number, private, _, _ = _read(data)
        return cls(number, _pair(private))


@dataclass(frozen=True, slots=True)
class SignedPreKeyRecord:
    """A prekey that is used by many and changed every few days or weeks."""

    id: int
    created_ms: int
    key_pair: KeyPair
    signature: bytes

    @classmethod
    def generate(cls, identity: IdentityKeyPair, number: int, created_ms: int) -> SignedPreKeyRecord:
        """Return a new one, signed by `identity`; `created_ms` is Unix time."""
        pair = KeyPair.generate()
        return cls(number, created_ms, pair, identity.sign(pair.public_key))

    def serialize(self) -> bytes:
        """Return the record in Sabir's versioned form, private key included."""
        return _written(self.id, self.key_pair.private_bytes(), self.created_ms, self.signature)

    @classmethod
    def deserialize(cls, data: bytes) -> SignedPreKeyRecord:
        """Read what `serialize` returned.

        Raises:
            InvalidSessionError: It is damaged or of an unknown version.
        """
        number, private, created_ms, signature = _read(data)
        return cls(number, created_ms, _pair(private), signature)


@dataclass(frozen=True, slots=True)
class KyberPreKeyRecord:
    """A prekey of Kyber-1024: one-time, or the last resort that many use when those are gone (PQXDH §3.2)."""

    id: int
    created_ms: int
    key_pair: KyberKeyPair
    signature: bytes

    @classmethod
    def generate(cls, identity: IdentityKeyPair, number: int, created_ms: int) -> KyberPreKeyRecord:
        """Return a new one, signed by `identity`; `created_ms` is Unix time."""
        pair = KyberKeyPair.generate()
        return cls(number, created_ms, pair, identity.sign(pair.public_key))

    def serialize(self) -> bytes:
        """Return the record in Sabir's versioned form, seed included."""
        return _written(self.id, self.key_pair.seed(), self.created_ms, self.signature)

    @classmethod
    def deserialize(cls, data: bytes) -> KyberPreKeyRecord:
        """Read what `serialize` returned.

        Raises:
            InvalidSessionError: It is damaged or of an unknown version.
        """
        number, seed, created_ms, signature = _read(data)
        try:
            pair = KyberKeyPair.from_seed(seed)
        except InvalidKeyError as error:
            raise InvalidSessionError("a damaged prekey") from error
        return cls(number, created_ms, pair, signature)


@dataclass(frozen=True, slots=True)
class PreKeyBundle:
    """What one fetches to write to a device for the first time; keys as serialised bytes.

    It comes from a server, so nothing in it is believed: `SessionBuilder.process` calls `check`.
    """

    registration_id: int
    device_id: int
    prekey_id: int | None
    prekey: bytes | None
    signed_prekey_id: int
    signed_prekey: bytes
    signed_prekey_signature: bytes
    identity_key: bytes
    kyber_prekey_id: int
    kyber_prekey: bytes
    kyber_prekey_signature: bytes

    def check(self) -> None:
        """Refuse keys that are no proper keys and prekeys that are not signed by the identity (PQXDH §3.3).

        Raises:
            InvalidKeyError: Which key it is stands in the text.
        """
        curve.check_public_key(self.identity_key)
        numbers = (self.registration_id, self.prekey_id or 0, self.signed_prekey_id, self.kyber_prekey_id)
        if not all(0 <= number <= MAX_NUMBER for number in numbers):
            raise InvalidKeyError("an id that no message can hold")
        if not curve.verify(self.identity_key, self.signed_prekey, self.signed_prekey_signature):
            raise InvalidKeyError("the signed prekey is not signed by the identity")
        if not curve.verify(self.identity_key, self.kyber_prekey, self.kyber_prekey_signature):
            raise InvalidKeyError("the Kyber prekey is not signed by the identity")
        curve.check_public_key(self.signed_prekey)
        if (self.prekey_id is None) != (self.prekey is None):
            raise InvalidKeyError("a one-time prekey needs both key and id")
        if self.prekey is not None:
            curve.check_public_key(self.prekey)
        kyber.check_public_key(self.kyber_prekey)


def _written(number: int, private: bytes, created_ms: int | None, signature: bytes | None) -> bytes:
    writer = Writer()
    writer.number(1, number)
    writer.data(2, private)
    writer.optional_number(3, created_ms)
    writer.optional_data(4, signature)
    return bytes((RECORD_VERSION,)) + writer.finish()


def _read(data: bytes) -> tuple[int, bytes, int, bytes]:
    if data[:1] != bytes((RECORD_VERSION,)):
        raise InvalidSessionError("a key record of an unknown version")
    try:
        fields = Fields(data[1:])
        return (
            fields.needed_number(1),
            fields.needed_data(2),
            fields.long_number(3) or 0,
            fields.data(4) or b"",
        )
    except ProtobufError as error:
        raise InvalidSessionError(f"a damaged key record: {error}") from error


def _pair(private: bytes) -> KeyPair:
    try:
        return KeyPair.from_private(private)
    except InvalidKeyError as error:
        raise InvalidSessionError("a damaged prekey") from error
