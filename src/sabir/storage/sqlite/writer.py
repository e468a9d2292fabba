"""The thread with the only write connection: one transaction per batch, the index and checkpoints in between.

A batch that fails is not in the store when its error is told. Where a flush failed, nobody knows whether the commit
landed, so the connection is opened anew and the head compared; a COMMIT is never just repeated.
"""

from __future__ import annotations

import logging
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import sqlalchemy as sa

from sabir.core.model.changes import EraseBody
from sabir.core.ports import Batch, StoreError
from sabir.storage import schema
from sabir.storage.config import StorageConfig
from sabir.storage.sqlite import connections, reading
from sabir.storage.sqlite.checkpoints import Checkpoints
from sabir.storage.sqlite.erasing import Erasing
from sabir.storage.sqlite.indexing import Indexing, transaction
from sabir.storage.sqlite.rows import insert
from sabir.storage.sqlite.statements import STORED, text_of
from sabir.storage.sqlite.sweeping import sweep

log = logging.getLogger(__name__)

CallSoon = Callable[[Callable[[], object]], object]
"""Calls back on the core's thread, from any thread (`loop.call_soon_threadsafe`)."""

QUIET_S: Final = 0.002
"""A pause between batches in which work on the index would only be in the way of the next."""
RETRY_S: Final = 1.0
"""After a reader was in the way of emptying the journal."""
SWEEP_S: Final = 86_400.0
"""How often rows that are long gone are looked for; again after `SWEEP_MORE_S` where there were many."""
SWEEP_MORE_S: Final = 60.0
FLUSH_S: Final = 0.1
"""With `storage.sync = "interval"`: how often the journal is flushed."""

# What a row at fault raises: its values, or a constraint. Anything else is the disk's or our own fault.
_AT_FAULT: Final = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    OverflowError,
    TypeError,
    ValueError,
)

_HEAD: Final = text_of(
    sa.update(schema.log_head)
    .where(schema.log_head.c.shard == sa.literal_column("0"))
    .ordered_values(
        (schema.log_head.c.seq, sa.bindparam("seq_")), (schema.log_head.c.leaf, sa.bindparam("leaf_"))
    )
)


class _Job(NamedTuple):
    batch: Batch
    done: Callable[[Batch, StoreError | None], None]


