"""All sessions with one device: the current one, and older ones that messages may still be of. Compiled by mypyc."""

from __future__ import annotations

from typing import Final

from sabir.crypto.double_ratchet import DoubleRatchet
from sabir.crypto.errors import InvalidKeyError, InvalidMessageError, InvalidSessionError, NoSessionError
from sabir.crypto.messages import PreKeySignalMessage, SignalMessage
from sabir.crypto.protobuf import Fields, ProtobufError, Writer
from sabir.crypto.session import Pending, SessionState
from sabir.crypto.spqr import SparsePostQuantumRatchet

RECORD_VERSION: Final = 1
"""The first byte of a serialised record."""
MAX_ARCHIVED: Final = 40
"""Older sessions that are kept; the oldest are forgotten first."""


class SessionRecord:
    """The sessions with one device, a value; new records are empty.

    Attributes:
        current: The session that we send in, if there is one.
        archived: Older sessions, the newest first, at most `MAX_ARCHIVED`.
    """

    __slots__ = ("archived", "current")

    def __init__(
        self, current: SessionState | None = None, archived: list[SessionState] | None = None
    ) -> None:
        self.current: SessionState | None = current
        self.archived: list[SessionState] = archived if archived is not None else []

    @property
    def can_send(self) -> bool:
        """Whether there is a session to send in."""
        return self.current is not None and self.current.ratchet.can_send

    def with_current(self, state: SessionState) -> SessionRecord:
        """Return the record with this session as the current one, the one before archived."""
        if self.current is None:
            return SessionRecord(state, self.archived)
        return SessionRecord(state, [self.current, *self.archived[: MAX_ARCHIVED - 1]])

    def without_current(self) -> SessionRecord:
        """Return the record with its current session archived: what is sent next begins another."""
        if self.current is None:
            return self
        return SessionRecord(None, [self.current, *self.archived[: MAX_ARCHIVED - 1]])

    def only_with(self, identity_key: bytes) -> SessionRecord:
        """Return the record without the sessions with any other identity key."""
        current = self.current
        if current is not None and current.their_identity != identity_key:
            current = None
        return SessionRecord(
            current, [state for state in self.archived if state.their_identity == identity_key]
        )

    def promoted(self, base_key: bytes) -> SessionRecord | None:
        """Return the record with the session of this name as its current one, or None if there is none."""
        if self.current is not None and self.current.base_key == base_key:
            return self
        for place, state in enumerate(self.archived):
            if state.base_key == base_key:
                rest = SessionRecord(self.current, self.archived[:place] + self.archived[place + 1 :])
                return rest.with_current(state)
        return None

    def encrypt(self, plaintext: bytes) -> tuple[SessionRecord, SignalMessage | PreKeySignalMessage]:
        """Encrypt in the current session: return the record afterwards and the message.

        Raises:
            NoSessionError: There is none.
        """
        if self.current is None:
            raise NoSessionError("no session to send in")
        state, message = self.current.encrypt(plaintext)
        return SessionRecord(state, self.archived), message

    def decrypt(self, message: SignalMessage) -> tuple[SessionRecord, bytes]:
        """Decrypt in whichever session it is of, which then is the current one (Sesame §3.4).

        Raises:
            NoSessionError: There are no sessions.
            InvalidMessageError: It is of none of them, or was altered.
            DuplicateMessageError: It was read before.
        """
        if self.current is None and not self.archived:
            raise NoSessionError("no session to read in")
        if self.current is not None:
            try:
                return self.decrypt_current(message)
            except InvalidMessageError:
                if not self.archived:
                    raise
        for place, older in enumerate(self.archived):
            try:
                state, plaintext = older.decrypt(message)
            except InvalidMessageError:
                continue
            rest = SessionRecord(self.current, self.archived[:place] + self.archived[place + 1 :])
            return rest.with_current(state), plaintext
        raise InvalidMessageError("a message of no session that we have, or altered")

    def decrypt_current(self, message: SignalMessage) -> tuple[SessionRecord, bytes]:
        """Decrypt in the current session only.

        Raises:
            NoSessionError: There is none.
            InvalidMessageError: It is not of this session, or was altered.
            DuplicateMessageError: It was read before.
        """
        if self.current is None:
            raise NoSessionError("no current session")
        state, plaintext = self.current.decrypt(message)
        return SessionRecord(state, self.archived), plaintext

    def serialize(self) -> bytes:
        """Return the record in Sabir's versioned form; seal it (`sabir.crypto.seal`) before it goes anywhere."""
        writer = Writer()
        if self.current is not None:
            writer.data(1, _state_written(self.current))
        for state in self.archived:
            writer.data(2, _state_written(state))
        return bytes((RECORD_VERSION,)) + writer.finish()

    @classmethod
    def deserialize(cls, data: bytes) -> SessionRecord:
        """Read what `serialize` returned.

        Raises:
            InvalidSessionError: It is damaged or of an unknown version.
        """
        if data[:1] != bytes((RECORD_VERSION,)):
            raise InvalidSessionError("a session record of an unknown version")
        try:
            fields = Fields(data[1:])
            current = fields.data(1)
            return SessionRecord(
                None if current is None else _state_read(current),
                [_state_read(state) for state in fields.every(2)],
            )
        except (ProtobufError, InvalidKeyError) as error:
            raise InvalidSessionError(f"a damaged session record: {error}") from error


def _state_written(state: SessionState) -> bytes:
    writer = Writer()
    writer.data(1, state.our_identity)
    writer.data(2, state.their_identity)
    writer.number(3, state.our_registration_id)
    writer.number(4, state.their_registration_id)
    writer.data(5, state.base_key)
    writer.data(6, state.ratchet.serialize())
    writer.data(7, state.pq_ratchet.serialize())
    if state.pending is not None:
        writer.data(8, _pending_written(state.pending))
    return writer.finish()


def _state_read(data: bytes) -> SessionState:
    fields = Fields(data)
    pending = fields.data(8)
    return SessionState(
        fields.needed_data(1),
        fields.needed_data(2),
        fields.needed_number(3),
        fields.needed_number(4),
        fields.needed_data(5),
        DoubleRatchet.deserialize(fields.needed_data(6)),
        SparsePostQuantumRatchet.deserialize(fields.needed_data(7)),
        None if pending is None else _pending_read(pending),
    )


def _pending_written(pending: Pending) -> bytes:
    writer = Writer()
    writer.optional_number(1, pending.prekey_id)
    writer.number(2, pending.signed_prekey_id)
    writer.number(3, pending.kyber_prekey_id)
    writer.data(4, pending.kyber_ciphertext)
    return writer.finish()


def _pending_read(data: bytes) -> Pending:
    fields = Fields(data)
    return Pending(fields.number(1), fields.needed_number(2), fields.needed_number(3), fields.needed_data(4))
