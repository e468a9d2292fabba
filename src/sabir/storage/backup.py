"""Copies the store while it runs, and restores a copy as a new generation of the log (DATAMODEL 1.10).

After a restore clients know numbers that the log does not: so no number is given twice, `seq` jumps by 2^32
for every generation, and the core lets positions, `pts` and boxes jump by `core.log.GENERATION_GAP`. What was
erased since the copy was made is erased again, from the list of erased ids in the data folder.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from sabir.core.model.changes import READY
from sabir.storage import migrations, schema
from sabir.storage.config import StorageConfig
from sabir.storage.lock import DataLock
from sabir.storage.sqlite import connections, erasing, reading, snapshots
from sabir.storage.sqlite.indexing import STEP_ROWS, Indexing, transaction
from sabir.storage.sqlite.statements import insert_into, text_of

SEQ_GAP: Final = 1 << 32
"""What log numbers jump by in a new generation."""
GENERATION_FILE: Final = "generation"
"""In the data folder: the last generation that a restore began, for when the database is lost again."""
REPLACED_NAME: Final = "sabir.db.replaced"
"""Where a restore leaves the database that it takes the place of."""

_HEAD: Final = text_of(sa.select(schema.log_head.c.generation, schema.log_head.c.seq))
_FILES: Final = text_of(
    sa.select(schema.media.c.store_key).where(schema.media.c.state == sa.bindparam("state"))
)
_GENERATION: Final = insert_into(schema.log_generations)
_BEGIN: Final = text_of(
    sa.update(schema.log_head).ordered_values(
        (schema.log_head.c.generation, sa.bindparam("generation_")),
        (schema.log_head.c.seq, sa.bindparam("seq_")),
    )
)


class BackupError(Exception):
    """The copy cannot be made or used; the text says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What a restore did."""

    generation: int
    erased: int
    """Entries whose text the copy still had, erased again."""
    replaced: Path | None
    """The database that was there before, to be deleted when all is well."""


def backup(directory: Path, target: Path) -> None:
    """Copy the store in `directory` to the file `target`, whether a server uses it or not.

    The copy is of one moment. It has what has been erased no more, but what is erased later is in it.

    Raises:
        BackupError: there is no store, or `target` exists.
        OSError, sqlite3.Error: the copy cannot be written.
    """
    source = directory / connections.FILE_NAME
    if not source.exists():
        raise BackupError(f"{directory} has no store: {connections.FILE_NAME} is missing")
    if target.exists():
        raise BackupError(f"{target} exists: choose another name, or move it away")
    partial = target.with_name(f"{target.name}.partial")
    partial.unlink(missing_ok=True)
    connections.create(partial)
    try:
        with (
            contextlib.closing(connections.open_reader(source, StorageConfig())) as reader,
            contextlib.closing(sqlite3.connect(partial, isolation_level=None)) as writer,
        ):
            reader.backup(writer)
            writer.execute("PRAGMA journal_mode=DELETE")
        _flush(partial)
        partial.rename(target)
        _flush(target.parent)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def files_of(copy: Path) -> list[str]:
    """Return the keys of the files that a copy knows.

    Raises:
        sqlite3.Error: it cannot be read.
    """
    uri = f"{copy.resolve().as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(uri, uri=True)) as connection:
        return [row[0] for row in connection.execute(_FILES, (READY,))]


def restore(source: Path, lock: DataLock, now_ms: int) -> Restored:
    """Put the copy `source` in the place of the store in a locked data folder, as a new generation.

    Raises:
        BackupError: `source` is no store, is damaged, or is of a newer Sabir.
        OSError, sqlite3.Error: it cannot be read, or the folder cannot be written.
    """
    directory = lock.directory
    place, new = directory / connections.FILE_NAME, directory / f"{connections.FILE_NAME}.new"
    _check(source)
    _remove(new)
    connections.create(new)
    shutil.copyfile(source, new)
    migrations.upgrade(new)
    generation = 1 + max(_generation_of(place), _generation_of(new), _noted(directory))
    erased = _renew(new, directory, generation, now_ms)
    replaced: Path | None = None
    if place.exists():
        replaced = directory / REPLACED_NAME
        _remove(replaced)
        for suffix in ("", "-wal"):
            with contextlib.suppress(FileNotFoundError):
                Path(f"{place}{suffix}").rename(f"{replaced}{suffix}")
    _remove(place)
    (directory / GENERATION_FILE).write_text(f"{generation}\n", encoding="ascii")
    _flush(directory / GENERATION_FILE)
    _flush(new)
    new.rename(place)
    _flush(directory)
    return Restored(generation=generation, erased=erased, replaced=replaced)


def _check(source: Path) -> None:
    if not source.is_file():
        raise BackupError(f"{source} does not exist")
    try:
        with contextlib.closing(
            sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True)
        ) as connection:
            version = migrations.version_of(connection)
            found = connection.execute("PRAGMA quick_check(1)").fetchone()[0] if version else "ok"
    except sqlite3.Error as error:
        raise BackupError(f"{source} cannot be read as a copy of a store: {error}") from error
    if not version:
        raise BackupError(f"{source} is not a copy of a store")
    if version > schema.VERSION:
        raise BackupError(f"{source} was made by a newer Sabir: install that one")
    if found != "ok":
        raise BackupError(f"{source} is damaged ({found}): use another copy")


def _renew(path: Path, directory: Path, generation: int, now_ms: int) -> int:
    """Erase what must be, index all of the old generation, and begin the new one."""
    with contextlib.closing(connections.open_writer(path, StorageConfig())) as connection:
        erased = _erase_again(connection, directory)
        recent = snapshots.Recent(connection)
        indexing = Indexing(recent.counters, recent.segments, recent.latest)
        indexing.open(connection)
        indexing.seal()
        while indexing.has_work(connection):
            indexing.step()
        with transaction(connection):
            if recent.counters.entries:
                for statement, rows in recent.counters.updates(STEP_ROWS):
                    connection.executemany(statement, rows)
            seq = recent.seq + (generation - recent.generation) * SEQ_GAP
            connection.execute(_BEGIN, (generation, seq))
            connection.execute(_GENERATION, (0, generation, seq + 1, "restore", now_ms))
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return erased


def _erase_again(connection: sqlite3.Connection, directory: Path) -> int:
    again = erasing.Erasing(directory)
    again.open(connection)
    seqs: list[int] = []
    for event_id in erasing.erased_ids(directory / erasing.FILE_NAME):
        event = reading.find_event(connection, event_id)
        if event is not None and not event.erased:
            seqs.append(event.seq)
    with transaction(connection):
        again.erase(connection, seqs)
    again.remember()
    return len(seqs)


def _generation_of(path: Path) -> int:
    """Return the generation of a database, 0 where there is none to be read."""
    if not path.exists():
        return 0
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=connections.BUSY_S)) as connection:
            return int(connection.execute(_HEAD).fetchone()[0])
    except sqlite3.Error:
        return 0  # lost or damaged: the reason why somebody restores


def _noted(directory: Path) -> int:
    try:
        return int((directory / GENERATION_FILE).read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):
        return 0


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