class Writer:
    """Commits batches in the order given."""

    def __init__(
        self,
        path: Path,
        config: StorageConfig,
        indexing: Indexing,
        erasing: Erasing,
        call_soon: CallSoon,
        erased: Callable[[Sequence[int]], None],
    ) -> None:
        """Start the thread; `erased` is told which bodies are gone, once that is durable."""
        self._path = path
        self._config = config
        self._indexing = indexing
        self._erasing = erasing
        self._call_soon = call_soon
        self._erased = erased
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._connection: sqlite3.Connection | None = None
        self._checkpoints = Checkpoints(path, config)
        self._unflushed_since = 0.0
        self._careful = True
        self._erasing_due = 0.0
        self._sweep_due = 0.0
        self._erasing.open(self._open())
        self._thread = threading.Thread(target=self._run, name="sabir-writer", daemon=True)
        self._thread.start()

    def submit(self, batch: Batch, done: Callable[[Batch, StoreError | None], None]) -> None:
        """Write `batch`; `done` is called on the core's thread."""
        self._queue.put(_Job(batch, done))

    def stop(self) -> None:
        """Write what was submitted, then end the thread and close the connection."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (job := self._next()) is not None:
            error = self._write(job)
            self._call_soon(partial(job.done, job.batch, error))
            if error is None:
                self._between(len(job.batch.events))
        self._flush()
        self._checkpoints.stop()
        if self._connection is not None:
            self._connection.close()

    def _next(self) -> _Job | None:
        """Return the next batch; work on the index once none has come for a while, until one does."""
        quiet_s = QUIET_S
        while True:
            working = self._has_work()
            try:
                if working:
                    return self._queue.get(timeout=quiet_s)
                due = self._unflushed_since or self._erasing.unfinished
                return self._queue.get(timeout=FLUSH_S if due else None)
            except queue.Empty:
                if working:
                    quiet_s = 0.0
                    self._step()
                else:
                    self._flush()

    # One batch

    def _write(self, job: _Job) -> StoreError | None:
        batch, connection = job.batch, self._connection
        try:
            if connection is None:
                connection = self._open()
            self._insert(connection, batch)
        except _AT_FAULT as error:
            self._roll_back()
            log.warning("statement refused", extra={"error": type(error).__name__, "rows": len(batch.events)})
            return StoreError(str(error), statement=True)
        except sqlite3.Error as error:
            return self._failed(batch, error)
        try:
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            return self._failed(batch, error)
        self._committed(batch)
        return None

    def _insert(self, connection: sqlite3.Connection, batch: Batch) -> None:
        erased = _erased_by(batch)
        self._be_careful(connection)
        connection.execute("BEGIN IMMEDIATE")
        events = batch.events
        if events:
            insert(connection, events)
        for change in batch.changes:
            if not isinstance(change, EraseBody):
                STORED[type(change)].put(connection, change)
        if erased:
            self._erasing.erase(connection, erased)
        connection.execute(_HEAD, (batch.last_seq, batch.last_leaf))

    def _committed(self, batch: Batch) -> None:
        self._indexing.add(batch.events)
        self._erasing.committed()
        if batch.changes and (erased := _erased_by(batch)):
            self._erased(erased)
        self._checkpoints.written(batch.size_bytes, len(batch.events) + len(batch.changes))
        if self._config.sync == "interval" and not self._unflushed_since:
            self._unflushed_since = time.monotonic()

    def _roll_back(self) -> None:
        self._erasing.rolled_back()
        if self._connection is not None and self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _failed(self, batch: Batch, error: sqlite3.Error) -> StoreError | None:
        """Find out whether the batch is in the store, and be ready for the next one."""
        log.error("commit failed", exc_info=error)
        try:
            if reading.head_seq(self._open()) == batch.last_seq:
                self._committed(batch)
                return None
        except sqlite3.Error as again:
            log.error("database cannot be opened again", exc_info=again)
        self._erasing.rolled_back()
        return StoreError(str(error))

    def _open(self) -> sqlite3.Connection:
        self._close()
        connection = connections.open_writer(self._path, self._config)
        self._indexing.open(connection)
        self._connection, self._careful = connection, True
        return connection

    def _be_careful(self, connection: sqlite3.Connection) -> None:
        """Flush the journal with each commit, as the acknowledgement of a batch promises; leave no copy of a body."""
        if not self._careful:
            self._careful = True
            connection.execute("PRAGMA secure_delete=ON")
            if self._config.sync == "commit":
                connection.execute("PRAGMA synchronous=FULL")

    def _be_quick(self, connection: sqlite3.Connection) -> None:
        """Do not flush what can be made again from the log; the next batch's flush covers it."""
        if self._careful:
            self._careful = False
            connection.execute("PRAGMA secure_delete=OFF")
            connection.execute("PRAGMA synchronous=NORMAL")

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # Between batches

    def _between(self, appended: int) -> None:
        connection = self._connection
        if connection is None:
            return
        try:
            if self._may_finish_erasing():
                self._finish_erasing(connection)
            self._checkpoints.run(connection)
            if time.monotonic() >= self._sweep_due:
                self._sweep(connection)
            if self._indexing.owes(connection, appended):
                self._be_quick(connection)
                self._indexing.keep_up(connection)
        except (sqlite3.Error, OSError) as error:
            self._background_failed(error)
        if self._unflushed_since and time.monotonic() - self._unflushed_since >= FLUSH_S:
            self._flush()

    def _sweep(self, connection: sqlite3.Connection) -> None:
        with transaction(connection):
            more = sweep(connection, int(time.time() * 1000))
        self._sweep_due = time.monotonic() + (SWEEP_MORE_S if more else SWEEP_S)

    def _has_work(self) -> bool:
        connection = self._connection
        return connection is not None and (self._may_finish_erasing() or self._indexing.has_work(connection))

    def _step(self) -> None:
        """Take a step of the work in the background."""
        connection = self._connection
        if connection is None:
            return
        try:
            if self._may_finish_erasing():
                self._finish_erasing(connection)
            else:
                self._checkpoints.run(connection)
                self._be_quick(connection)
                self._indexing.step()
        except (sqlite3.Error, OSError) as error:
            self._background_failed(error)

    def _may_finish_erasing(self) -> bool:
        return self._erasing.unfinished and time.monotonic() >= self._erasing_due

    def _finish_erasing(self, connection: sqlite3.Connection) -> None:
        self._erasing.remember()
        if self._checkpoints.truncate(connection):
            self._erasing.unfinished = False
        else:
            self._erasing_due = time.monotonic() + RETRY_S

    def _background_failed(self, error: Exception) -> None:
        """Drop the connection; the next batch opens it, and what was under way is begun anew."""
        log.error("index or checkpoint failed", exc_info=error)
        self._close()

    def _flush(self) -> None:
        """Flush the journal, with `storage.sync = "interval"`."""
        if self._unflushed_since:
            self._unflushed_since = 0.0
            # Nobody locks the journal's file, so that closing it loses no lock.
            descriptor = os.open(f"{self._path}-wal", os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fdatasync(descriptor)
            finally:
                os.close(descriptor)


def _erased_by(batch: Batch) -> list[int]:
    return [seq for change in batch.changes if isinstance(change, EraseBody) for seq in change.seqs]
