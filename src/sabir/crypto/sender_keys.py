"""Sender keys: one encryption for a whole group. The states of one sender, ours or another's, as values.

A sender has a chain, whose key every member was told in a session, and a key that signs. Members who leave must not
read on: whoever stays begins a new chain then and tells it (`GroupSessionBuilder.reset`).
"""

from __future__ import annotations

from typing import Final

from sabir.crypto import cbc, curve, kdf
from sabir.crypto.curve import KeyPair
from sabir.crypto.errors import (
    DuplicateMessageError,
    InvalidKeyError,
    InvalidMessageError,
    InvalidSessionError,
    NoSessionError,
)
from sabir.crypto.messages import SenderKeyDistributionMessage, SenderKeyMessage
from sabir.crypto.protobuf import Fields, ProtobufError, Writer

INFO: Final = b"WhisperGroup"
MESSAGE_KEYS_BYTES: Final = 48
"""An IV of 16 bytes and a key for AES-256."""
MAX_STATES: Final = 5
"""Chains of one sender that are kept; the oldest are forgotten first."""
MAX_SKIPPED: Final = 2000
MAX_JUMP: Final = 25_000
RECORD_VERSION: Final = 1

_SKIPPED_BYTES: Final = 36


class SenderKeyState:
    """A chain of a sender, a value.

    Attributes:
        chain_id: Its name, a number of 31 bits.
        chain_key: Of message `iteration`, 32 bytes.
        iteration: Messages that were sent, read or skipped.
        signing_key: The public key that signs its messages.
        private_key: The pair of it, if the chain is ours.
        skipped: The seeds of messages that did not come yet. Shared between values: never changed.
    """

    __slots__ = ("chain_id", "chain_key", "iteration", "private_key", "signing_key", "skipped")

    def __init__(
        self,
        chain_id: int,
        chain_key: bytes,
        iteration: int,
        signing_key: bytes,
        private_key: KeyPair | None,
        skipped: dict[int, bytes],
    ) -> None:
        self.chain_id: int = chain_id
        self.chain_key: bytes = chain_key
        self.iteration: int = iteration
        self.signing_key: bytes = signing_key
        self.private_key: KeyPair | None = private_key
        self.skipped: dict[int, bytes] = skipped

    def taken(self, iteration: int) -> tuple[SenderKeyState, bytes]:
        """Return the chain without this message, and the seed of its keys.

        Raises:
            DuplicateMessageError: It was read before, or sent before we were told the chain.
            InvalidMessageError: It is too far ahead.
        """
        if iteration < self.iteration:
            seed = self.skipped.get(iteration)
            if seed is None:
                raise DuplicateMessageError(f"message {iteration} of its chain was read before")
            rest = {number: kept for number, kept in self.skipped.items() if number != iteration}
            return self._at(self.iteration, self.chain_key, rest), seed
        if iteration - self.iteration > MAX_JUMP:
            raise InvalidMessageError(f"more than {MAX_JUMP} messages are missing before this one")
        chain_key, skipped = self.chain_key, self.skipped
        if iteration > self.iteration:
            skipped = skipped.copy()
            for number in range(self.iteration, iteration):
                if iteration - number <= MAX_SKIPPED:
                    skipped[number] = kdf.message_seed(chain_key)
                chain_key = kdf.next_chain_key(chain_key)
            for number in sorted(skipped)[: max(0, len(skipped) - MAX_SKIPPED)]:
                del skipped[number]
        return (
            self._at(iteration + 1, kdf.next_chain_key(chain_key), skipped),
            kdf.message_seed(chain_key),
        )

    def _at(self, iteration: int, chain_key: bytes, skipped: dict[int, bytes]) -> SenderKeyState:
        return SenderKeyState(
            self.chain_id, chain_key, iteration, self.signing_key, self.private_key, skipped
        )


