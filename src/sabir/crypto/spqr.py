"""The Sparse Post-Quantum Ratchet, the third ratchet of a session: a second key for each message, from the braid.

Double Ratchet §5 and §6. A session holds one `SparsePostQuantumRatchet` beside its Double Ratchet; what `send` returns
travels in the `pq_ratchet` field of the message, and the key is mixed into the keys of the message.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from sabir.crypto.braid import machine
from sabir.crypto.braid.messages import Message, decode, encode
from sabir.crypto.braid.states import Braid
from sabir.crypto.errors import (
    InvalidSessionError,
    InvalidVersionError,
    LegacyMessageError,
)
from sabir.crypto.key_chain import Direction, KeyChain, start

NONE: Final = 0
"""Version 0: the post-quantum ratchet is off; the field is empty."""
BRAID: Final = 1
"""Version 1: the ML-KEM Braid with ML-KEM-768."""
AUTH_KEY_BYTES: Final = 32

Random = Callable[[int], bytes]
"""Returns that many random bytes, fit for keys: `os.urandom`."""


class Sent(NamedTuple):
    """What sending a message gives."""

    ratchet: SparsePostQuantumRatchet
    """The state to keep; the one before must not be used again."""
    message: bytes
    """The `pq_ratchet` field, at most 52 bytes; empty in version 0."""
    key: bytes | None
    """32 bytes to mix into the keys of the message; none in version 0, and before both know that
    the other speaks version 1 where `minimum` is 0."""


class Received(NamedTuple):
    """What receiving a message gives."""

    ratchet: SparsePostQuantumRatchet
    """The state to keep once the message has proven true; until then the one before stays valid."""
    key: bytes | None
    """32 bytes to mix into the keys of the message; none in version 0, and before both know that
    the other speaks version 1 where `minimum` is 0."""


class SparsePostQuantumRatchet(msgspec.Struct, frozen=True, array_like=True):
    """One side of the post-quantum ratchet of a session: an immutable value.

    Attributes:
        version: What is spoken: `BRAID`, or `NONE` where one side cannot.
        minimum: A message of a lower version is refused.
        settled: Whether the other side is known to speak `version`.
        braid: The key exchange; none in version 0.
        chain: The keys of messages; none in version 0.
    """

    version: int
    minimum: int
    settled: bool
    braid: Braid | None
    chain: KeyChain | None

    @property
    def epoch(self) -> int:
        """Which secret is being agreed on, from 1; 0 in version 0."""
        return self.braid.epoch if self.braid is not None else 0

    @classmethod
    def initial(
        cls, direction: Direction, auth_key: bytes, *, minimum: int = BRAID, version: int = BRAID
    ) -> SparsePostQuantumRatchet:
        """Start a ratchet.

        Args:
            direction: `Direction.A2B` for who began the session, `Direction.B2A` for who answers.
            auth_key: The last 32 of the 96 bytes that PQXDH derives.
            minimum: The lowest version that the other side may speak. libsignal insists on `BRAID`.
            version: The highest version that this side speaks.
        """
        if len(auth_key) != AUTH_KEY_BYTES or not NONE <= minimum <= version <= BRAID:
            raise ValueError("an auth_key has 32 bytes, and versions go from 0 to 1")
        if version == NONE:
            return _WITHOUT
        first = machine.first_to_send if direction is Direction.A2B else machine.first_to_answer
        return cls(version, minimum, minimum == version, first(auth_key), start(direction, auth_key))

    def send(self, random: Random) -> Sent:
        """Make the `pq_ratchet` field and the key of the next message to send."""
        if self.braid is None or self.chain is None:
            return Sent(self, b"", None)
        braid, kind, number, chunk, secret = machine.send(self.braid, random)
        chain, index, key = self.chain, 0, None
        if secret is not None:
            chain = chain.with_epoch(braid.epoch, secret)
        if self.settled:
            # The other side has agreed on the epoch before at the latest when it reads this.
            chain, index, key = chain.send(braid.epoch - 1)
        after = SparsePostQuantumRatchet(self.version, self.minimum, self.settled, braid, chain)
        return Sent(after, encode(Message(braid.epoch, index, kind, number, chunk)), key)

    def receive(self, data: bytes) -> Received:
        """Read the `pq_ratchet` field of a message.

        Raises:
            InvalidMessageError: It is malformed, was altered, or is of an epoch that nobody is in.
            LegacyMessageError: Its version is 0, and `minimum` or what was settled before is higher.
            InvalidVersionError: Its version does not exist yet.
            DuplicateMessageError: It was read before.
        """
        if self.braid is None or self.chain is None:
            # Whatever the other side would like to speak, it learns from our messages that it cannot.
            return Received(self, None)
        if data and data[0] > self.version:
            raise InvalidVersionError("post-quantum ratchet: a version that is not spoken here")
        if not data:
            # Once a message of the agreed version has come, a lower one can only be an attack.
            if self.settled:
                raise LegacyMessageError("post-quantum ratchet: a message without it")
            return Received(_WITHOUT, None)
        message, chain, key = decode(data), self.chain, None
        braid, secret = machine.receive(self.braid, message)
        if secret is not None:
            chain = chain.with_epoch(braid.epoch - 1, secret)
        if message.index or self.minimum == BRAID:
            chain, key = chain.receive(message.epoch - 1, message.index)
        return Received(SparsePostQuantumRatchet(self.version, self.minimum, True, braid, chain), key)

    def serialize(self) -> bytes:
        """Return the state as bytes: secret, to be sealed by who stores it."""
        return _ENCODER.encode(self)

    @classmethod
    def deserialize(cls, data: bytes) -> SparsePostQuantumRatchet:
        """Read what `serialize` returned.

        Raises:
            InvalidSessionError: It is anything else.
        """
        try:
            return _DECODER.decode(data)
        except msgspec.MsgspecError as error:
            raise InvalidSessionError("post-quantum ratchet: damaged state") from error


_WITHOUT: Final = SparsePostQuantumRatchet(NONE, NONE, True, None, None)
_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(SparsePostQuantumRatchet)
