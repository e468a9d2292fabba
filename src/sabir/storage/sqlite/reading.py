"""Finds entries: in the index, part on disk and part in memory, and by bisecting the log where its order allows.

Segments are taken before the transaction begins: one that is written as a run meanwhile is then known twice, and
its run counts; never is one missed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Final

import sqlalchemy as sa

from sabir.core.model.changes import RelationRow
from sabir.core.model.event import Event
from sabir.core.ports import Page, PageQuery
from sabir.storage import schema
from sabir.storage.sqlite import pages, runs
from sabir.storage.sqlite.rows import event_at, events_listed
from sabir.storage.sqlite.segment import Segment
from sabir.storage.sqlite.statements import RELATIONS, in_list, listed, text_of

_HEAD: Final = text_of(
    sa.select(schema.log_head.c.seq).where(schema.log_head.c.shard == sa.literal_column("0"))
)
_events: Final = schema.events.c
_ID_FROM: Final = (
    text_of(
        sa.select(_events.seq, _events.event_id)
        .where(_events.seq >= sa.bindparam("seq"))
        .order_by(_events.seq)
    )
    + " LIMIT 1"
)
_TIME_FROM: Final = (
    text_of(
        sa.select(_events.seq, _events.at_ms).where(_events.seq >= sa.bindparam("seq")).order_by(_events.seq)
    )
    + " LIMIT 1"
)
_IS_NATIVE: Final = text_of(
    sa.select(_events.seq).where(
        _events.seq == sa.bindparam("seq"),
        _events.actor_id == sa.bindparam("actor_id"),
        _events.native_id == sa.bindparam("native_id"),
        _events.protocol == sa.bindparam("protocol"),
    )
)
_RELATIONS: Final = RELATIONS.select(
    in_list(schema.relations.c.target_seq, "seqs"), order=[schema.relations.c.seq]
)
_conversations: Final = schema.conversations.c
_DIRECTS: Final = text_of(
    sa.union(
        *(
            sa.select(_conversations.id).where(
                party == sa.bindparam(party.name), party > sa.literal_column("0")
            )
            for party in (_conversations.party_lo, _conversations.party_hi)
        )
    )
)


def head_seq(connection: sqlite3.Connection) -> int:
    """Return the last log number given."""
    return int(connection.execute(_HEAD).fetchone()[0])


def find_event(connection: sqlite3.Connection, event_id: bytes) -> Event | None:
    """Return the event with that id. Ids ascend with the log, so this bisects it: no index, about 30 probes."""
    seq, found = _first_from(connection, _ID_FROM, event_id)
    return event_at(connection, seq) if found == event_id else None


def first_at(connection: sqlite3.Connection, at_ms: int) -> int:
    """Return the log number of the first event at or after a time, or the number after the head."""
    return _first_from(connection, _TIME_FROM, at_ms)[0]


def _first_from(connection: sqlite3.Connection, probe: str, wanted: object) -> tuple[int, object]:
    """Bisect for the first event whose value (in the statement `probe`) is not below `wanted`."""
    low, high = 1, head_seq(connection) + 1
    while low < high:
        middle = (low + high) // 2
        row = connection.execute(probe, (middle,)).fetchone()
        if row is None or row[1] >= wanted:
            high = middle
        else:
            low = row[0] + 1
    row = connection.execute(probe, (low,)).fetchone()
    return (low, None) if row is None else (row[0], row[1])


def find_native(
    connection: sqlite3.Connection,
    segments: Sequence[Segment],
    protocol: str,
    actor_id: int,
    native_id: bytes,
) -> int:
    """Return the latest log number to which `actor_id` gave this id, or 0."""
    key = pages.native_hash(actor_id, native_id, protocol)
    # One transaction: between two statements a merge may end, and the runs that it read may go.
    connection.execute("BEGIN")
    try:
        for seq in _named(connection, segments, key):
            if connection.execute(_IS_NATIVE, (seq, actor_id, native_id, protocol)).fetchone():
                return seq
        return 0
    finally:
        connection.execute("COMMIT")


def _named(connection: sqlite3.Connection, segments: Sequence[Segment], key: bytes) -> Iterator[int]:
    for segment in reversed(segments):
        yield from segment.named(key)
    for run in reversed(runs.all_runs(connection)):
        yield from runs.named(connection, run.run, key)


def relations_of(connection: sqlite3.Connection, seqs: Sequence[int]) -> list[RelationRow]:
    """Return what was said about these entries, by ascending `seq`."""
    return RELATIONS.rows(connection, _RELATIONS, (listed(seqs),)) if seqs else []


def directs(connection: sqlite3.Connection, account_id: int) -> list[int]:
    """Return the direct conversations of an account: merged by log number, they are its mailbox."""
    return [row[0] for row in connection.execute(_DIRECTS, (account_id, account_id))]


def page(connection: sqlite3.Connection, segments: Sequence[Segment], query: PageQuery) -> Page:
    """Read a page, in one transaction."""
    connection.execute("BEGIN")
    try:
        seqs = _seqs(connection, segments, query)
        complete = len(seqs) <= query.limit
        events = events_listed(connection, seqs[: query.limit])
        relations: dict[int, list[RelationRow]] = {}
        for relation in relations_of(connection, [event.seq for event in events]):
            relations.setdefault(relation.target_seq, []).append(relation)
        return Page(events, complete, relations)
    finally:
        connection.execute("COMMIT")


def bounds(connection: sqlite3.Connection, query: PageQuery) -> tuple[int, int]:
    """Return the log numbers between which the entries are that a query is about, both exclusive."""
    after, before = query.after_seq, head_seq(connection) + 1
    if query.before_seq:
        before = min(before, query.before_seq)
    if query.start_ms:
        after = max(after, first_at(connection, query.start_ms) - 1)
    if query.end_ms:
        before = min(before, first_at(connection, query.end_ms + 1))
    return after, before


def _seqs(connection: sqlite3.Connection, segments: Sequence[Segment], query: PageQuery) -> list[int]:
    """Return log numbers in the direction of reading, one more than the page holds if there are more."""
    after, before = bounds(connection, query)
    wanted = pages.Range(after, before, sum(1 << kind for kind in query.kinds), query.from_position)
    limit, newest = query.limit + 1, query.newest
    indexed = runs.all_runs(connection)
    end = indexed[-1].last_seq if indexed else 0
    parts: list[runs.Run | Segment] = [*indexed, *(part for part in segments if part.first_seq > end)]
    # A person's mailbox, of one conversation, is that conversation.
    ids = [query.conversation_id] if query.conversation_id else directs(connection, query.account_id)
    found: list[int] = []
    for part in reversed(parts) if newest else parts:
        if part.last_seq <= after or part.first_seq >= before:
            continue
        left = limit - len(found)
        if isinstance(part, Segment):
            found += part.find(ids, wanted, left, newest=newest)
        else:
            found += runs.find(connection, part.run, ids, wanted, left, newest=newest)
        if len(found) >= limit:
            break
    return found
