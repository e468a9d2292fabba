"""The index of recent entries, in memory until it is written as a run: numbers and ids, never bodies.

A segment covers a stretch of the log and answers as a run of `runs` does. Only the writer's thread adds to one. Other
threads read while it does: entries are only ever appended, and a reader copies what it takes out in one step.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from sabir.core.model.event import Event
from sabir.storage.sqlite.pages import PAGE_ENTRIES, conversation_entry, native_entry, native_hash

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

    def take(self, events: Sequence[Event], start: int, end: int, latest: dict[int, int]) -> None:
        """Add some of `events`, and note the last of each conversation in `latest`."""
        for at in range(start, end):
            event = events[at]
            seq, conversation_id = event.seq, event.conversation_id
            self.add(
                seq,
                conversation_id,
                event.position,
                event.message_no,
                event.pts,
                event.actor_id,
                event.kind,
                event.protocol,
                event.native_id,
                event.boxes,
            )
            latest[conversation_id] = seq

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

    # What a run is made of: its pages, only once nothing is added any more. A step may bring none.

    def conversation_pages(self) -> Iterator[list[bytes]]:
        """Return the entries by conversation, a page at a time."""
        entries: list[bytes] = []
        for conversation_id in sorted(self.conversations):
            for seq, position, kind, _, _ in self.conversations[conversation_id]:
                entries.append(conversation_entry(conversation_id, seq, position, kind))
                if len(entries) == PAGE_ENTRIES:
                    yield entries
                    entries = []
        if entries:
            yield entries

    def native_pages(self) -> Iterator[list[bytes]]:
        """Return the entries by native id, a page at a time."""
        entries: list[bytes] = []
        stretch: list[bytes] = []
        for (actor_id, native_id, protocol), seq in self.natives.items():
            stretch.append(native_entry(native_hash(actor_id, native_id, protocol), seq))
            if len(stretch) == PAGE_ENTRIES:
                stretch.sort()
                entries += stretch
                stretch = []
                yield stretch
        entries += stretch
        entries.sort()  # it finds the stretches that are in order, and only merges them
        for at in range(0, len(entries), PAGE_ENTRIES):
            yield entries[at : at + PAGE_ENTRIES]


def _seq(entry: Entry) -> int:
    return entry[0]
