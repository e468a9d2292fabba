"""Finds entries: in the index, part on disk and part in memory, and by bisecting the log where its order allows.

Segments are taken before the transaction begins: one that is written as a run meanwhile is then known twice, and
its run counts; never is one missed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

import sqlalchemy as sa

from sabir.core.model.changes import RelationRow
from sabir.core.model.event import Event
from sabir.core.ports import Page, PageQuery
from sabir.storage import schema
from sabir.storage.sqlite import pages, runs
from sabir.storage.sqlite.rows import event_at, event_from, events_listed
from sabir.storage.sqlite.segment import Segment
from sabir.storage.sqlite.statements import IMPORTS, RELATIONS, in_list, listed, text_of


class Stretch(NamedTuple):
    """Log numbers from `first` to before `end` in which times and ids ascend."""

    first: int
    end: int
    imported: bool


_HEAD: Final = text_of(
    sa.select(schema.log_head.c.seq).where(schema.log_head.c.shard == sa.literal_column("0"))
)
_IMPORTS: Final = IMPORTS.select(order=[schema.log_imports.c.first_seq])
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
    for stretch in _stretches(connection):
        event = _first_from(connection, lambda event: event.event_id >= event_id, stretch)
        if event is not None and event.event_id == event_id:
            return event
    return None


def first_at(connection: sqlite3.Connection, at_ms: int) -> int:
    """Return the log number of the first event that happened here at or after a time, or the number after the head."""
    for stretch in _stretches(connection):
        if not stretch.imported:
            seq = _time_from(connection, at_ms, stretch)
            if seq < stretch.end:
                return seq
    return head_seq(connection) + 1


def _stretches(connection: sqlite3.Connection) -> list[Stretch]:
    """Return the stretches of which the log is made: imports, and what happened here before and after each."""
    found: list[Stretch] = []
    first, end = 1, head_seq(connection) + 1
    for row in IMPORTS.rows(connection, _IMPORTS):
        if first < row.first_seq:
            found.append(Stretch(first, row.first_seq, imported=False))
        found.append(Stretch(row.first_seq, row.last_seq + 1, imported=True))
        first = row.last_seq + 1
    if first < end:
        found.append(Stretch(first, end, imported=False))
    return found


def _time_from(connection: sqlite3.Connection, at_ms: int, stretch: Stretch) -> int:
    """Return the log number of the first event of a stretch at or after a time, or the end of the stretch."""
    event = _first_from(connection, lambda event: event.at_ms >= at_ms, stretch)
    return stretch.end if event is None else event.seq


def _first_from(
    connection: sqlite3.Connection, reached: Callable[[Event], bool], stretch: Stretch
) -> Event | None:
    """Bisect for the first event of a stretch that has `reached` what is looked for, as have all after it."""
    low, high = stretch.first, stretch.end
    while low < high:
        middle = (low + high) // 2
        event = event_from(connection, middle)
        if event is None or event.seq >= stretch.end or reached(event):
            high = middle
        else:
            low = event.seq + 1
    event = event_from(connection, low)
    return None if event is None or event.seq >= stretch.end else event


def find_native(
    connection: sqlite3.Connection,
    segments: Sequence[Segment],
    protocol: str,
    actor_id: int,
    native_id: bytes,
) -> int:
    """Return the latest log number to which `actor_id` gave this id, or 0."""
    key = pages.native_hash(actor_id, native_id, protocol)
    named = (actor_id, native_id, protocol)
    # One transaction: between two statements a merge may end, and the runs that it read may go.
    connection.execute("BEGIN")
    try:
        for seq in _named(connection, segments, key):
            event = event_at(connection, seq)
            if event is not None and (event.actor_id, event.native_id, event.protocol) == named:
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


def bounds(connection: sqlite3.Connection, query: PageQuery) -> list[tuple[int, int]]:
    """Return log numbers between which the entries are that a query is about, both exclusive, in ascending order.

    One range, unless a time is asked for and the log has imports: their times do not go on from what is before them.
    """
    after, before = query.after_seq, head_seq(connection) + 1
    if query.before_seq:
        before = min(before, query.before_seq)
    if not query.start_ms and not query.end_ms:
        return [(after, before)]
    found: list[tuple[int, int]] = []
    for stretch in _stretches(connection):
        start, end = stretch.first, stretch.end
        if query.start_ms:
            start = _time_from(connection, query.start_ms, stretch)
        if query.end_ms:
            end = _time_from(connection, query.end_ms + 1, stretch)
        start, end = max(start - 1, after), min(end, before)
        if start + 1 < end:
            found.append((start, end))
    return found


def _seqs(connection: sqlite3.Connection, segments: Sequence[Segment], query: PageQuery) -> list[int]:
    """Return log numbers in the direction of reading, one more than the page holds if there are more."""
    limit, newest = query.limit + 1, query.newest
    found: list[int] = []
    ranges = bounds(connection, query)
    for after, before in reversed(ranges) if newest else ranges:
        found += _seqs_between(connection, segments, query, after, before, limit - len(found))
        if len(found) >= limit:
            break
    return found


def _seqs_between(
    connection: sqlite3.Connection,
    segments: Sequence[Segment],
    query: PageQuery,
    after: int,
    before: int,
    limit: int,
) -> list[int]:
    """Return at most `limit` log numbers between two, in the direction of reading."""
    newest = query.newest
    wanted = pages.Range(after, before, sum(1 << kind for kind in query.kinds), query.from_position)
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
