"""Merging runs, some pages at a time."""

from __future__ import annotations

import sqlite3
from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa

from sabir.storage import schema
from sabir.storage.sqlite import pages
from sabir.storage.sqlite.statements import in_list, listed, text_of

PAGES_PER_STEP: Final = 4
"""Pages read and written in one step: about a millisecond."""

_page: Final = schema.index_pages.c
_RUN: Final[sa.BindParameter[int]] = sa.bindparam("run")
_NEXT: Final = (
    text_of(
        sa.select(_page.first, _page.entries)
        .where(_page.run == _RUN, _page.part == sa.bindparam("part"), _page.first > sa.bindparam("after"))
        .order_by(_page.first)
    )
    + " LIMIT 1"
)
_AFTER: Final = text_of(sa.select(sa.func.min(_page.run)).where(_page.run > _RUN))
_SOME: Final = text_of(sa.select(_page.part, _page.first).where(_page.run == _RUN)) + " LIMIT ?"
_DELETE: Final = text_of(
    sa.delete(schema.index_pages).where(
        _page.run == _RUN, _page.part == sa.bindparam("part_"), _page.first == sa.bindparam("first_")
    )
)
_FORGET: Final = text_of(sa.delete(schema.index_runs).where(in_list(schema.index_runs.c.run, "runs")))


class _Source:
    """A run that is being merged: how far it has been read."""

    def __init__(self, run: int) -> None:
        self.run = run
        self.page = b""
        """First entry of the last page read."""
        self.read = b""
        """Last entry read."""


class Merge:
    """Writes one part of some runs as that part of a new one."""

    def __init__(self, part: int, runs: Sequence[int], target: int) -> None:
        self._part = part
        self._size = pages.SIZES[part]
        self._target = target
        self._sources = [_Source(run) for run in runs]
        self._entries: list[bytes] = []
        """Read and not written yet, in order."""
        self.finished = False

    def step(self, connection: sqlite3.Connection) -> None:
        """Read some pages, and write what is before all that is not read yet; in the open transaction."""
        for _ in range(PAGES_PER_STEP):
            if self._sources:
                self._read(connection, min(self._sources, key=_read_to))
        entries = self._entries
        entries.sort()  # it finds the stretches that are in order, and only merges them
        full = pages.PAGE_ENTRIES
        if self._sources:
            ready = bisect_right(entries, min(map(_read_to, self._sources))) // full * full
        else:
            ready = len(entries)
            self.finished = True
        for at in range(0, ready, full):
            pages.write(connection, self._target, self._part, entries[at : min(at + full, ready)])
        del entries[:ready]

    def _read(self, connection: sqlite3.Connection, source: _Source) -> None:
        row = connection.execute(_NEXT, (source.run, self._part, bytearray(source.page))).fetchone()
        if row is None:
            self._sources.remove(source)
        else:
            source.page = row[0]
            self._entries += pages.split(row[1], self._size)
            source.read = self._entries[-1]


def _read_to(source: _Source) -> bytes:
    return source.read


def delete_some(connection: sqlite3.Connection, run: int, count: int) -> bool:
    """Delete pages of a run; return whether some may be left."""
    keys = connection.execute(_SOME, (run, count)).fetchall()
    connection.executemany(_DELETE, [(run, part, bytearray(first)) for part, first in keys])
    return len(keys) == count


def present_runs(connection: sqlite3.Connection) -> set[int]:
    """Return the runs that have pages, complete or not."""
    present: set[int] = set()
    run = connection.execute(_AFTER, (-1,)).fetchone()[0]
    while run is not None:
        present.add(run)
        run = connection.execute(_AFTER, (run,)).fetchone()[0]
    return present


def forget_runs(connection: sqlite3.Connection, runs: Sequence[int]) -> None:
    """Take runs out of the list; their pages remain to be deleted."""
    connection.execute(_FORGET, (listed(runs),))
