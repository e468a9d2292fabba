"""The messages of the Signal protocol, in the bytes of libsignal. Compiled by mypyc.

A message is one byte with two versions (its own above, the newest that its maker knows below), a message of Protocol
Buffers, and for some a MAC or signature behind. Whoever reads checks the form here; MAC and signature want keys and
are checked where those are known. `serialize` returns the very bytes that were received.
"""

from __future__ import annotations

import hmac
from typing import Final

from sabir.crypto import curve
from sabir.crypto.errors import InvalidKeyError, InvalidMessageError, InvalidVersionError, LegacyMessageError
from sabir.crypto.protobuf import Fields, ProtobufError, Writer

SIGNAL_TYPE: Final = 2
"""What libsignal calls `Whisper`: a message of a session that both sides have."""
PREKEY_TYPE: Final = 3
"""A message that brings with it what its receiver needs to make the session."""
SENDER_KEY_TYPE: Final = 7

VERSION: Final = 4
"""Of messages between two devices: PQXDH and Triple Ratchet."""
SENDER_KEY_VERSION: Final = 3
MAC_BYTES: Final = 8
UUID_BYTES: Final = 16
CHAIN_KEY_BYTES: Final = 32
MAX_MESSAGE_BYTES: Final = 1 << 20
"""A serialised message; files travel elsewhere, their keys in a message."""
MAX_PLAINTEXT_BYTES: Final = MAX_MESSAGE_BYTES - 8192

_VERSIONS: Final = bytes((VERSION << 4 | VERSION,))
_SENDER_KEY_VERSIONS: Final = bytes((SENDER_KEY_VERSION << 4 | SENDER_KEY_VERSION,))


class SignalMessage:
    """A message of a session.

    Attributes:
        ratchet_key: The sender's current ratchet key, 33 bytes.
        counter: The number of the message in its chain, from 0.
        previous_counter: The length of the chain before.
        ciphertext: AES-256-CBC with PKCS #7 padding: a multiple of 16 bytes.
        pq_ratchet: The message of the post-quantum ratchet, empty if there is none.
        addresses: Who wrote to whom, of clients that know each other by UUID; covered by the MAC, else not used.
        serialized: The message in bytes, MAC included.
    """

    __slots__ = (
        "addresses",
        "ciphertext",
        "counter",
        "pq_ratchet",
        "previous_counter",
        "ratchet_key",
        "serialized",
    )

    def __init__(
        self,
        ratchet_key: bytes,
        counter: int,
        previous_counter: int,
        ciphertext: bytes,
        pq_ratchet: bytes,
        addresses: bytes,
        serialized: bytes,
    ) -> None:
        self.ratchet_key: bytes = ratchet_key
        self.counter: int = counter
        self.previous_counter: int = previous_counter
        self.ciphertext: bytes = ciphertext
        self.pq_ratchet: bytes = pq_ratchet
        self.addresses: bytes = addresses
        self.serialized: bytes = serialized

    @property
    def type(self) -> int:
        """`SIGNAL_TYPE`."""
        return SIGNAL_TYPE

    def serialize(self) -> bytes:
        """Return the message in bytes."""
        return self.serialized

    @classmethod
    def create(
        cls,
        mac_key: bytes,
        identities: bytes,
        ratchet_key: bytes,
        counter: int,
        previous_counter: int,
        ciphertext: bytes,
        pq_ratchet: bytes,
    ) -> SignalMessage:
        """Return a new message; `identities` are the identity keys of sender and receiver, 66 bytes together."""
        writer = Writer()
        writer.data(1, ratchet_key)
        writer.number(2, counter)
        writer.number(3, previous_counter)
        writer.data(4, ciphertext)
        if pq_ratchet:
            writer.data(5, pq_ratchet)
        body = _VERSIONS + writer.finish()
        serialized = body + _mac(mac_key, identities, body)
        return SignalMessage(ratchet_key, counter, previous_counter, ciphertext, pq_ratchet, b"", serialized)

    @classmethod
    def deserialize(cls, data: bytes) -> SignalMessage:
        """Read a message.

        Raises:
            InvalidMessageError: It is malformed or too large; `LegacyMessageError` and `InvalidVersionError` are
                two of its kinds.
        """
        body = _checked(data, VERSION, MAC_BYTES)
        try:
            fields = Fields(body)
            ratchet_key = fields.needed_data(1)
            counter = fields.needed_number(2)
            previous_counter = fields.number(3) or 0
            ciphertext = fields.needed_data(4)
            pq_ratchet = fields.data(5) or b""
            addresses = fields.data(6) or b""
        except ProtobufError as error:
            raise InvalidMessageError(f"no message: {error}") from error
        _check_point(ratchet_key)
        return SignalMessage(ratchet_key, counter, previous_counter, ciphertext, pq_ratchet, addresses, data)

    def has_mac_of(self, mac_key: bytes, identities: bytes) -> bool:
        """Return whether the MAC is that of this key and these two identity keys (sender's and receiver's)."""
        body, mac = self.serialized[:-MAC_BYTES], self.serialized[-MAC_BYTES:]
        return hmac.compare_digest(_mac(mac_key, identities, body), mac)


