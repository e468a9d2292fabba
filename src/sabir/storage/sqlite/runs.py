"""The index on disk: sorted runs, each a stretch of the log, adjacent and none missing (LOGPATH 6).

An index that is kept eagerly dirties a page per row once the log is large; a run only appends pages. A lookup probes
the runs in the direction of reading until it has enough; `indexing` merges runs so that there are never many.
"""

from __future__ import annotations

import sqlite3
from typing import Final, NamedTuple

import sqlalchemy as sa

from sabir.storage import schema
from sabir.storage.sqlite.segment import Range
from sabir.storage.sqlite.statements import text_of


class Run(NamedTuple):
    """A run that is complete. `level` is how often its rows were merged."""

    run: int
    level: int
    first_seq: int
    last_seq: int


_RUNS: Final = text_of(
    sa.select(
        schema.index_runs.c.run,
        schema.index_runs.c.level,
        schema.index_runs.c.first_seq,
        schema.index_runs.c.last_seq,
    ).order_by(schema.index_runs.c.first_seq)
)


def _probe(table: sa.Table, key: str, *, newest: bool) -> str:
    column = table.c
    statement = sa.select(column.seq).where(
        column.run == sa.bindparam("run"),
        column[key] == sa.bindparam("key"),
        column.seq > sa.bindparam("after"),
        column.seq < sa.bindparam("before"),
        # the mask of kinds: bit n for kind n
        sa.bindparam("kinds").op(">>")(column.kind).op("&")(sa.literal_column("1")) == sa.literal_column("1"),
    )
    if "position" in column:
        statement = statement.where(column.position >= sa.bindparam("position"))
    return text_of(statement.order_by(column.seq.desc() if newest else column.seq)) + " LIMIT ?"


_CONVERSATION: Final = {
    newest: _probe(schema.ix_conversation, "conversation_id", newest=newest) for newest in (True, False)
}
_MAILBOX: Final = {newest: _probe(schema.mailbox, "account_id", newest=newest) for newest in (True, False)}
_NATIVE: Final = text_of(
    sa.select(schema.native_ids.c.seq).where(
        schema.native_ids.c.run == sa.bindparam("run"),
        schema.native_ids.c.actor_id == sa.bindparam("actor_id"),
        schema.native_ids.c.native_id == sa.bindparam("native_id"),
        schema.native_ids.c.protocol == sa.bindparam("protocol"),
    )
)


def all_runs(connection: sqlite3.Connection) -> list[Run]:
    """Return the runs, oldest first. The log is indexed up to the `last_seq` of the last."""
    return [Run(*row) for row in connection.execute(_RUNS)]


def conversation(
    connection: sqlite3.Connection, run: int, conversation_id: int, wanted: Range, limit: int, *, newest: bool
) -> list[int]:
    """Return log numbers of a conversation's entries in a run, in the direction of reading."""
    parameters = (run, conversation_id, wanted.after_seq, wanted.before_seq, wanted.kinds)
    rows = connection.execute(_CONVERSATION[newest], (*parameters, wanted.from_position, limit))
    return [seq for (seq,) in rows]


def mailbox(
    connection: sqlite3.Connection, run: int, account_id: int, wanted: Range, limit: int, *, newest: bool
) -> list[int]:
    """Return log numbers of a mailbox's entries in a run, in the direction of reading."""
    parameters = (run, account_id, wanted.after_seq, wanted.before_seq, wanted.kinds, limit)
    return [seq for (seq,) in connection.execute(_MAILBOX[newest], parameters)]


def native(connection: sqlite3.Connection, run: int, actor_id: int, native_id: bytes, protocol: str) -> int:
    """Return the latest log number in a run to which `actor_id` gave this id, or 0."""
    row = connection.execute(_NATIVE, (run, actor_id, native_id, protocol)).fetchone()
    return 0 if row is None else int(row[0])
