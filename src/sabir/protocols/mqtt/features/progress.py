"""How far a client is in the log on its chat topics: what it missed is read from there, not kept for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final


class Progress:
    """The place of one session in the log."""

    def __init__(self, seq: int) -> None:
        self.sent_seq = seq
        """The last entry that was sent to the client, or needed not be."""
        self.since: Final[dict[str, int]] = {}
        """By filter: the last entry before it was subscribed to."""
        self.told: Callable[[], None] | None = None
        """Called when the client has acknowledged something."""
        self._owed: Final[dict[int, int]] = {}  # packets under way, by the entry that they show; ascending

    @property
    def acknowledged_seq(self) -> int:
        """The entry up to which the client has all that it is to have: where it goes on after a crash."""
        for seq in self._owed:
            return seq - 1
        return self.sent_seq

    def owe(self, seq: int) -> None:
        """Note that a packet with an entry goes out, to be acknowledged."""
        self._owed[seq] = self._owed.get(seq, 0) + 1

    def settle(self, seq: int) -> None:
        """Note that the client has acknowledged one."""
        left = self._owed.get(seq, 0) - 1
        if left > 0:
            self._owed[seq] = left
        else:
            self._owed.pop(seq, None)
        if self.told is not None:
            self.told()
