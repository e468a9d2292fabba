"""The index on disk: sorted runs, each a stretch of the log, adjacent and none missing (LOGPATH 6).

An index that is kept eagerly dirties a page of the database per row once the log is large; a run only appends. A
lookup probes the runs in the direction of reading until it has enough; `indexing` merges runs so that there are
never many.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import sqlalchemy as sa

from sabir.storage import schema
from sabir.storage.sqlite import pages
from sabir.storage.sqlite.statements import text_of


class Run(NamedTuple):
    """A run that is complete. `level` is how often its entries were merged."""

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

_page: Final = schema.index_pages.c
_run: Final[sa.BindParameter[int]] = sa.bindparam("run")
_CONVERSATION: Final[sa.ColumnElement[int]] = sa.literal_column(str(pages.CONVERSATIONS))
_BELOW: Final = sa.select(_page.entries).where(
    _page.run == _run, _page.part == _CONVERSATION, _page.first < sa.bindparam("high")
)
_BACKWARDS: Final = text_of(_BELOW.order_by(_page.first.desc()))
_FORWARDS: Final = text_of(
    _BELOW.where(
        # from the page on that begins at or before `low`
        _page.first
        >= sa.func.coalesce(
            sa.select(sa.func.max(_page.first))
            .where(_page.run == _run, _page.part == _CONVERSATION, _page.first <= sa.bindparam("low"))
            .scalar_subquery(),
            sa.literal_column("x''"),
        )
    ).order_by(_page.first)
)
_AT_POSITION: Final = (
    text_of(
        sa.select(_page.first)
        .where(
            _page.run == _run,
            _page.part == _CONVERSATION,
            _page.first >= sa.bindparam("low"),
            _page.first < sa.bindparam("high"),
            sa.func.substr(_page.first, sa.literal_column("17"), sa.literal_column("8"))
            <= sa.bindparam("position"),
        )
        .order_by(_page.first.desc())
    )
    + " LIMIT 1"
)
_NATIVES: Final = text_of(
    sa.select(_page.entries)
    .where(
        _page.run == _run,
        _page.part == sa.literal_column(str(pages.NATIVES)),
        _page.first <= sa.bindparam("high"),
    )
    .order_by(_page.first.desc())
)


def all_runs(connection: sqlite3.Connection) -> list[Run]:
    """Return the runs, oldest first. The log is indexed up to the `last_seq` of the last."""
    return [Run(*row) for row in connection.execute(_RUNS)]


def find(
    connection: sqlite3.Connection,
    run: int,
    conversation_ids: Iterable[int],
    wanted: pages.Range,
    limit: int,
    *,
    newest: bool,
) -> list[int]:
    """Return log numbers of the entries of some conversations in a run, in the direction of reading."""
    size, step = pages.SIZES[pages.CONVERSATIONS], -1 if newest else 1
    found: list[int] = []
    page = b""
    for conversation_id in sorted(conversation_ids):
        low = pages.conversation_key(conversation_id, wanted.after_seq + 1)
        if wanted.from_position and not newest:
            low = max(low, _page_with(connection, run, conversation_id, wanted.from_position))
        high = pages.conversation_key(conversation_id, wanted.before_seq)
        enough = len(found) + limit
        # Conversations are neighbours in a page, so that the last one read often has the next too.
        whole = page[:size] <= low and high <= page[-size:]
        rows = [(page,)] if whole else _pages(connection, run, low, high, newest=newest)
        for (page,) in rows:
            part = page[size * pages.find(page, size, low) : size * pages.find(page, size, high)]
            found += pages.wanted_seqs(pages.split(part, size), wanted)[::step]
            if len(found) >= enough or (newest and page[:size] <= low):
                break
    found.sort(reverse=newest)
    return found[:limit]


def _page_with(connection: sqlite3.Connection, run: int, conversation_id: int, position: int) -> bytes:
    """Return where the page begins that has a position of a conversation, if any: what is before it is below that.

    Positions ascend with log numbers, so the first entries of pages say enough; no page is read.
    """
    low, high = pages.conversation_key(conversation_id, 0), pages.conversation_key(conversation_id + 1, 0)
    row = connection.execute(_AT_POSITION, (run, low, high, pages.position_key(position))).fetchone()
    return low if row is None else bytes(row[0][: len(low)])


def _pages(
    connection: sqlite3.Connection, run: int, low: bytes, high: bytes, *, newest: bool
) -> Iterable[tuple[bytes]]:
    """Read the pages that may have entries from one key to another, in the direction of reading."""
    if newest:
        return connection.execute(_BACKWARDS, (run, high))
    return connection.execute(_FORWARDS, (run, high, run, low))


def named(connection: sqlite3.Connection, run: int, key: bytes) -> Iterator[int]:
    """Return log numbers of the entries of a run that have this `native_hash`, the latest first."""
    size = pages.SIZES[pages.NATIVES]
    past = pages.past_native(key)
    for (page,) in connection.execute(_NATIVES, (run, past)):
        for at in range(size * (pages.find(page, size, past) - 1), -1, -size):
            if page[at : at + 8] != key:
                return
            yield pages.seq_of(page[at : at + size])
