"""What the `OMEMO` library passes around, of this version of the protocol."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Final

import xeddsa
from omemo.backend import DecryptionFailed
from omemo.bundle import Bundle
from omemo.message import Content, EncryptedKeyMaterial, KeyExchange, PlainKeyMaterial

from sabir.crypto.protobuf import Fields, ProtobufError, Writer

NAMESPACE: Final = "eu.siacs.conversations.axolotl"
KEY_BYTES: Final = 16
TAG_BYTES: Final = 16
MAC_BYTES: Final = 8
KEY_MESSAGE_MAX: Final = 4096
VERSION: Final = b"\x33"
"""The version of a message, and the newest that its maker knows: both 3."""


def identity_of(public_key: bytes) -> bytes:
    """Return an identity key (33 bytes) in the library's format, Ed25519; XEdDSA §2.3: its sign bit is zero."""
    return bytes(xeddsa.curve25519_pub_to_ed25519_pub(public_key[1:], False))


class LegacyBundle(Bundle):
    """The public keys of a device, each of 33 bytes; one-time prekeys by their ids."""

    def __init__(
        self,
        bare_jid: str,
        device_id: int,
        identity_key: bytes,
        signed_prekey_id: int,
        signed_prekey: bytes,
        signature: bytes,
        prekeys: dict[int, bytes],
    ) -> None:
        self._bare_jid: Final = bare_jid
        self._device_id: Final = device_id
        self.identity: Final = identity_key
        self.signed_prekey_id: Final = signed_prekey_id
        self.signed_prekey: Final = signed_prekey
        self.signature: Final = signature
        self.prekeys: Final = prekeys

    @property
    def namespace(self) -> str:
        """The version of OMEMO."""
        return NAMESPACE

    @property
    def bare_jid(self) -> str:
        """Whose device it is."""
        return self._bare_jid

    @property
    def device_id(self) -> int:
        """The number of the device."""
        return self._device_id

    @property
    def identity_key(self) -> bytes:
        """The identity key in the library's format."""
        return identity_of(self.identity)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LegacyBundle) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((self._bare_jid, self._device_id, self.identity, self.signed_prekey))


class LegacyContent(Content):
    """A text under AES-128-GCM, without its tag, which travels with the key; empty if only keys are exchanged."""

    def __init__(self, ciphertext: bytes, iv: bytes) -> None:
        self.ciphertext: Final = ciphertext
        self.iv: Final = iv

    @property
    def empty(self) -> bool:
        """Whether there is no text."""
        return not self.ciphertext


@dataclass(frozen=True)
class LegacyPlainKeys(PlainKeyMaterial):
    """The key of a text, 16 bytes, and the tag that proves it, 16 bytes."""

    key: bytes
    tag: bytes


@dataclass(frozen=True)
class KeyMessage:
    """A message of version 3 between two devices, which carries the key of a text.

    Attributes:
        ratchet_key: 33 bytes.
        counter: Its number in its chain.
        previous_counter: The length of the chain before.
        ciphertext: The key, encrypted.
        serialized: All of it with its MAC.
    """

    ratchet_key: bytes
    counter: int
    previous_counter: int
    ciphertext: bytes
    serialized: bytes

    @classmethod
    def create(
        cls,
        mac_key: bytes,
        identities: bytes,
        ratchet_key: bytes,
        counter: int,
        previous: int,
        ciphertext: bytes,
    ) -> KeyMessage:
        """Return a new message between the owners of two identity keys, sender's first."""
        writer = Writer()
        writer.data(1, ratchet_key)
        writer.number(2, counter)
        writer.number(3, previous)
        writer.data(4, ciphertext)
        body = VERSION + writer.finish()
        return cls(ratchet_key, counter, previous, ciphertext, body + _mac(mac_key, identities, body))

    @classmethod
    def parse(cls, data: bytes) -> KeyMessage:
        """Read a message.

        Raises:
            DecryptionFailed: it is malformed.
        """
        if len(data) > KEY_MESSAGE_MAX or data[:1] != VERSION:
            raise DecryptionFailed("not a message of version 3")
        try:
            fields = Fields(data[1:-MAC_BYTES])
            return cls(
                fields.needed_data(1),
                fields.needed_number(2),
                fields.number(3) or 0,
                fields.needed_data(4),
                data,
            )
        except ProtobufError as error:
            raise DecryptionFailed(f"malformed: {error}") from None

    def has_mac_of(self, mac_key: bytes, identities: bytes) -> bool:
        """Return whether the MAC is that of this key and these two identity keys."""
        body, mac = self.serialized[:-MAC_BYTES], self.serialized[-MAC_BYTES:]
        return hmac.compare_digest(_mac(mac_key, identities, body), mac)


@dataclass(frozen=True)
class LegacyKeys(EncryptedKeyMaterial):
    """The key of a text, encrypted for one device."""

    jid: str
    number: int
    message: KeyMessage

    @property
    def bare_jid(self) -> str:
        """Whose device it is for; empty where the element does not say (§4.5 names numbers only)."""
        return self.jid

    @property
    def device_id(self) -> int:
        """The number of the device."""
        return self.number


@dataclass(frozen=True)
class LegacyExchange(KeyExchange):
    """What makes a session.

    Attributes:
        identity: The identity key of who begins, 33 bytes.
        base_key: Their ephemeral key, 33 bytes.
        signed_prekey_id: Which signed prekey of the other side was used.
        prekey_id: Which one-time prekey was used.
    """

    identity: bytes
    base_key: bytes
    signed_prekey_id: int
    prekey_id: int

    @property
    def identity_key(self) -> bytes:
        """The identity key in the library's format."""
        return identity_of(self.identity)

    def builds_same_session(self, other: KeyExchange) -> bool:
        """Return whether another exchange makes the same session: its ephemeral key names it."""
        return isinstance(other, LegacyExchange) and other.base_key == self.base_key

    def wrap(self, message: KeyMessage, registration_id: int) -> bytes:
        """Return the message with this exchange around it."""
        writer = Writer()
        writer.number(1, self.prekey_id)
        writer.data(2, self.base_key)
        writer.data(3, self.identity)
        writer.data(4, message.serialized)
        writer.number(5, registration_id)
        writer.number(6, self.signed_prekey_id)
        return VERSION + writer.finish()

    @classmethod
    def unwrap(cls, data: bytes) -> tuple[LegacyExchange, KeyMessage]:
        """Read an exchange and the message in it.

        Raises:
            DecryptionFailed: it is malformed, or uses no one-time prekey, which OMEMO wants (§4.4).
        """
        if len(data) > KEY_MESSAGE_MAX or data[:1] != VERSION:
            raise DecryptionFailed("not a message of version 3")
        try:
            fields = Fields(data[1:])
            exchange = cls(
                fields.needed_data(3), fields.needed_data(2), fields.needed_number(6), fields.needed_number(1)
            )
            return exchange, KeyMessage.parse(fields.needed_data(4))
        except ProtobufError as error:
            raise DecryptionFailed(f"malformed: {error}") from None


def _mac(mac_key: bytes, identities: bytes, body: bytes) -> bytes:
    return hmac.digest(mac_key, identities + body, "sha256")[:MAC_BYTES]
