"""Moves the journal (WAL) into the database, off the commit path.

A thread of its own copies the bulk of it while batches go on; what they added meanwhile is little, and the
writer copies that itself, so that the journal is empty for once and begins anew instead of growing.
"""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
from pathlib import Path
from typing import Final

from sabir.storage.config import StorageConfig
from sabir.storage.sqlite import connections

log = logging.getLogger(__name__)

PAGE_BYTES: Final = 4096
TRUNCATE_MS: Final = 50
"""How long to wait for readers that are in the way of emptying the journal."""
PAGES: Final = 4000
"""A checkpoint is made when about so much is in the journal: 16 MiB."""
AGAIN_PAGES: Final = 1000
"""What must be added before the next try, where readers or a full disk were in the way."""


class Checkpoints:
    """Knows about how long the journal is, and shortens it."""

    def __init__(self, path: Path, config: StorageConfig) -> None:
        """Start the thread."""
        self._path = path
        self._config = config
        self._pages = 0.0
        self._due = float(PAGES)
        self._running = False
        self._copied = False
        self._orders: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._copy, name="sabir-checkpoint", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._orders.put(False)
        self._thread.join()

    def written(self, size_bytes: int, rows: int) -> None:
        """Note about how much a commit wrote: its pages, and those that every commit writes again."""
        self._pages += 4 + (size_bytes + 160 * rows) / PAGE_BYTES

    def run(self, connection: sqlite3.Connection) -> None:
        """Do what is due, with the writer's connection; called between batches."""
        if self._copied:
            self._copied = self._running = False
            _, pages, copied = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            self._pages = float(pages - copied)
            self._due = float(PAGES) if pages == copied else self._pages + AGAIN_PAGES
        elif self._pages >= self._due and not self._running:
            self._running = True
            self._orders.put(True)

    def truncate(self, connection: sqlite3.Connection) -> bool:
        """Empty the journal and cut the file, so that nothing erased is left in it; return whether it was possible."""
        # Not for as long as a backup reads: batches wait meanwhile.
        connection.execute(f"PRAGMA busy_timeout={TRUNCATE_MS}")
        busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        connection.execute(f"PRAGMA busy_timeout={int(1000 * connections.BUSY_S)}")
        if busy:
            return False
        self._pages, self._due = 0.0, float(PAGES)
        return True

    def _copy(self) -> None:
        while self._orders.get():
            try:
                connection = connections.open_writer(self._path, self._config)
                try:
                    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                finally:
                    connection.close()
            except sqlite3.Error as error:
                log.error("checkpoint failed", exc_info=error)
            self._copied = True
