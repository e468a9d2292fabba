"""The index of recent entries, in memory until it is written as a run: numbers and hashes, never bodies.

A segment covers a stretch of the log and answers as a run of `runs` does. Only the writer's thread adds to one;
others may read meanwhile.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Final

from sabir.core.model.event import Event
from sabir.storage.sqlite.pages import (
    Range,
    conversation_entry,
    conversation_key,
    native_entry,
    native_hash,
    past_native,
    seq_of,
    wanted_seqs,
)

Head = tuple[int, int, int, int]
"""position, message_no, pts, seq last given in a conversation; 0 for none since the counters were written."""

SEGMENT_ROWS: Final = 8192
"""Entries of a full segment, hence of a new run."""
STRETCH: Final = 64
"""Entries that are sorted at once."""
MERGED: Final = 8
"""So many stretches of one length become one."""


class Entries:
    """Entries of a part of the index, which come in any order and are sorted little by little."""

    def __init__(self) -> None:
        self._recent: list[bytes] = []
        self._stretches: tuple[list[bytes], ...] = (self._recent,)
        """Sorted, the longest first; the last is as it came. Replaced as a whole."""

    def add(self, entry: bytes) -> None:
        """Add an entry."""
        recent = self._recent
        recent.append(entry)
        if len(recent) >= STRETCH:
            stretches = [*self._stretches[:-1], sorted(recent)]
            while len(stretches) >= MERGED and len(stretches[-MERGED]) == len(stretches[-1]):
                stretches[-MERGED:] = [_merged(stretches[-MERGED:])]
            self._recent = []
            self._stretches = (*stretches, self._recent)

    def stretches(self) -> list[list[bytes]]:
        """Return all entries, in stretches that are sorted."""
        stretches = self._stretches
        return [*stretches[:-1], sorted(stretches[-1])]

    def all(self) -> list[bytes]:
        """Return all entries, sorted."""
        return _merged(self.stretches())


def _merged(stretches: Sequence[list[bytes]]) -> list[bytes]:
    entries: list[bytes] = []
    for stretch in stretches:
        entries += stretch
    entries.sort()  # it finds the stretches that are in order, and only merges them
    return entries


class Segment:
    """The index of the entries `first_seq` .. `last_seq` (0 while empty)."""

    def __init__(self) -> None:
        self.first_seq = 0
        self.last_seq = 0
        self.rows = 0
        self.conversations: Final = Entries()
        self.natives: Final = Entries()
        self.heads: Final[dict[int, Head]] = {}
        """By conversation."""
        self.boxes: Final[dict[int, int]] = {}
        """Last mailbox number by account."""

    def add(self, event: Event) -> None:
        """Add the next entry of the log."""
        seq, conversation_id = event.seq, event.conversation_id
        if not self.rows:
            self.first_seq = seq
        self.rows += 1
        self.last_seq = seq
        self.conversations.add(conversation_entry(conversation_id, seq, event.position, event.kind))
        if event.native_id:
            self.natives.add(native_entry(native_hash(event.actor_id, event.native_id, event.protocol), seq))
        heads = self.heads
        message_no, pts = event.message_no, event.pts
        if not (message_no and pts) and conversation_id in heads:
            head = heads[conversation_id]
            message_no, pts = message_no or head[1], pts or head[2]
        heads[conversation_id] = (event.position, message_no, pts, seq)
        for account_id, box in event.boxes:
            if box:
                self.boxes[account_id] = box

    def take(self, events: Sequence[Event], start: int, end: int) -> None:
        """Add some of `events`."""
        for at in range(start, end):
            self.add(events[at])

    def find(self, conversation_ids: Iterable[int], wanted: Range, limit: int, *, newest: bool) -> list[int]:
        """Return log numbers of the entries of some conversations, in the direction of reading."""
        stretches = self.conversations.stretches()
        found: list[int] = []
        for conversation_id in conversation_ids:
            if conversation_id in self.heads:
                low = conversation_key(conversation_id, wanted.after_seq + 1)
                high = conversation_key(conversation_id, wanted.before_seq)
                for stretch in stretches:
                    start = bisect_left(stretch, low)
                    found += wanted_seqs(stretch[start : bisect_left(stretch, high, start)], wanted)
        found.sort(reverse=newest)
        return found[:limit]

    def named(self, key: bytes) -> list[int]:
        """Return log numbers of the entries that have this `native_hash`, the latest first."""
        found: list[int] = []
        past = past_native(key)
        for stretch in self.natives.stretches():
            start = bisect_left(stretch, key)
            found += [seq_of(entry) for entry in stretch[start : bisect_left(stretch, past, start)]]
        found.sort(reverse=True)
        return found
