"""The second pass over the log: recent entries, kept in memory, become sorted runs on disk (LOGPATH 6).

It works in steps, each a short transaction of the writer between two batches: all it likes while the writer has
nothing else to do, and else in proportion to what was appended, so that memory stays bounded. A run under
construction is in no list; what a crash leaves of it is swept.

States of a stretch of the log::

    active segment -> full segment -> run of level 0 -> merged with its neighbours into a run of level 1 -> ...

The counters of a stretch are counted when it is a run, and written later still.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from sabir.core.model.event import Event
from sabir.storage import schema
from sabir.storage.sqlite import merging, pages, runs
from sabir.storage.sqlite.counters import Counters, note_latest
from sabir.storage.sqlite.segment import SEGMENT_ROWS, Segment
from sabir.storage.sqlite.statements import insert_into

STEP_ROWS: Final = 512
"""Counters written in one step: a millisecond or two, which the next batch may have to wait."""
SWEPT_PAGES: Final = 32
"""Pages deleted in one step."""
ROWS_PER_STEP: Final = 160
"""A busy writer takes one step for so many entries appended: a little more than all work on them needs."""
TAKEN_AT_ONCE: Final = 512
"""Entries noted in one go."""
MERGE_RUNS: Final = 16
"""So many runs of one level become one of the next: 10 million entries are in about 20 runs."""

_RUN: Final = insert_into(schema.index_runs)
_END: Final = object()


class Indexing:
    """Keeps the segments and turns them into runs. Used by the writer's thread; `segments` may be read by any."""

    def __init__(self, counters: Counters, segments: Iterable[Segment], latest: dict[int, int]) -> None:
        self._counters = counters
        self._latest = latest
        """Last log number of each conversation, up to where the segments begin."""
        self.segments: tuple[Segment, ...] = (*segments, Segment())
        """Oldest first; the last is the active one. Replaced as a whole."""
        self._work: Iterator[None] | None = None
        self._credit = 0.0
        self._next_run = 0
        self._levels: dict[int, list[runs.Run]] = {}
        self._garbage: list[int] = []

    def open(self, connection: sqlite3.Connection) -> None:
        """Start on a connection, or start again after a failure: whatever was under way is begun anew."""
        self._work = None
        complete = runs.all_runs(connection)
        self._levels = {}
        for run in complete:
            self._levels.setdefault(run.level, []).append(run)
        present = merging.present_runs(connection)
        self._garbage = sorted(present - {run.run for run in complete})
        self._next_run = max(present | {run.run for run in complete}, default=0) + 1

    def add(self, events: Sequence[Event]) -> None:
        """Take in what was committed."""
        at = 0
        while at < len(events):
            active = self.segments[-1]
            if active.rows >= SEGMENT_ROWS:
                active = Segment()
                self.segments = (*self.segments, active)
            # Not all at once: compiled code lets no other thread run before it returns.
            end = min(len(events), at + TAKEN_AT_ONCE, at + SEGMENT_ROWS - active.rows)
            active.take(events, at, end)
            at = end

    def latest_of(self, conversation_id: int) -> int:
        """Return the last log number of a conversation, or 0; for any thread."""
        for segment in reversed(self.segments):
            if conversation_id in segment.heads:
                return segment.heads[conversation_id][3]
        return self._latest.get(conversation_id, 0)

    def owes(self, connection: sqlite3.Connection, appended: int) -> bool:
        """Count entries appended; return whether they call for a step, however busy the writer is."""
        if not self.has_work(connection):
            self._credit = 0.0
            return False
        self._credit += appended / ROWS_PER_STEP
        return self._credit >= 1.0

    def keep_up(self, connection: sqlite3.Connection) -> None:
        """Take the steps that are owed."""
        while self._credit >= 1.0 and self.has_work(connection):
            self._credit -= 1.0
            self.step()

    def has_work(self, connection: sqlite3.Connection) -> bool:
        """Return whether there is a step to take."""
        if self._work is None:
            self._work = self._next_work(connection)
        return self._work is not None

    def step(self) -> None:
        """Take the next step, if there is one.

        Raises:
            sqlite3.Error: it failed and changed nothing; `open` begins anew.
        """
        if self._work is not None and next(self._work, _END) is _END:
            self._work = None

    def seal(self) -> None:
        """Let the active segment be written too, however small."""
        if self.segments[-1].rows:
            self.segments = (*self.segments, Segment())

    def _next_work(self, connection: sqlite3.Connection) -> Iterator[None] | None:
        if len(self.segments) > 1:
            return self._build(connection, self.segments[0])
        if self._counters.is_due():
            return self._count(connection)
        if self._garbage:
            return self._sweep(connection, self._garbage[0])
        for level, at in self._levels.items():
            if len(at) >= MERGE_RUNS:
                return self._merge(connection, level, at[:MERGE_RUNS])
        return None

    def _number(self) -> int:
        run = self._next_run
        self._next_run += 1
        return run

    def _build(self, connection: sqlite3.Connection, segment: Segment) -> Iterator[None]:
        """Write a segment as a run of level 0."""
        run = self._number()
        for part, entries in (
            (pages.CONVERSATIONS, segment.conversations.all()),
            (pages.NATIVES, segment.natives.all()),
        ):
            for at in range(0, len(entries), pages.PAGE_ENTRIES):
                with transaction(connection):
                    pages.write(connection, run, part, entries[at : at + pages.PAGE_ENTRIES])
                yield
        built = runs.Run(run, 0, segment.first_seq, segment.last_seq)
        with transaction(connection):
            connection.execute(_RUN, built)
        self._levels.setdefault(0, []).append(built)
        self._counters.take_in(segment)
        note_latest(self._latest, segment)
        self.segments = self.segments[1:]

    def _count(self, connection: sqlite3.Connection) -> Iterator[None]:
        """Write the counters; no segment is finished meanwhile."""
        for statement, rows in self._counters.updates(STEP_ROWS):
            with transaction(connection):
                connection.executemany(statement, rows)
            yield
        self._counters.written()

    def _merge(self, connection: sqlite3.Connection, level: int, merged: list[runs.Run]) -> Iterator[None]:
        """Write neighbouring runs as one of the next level."""
        run = self._number()
        for part in pages.PARTS:
            merge = merging.Merge(part, [source.run for source in merged], run)
            while not merge.finished:
                with transaction(connection):
                    merge.step(connection)
                yield
        built = runs.Run(run, level + 1, merged[0].first_seq, merged[-1].last_seq)
        with transaction(connection):
            merging.forget_runs(connection, [source.run for source in merged])
            connection.execute(_RUN, built)
        self._levels[level] = self._levels[level][len(merged) :]
        self._levels.setdefault(level + 1, []).append(built)
        self._garbage.extend(source.run for source in merged)

    def _sweep(self, connection: sqlite3.Connection, run: int) -> Iterator[None]:
        """Delete what is left of a run."""
        left = True
        while left:
            with transaction(connection):
                left = merging.delete_some(connection, run, SWEPT_PAGES)
            yield
        self._garbage.remove(run)


class transaction:  # noqa: N801  # reads as the statement that it is
    """A transaction of the writer: committed at the end of the block, or rolled back."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._connection.execute("COMMIT")
        elif self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
