"""How fast one may be: a token bucket for each actor, by the core's clock. Compiled by mypyc: every post asks."""

from __future__ import annotations

from typing import Final

from sabir.core.errors import Refusal
from sabir.core.ports import Clock

_MOST: Final = 8192


class Slowness:
    """When people spoke last in rooms in slow mode.

    Those who spoke there last are kept, at least `_MOST` of them and at most twice as many; of another it is not
    known any more, which lets one message through too early.
    """

    def __init__(self) -> None:
        self._spoke: dict[tuple[int, int], int] = {}
        self._old: dict[tuple[int, int], int] = {}

    def last_ms(self, conversation_id: int, actor_id: int) -> int:
        """Return when `actor_id` spoke last, 0 if that is not known."""
        key = (conversation_id, actor_id)
        return self._spoke.get(key) or self._old.get(key, 0)

    def note(self, conversation_id: int, actor_id: int, at_ms: int) -> None:
        """Note that `actor_id` spoke."""
        if len(self._spoke) >= _MOST:
            self._old, self._spoke = self._spoke, {}
        self._spoke[(conversation_id, actor_id)] = at_ms


class Pace:
    """Buckets of one rate: `per_s` for long, `burst` at once.

    The buckets of those who did something last are kept, at least `_MOST` of them and at most twice as many (see
    `Recent`); another is taken for full, which it nearly always is.
    """

    def __init__(self, clock: Clock, per_s: float, burst: int, *, limited: bool) -> None:
        self._clock = clock
        self._per_ms = per_s / 1000
        self._burst = float(burst)
        self._limited = limited
        self._buckets: dict[int, tuple[float, int]] = {}
        self._old: dict[int, tuple[float, int]] = {}

    def take(self, actor_id: int) -> Refusal | None:
        """Take one token; return `Refusal.RATE_LIMITED` if there is none."""
        if not self._limited:
            return None
        now = self._clock.now_ms()
        bucket = self._buckets.get(actor_id)
        if bucket is None:
            bucket = self._old.get(actor_id, (self._burst, now))
            if len(self._buckets) >= _MOST:
                self._old, self._buckets = self._buckets, {}
        tokens = min(self._burst, bucket[0] + max(0, now - bucket[1]) * self._per_ms)
        if tokens < 1:
            return Refusal.RATE_LIMITED
        self._buckets[actor_id] = (tokens - 1, now)
        return None
