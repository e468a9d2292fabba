"""A timing wheel: one timer of the event loop serves all deadlines of all connections.

Setting and cancelling are O(1). A deadline that is postponed (the usual case: every message postpones a
keep-alive) only changes a number; the wheel notices when it passes the old place. Compiled by mypyc.
"""

from collections.abc import Callable
from typing import Final

GRANULARITY_MS: Final = 250
"""A deadline is served at most this much late."""

_SLOTS: Final = 256


class Timer:
    """One deadline that can be set again and again; owned by whoever waits for it."""

    def __init__(self, due: Callable[[int], None]) -> None:
        """Make a timer at rest.

        Args:
            due: called with the time when the deadline has passed; the timer is at rest again by then.
        """
        self.due: Final = due
        self.deadline_ms = 0
        """When it is due; 0 = at rest."""
        self.tick = -1
        """The turn of the wheel at which it will be looked at; -1 = in no slot. The wheel's own."""


class Wheel:
    """The deadlines of one event loop. `advance` must be called about every `granularity_ms`."""

    def __init__(self, now_ms: int, granularity_ms: int = GRANULARITY_MS) -> None:
        self.now_ms = now_ms
        """The time of the last `advance`: a clock that costs nothing, behind by up to a granule."""
        self.granularity_ms: Final = granularity_ms
        self._tick = now_ms // granularity_ms
        self._slots: list[set[Timer]] = [set() for _ in range(_SLOTS)]

    def set(self, timer: Timer, deadline_ms: int) -> None:
        """Let `timer` be due at `deadline_ms`, instead of when it was due before."""
        timer.deadline_ms = deadline_ms
        tick = self._tick_of(deadline_ms)
        if 0 <= timer.tick <= tick:
            return  # it will be looked at early enough, and put further then
        if timer.tick >= 0:
            self._slots[timer.tick % _SLOTS].discard(timer)
        timer.tick = tick
        self._slots[tick % _SLOTS].add(timer)

    def cancel(self, timer: Timer) -> None:
        """Put `timer` at rest; nothing happens if it is."""
        timer.deadline_ms = 0
        if timer.tick >= 0:
            self._slots[timer.tick % _SLOTS].discard(timer)
            timer.tick = -1

    def advance(self, now_ms: int) -> None:
        """Let `now_ms` be the time and call `due` of every timer whose deadline has passed."""
        self.now_ms = now_ms
        last = now_ms // self.granularity_ms
        # After a pause longer than a turn of the wheel each slot is visited once, not once per turn missed.
        tick = max(self._tick, last - _SLOTS)
        while tick < last:
            tick += 1
            self._tick = tick
            self._serve(tick % _SLOTS, now_ms)

    def _serve(self, slot: int, now_ms: int) -> None:
        timers = self._slots[slot]
        if not timers:
            return
        self._slots[slot] = set()
        for timer in timers:
            timer.tick = -1
        for timer in timers:
            deadline_ms = timer.deadline_ms
            if deadline_ms == 0 or timer.tick >= 0:
                continue  # cancelled, or set anew, by one that was due before it in this loop
            if deadline_ms <= now_ms:
                timer.deadline_ms = 0
                timer.due(now_ms)
            else:
                self.set(timer, deadline_ms)

    def _tick_of(self, deadline_ms: int) -> int:
        tick = -(-deadline_ms // self.granularity_ms)
        return min(max(tick, self._tick + 1), self._tick + _SLOTS - 1)
