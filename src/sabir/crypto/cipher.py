"""Begin sessions, encrypt and decrypt: what a program calls. Compiled by mypyc.

All that a message changes is stored before the ciphertext or plaintext is returned, and nothing if it is refused: a
program that dies in between loses that message's key, but never uses one twice.
"""

from __future__ import annotations

from sabir.crypto import curve, session
from sabir.crypto.errors import InvalidKeyIdError, InvalidMessageError, NoSessionError, UntrustedIdentityError
from sabir.crypto.keys import PreKeyBundle, ProtocolAddress
from sabir.crypto.messages import MAX_PLAINTEXT_BYTES, PreKeySignalMessage, SignalMessage
from sabir.crypto.record import SessionRecord
from sabir.crypto.store import Direction, ProtocolStore


class SessionBuilder:
    """Begins sessions with the device at `address`."""

    def __init__(self, store: ProtocolStore, address: ProtocolAddress) -> None:
        self._store = store
        self._address = address

    def process(self, bundle: PreKeyBundle) -> None:
        """Begin a session from a bundle of keys; what is sent next is sent in it. Older sessions stay readable.

        Raises:
            UntrustedIdentityError: The identity is not the one that the store trusts.
            InvalidKeyError: A key or signature in the bundle is bad.
        """
        store, address = self._store, self._address
        curve.check_public_key(bundle.identity_key)
        if not store.is_trusted_identity(address, bundle.identity_key, Direction.SENDING):
            raise UntrustedIdentityError(str(address), bundle.identity_key)
        state = session.begin(store.identity_key_pair, store.registration_id, bundle)
        record = store.load_session(address) or SessionRecord()
        with store.transaction():
            store.save_identity(address, bundle.identity_key)
            store.store_session(address, record.with_current(state))


class SessionCipher:
    """Encrypts to and decrypts from the device at `address`, one message at a time."""

    def __init__(self, store: ProtocolStore, address: ProtocolAddress) -> None:
        self._store = store
        self._address = address

    def encrypt(self, plaintext: bytes) -> SignalMessage | PreKeySignalMessage:
        """Return `plaintext` as a message: with prekeys until the other side has answered.

        Raises:
            NoSessionError: There is no session to send in: process a bundle first.
            UntrustedIdentityError: The store no longer trusts the identity that the session is with.
            ValueError: More than `MAX_PLAINTEXT_BYTES`.
        """
        if len(plaintext) > MAX_PLAINTEXT_BYTES:
            raise ValueError(f"a message holds at most {MAX_PLAINTEXT_BYTES} bytes")
        store, address = self._store, self._address
        record = store.load_session(address)
        if record is None or record.current is None:
            raise NoSessionError(f"no session with {address}")
        self._check_trust(record.current.their_identity, Direction.SENDING)
        after, message = record.encrypt(plaintext)
        with store.transaction():
            store.store_session(address, after)
        return message

    def decrypt(self, message: SignalMessage | PreKeySignalMessage) -> bytes:
        """Return the plaintext of a message from this device.

        Raises:
            InvalidMessageError: It was altered, or is of no session that we have.
            DuplicateMessageError: It was read before.
            NoSessionError: There is no session with this device.
            UntrustedIdentityError: The identity is not the one that the store trusts.
            InvalidKeyIdError: It was made with a prekey that we do not have.
        """
        if isinstance(message, PreKeySignalMessage):
            return self._decrypt_first(message)
        store, address = self._store, self._address
        record = store.load_session(address)
        if record is None:
            raise NoSessionError(f"no session with {address}")
        after, plaintext = record.decrypt(message)
        assert after.current is not None  # the session that it was read in
        self._check_trust(after.current.their_identity, Direction.RECEIVING)
        with store.transaction():
            store.store_session(address, after)
        return plaintext

    def _decrypt_first(self, message: PreKeySignalMessage) -> bytes:
        store, address = self._store, self._address
        self._check_trust(message.identity_key, Direction.RECEIVING)
        record = store.load_session(address) or SessionRecord()
        known = record.promoted(message.base_key)
        if known is not None and known.current is not None:
            if not curve.is_same_key(known.current.their_identity, message.identity_key):
                raise InvalidMessageError("a session of another identity")
            after, plaintext = known.decrypt_current(message.message)
            with store.transaction():
                store.store_session(address, after)
            return plaintext
        after, plaintext = record.with_current(self._answered(message)).decrypt_current(message.message)
        with store.transaction():
            store.mark_kyber_prekey_used(message.kyber_prekey_id, message.signed_prekey_id, message.base_key)
            store.store_session(address, after)
            store.save_identity(address, message.identity_key)
            if message.prekey_id is not None:
                store.remove_prekey(message.prekey_id)
        return plaintext

    def _answered(self, message: PreKeySignalMessage) -> session.SessionState:
        """Return the session that a message begins."""
        store = self._store
        signed_prekey = store.load_signed_prekey(message.signed_prekey_id)
        if signed_prekey is None:
            raise InvalidKeyIdError(f"no signed prekey {message.signed_prekey_id}")
        kyber_prekey = store.load_kyber_prekey(message.kyber_prekey_id)
        if kyber_prekey is None:
            raise InvalidKeyIdError(f"no Kyber prekey {message.kyber_prekey_id}")
        prekey: curve.KeyPair | None = None
        if message.prekey_id is not None:
            one_time = store.load_prekey(message.prekey_id)
            if one_time is None:
                raise InvalidKeyIdError(f"no one-time prekey {message.prekey_id}")
            prekey = one_time.key_pair
        return session.answer(
            store.identity_key_pair,
            store.registration_id,
            message,
            signed_prekey.key_pair,
            kyber_prekey,
            prekey,
        )

    def _check_trust(self, identity_key: bytes, direction: Direction) -> None:
        if not self._store.is_trusted_identity(self._address, identity_key, direction):
            raise UntrustedIdentityError(str(self._address), identity_key)
