"""Erasing bodies for good: in the database, in its journal, and in backups that are restored later.

The ids of erased entries are also kept in a small file of their own, which a restore reads (DATAMODEL 1.10): a
backup that is older than an erasure must not bring the text back.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from sabir.core.model.changes import ERASED
from sabir.storage import schema
from sabir.storage.sqlite.statements import in_list, listed, text_of

FILE_NAME: Final = "erased-ids"
"""In the data folder: event ids of 16 bytes each, in the order of their erasure."""
ID_BYTES: Final = 16


def _zeros(column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    size = sa.func.length(sa.cast(column, sa.BLOB))
    return (
        sa.cast(sa.func.zeroblob(size), column.type)
        if column.type.python_type is str
        else sa.func.zeroblob(size)
    )


# As many zeros as there was text: a row that shrinks or goes makes SQLite move its neighbours to other pages, and
# what it leaves behind of those is wiped by no setting.
_WIPE: Final = text_of(
    sa.update(schema.bodies)
    .where(in_list(schema.bodies.c.seq, "seqs"))
    .values(
        {
            column.name: _zeros(column)
            for column in (schema.bodies.c.variant, schema.bodies.c.native, schema.bodies.c.leaf_salt)
        }
    )
)
_IDS: Final = text_of(
    sa.select(schema.events.c.seq, schema.events.c.event_id).where(in_list(schema.events.c.seq, "seqs"))
)
_NOTE: Final = text_of(
    sa.insert(schema.erasures)
    .prefix_with("OR IGNORE")
    .values({"seq": sa.bindparam("seq"), "event_id": sa.bindparam("event_id")})
)
# A file goes with the last entry that names it, if one of those was its owner's: by naming a file of another, nobody
# has it deleted.
_REFS: Final = schema.media_refs.c
_MEDIA: Final = schema.media.c
_EVENTS: Final = schema.events.c
_NAMED: Final = text_of(
    sa.select(_REFS.media_id)
    .join(schema.media, _MEDIA.id == _REFS.media_id)
    .join(schema.events, _EVENTS.seq == _REFS.seq)
    .where(in_list(_REFS.seq, "seqs"), _EVENTS.actor_id == _MEDIA.actor_id)
)
_UNNAME: Final = text_of(sa.delete(schema.media_refs).where(in_list(_REFS.seq, "seqs")))
_LEAVE: Final = text_of(
    sa.update(schema.media)
    .where(in_list(_MEDIA.id, "ids"), ~sa.exists().where(_REFS.media_id == _MEDIA.id))
    .values(state=sa.bindparam("state_"))
)
_NOTED: Final = text_of(sa.select(schema.erasures.c.event_id).order_by(schema.erasures.c.seq))


class Erasing:
    """Erases in the writer's transaction, and remembers outside of the database what was erased."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE_NAME
        self._staged: list[bytes] = []
        self._committed: list[bytes] = []
        self.unfinished = False
        """Bodies are gone from the database, but not from its journal, or their ids are not in the file."""

    def open(self, connection: sqlite3.Connection) -> None:
        """Bring the file up to date: a crash may have come between the commit and it."""
        known = erased_ids(self._path)
        self._committed = [row[0] for row in connection.execute(_NOTED) if row[0] not in known]
        self.unfinished = bool(self._committed)

    def erase(self, connection: sqlite3.Connection, seqs: Sequence[int]) -> None:
        """Overwrite bodies, in the open transaction; mark files that only they have named."""
        rows = connection.execute(_IDS, (listed(seqs),)).fetchall()
        connection.executemany(_NOTE, rows)
        connection.execute(_WIPE, (listed(seqs),))
        named = [row[0] for row in connection.execute(_NAMED, (listed(seqs),))]
        connection.execute(_UNNAME, (listed(seqs),))
        if named:
            connection.execute(_LEAVE, (ERASED, listed(named)))
        self._staged = [event_id for _, event_id in rows]

    def rolled_back(self) -> None:
        """Nothing was erased."""
        self._staged = []

    def committed(self) -> None:
        """What `erase` did is durable."""
        if self._staged:
            self._committed += self._staged
            self._staged = []
            self.unfinished = True

    def remember(self) -> None:
        """Add the new ids to the file, durably."""
        if self._committed:
            append_ids(self._path, self._committed)
            self._committed = []


def erased_ids(path: Path) -> set[bytes]:
    """Return the event ids in such a file; one that a crash cut short is left out."""
    try:
        stored = path.read_bytes()
    except FileNotFoundError:
        return set()
    return {stored[at : at + ID_BYTES] for at in range(0, len(stored) - ID_BYTES + 1, ID_BYTES)}


def append_ids(path: Path, ids: Iterable[bytes]) -> None:
    """Add event ids to such a file and flush it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        end = os.fstat(descriptor).st_size // ID_BYTES * ID_BYTES
        os.pwrite(descriptor, b"".join(ids), end)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
