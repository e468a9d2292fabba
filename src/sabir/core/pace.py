"""How fast one may be: a token bucket for each actor, by the core's clock. Compiled by mypyc: every post asks."""

from __future__ import annotations

from typing import Final

from sabir.core.errors import Refusal
from sabir.core.ports import Clock

_MOST: Final = 8192


class Pace:
    """Buckets of one rate: `per_s` for long, `burst` at once.

    The buckets of those who did something last are kept, at least `_MOST` of them and at most twice as many (see
    `Recent`); another is taken for full, which it nearly always is.
    """

    def __init__(self, clock: Clock, per_s: int, burst: int, *, limited: bool) -> None:
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
