"""Forgets rows of latest values that are gone: after 30 days every client has heard of it (DATAMODEL 1.6)."""

from __future__ import annotations

import sqlite3
from typing import Final

import sqlalchemy as sa

from sabir.storage import schema
from sabir.storage.sqlite.reading import first_at
from sabir.storage.sqlite.statements import text_of

KEPT_MS: Final = 30 * 86_400_000
MOST_ROWS: Final = 500
"""Rows of one table deleted at a time."""

_LAST_BEFORE: Final = text_of(
    sa.select(sa.func.max(schema.events.c.seq)).where(schema.events.c.seq < sa.bindparam("seq"))
)


_KEYS: Final = ", ".join(column.name for column in schema.device_keys.primary_key)
_TAKEN: Final = (
    f"DELETE FROM device_keys WHERE ({_KEYS}) IN"
    f" (SELECT {_KEYS} FROM device_keys WHERE taken_ms > 0 AND taken_ms < ? LIMIT {MOST_ROWS})"
)
"""Of prekeys that were handed out: a client that sends them once more has long been answered."""


def _delete_from(table: sa.Table) -> str:
    keys = ", ".join([column.name for column in table.primary_key])
    return (
        f"DELETE FROM {table.name} WHERE ({keys}) IN"
        f" (SELECT {keys} FROM {table.name} WHERE gone = 1 AND changed_seq < ? LIMIT {MOST_ROWS})"
    )


_DELETES: Final = [
    _delete_from(table)
    for table in schema.metadata.sorted_tables
    if "gone" in table.c and "changed_seq" in table.c
]


def sweep(connection: sqlite3.Connection, now_ms: int) -> bool:
    """Delete some of them, in the open transaction; return whether there may be more.

    Rows have no time, but a number of the log: those before the last entry that is old enough are as old.
    """
    taken = connection.execute(_TAKEN, (now_ms - KEPT_MS,)).rowcount
    last = connection.execute(_LAST_BEFORE, (first_at(connection, now_ms - KEPT_MS),)).fetchone()[0]
    if last is None:
        return taken >= MOST_ROWS
    counts = [connection.execute(delete, (last,)).rowcount for delete in _DELETES]
    return max(taken, *counts) >= MOST_ROWS
