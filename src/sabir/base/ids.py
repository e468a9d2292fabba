"""Event ids: 16 bytes in the shape of a version 7 UUID, strictly increasing within one process.

Layout (RFC 9562 §5.7): 48 bits of milliseconds, the version, 12 bits of counter (RFC 9562 §6.2, method 1),
the variant, 62 random bits. The counter starts at a random value below half of its range in each new
millisecond. When it overflows or the clock steps back, the millisecond part runs ahead of the clock.
"""

from collections.abc import Callable
from typing import Final

EventId = bytes
"""16 bytes, see the module's text. An alias, because ids of events meet foreign ids in many places."""

_TAIL_BYTES: Final = 8
_STRIDE_BYTES: Final = 10  # the tail, then two bytes for the seed of the counter
_BLOCK_BYTES: Final = 4090
_COUNTER_MAX: Final = 0xFFF
_COUNTER_SEED_MASK: Final = 0x7FF  # RFC 9562 §6.2: the top bit starts clear, to leave room to count
_VERSION_7: Final = 0x7000
_VARIANT: Final = bytes(byte & 0x3F | 0x80 for byte in range(256))  # RFC 9562 §4.1


class EventIds:
    """Makes event ids, each greater than all before it when compared as bytes."""

    __slots__ = ("_at", "_block", "_counter", "_ms", "_randomness")

    def __init__(self, randomness: Callable[[int], bytes], last_ms: int = 0) -> None:
        """Continue after `last_ms`.

        Args:
            randomness: returns that many random bytes, e.g. `os.urandom`; asked for 4 KiB at a time.
            last_ms: the millisecond part of the greatest id given before (see `milliseconds`).
        """
        self._randomness = randomness
        self._ms = last_ms
        self._counter = _COUNTER_MAX  # how far an earlier process had counted is not known: go past it
        self._block = b""
        self._at = 0

    def next(self, now_ms: int) -> EventId:
        """Return the next id, stamped `now_ms` (Unix epoch) unless that would not be an increase."""
        at = self._at
        if at >= len(self._block):
            self._refill()
            at = 0
        end = at + _TAIL_BYTES
        self._at = at + _STRIDE_BYTES
        if now_ms > self._ms:
            self._ms = now_ms
            self._counter = int.from_bytes(self._block[end : end + 2]) & _COUNTER_SEED_MASK
        elif self._counter < _COUNTER_MAX:
            self._counter += 1
        else:
            self._ms += 1
            self._counter = 0
        return (self._ms << 16 | _VERSION_7 | self._counter).to_bytes(8) + self._block[at:end]

    def _refill(self) -> None:
        block = bytearray(self._randomness(_BLOCK_BYTES))
        block[::_STRIDE_BYTES] = block[::_STRIDE_BYTES].translate(_VARIANT)
        self._block = bytes(block)


def milliseconds(event_id: EventId) -> int:
    """Return the millisecond part of `event_id` (Unix epoch)."""
    return int.from_bytes(event_id[:6])
