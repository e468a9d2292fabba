"""Erasing bodies for good: in the database, in its journal, and in backups that are restored later.

The ids of erased entries are also kept in a small file of their own, which a restore reads (DATAMODEL 1.10): a
backup that is older than an erasure must not bring the text back.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from sabir.core.model.changes import ERASED
from sabir.storage import schema
from sabir.storage.sqlite.rows import wipe
from sabir.storage.sqlite.statements import in_list, listed, text_of

FILE_NAME: Final = "erased-ids"
"""In the data folder: event ids of 16 bytes each, in the order of their erasure."""
ID_BYTES: Final = 16


_NOTE: Final = text_of(
    sa.insert(schema.erasures)
    .prefix_with("OR IGNORE")
    .values({"seq": sa.bindparam("seq"), "event_id": sa.bindparam("event_id")})
)
# A file goes with the last entry that names it, if one of those was its owner's: by naming a file of another, nobody
# has it deleted.
_REFS: Final = schema.media_refs.c
_MEDIA: Final = schema.media.c
_NAMED: Final = text_of(
    sa.select(_REFS.media_id, _REFS.seq, _MEDIA.actor_id)
    .join(schema.media, _MEDIA.id == _REFS.media_id)
    .where(in_list(_REFS.seq, "seqs"))
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
        wiped = wipe(connection, seqs)
        connection.executemany(_NOTE, [(entry.seq, entry.event_id) for entry in wiped])
        actors = {entry.seq: entry.actor_id for entry in wiped}
        rows = connection.execute(_NAMED, (listed(seqs),))
        named = [media_id for media_id, seq, owner in rows if actors.get(seq) == owner]
        connection.execute(_UNNAME, (listed(seqs),))
        if named:
            connection.execute(_LEAVE, (ERASED, listed(named)))
        self._staged = [entry.event_id for entry in wiped]

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
