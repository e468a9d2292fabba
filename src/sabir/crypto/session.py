"""A session between two devices: the Triple Ratchet (Double Ratchet §6.3) and who its two ends are. Compiled by mypyc.

A `SessionState` is a value: `encrypt` and `decrypt` return the next one. Both ratchets step with every message; what
the post-quantum one gives is the salt of the message's keys, so that whoever wants to read must have broken both.
"""

from __future__ import annotations

import os
from typing import Final

from sabir.crypto import cbc, kdf, kyber, pqxdh, x3dh
from sabir.crypto.curve import KeyPair
from sabir.crypto.double_ratchet import DoubleRatchet
from sabir.crypto.errors import DuplicateMessageError, InvalidMessageError
from sabir.crypto.key_chain import Direction
from sabir.crypto.keys import IdentityKeyPair, KyberPreKeyRecord, PreKeyBundle
from sabir.crypto.messages import PreKeySignalMessage, SignalMessage
from sabir.crypto.spqr import SparsePostQuantumRatchet

MESSAGE_INFO: Final = b"WhisperMessageKeys"
MESSAGE_KEYS_BYTES: Final = 80
"""A key for AES-256, one for the MAC, and an IV of 16 bytes (Double Ratchet §7.2)."""


class Pending:
    """What every message says until the other side has answered: how to make the session.

    Attributes:
        prekey_id: The one-time prekey that was used, if any.
        signed_prekey_id: The signed prekey that was used.
        kyber_prekey_id: The Kyber prekey that was used.
        kyber_ciphertext: The secret encapsulated for it.
    """

    __slots__ = ("kyber_ciphertext", "kyber_prekey_id", "prekey_id", "signed_prekey_id")

    def __init__(
        self, prekey_id: int | None, signed_prekey_id: int, kyber_prekey_id: int, kyber_ciphertext: bytes
    ) -> None:
        self.prekey_id: int | None = prekey_id
        self.signed_prekey_id: int = signed_prekey_id
        self.kyber_prekey_id: int = kyber_prekey_id
        self.kyber_ciphertext: bytes = kyber_ciphertext


