"""What the `pq_ratchet` field of a message holds: one piece of the braid and the place of the message in its chain.

Version 1 is `01 | epoch | index | kind [| number of the chunk | 32 bytes]`; epoch, index and the chunk's number are
variable-length integers (7 bits a byte, lowest first). An empty field is version 0: no post-quantum ratchet.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from sabir.crypto.errors import InvalidMessageError

VERSION: Final = 1
CHUNK_BYTES: Final = 32
MOST_EPOCH: Final = 2**64 - 1
MOST_INDEX: Final = 2**32 - 1
MOST_CHUNK: Final = 2**16 - 1


class Kind(IntEnum):
    """What the piece belongs to (ML-KEM Braid §2.4)."""

    NONE = 0
    HEADER = 1
    EK = 2
    EK_CT1_ACK = 3
    """A piece of the encapsulation key, and: all of ct1 has arrived."""
    CT1_ACK = 4
    """All of ct1 has arrived; no piece."""
    CT1 = 5
    CT2 = 6


WITH_CHUNK: Final = frozenset({Kind.HEADER, Kind.EK, Kind.EK_CT1_ACK, Kind.CT1, Kind.CT2})


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the braid.

    Attributes:
        epoch: Which secret is being agreed on, from 1.
        index: The place of the message in the sender's chain of epoch `epoch - 1`, from 1; 0: it has no key.
        kind: What the chunk is a piece of.
        number: Which piece it is.
        chunk: 32 bytes, or none.
    """

    epoch: int
    index: int
    kind: Kind = Kind.NONE
    number: int = 0
    chunk: bytes = b""


def encode(message: Message) -> bytes:
    """Return the bytes of `message`, at most 52."""
    out = bytearray((VERSION,))
    _put(out, message.epoch)
    _put(out, message.index)
    out.append(message.kind)
    if message.kind in WITH_CHUNK:
        _put(out, message.number)
        out += message.chunk
    return bytes(out)


def decode(data: bytes) -> Message:
    """Read a message of version 1.

    Raises:
        InvalidMessageError: It is anything else.
    """
    if not data or data[0] != VERSION:
        raise InvalidMessageError("post-quantum ratchet: not a message of version 1")
    epoch, at = _take(data, 1, MOST_EPOCH)
    index, at = _take(data, at, MOST_INDEX)
    if epoch == 0 or at >= len(data) or data[at] > Kind.CT2:
        raise InvalidMessageError("post-quantum ratchet: malformed message")
    kind = Kind(data[at])
    at += 1
    number, chunk = 0, b""
    if kind in WITH_CHUNK:
        number, at = _take(data, at, MOST_CHUNK)
        chunk = data[at : at + CHUNK_BYTES]
        at += CHUNK_BYTES
    if at != len(data):
        raise InvalidMessageError("post-quantum ratchet: wrong length")
    return Message(epoch, index, kind, number, chunk)


def _put(out: bytearray, value: int) -> None:
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def _take(data: bytes, at: int, most: int) -> tuple[int, int]:
    """Read a number of at most `most` and return it with where the next thing starts."""
    value, shift = 0, 0
    while at < len(data) and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            # One number has one form, so that no other bytes mean the same message.
            if value > most or (byte == 0 and shift):
                break
            return value, at
        shift += 7
    raise InvalidMessageError("post-quantum ratchet: malformed number")
