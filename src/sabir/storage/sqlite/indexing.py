"""The second pass over the log: recent entries, kept in memory, become sorted runs on disk (LOGPATH 6).

It works in steps, each a short transaction of the writer between two batches: all it likes while the writer has
nothing else to do, and else in proportion to what was appended, so that memory stays bounded. A run under
construction is in no list; what a crash leaves of it is swept.

States of a stretch of the log::

    active segment -> full segment -> run of level 0 -> merged with its neighbours into a run of level 1 -> ...
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

import sqlalchemy as sa

from sabir.core.log import GENERATION_GAP
from sabir.core.model.event import Event
from sabir.storage import schema
from sabir.storage.sqlite import merging, runs
from sabir.storage.sqlite.segment import SEGMENT_ROWS, Segment
from sabir.storage.sqlite.statements import insert_into, text_of

log = logging.getLogger(__name__)

STEP_ROWS: Final = 1024
"""Rows of one step: a few milliseconds, which the next batch may have to wait."""
ROWS_PER_STEP: Final = 128
"""A busy writer takes one step for so many entries appended: twice what a segment needs."""
MERGE_RUNS: Final = 16
"""So many runs of one level become one of the next: 10 million entries are in about 20 runs."""
URGENT_RUNS: Final = 32
"""With so many runs of one level, merging does not wait for idle moments any more."""

_RUN: Final = insert_into(schema.index_runs)
_TABLES: Final = (
    insert_into(schema.ix_conversation),
    insert_into(schema.mailbox),
    insert_into(schema.native_ids),
)

_c: Final = schema.conversations.c
_generation: Final[sa.BindParameter[int]] = sa.bindparam("generation")
_HEADS: Final = text_of(
    sa.update(schema.conversations)
    .where(_c.id == sa.bindparam("id"))
    .ordered_values(
        (_c.head_position, sa.func.max(_c.head_position, sa.bindparam("position"))),
        (_c.message_no, sa.func.max(_c.message_no, sa.bindparam("number"))),
        # As `core.log` numbers: the first entry of a generation jumps, whether `pts` counts it or not.
        (
            _c.pts,
            sa.func.max(
                _c.pts + sa.literal_column(str(GENERATION_GAP)) * (_c.generation < _generation),
                sa.bindparam("points"),
            ),
        ),
        (_c.head_seq, sa.bindparam("seq")),
        (_c.generation, _generation),
    )
)
_a: Final = schema.accounts.c
_BOXES: Final = text_of(
    sa.update(schema.accounts)
    .where(_a.id == sa.bindparam("account"))
    .ordered_values(
        (_a.box_head, sa.func.max(_a.box_head, sa.bindparam("box"))),
        (_a.generation, sa.func.max(_a.generation, _generation)),
    )
)


class Indexing:
    """Keeps the segments and turns them into runs. Used by the writer's thread; `segments` may be read by any."""

    def __init__(self, generation: int, segments: Iterable[Segment]) -> None:
        self._generation = generation
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
        active = self.segments[-1]
        for event in events:
            if active.rows >= SEGMENT_ROWS:
                active = Segment()
                self.segments = (*self.segments, active)
            active.add(
                event.seq,
                event.conversation_id,
                event.position,
                event.message_no,
                event.pts,
                event.actor_id,
                event.kind,
                event.protocol,
                event.native_id,
                event.boxes,
            )

    def keep_up(self, connection: sqlite3.Connection, appended: int) -> None:
        """Take the steps that so many appended entries call for."""
        if len(self.segments) == 1 and not self._urgent():
            self._credit = 0.0
            return
        self._credit += appended / ROWS_PER_STEP
        while self._credit >= 1.0 and self.step(connection):
            self._credit -= 1.0

    def step(self, connection: sqlite3.Connection) -> bool:
        """Take the next step; return whether there was one to take.

        Raises:
            sqlite3.Error: it failed and changed nothing; `open` begins anew.
        """
        if self._work is None:
            self._work = self._next_work(connection)
            if self._work is None:
                return False
        try:
            next(self._work)
        except StopIteration:
            self._work = None
        return True

    def seal(self) -> None:
        """Let the active segment be written too, however small."""
        if self.segments[-1].rows:
            self.segments = (*self.segments, Segment())

    def _urgent(self) -> bool:
        return any(len(level) >= URGENT_RUNS for level in self._levels.values())

    def _next_work(self, connection: sqlite3.Connection) -> Iterator[None] | None:
        if len(self.segments) > 1:
            return self._build(connection, self.segments[0])
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
        """Write a segment as a run of level 0, and the counters as of its end."""
        run = self._number()
        tables: tuple[Iterable[tuple[object, ...]], ...] = (
            segment.conversation_rows(run),
            segment.mailbox_rows(run),
            segment.native_rows(run),
        )
        for insert, rows in zip(_TABLES, tables, strict=True):
            yield from _write(connection, insert, rows)
        # Ahead of the run by as much as a crash may leave them: bringing them up to date is idempotent.
        yield from _write(connection, _HEADS, head_updates(segment, self._generation))
        yield from _write(connection, _BOXES, box_updates(segment, self._generation))
        built = runs.Run(run, 0, segment.first_seq, segment.last_seq)
        with transaction(connection):
            connection.execute(_RUN, built)
        self._levels.setdefault(0, []).append(built)
        self.segments = self.segments[1:]

    def _merge(self, connection: sqlite3.Connection, level: int, merged: list[runs.Run]) -> Iterator[None]:
        """Write neighbouring runs as one of the next level."""
        run = self._number()
        for table in merging.TABLES:
            slices = merging.Slices(table, [part.run for part in merged], run, STEP_ROWS)
            while not slices.finished:
                with transaction(connection):
                    slices.write_next(connection)
                yield
        built = runs.Run(run, level + 1, merged[0].first_seq, merged[-1].last_seq)
        with transaction(connection):
            merging.forget_runs(connection, [part.run for part in merged])
            connection.execute(_RUN, built)
        self._levels[level] = self._levels[level][len(merged) :]
        self._levels.setdefault(level + 1, []).append(built)
        self._garbage.extend(part.run for part in merged)

    def _sweep(self, connection: sqlite3.Connection, run: int) -> Iterator[None]:
        """Delete what is left of a run."""
        for table in merging.TABLES:
            left = True
            while left:
                with transaction(connection):
                    left = merging.delete_some(connection, table, run, STEP_ROWS)
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


def head_updates(segment: Segment, generation: int) -> Iterator[tuple[int, int, int, int, int, int, int]]:
    """Return the counters of the conversations in a segment, as parameters of their update."""
    for conversation_id, entries in sorted(segment.conversations.items()):
        last = entries[-1]
        message_no = max(entry.message_no for entry in entries)
        pts = max(entry.pts for entry in entries)
        yield (last.position, message_no, generation, pts, last.seq, generation, conversation_id)


def box_updates(segment: Segment, generation: int) -> Iterator[tuple[int, int, int]]:
    """Return the mailbox counters of the accounts in a segment, as parameters of their update."""
    for account_id, letters in sorted(segment.accounts.items()):
        box = max(letter.box for letter in letters)
        if box:
            yield (box, generation, account_id)


def _write(
    connection: sqlite3.Connection, statement: str, rows: Iterable[tuple[object, ...]]
) -> Iterator[None]:
    remaining = iter(rows)
    while piece := list(islice(remaining, STEP_ROWS)):
        with transaction(connection):
            connection.executemany(statement, piece)
        yield
