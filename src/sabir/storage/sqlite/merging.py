"""Merging and deleting runs in slices, inside SQLite: no row passes through Python."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from sabir.storage import schema
from sabir.storage.sqlite.statements import listed


class Sorted:
    """One table of the index: its key after the run, and the other columns."""

    def __init__(self, name: str, key: Sequence[str], rest: Sequence[str]) -> None:
        keys, columns = ", ".join(key), ", ".join((*key, *rest))
        marks = ", ".join("?" * len(key))
        chosen = "run IN (SELECT value FROM json_each(?))"
        copy = (
            f"INSERT OR REPLACE INTO {name} (run, {columns}) SELECT ?, {columns} FROM {name} WHERE {chosen}"
        )
        # By seq, so that of one key in two runs the later stays.
        order = f"ORDER BY {keys}" if "seq" in key else f"ORDER BY {keys}, seq"
        seek, offset = f"SELECT {keys} FROM {name} WHERE run = ?", f"ORDER BY {keys} LIMIT 1 OFFSET ?"
        self.seek_first: Final = f"{seek} {offset}"
        self.seek: Final = f"{seek} AND ({keys}) > ({marks}) {offset}"
        self.copy_first: Final = f"{copy} AND ({keys}) <= ({marks}) {order}"
        self.copy_next: Final = f"{copy} AND ({keys}) > ({marks}) AND ({keys}) <= ({marks}) {order}"
        self.copy_last: Final = f"{copy} AND ({keys}) > ({marks}) {order}"
        self.copy_all: Final = f"{copy} {order}"
        self.delete_first: Final = f"DELETE FROM {name} WHERE run = ? AND ({keys}) <= ({marks})"
        self.delete_all: Final = f"DELETE FROM {name} WHERE run = ?"
        self.after: Final = f"SELECT min(run) FROM {name} WHERE run > ?"


TABLES: Final = tuple(
    Sorted(
        table.name,
        [column.name for column in table.primary_key if column.name != "run"],
        [column.name for column in table.columns if not column.primary_key],
    )
    for table in (schema.ix_conversation, schema.native_ids)
)


class Slices:
    """Copies runs into a new one, in the order of the key, about `size` rows at a time."""

    def __init__(self, table: Sorted, runs: Sequence[int], target: int, size: int) -> None:
        self._table = table
        self._runs = runs
        self._target = target
        self._each = max(1, size // len(runs))
        self._start: tuple[object, ...] | None = None
        self.finished = False

    def write_next(self, connection: sqlite3.Connection) -> None:
        """Copy the next slice."""
        table, start, end = self._table, self._start, self._end(connection)
        parameters: tuple[object, ...] = (self._target, listed(self._runs))
        if start is None and end is None:
            connection.execute(table.copy_all, parameters)
        elif start is None and end is not None:
            connection.execute(table.copy_first, (*parameters, *end))
        elif end is None and start is not None:
            connection.execute(table.copy_last, (*parameters, *start))
        elif start is not None and end is not None:
            connection.execute(table.copy_next, (*parameters, *start, *end))
        self._start = end
        self.finished = end is None

    def _end(self, connection: sqlite3.Connection) -> tuple[object, ...] | None:
        """Return the last key of the slice: so that no run has more than its share in it, and one has it in full."""
        ends = []
        for run in self._runs:
            if self._start is None:
                row = connection.execute(self._table.seek_first, (run, self._each - 1)).fetchone()
            else:
                row = connection.execute(self._table.seek, (run, *self._start, self._each - 1)).fetchone()
            if row is not None:
                ends.append(row)
        return min(ends, default=None)


def delete_some(connection: sqlite3.Connection, table: Sorted, run: int, size: int) -> bool:
    """Delete `size` rows of a run, or what is left of it; return whether some may be left."""
    end = connection.execute(table.seek_first, (run, size - 1)).fetchone()
    if end is None:
        connection.execute(table.delete_all, (run,))
        return False
    connection.execute(table.delete_first, (run, *end))
    return True


def present_runs(connection: sqlite3.Connection) -> set[int]:
    """Return the runs that have rows, complete or not."""
    present: set[int] = set()
    for table in TABLES:
        run = connection.execute(table.after, (-1,)).fetchone()[0]
        while run is not None:
            present.add(run)
            run = connection.execute(table.after, (run,)).fetchone()[0]
    return present


def forget_runs(connection: sqlite3.Connection, runs: Sequence[int]) -> None:
    """Take runs out of the list; their rows remain to be deleted."""
    connection.execute(
        "DELETE FROM index_runs WHERE run IN (SELECT value FROM json_each(?))", (listed(runs),)
    )