class PreKeySignalMessage:
    """The first messages of a session: one of the session, and all that is needed to make it.

    Attributes:
        registration_id: Of the sender's installation.
        prekey_id: The receiver's one-time prekey, if one was left.
        signed_prekey_id: The receiver's signed prekey.
        kyber_prekey_id: The receiver's Kyber prekey.
        kyber_ciphertext: The secret that was encapsulated for it, 1,569 bytes.
        base_key: The sender's ephemeral key, 33 bytes.
        identity_key: The sender's identity key, 33 bytes.
        message: The message itself.
        serialized: All of it in bytes.
    """

    __slots__ = (
        "base_key",
        "identity_key",
        "kyber_ciphertext",
        "kyber_prekey_id",
        "message",
        "prekey_id",
        "registration_id",
        "serialized",
        "signed_prekey_id",
    )

    def __init__(
        self,
        registration_id: int,
        prekey_id: int | None,
        signed_prekey_id: int,
        kyber_prekey_id: int,
        kyber_ciphertext: bytes,
        base_key: bytes,
        identity_key: bytes,
        message: SignalMessage,
        serialized: bytes = b"",
    ) -> None:
        self.registration_id: int = registration_id
        self.prekey_id: int | None = prekey_id
        self.signed_prekey_id: int = signed_prekey_id
        self.kyber_prekey_id: int = kyber_prekey_id
        self.kyber_ciphertext: bytes = kyber_ciphertext
        self.base_key: bytes = base_key
        self.identity_key: bytes = identity_key
        self.message: SignalMessage = message
        self.serialized: bytes = serialized or self._written()

    @property
    def type(self) -> int:
        """`PREKEY_TYPE`."""
        return PREKEY_TYPE

    def serialize(self) -> bytes:
        """Return the message in bytes."""
        return self.serialized

    @classmethod
    def deserialize(cls, data: bytes) -> PreKeySignalMessage:
        """Read a message.

        Raises:
            InvalidMessageError: It is malformed or too large; `LegacyMessageError` and `InvalidVersionError` are
                two of its kinds.
        """
        body = _checked(data, VERSION, 0)
        try:
            fields = Fields(body)
            prekey_id = fields.number(1)
            base_key = fields.needed_data(2)
            identity_key = fields.needed_data(3)
            message = fields.needed_data(4)
            registration_id = fields.number(5) or 0
            signed_prekey_id = fields.needed_number(6)
            kyber_prekey_id = fields.needed_number(7)
            kyber_ciphertext = fields.needed_data(8)
        except ProtobufError as error:
            raise InvalidMessageError(f"no message with prekeys: {error}") from error
        _check_point(base_key)
        _check_point(identity_key)
        return PreKeySignalMessage(
            registration_id,
            prekey_id,
            signed_prekey_id,
            kyber_prekey_id,
            kyber_ciphertext,
            base_key,
            identity_key,
            SignalMessage.deserialize(message),
            data,
        )

    def _written(self) -> bytes:
        writer = Writer()
        writer.number(5, self.registration_id)
        writer.optional_number(1, self.prekey_id)
        writer.number(6, self.signed_prekey_id)
        writer.number(7, self.kyber_prekey_id)
        writer.data(8, self.kyber_ciphertext)
        writer.data(2, self.base_key)
        writer.data(3, self.identity_key)
        writer.data(4, self.message.serialized)
        return _VERSIONS + writer.finish()


class SenderKeyMessage:
    """A message to a group, the same bytes for every member.

    Attributes:
        distribution_id: Of the group's sender keys: a UUID, 16 bytes.
        chain_id: Which of the sender's chains.
        iteration: The number of the message in it, from 0.
        ciphertext: AES-256-CBC with PKCS #7 padding.
        serialized: The message in bytes, signature included.
    """

    __slots__ = ("chain_id", "ciphertext", "distribution_id", "iteration", "serialized")

    def __init__(
        self, distribution_id: bytes, chain_id: int, iteration: int, ciphertext: bytes, serialized: bytes
    ) -> None:
        self.distribution_id: bytes = distribution_id
        self.chain_id: int = chain_id
        self.iteration: int = iteration
        self.ciphertext: bytes = ciphertext
        self.serialized: bytes = serialized

    @property
    def type(self) -> int:
        """`SENDER_KEY_TYPE`."""
        return SENDER_KEY_TYPE

    def serialize(self) -> bytes:
        """Return the message in bytes."""
        return self.serialized

    @classmethod
    def create(
        cls,
        signing_key: curve.KeyPair,
        distribution_id: bytes,
        chain_id: int,
        iteration: int,
        ciphertext: bytes,
    ) -> SenderKeyMessage:
        """Return a new message, signed."""
        writer = Writer()
        writer.data(1, distribution_id)
        writer.number(2, chain_id)
        writer.number(3, iteration)
        writer.data(4, ciphertext)
        body = _SENDER_KEY_VERSIONS + writer.finish()
        return SenderKeyMessage(
            distribution_id, chain_id, iteration, ciphertext, body + signing_key.sign(body)
        )

    @classmethod
    def deserialize(cls, data: bytes) -> SenderKeyMessage:
        """Read a message.

        Raises:
            InvalidMessageError: It is malformed or too large, or of another version.
        """
        body = _checked(data, SENDER_KEY_VERSION, curve.SIGNATURE_BYTES)
        try:
            fields = Fields(body)
            distribution_id = fields.needed_data(1)
            chain_id = fields.needed_number(2)
            iteration = fields.needed_number(3)
            ciphertext = fields.needed_data(4)
        except ProtobufError as error:
            raise InvalidMessageError(f"no message to a group: {error}") from error
        _check_uuid(distribution_id)
        return SenderKeyMessage(distribution_id, chain_id, iteration, ciphertext, data)

    def is_signed_by(self, signing_key: bytes) -> bool:
        """Return whether the owner of `signing_key` (33 bytes) made this message."""
        body, signature = self.serialized[: -curve.SIGNATURE_BYTES], self.serialized[-curve.SIGNATURE_BYTES :]
        return curve.verify(signing_key, body, signature)


