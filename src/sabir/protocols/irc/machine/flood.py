"""Flood control: a client may send a burst, then so many lines a second (Modern IRC §flood-control)."""

from typing import Final

_LINE: Final = 1000  # the price of a line, so that a millisecond earns the rate as a whole number


class Allowance:
    """How many lines a client may be served now. It starts with the burst and refills with time."""

    def __init__(self, burst_lines: int, lines_per_s: int, now_ms: int) -> None:
        self._most = burst_lines * _LINE
        self._rate = lines_per_s
        self._credit = self._most
        self._at_ms = now_ms

    def refill(self, now_ms: int) -> None:
        """Add what has been earned up to `now_ms`."""
        if now_ms > self._at_ms:
            self._credit = min(self._most, self._credit + (now_ms - self._at_ms) * self._rate)
        self._at_ms = now_ms

    def take(self) -> bool:
        """Use one line, or return False if there is none left."""
        if self._rate == 0:
            return True
        if self._credit < _LINE:
            return False
        self._credit -= _LINE
        return True

    def next_ms(self) -> int:
        """Return when there will be a line again."""
        missing = max(0, _LINE - self._credit)
        return self._at_ms + -(-missing // self._rate)