class SenderKeyRecord:
    """The chains of one sender in one group, a value; the newest first, at most `MAX_STATES`."""

    __slots__ = ("states",)

    def __init__(self, states: list[SenderKeyState] | None = None) -> None:
        self.states: list[SenderKeyState] = states if states is not None else []

    def with_state(self, state: SenderKeyState) -> SenderKeyRecord:
        """Return the record with this chain as the newest; one that is known stays as far as it was read.

        A chain of the same name with another key replaces it.
        """
        others: list[SenderKeyState] = []
        for known in self.states:
            if known.chain_id != state.chain_id:
                others.append(known)
            elif curve.is_same_key(known.signing_key, state.signing_key):
                state = known
        return SenderKeyRecord([state, *others][:MAX_STATES])

    def distribution(self, distribution_id: bytes) -> SenderKeyDistributionMessage:
        """Return what members must know to read what is sent next.

        Raises:
            NoSessionError: There is no chain.
        """
        state = self._newest()
        return SenderKeyDistributionMessage(
            distribution_id, state.chain_id, state.iteration, state.chain_key, state.signing_key
        )

    def encrypt(self, distribution_id: bytes, plaintext: bytes) -> tuple[SenderKeyRecord, SenderKeyMessage]:
        """Return the record afterwards and the message.

        Raises:
            NoSessionError: There is no chain of ours.
        """
        state = self._newest()
        if state.private_key is None:
            raise NoSessionError("this chain is another's")
        after, seed = state.taken(state.iteration)
        keys = kdf.hkdf(None, seed, INFO, MESSAGE_KEYS_BYTES)
        ciphertext = cbc.encrypt(keys[16:], keys[:16], plaintext)
        message = SenderKeyMessage.create(
            state.private_key, distribution_id, state.chain_id, state.iteration, ciphertext
        )
        return SenderKeyRecord([after, *self.states[1:]]), message

    def decrypt(self, message: SenderKeyMessage) -> tuple[SenderKeyRecord, bytes]:
        """Return the record afterwards and the plaintext.

        Raises:
            NoSessionError: We were not told this chain.
            InvalidMessageError: It was altered, or is too far ahead.
            DuplicateMessageError: It was read before.
        """
        place = self._place(message.chain_id)
        state = self.states[place]
        if not message.is_signed_by(state.signing_key):
            raise InvalidMessageError("a message with a wrong signature")
        after, seed = state.taken(message.iteration)
        keys = kdf.hkdf(None, seed, INFO, MESSAGE_KEYS_BYTES)
        plaintext = cbc.decrypt(keys[16:], keys[:16], message.ciphertext)
        return SenderKeyRecord([*self.states[:place], after, *self.states[place + 1 :]]), plaintext

    def serialize(self) -> bytes:
        """Return the record in Sabir's versioned form; seal it (`sabir.crypto.seal`) before it goes anywhere."""
        writer = Writer()
        for state in self.states:
            part = Writer()
            part.number(1, state.chain_id)
            part.data(2, state.chain_key)
            part.number(3, state.iteration)
            part.data(4, state.signing_key)
            part.optional_data(5, None if state.private_key is None else state.private_key.private_bytes())
            part.data(6, b"".join(number.to_bytes(4, "big") + seed for number, seed in state.skipped.items()))
            writer.data(1, part.finish())
        return bytes((RECORD_VERSION,)) + writer.finish()

    @classmethod
    def deserialize(cls, data: bytes) -> SenderKeyRecord:
        """Read what `serialize` returned.

        Raises:
            InvalidSessionError: It is damaged or of an unknown version.
        """
        if data[:1] != bytes((RECORD_VERSION,)):
            raise InvalidSessionError("a sender key record of an unknown version")
        try:
            return cls([_state_read(part) for part in Fields(data[1:]).every(1)])
        except (ProtobufError, InvalidKeyError) as error:
            raise InvalidSessionError(f"a damaged sender key record: {error}") from error

    def _place(self, chain_id: int) -> int:
        for place, state in enumerate(self.states):
            if state.chain_id == chain_id:
                return place
        raise NoSessionError("a chain of this sender that we were not told")

    def _newest(self) -> SenderKeyState:
        if not self.states:
            raise NoSessionError("no chain to send in")
        return self.states[0]


def _state_read(data: bytes) -> SenderKeyState:
    fields = Fields(data)
    private, packed = fields.data(5), fields.needed_data(6)
    return SenderKeyState(
        fields.needed_number(1),
        fields.needed_data(2),
        fields.needed_number(3),
        fields.needed_data(4),
        None if private is None else KeyPair.from_private(private),
        {
            int.from_bytes(packed[at : at + 4], "big"): packed[at + 4 : at + _SKIPPED_BYTES]
            for at in range(0, len(packed), _SKIPPED_BYTES)
        },
    )
