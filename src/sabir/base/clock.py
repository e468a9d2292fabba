"""Clocks, passed in wherever time matters, so that a test can say what time it is."""

import time
from typing import Final, Protocol

_NS_PER_MS: Final = 1_000_000


class Clock(Protocol):
    """Anything that tells the time in whole milliseconds."""

    def now_ms(self) -> int:
        """Return the time of this clock in milliseconds."""


class SystemClock:
    """The wall clock: milliseconds since 1970-01-01 UTC; what events are stamped with. It may step back."""

    __slots__ = ()

    def now_ms(self) -> int:
        """Return the milliseconds since the Unix epoch."""
        return time.time_ns() // _NS_PER_MS


class MonotonicClock:
    """A clock that never steps back, for deadlines and rates; its zero means nothing."""

    __slots__ = ()

    def now_ms(self) -> int:
        """Return the milliseconds since an arbitrary moment of the past."""
        return time.monotonic_ns() // _NS_PER_MS
