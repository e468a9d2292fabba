"""The index of recent entries, in memory until it is written as a run: numbers and ids, never bodies.

A segment covers a stretch of the log and answers as a run of `runs` does. Only the writer's thread adds to one. Other
threads read while it does: entries are only ever appended, and a reader copies what it takes out in one step.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple


class Entry(NamedTuple):
    """An entry of a conversation."""

    seq: int
    position: int
    kind: int
    message_no: int
    pts: int


class Letter(NamedTuple):
    """An entry of a person's mailbox."""

    seq: int
    conversation_id: int
    box: int
    kind: int


class Range(NamedTuple):
    """Which entries of a conversation or mailbox are wanted: log numbers between the two, kinds in the mask."""

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
        self.accounts: dict[int, list[Letter]] = {}
        self.natives: dict[tuple[int, bytes, str], int] = {}
        """Latest log number by sender, id and protocol."""

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
        entry = Entry(seq, position, kind, message_no, pts)
        entries = self.conversations.get(conversation_id)
        if entries is None:
            self.conversations[conversation_id] = [entry]
        else:
            entries.append(entry)
        for account_id, box in boxes:
            letter = Letter(seq, conversation_id, box, kind)
            letters = self.accounts.get(account_id)
            if letters is None:
                self.accounts[account_id] = [letter]
            else:
                letters.append(letter)
        if native_id:
            self.natives[(actor_id, native_id, protocol)] = seq

    def conversation(self, conversation_id: int, wanted: Range, limit: int, *, newest: bool) -> list[int]:
        """Return log numbers of a conversation's entries, in the direction of reading."""
        entries = self.conversations.get(conversation_id)
        if entries is None:
            return []
        start = bisect_right(entries, wanted.after_seq, key=_seq)
        found = entries[start : bisect_left(entries, wanted.before_seq, key=_seq)]
        return [
            entry.seq
            for entry in (reversed(found) if newest else found)
            if wanted.kinds >> entry.kind & 1 and entry.position >= wanted.from_position
        ][:limit]

    def mailbox(self, account_id: int, wanted: Range, limit: int, *, newest: bool) -> list[int]:
        """Return log numbers of a mailbox's entries, in the direction of reading."""
        letters = self.accounts.get(account_id)
        if letters is None:
            return []
        start = bisect_right(letters, wanted.after_seq, key=_seq)
        found = letters[start : bisect_left(letters, wanted.before_seq, key=_seq)]
        return [
            letter.seq for letter in (reversed(found) if newest else found) if wanted.kinds >> letter.kind & 1
        ][:limit]

    def native(self, actor_id: int, native_id: bytes, protocol: str) -> int:
        """Return the latest log number to which `actor_id` gave this id, or 0."""
        return self.natives.get((actor_id, native_id, protocol), 0)

    # What a run is made of, sorted by the keys of its tables; only once nothing is added any more.

    def conversation_rows(self, run: int) -> Iterator[tuple[int, int, int, int, int]]:
        """Return rows of `ix_conversation`."""
        for conversation_id in sorted(self.conversations):
            for entry in self.conversations[conversation_id]:
                yield (run, conversation_id, entry.seq, entry.position, entry.kind)

    def mailbox_rows(self, run: int) -> Iterator[tuple[int, int, int, int, int, int]]:
        """Return rows of `mailbox`."""
        for account_id in sorted(self.accounts):
            for letter in self.accounts[account_id]:
                yield (run, account_id, letter.seq, letter.conversation_id, letter.box, letter.kind)

    def native_rows(self, run: int) -> Iterator[tuple[int, int, bytes, str, int]]:
        """Return rows of `native_ids`."""
        for (actor_id, native_id, protocol), seq in sorted(self.natives.items()):
            yield (run, actor_id, native_id, protocol, seq)


def _seq(entry: Entry | Letter) -> int:
    return entry.seq
