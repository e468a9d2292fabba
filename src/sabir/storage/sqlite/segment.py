"""The index of recent entries, in memory until it is written as a run: numbers and ids, never bodies.

A segment covers a stretch of the log and answers as a run of `runs` does. Only the writer's thread adds to one. Other
threads read while it does: entries are only ever appended, and a reader copies what it takes out in one step.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

Entry = tuple[int, int, int, int, int]
"""seq, position, kind, message_no, pts. A plain tuple: one is made for every message."""


class Range(NamedTuple):
    """Which entries are wanted: log numbers between the two, kinds in the mask, positions from one on."""

    after_seq: int
    before_seq: int
    kinds: int
    from_position: int


SEGMENT_ROWS: Final = 8192
"""Entries of a full segment, hence of a new run."""


class Segment:
    """The index of the entries `first_seq` .. `last_seq` (0 while empty)."""

    def __init__(self) -> None:
        self.first_seq = 0
        self.last_seq = 0
        self.rows = 0
        self.conversations: dict[int, list[Entry]] = {}
        self.natives: dict[tuple[int, bytes, str], int] = {}
        """Latest log number by sender, id and protocol."""
        self.boxes: dict[int, int] = {}
        """Last mailbox number by account."""

    def add(
        self,
        seq: int,
        conversation_id: int,
        position: int,
        message_no: int,
        pts: int,
        actor_id: int,
        kind: int,
        protocol: str,
        native_id: bytes,
        boxes: Sequence[tuple[int, int]],
    ) -> None:
        """Add the next entry of the log."""
        if not self.rows:
            self.first_seq = seq
        self.rows += 1
        self.last_seq = seq
        entry = (seq, position, kind, message_no, pts)
        entries = self.conversations.get(conversation_id)
        if entries is None:
            self.conversations[conversation_id] = [entry]
        else:
            entries.append(entry)
        if native_id:
            self.natives[(actor_id, native_id, protocol)] = seq
        for account_id, box in boxes:
            if box:
                self.boxes[account_id] = box

    def find(self, conversation_ids: Iterable[int], wanted: Range, limit: int, *, newest: bool) -> list[int]:
        """Return log numbers of the entries of some conversations, in the direction of reading."""
        found: list[int] = []
        for conversation_id in conversation_ids:
            entries = self.conversations.get(conversation_id)
            if entries is not None:
                start = bisect_right(entries, wanted.after_seq, key=_seq)
                found += [
                    entry[0]
                    for entry in entries[start : bisect_left(entries, wanted.before_seq, key=_seq)]
                    if wanted.kinds >> entry[2] & 1 and entry[1] >= wanted.from_position
                ]
        found.sort(reverse=newest)
        return found[:limit]

    def native(self, actor_id: int, native_id: bytes, protocol: str) -> int:
        """Return the latest log number to which `actor_id` gave this id, or 0."""
        return self.natives.get((actor_id, native_id, protocol), 0)

    # What a run is made of, sorted by the keys of its tables; only once nothing is added any more.

    def conversation_rows(self, run: int) -> Iterator[tuple[int, int, int, int, int]]:
        """Return rows of `ix_conversation`."""
        for conversation_id in sorted(self.conversations):
            for seq, position, kind, _, _ in self.conversations[conversation_id]:
                yield (run, conversation_id, seq, position, kind)

    def native_rows(self, run: int) -> Iterator[tuple[int, int, bytearray, str, int]]:
        """Return rows of `native_ids`."""
        natives = self.natives
        for key in sorted(natives):
            actor_id, native_id, protocol = key
            yield (run, actor_id, bytearray(native_id), protocol, natives[key])  # see `rows` for the type


def _seq(entry: Entry) -> int:
    return entry[0]
