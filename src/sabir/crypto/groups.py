"""Messages to groups with sender keys: what a program calls.

`distribution_id` is a UUID (16 bytes) that a group's members agree on; a sender is the address of a device.
"""

from __future__ import annotations

import secrets

from sabir.crypto.curve import KeyPair
from sabir.crypto.errors import InvalidMessageError, NoSessionError
from sabir.crypto.keys import ProtocolAddress
from sabir.crypto.messages import (
    CHAIN_KEY_BYTES,
    MAX_PLAINTEXT_BYTES,
    UUID_BYTES,
    SenderKeyDistributionMessage,
    SenderKeyMessage,
)
from sabir.crypto.sender_keys import SenderKeyRecord, SenderKeyState
from sabir.crypto.store import ProtocolStore


class GroupSessionBuilder:
    """Tells members our chain, and takes theirs."""

    def __init__(self, store: ProtocolStore) -> None:
        self._store = store

    def create(self, sender: ProtocolAddress, distribution_id: bytes) -> SenderKeyDistributionMessage:
        """Return what members must know to read our next messages, from a new chain if there is none.

        `sender` is our own address. The message is secret: it goes to each member in a session of its own.

        Raises:
            ValueError: `distribution_id` is no UUID.
        """
        record = self._store.load_sender_key(sender, distribution_id)
        return self.reset(sender, distribution_id) if record is None else record.distribution(distribution_id)

    def reset(self, sender: ProtocolAddress, distribution_id: bytes) -> SenderKeyDistributionMessage:
        """Return the same of a new chain: after somebody has left, who must not read on.

        Raises:
            ValueError: `distribution_id` is no UUID.
        """
        if len(distribution_id) != UUID_BYTES:
            raise ValueError(f"a distribution id has {UUID_BYTES} bytes")
        signing = KeyPair.generate()
        chain_key = secrets.token_bytes(CHAIN_KEY_BYTES)
        state = SenderKeyState(secrets.randbits(31), chain_key, 0, signing.public_key, signing, {})
        record = SenderKeyRecord([state])
        with self._store.transaction():
            self._store.store_sender_key(sender, distribution_id, record)
        return record.distribution(distribution_id)

    def process(self, sender: ProtocolAddress, message: SenderKeyDistributionMessage) -> None:
        """Take what `sender` told us, in a session with it, about its chain."""
        state = SenderKeyState(
            message.chain_id, message.chain_key, message.iteration, message.signing_key, None, {}
        )
        record = self._store.load_sender_key(sender, message.distribution_id) or SenderKeyRecord()
        with self._store.transaction():
            self._store.store_sender_key(sender, message.distribution_id, record.with_state(state))


class GroupCipher:
    """Encrypts to a group as `sender`, which is us, or decrypts what `sender` sent to it."""

    def __init__(self, store: ProtocolStore, sender: ProtocolAddress) -> None:
        self._store = store
        self._sender = sender

    def encrypt(self, distribution_id: bytes, plaintext: bytes) -> SenderKeyMessage:
        """Return `plaintext` as a message, the same for all members.

        Raises:
            NoSessionError: `GroupSessionBuilder.create` comes first.
            ValueError: More than `MAX_PLAINTEXT_BYTES`.
        """
        if len(plaintext) > MAX_PLAINTEXT_BYTES:
            raise ValueError(f"a message holds at most {MAX_PLAINTEXT_BYTES} bytes")
        record = self._record(distribution_id)
        after, message = record.encrypt(distribution_id, plaintext)
        with self._store.transaction():
            self._store.store_sender_key(self._sender, distribution_id, after)
        return message

    def decrypt(self, message: SenderKeyMessage) -> bytes:
        """Return the plaintext of a message.

        Raises:
            NoSessionError: The sender has not told us this chain.
            InvalidMessageError: It was altered.
            DuplicateMessageError: It was read before.
        """
        record = self._record(message.distribution_id)
        if record.states and record.states[0].private_key is not None:
            raise InvalidMessageError("a message of our own")
        after, plaintext = record.decrypt(message)
        with self._store.transaction():
            self._store.store_sender_key(self._sender, message.distribution_id, after)
        return plaintext

    def _record(self, distribution_id: bytes) -> SenderKeyRecord:
        record = self._store.load_sender_key(self._sender, distribution_id)
        if record is None:
            raise NoSessionError(f"no sender key of {self._sender}")
        return record
