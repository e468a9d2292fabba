"""The index on disk: sorted runs, each a stretch of the log, adjacent and none missing (LOGPATH 6).

An index that is kept eagerly dirties a page per row once the log is large; a run only appends pages. A lookup probes
the runs in the direction of reading until it has enough; `indexing` merges runs so that there are never many.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Final, NamedTuple

import sqlalchemy as sa

from sabir.storage import schema
from sabir.storage.sqlite.segment import Range
from sabir.storage.sqlite.statements import in_list, listed, text_of


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


def _probe(*, newest: bool) -> str:
    column = schema.ix_conversation.c
    return (
        text_of(
            sa.select(column.seq)
            .where(
                column.run == sa.bindparam("run"),
                in_list(column.conversation_id, "conversations"),
                column.seq > sa.bindparam("after"),
                column.seq < sa.bindparam("before"),
                # the mask of kinds: bit n for kind n
                sa.bindparam("kinds").op(">>")(column.kind).op("&")(sa.literal_column("1"))
                == sa.literal_column("1"),
                column.position >= sa.bindparam("position"),
            )
            .order_by(column.seq.desc() if newest else column.seq)
        )
        + " LIMIT ?"
    )


_CONVERSATIONS: Final = {newest: _probe(newest=newest) for newest in (True, False)}
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


def find(
    connection: sqlite3.Connection,
    run: int,
    conversation_ids: Iterable[int],
    wanted: Range,
    limit: int,
    *,
    newest: bool,
) -> list[int]:
    """Return log numbers of the entries of some conversations in a run, in the direction of reading."""
    parameters = (run, listed(conversation_ids), *wanted, limit)
    return [seq for (seq,) in connection.execute(_CONVERSATIONS[newest], parameters)]


def native(connection: sqlite3.Connection, run: int, actor_id: int, native_id: bytes, protocol: str) -> int:
    """Return the latest log number in a run to which `actor_id` gave this id, or 0."""
    row = connection.execute(_NATIVE, (run, actor_id, native_id, protocol)).fetchone()
    return 0 if row is None else int(row[0])