class SenderKeyDistributionMessage:
    """What a member must know to read another's messages to the group: secret, sent over sessions only.

    Attributes:
        distribution_id: Of the group's sender keys: a UUID, 16 bytes.
        chain_id: Which of the sender's chains.
        iteration: The number of the next message in it.
        chain_key: 32 bytes.
        signing_key: The public key that signs the messages, 33 bytes.
        serialized: The message in bytes.
    """

    __slots__ = ("chain_id", "chain_key", "distribution_id", "iteration", "serialized", "signing_key")

    def __init__(
        self,
        distribution_id: bytes,
        chain_id: int,
        iteration: int,
        chain_key: bytes,
        signing_key: bytes,
        serialized: bytes = b"",
    ) -> None:
        self.distribution_id: bytes = distribution_id
        self.chain_id: int = chain_id
        self.iteration: int = iteration
        self.chain_key: bytes = chain_key
        self.signing_key: bytes = signing_key
        self.serialized: bytes = serialized or self._written()

    def serialize(self) -> bytes:
        """Return the message in bytes."""
        return self.serialized

    @classmethod
    def deserialize(cls, data: bytes) -> SenderKeyDistributionMessage:
        """Read a message.

        Raises:
            InvalidMessageError: It is malformed or too large, or of another version.
        """
        body = _checked(data, SENDER_KEY_VERSION, 0)
        try:
            fields = Fields(body)
            distribution_id = fields.needed_data(1)
            chain_id = fields.needed_number(2)
            iteration = fields.needed_number(3)
            chain_key = fields.needed_data(4)
            signing_key = fields.needed_data(5)
        except ProtobufError as error:
            raise InvalidMessageError(f"no distribution of a sender key: {error}") from error
        _check_uuid(distribution_id)
        if len(chain_key) != CHAIN_KEY_BYTES:
            raise InvalidMessageError(f"a chain key has {CHAIN_KEY_BYTES} bytes")
        _check_point(signing_key)
        return SenderKeyDistributionMessage(
            distribution_id, chain_id, iteration, chain_key, signing_key, data
        )

    def _written(self) -> bytes:
        writer = Writer()
        writer.data(1, self.distribution_id)
        writer.number(2, self.chain_id)
        writer.number(3, self.iteration)
        writer.data(4, self.chain_key)
        writer.data(5, self.signing_key)
        return _SENDER_KEY_VERSIONS + writer.finish()


def _mac(mac_key: bytes, identities: bytes, body: bytes) -> bytes:
    return hmac.digest(mac_key, identities + body, "sha256")[:MAC_BYTES]


def _checked(data: bytes, version: int, behind_bytes: int) -> bytes:
    """Return what stands between the versions and MAC or signature."""
    if len(data) > MAX_MESSAGE_BYTES:
        raise InvalidMessageError(f"a message of more than {MAX_MESSAGE_BYTES} bytes")
    if len(data) <= 1 + behind_bytes:
        raise InvalidMessageError("a message that ends too early")
    its_version = data[0] >> 4
    if its_version < version:
        raise LegacyMessageError(f"version {its_version} of messages is no longer spoken")
    if its_version > version:
        raise InvalidVersionError(f"version {its_version} of messages is not known")
    return data[1 : len(data) - behind_bytes]


def _check_point(public_key: bytes) -> None:
    """A key in a message that is no proper point makes the message invalid."""
    try:
        curve.check_public_key(public_key)
    except InvalidKeyError as error:
        raise InvalidMessageError(f"a message with a bad key: {error}") from error


def _check_uuid(value: bytes) -> None:
    if len(value) != UUID_BYTES:
        raise InvalidMessageError(f"a distribution id has {UUID_BYTES} bytes")