class SessionState:
    """A session, a value.

    Attributes:
        our_identity: Our identity key, 33 bytes.
        their_identity: The identity key of the other side.
        our_registration_id: Of our installation.
        their_registration_id: Of the other side's.
        base_key: The ephemeral key of the side that began: names the session.
        ratchet: The Double Ratchet.
        pq_ratchet: The post-quantum ratchet.
        pending: Present until the other side has answered.
    """

    __slots__ = (
        "base_key",
        "our_identity",
        "our_registration_id",
        "pending",
        "pq_ratchet",
        "ratchet",
        "their_identity",
        "their_registration_id",
    )

    def __init__(
        self,
        our_identity: bytes,
        their_identity: bytes,
        our_registration_id: int,
        their_registration_id: int,
        base_key: bytes,
        ratchet: DoubleRatchet,
        pq_ratchet: SparsePostQuantumRatchet,
        pending: Pending | None,
    ) -> None:
        self.our_identity: bytes = our_identity
        self.their_identity: bytes = their_identity
        self.our_registration_id: int = our_registration_id
        self.their_registration_id: int = their_registration_id
        self.base_key: bytes = base_key
        self.ratchet: DoubleRatchet = ratchet
        self.pq_ratchet: SparsePostQuantumRatchet = pq_ratchet
        self.pending: Pending | None = pending

    def encrypt(self, plaintext: bytes) -> tuple[SessionState, SignalMessage | PreKeySignalMessage]:
        """Return the state afterwards and the message.

        Raises:
            NoSessionError: We answer, and have not read the first message.
        """
        step = self.ratchet.send()
        sent = self.pq_ratchet.send(os.urandom)
        keys = kdf.hkdf(sent.key, step.seed, MESSAGE_INFO, MESSAGE_KEYS_BYTES)
        message = SignalMessage.create(
            keys[32:64],
            self.our_identity + self.their_identity,
            step.ratchet_key,
            step.counter,
            step.previous_counter,
            cbc.encrypt(keys[:32], keys[64:], plaintext),
            sent.message,
        )
        pending = self.pending
        after = self._stepped(step.ratchet, sent.ratchet, pending)
        if pending is None:
            return after, message
        return after, PreKeySignalMessage(
            self.our_registration_id,
            pending.prekey_id,
            pending.signed_prekey_id,
            pending.kyber_prekey_id,
            pending.kyber_ciphertext,
            self.base_key,
            self.our_identity,
            message,
        )

    def decrypt(self, message: SignalMessage) -> tuple[SessionState, bytes]:
        """Return the state afterwards and the plaintext.

        Raises:
            InvalidMessageError: It is none of this session, or was altered.
            DuplicateMessageError: It was read before.
        """
        ratchet, seed = self.ratchet.receive(message.ratchet_key, message.counter)
        try:
            received = self.pq_ratchet.receive(message.pq_ratchet)
        except DuplicateMessageError as error:
            # Its counter says nothing while the message may be of another session: what this one has read is known
            # by ratchet key and counter.
            raise InvalidMessageError("a message of another session, or too old") from error
        keys = kdf.hkdf(received.key, seed, MESSAGE_INFO, MESSAGE_KEYS_BYTES)
        if not message.has_mac_of(keys[32:64], self.their_identity + self.our_identity):
            raise InvalidMessageError("a message with a wrong MAC")
        plaintext = cbc.decrypt(keys[:32], keys[64:], message.ciphertext)
        return self._stepped(ratchet, received.ratchet, None), plaintext

    def _stepped(
        self, ratchet: DoubleRatchet, pq_ratchet: SparsePostQuantumRatchet, pending: Pending | None
    ) -> SessionState:
        return SessionState(
            self.our_identity,
            self.their_identity,
            self.our_registration_id,
            self.their_registration_id,
            self.base_key,
            ratchet,
            pq_ratchet,
            pending,
        )


def begin(identity: IdentityKeyPair, registration_id: int, bundle: PreKeyBundle) -> SessionState:
    """Begin a session with the owner of a bundle (PQXDH §3.3).

    Raises:
        InvalidKeyError: The bundle holds a bad key or signature.
    """
    bundle.check()
    base = KeyPair.generate()
    agreements = x3dh.initiate(
        identity.key_pair, base, bundle.identity_key, bundle.signed_prekey, bundle.prekey
    )
    secret, ciphertext = kyber.encapsulate(bundle.kyber_prekey)
    keys = pqxdh.session_keys(agreements, secret)
    return SessionState(
        identity.public_key,
        bundle.identity_key,
        registration_id,
        bundle.registration_id,
        base.public_key,
        DoubleRatchet.begin(keys.root_key, bundle.signed_prekey),
        SparsePostQuantumRatchet.initial(Direction.A2B, keys.pq_key),
        Pending(bundle.prekey_id, bundle.signed_prekey_id, bundle.kyber_prekey_id, ciphertext),
    )


def answer(
    identity: IdentityKeyPair,
    registration_id: int,
    message: PreKeySignalMessage,
    signed_prekey: KeyPair,
    kyber_prekey: KyberPreKeyRecord,
    prekey: KeyPair | None,
) -> SessionState:
    """Return the session that a message with prekeys begins (PQXDH §3.4), before the message itself is read.

    Raises:
        InvalidMessageError: What was encapsulated has a wrong form.
    """
    agreements = x3dh.answer(identity.key_pair, signed_prekey, prekey, message.identity_key, message.base_key)
    keys = pqxdh.session_keys(agreements, kyber_prekey.key_pair.decapsulate(message.kyber_ciphertext))
    return SessionState(
        identity.public_key,
        message.identity_key,
        registration_id,
        message.registration_id,
        message.base_key,
        DoubleRatchet.answer(keys.root_key, signed_prekey),
        SparsePostQuantumRatchet.initial(Direction.B2A, keys.pq_key),
        None,
    )
