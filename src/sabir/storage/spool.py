"""Keeps what an import brings on disk, until all of it is there, and gives it back in order of time."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sabir.storage.sqlite import connections

FILE_NAME: Final = "import.db"
TOLERANCE_MS: Final = 60_000
"""Between the times that two servers, or two ends of one, give to a message."""
_PUT_AT_ONCE: Final = 5_000
_READ_AT_ONCE: Final = 500
_MOST_ALIKE: Final = 200
"""So many of one key within the tolerance are compared; more are no conversation."""


class Spool:
    """A file of its own; see `opened`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection: Final = connection
        self._waiting: list[tuple[int, bytes, bytes, int, bytes]] = []
        connection.execute(
            "CREATE TABLE said (n INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, id BLOB NOT NULL, key BLOB NOT NULL,"
            " holder INTEGER NOT NULL, payload BLOB NOT NULL) STRICT"
        )
        # What is kept once, and who else held it; a twin of another is `n`, and `first` is the other.
        connection.execute(
            "CREATE TABLE twins (n INTEGER PRIMARY KEY, first INTEGER NOT NULL, holder INTEGER NOT NULL) STRICT"
        )

    def put(self, at_ms: int, id: bytes, key: bytes, holder: int, payload: bytes) -> None:
        """Keep something.

        Args:
            at_ms: when it was said.
            id: orders what was said at one time.
            key: the same of another holder at about that time is the same thing, and kept once.
            holder: whose copy it is.
            payload: what is given back.
        """
        self._waiting.append((at_ms, id, key, holder, payload))
        if len(self._waiting) >= _PUT_AT_ONCE:
            self._write()

    def count(self) -> int:
        """Find what is there twice, after the last `put`; return how many there are otherwise."""
        self._write()
        self._find_twins()
        self._connection.execute("CREATE INDEX twins_of ON twins (first)")
        self._connection.execute("CREATE INDEX said_at ON said (at_ms, id, n)")
        row = self._connection.execute(
            "SELECT (SELECT count(*) FROM said) - (SELECT count(*) FROM twins)"
        ).fetchone()
        return int(row[0])

    def in_order(self) -> Iterator[tuple[bytes, frozenset[int]]]:
        """Return each payload once, by time, then id, then as they were put in; and who held it."""
        rows = self._connection.execute(
            "SELECT payload, holder, (SELECT group_concat(holder) FROM twins WHERE first = said.n) FROM said"
            " WHERE NOT EXISTS (SELECT 1 FROM twins WHERE twins.n = said.n) ORDER BY at_ms, id, n"
        )
        while some := rows.fetchmany(_READ_AT_ONCE):
            for payload, holder, others in some:
                yield payload, frozenset([holder, *map(int, others.split(",") if others else ())])

    def _write(self) -> None:
        if self._waiting:
            self._connection.execute("BEGIN")
            self._connection.executemany(
                "INSERT INTO said (at_ms, id, key, holder, payload) VALUES (?, ?, ?, ?, ?)", self._waiting
            )
            self._connection.execute("COMMIT")
            self._waiting.clear()

    def _find_twins(self) -> None:
        self._connection.execute("CREATE INDEX said_by ON said (key, at_ms, n, holder)")
        rows = self._connection.execute("SELECT key, at_ms, n, holder FROM said ORDER BY key, at_ms, n")
        self._connection.execute("BEGIN")
        before = b""
        # Of one key, within the tolerance: when, which, and who holds it so far.
        kept: list[tuple[int, int, set[int]]] = []
        while some := rows.fetchmany(_READ_AT_ONCE):
            for key, at_ms, n, holder in some:
                if key != before:
                    before, kept = key, []
                kept = [each for each in kept if at_ms - each[0] <= TOLERANCE_MS][-_MOST_ALIKE:]
                first = next((each for each in kept if holder not in each[2]), None)
                if first is None:
                    kept.append((at_ms, n, {holder}))
                else:
                    first[2].add(holder)
                    self._connection.execute("INSERT INTO twins VALUES (?, ?, ?)", (n, first[1], holder))
        self._connection.execute("COMMIT")


@contextmanager
def opened(directory: Path) -> Iterator[Spool]:
    """Yield an empty spool in a folder; what it holds is gone at the end.

    Raises:
        OSError: the file cannot be made.
        sqlite3.Error: it cannot be written.
    """
    path = directory / FILE_NAME
    _remove(path)
    connections.create(path)
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        # What a crash leaves is thrown away: nothing has to be safe.
        connection.execute("PRAGMA journal_mode=OFF")
        connection.execute("PRAGMA synchronous=OFF")
        yield Spool(connection)
    finally:
        connection.close()
        _remove(path)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.with_name(path.name + "-journal").unlink(missing_ok=True)
