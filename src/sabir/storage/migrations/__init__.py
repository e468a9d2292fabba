"""Brings a database to the tables of `sabir.storage.schema`, by Alembic, before the store opens it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from sabir.storage import schema


def version_of(connection: sqlite3.Connection) -> str:
    """Return the version of the tables in a database, empty for a new one."""
    known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone() if known else None
    return "" if row is None else str(row[0])


def upgrade(path: Path) -> None:
    """Make or bring up to date the database at `path`.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: the database cannot be written.
        alembic.util.CommandError: a newer Sabir made it.
    """
    connection = sqlite3.connect(path)
    try:
        current = version_of(connection)
    finally:
        connection.close()
    if current != schema.VERSION:
        from sabir.storage.migrations import (
            run,
        )  # Alembic costs a start 0.4 s: not where it has nothing to do

        run.upgrade(path)
