"""What the core keeps in memory, read at start: tables as they are, counters brought up to date from the log."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa

from sabir.core.log import GENERATION_GAP
from sabir.core.ports import Snapshot
from sabir.storage import schema
from sabir.storage.sqlite import reading, runs, statements
from sabir.storage.sqlite.indexing import box_updates, head_updates
from sabir.storage.sqlite.rows import boxes_of
from sabir.storage.sqlite.segment import SEGMENT_ROWS, Segment
from sabir.storage.sqlite.statements import text_of

_c: Final = schema.conversations.c
_HEADS: Final = text_of(
    sa.select(_c.id, _c.head_position, _c.tail_position, _c.message_no, _c.pts, _c.generation).order_by(_c.id)
)
_e: Final = schema.events.c
_UNINDEXED: Final = text_of(
    sa.select(
        _e.seq,
        _e.conversation_id,
        _e.position,
        _e.message_no,
        _e.pts,
        _e.actor_id,
        _e.kind,
        _e.protocol,
        _e.native_id,
        _e.boxes,
    )
    .where(_e.seq > sa.bindparam("seq"))
    .order_by(_e.seq)
)
_LAST_MS: Final = text_of(sa.select(_e.at_ms).order_by(_e.seq.desc())) + " LIMIT 1"


def unindexed(connection: sqlite3.Connection) -> list[Segment]:
    """Return the index of the entries that are in no run yet, made from the log."""
    complete = runs.all_runs(connection)
    segments: list[Segment] = []
    for row in connection.execute(_UNINDEXED, (complete[-1].last_seq if complete else 0,)):
        if not segments or segments[-1].rows >= SEGMENT_ROWS:
            segments.append(Segment())
        seq, conversation_id, position, message_no, pts, actor_id, kind, protocol, native_id, boxes = row
        segments[-1].add(
            seq,
            conversation_id,
            position,
            message_no,
            pts,
            actor_id,
            kind,
            protocol,
            native_id,
            boxes_of(boxes),
        )
    return segments


def snapshot(connection: sqlite3.Connection, segments: Sequence[Segment]) -> Snapshot:
    """Return the state as of the last commit; `segments` are those that `unindexed` made."""
    generation, seq, leaf = connection.execute(reading.HEAD).fetchone()
    last = connection.execute(_LAST_MS).fetchone()
    heads = {row[0]: row for row in connection.execute(_HEADS)}
    boxes: dict[int, int] = {}
    for segment in segments:
        for position, message_no, _, pts, _, _, conversation_id in head_updates(segment, generation):
            heads[conversation_id] = _moved(heads[conversation_id], generation, position, message_no, pts)
        boxes.update((account_id, box) for box, _, account_id in box_updates(segment, generation))
    accounts = statements.ACCOUNTS.rows(connection, statements.ACCOUNTS.select())
    for account in accounts:
        if boxes.get(account.id, 0) > account.box_head:
            account.box_head, account.generation = boxes[account.id], generation
    return Snapshot(
        generation=generation,
        seq=seq,
        leaf=leaf,
        last_ms=0 if last is None else last[0],
        accounts=accounts,
        actors=statements.ACTORS.rows(connection, statements.ACTORS.select()),
        conversations=statements.CONVERSATIONS.rows(connection, statements.CONVERSATIONS.select()),
        heads=list(heads.values()),
        members=statements.MEMBERS.rows(connection, statements.MEMBERS.select()),
        states=statements.STATES.rows(connection, statements.STATES.select()),
        contacts=statements.CONTACTS.rows(connection, statements.CONTACTS.select()),
        blocks=statements.BLOCKS.rows(connection, statements.BLOCKS.select()),
    )


def _moved(
    head: tuple[int, int, int, int, int, int], generation: int, position: int, message_no: int, pts: int
) -> tuple[int, int, int, int, int, int]:
    conversation_id, head_position, tail_position, old_message_no, old_pts, old_generation = head
    if old_generation < generation:
        old_pts += GENERATION_GAP  # as `core.log` numbers
    return (
        conversation_id,
        max(head_position, position),
        tail_position,
        max(old_message_no, message_no),
        max(old_pts, pts),
        generation,
    )
