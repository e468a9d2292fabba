"""Opens the database, for writing and for reading, with the settings that durability and speed rest on."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Final

from sabir.storage.config import StorageConfig

FILE_NAME: Final = "sabir.db"
BUSY_S: Final = 5.0
"""Only checkpoints and migrations ever wait for each other: there is one writer."""


def create(path: Path) -> None:
    """Make the file of the database, if there is none, readable by its owner alone; SQLite's other files follow it."""
    # Before any connection: closing a descriptor of the file would drop SQLite's locks on it.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def open_writer(path: Path, config: StorageConfig) -> sqlite3.Connection:
    """Open the write connection."""
    connection = sqlite3.connect(
        path, timeout=BUSY_S, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    for pragma in (
        "journal_mode=WAL",
        # FULL flushes the journal at every commit; NORMAL leaves that to `Writer`, every 100 ms.
        f"synchronous={'FULL' if config.sync == 'commit' else 'NORMAL'}",
        "wal_autocheckpoint=0",  # off the commit path: see `checkpoints`
        f"cache_size=-{config.cache_mib * 1024}",
        "temp_store=MEMORY",
        "secure_delete=ON",  # a page that SQLite leaves keeps no copy of a body
    ):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def open_reader(path: Path, config: StorageConfig) -> sqlite3.Connection:
    """Open a connection that cannot write."""
    connection = sqlite3.connect(
        path, timeout=BUSY_S, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    for pragma in ("query_only=ON", f"cache_size=-{config.cache_mib * 1024}", "temp_store=MEMORY"):
        connection.execute(f"PRAGMA {pragma}")
    return connection
