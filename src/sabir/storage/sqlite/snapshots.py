"""What the core keeps in memory, read at start: tables as they are, counters brought up to date from the log."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Final

import sqlalchemy as sa

from sabir.core.log import GENERATION_GAP
from sabir.core.ports import QueueRows, Snapshot
from sabir.storage import schema
from sabir.storage.sqlite import runs, statements
from sabir.storage.sqlite.counters import Counters, note_latest
from sabir.storage.sqlite.rows import all_after, last_event
from sabir.storage.sqlite.segment import SEGMENT_ROWS, Segment
from sabir.storage.sqlite.statements import text_of

_c: Final = schema.conversations.c
_HEADS: Final = text_of(
    sa.select(_c.id, _c.head_position, _c.tail_position, _c.message_no, _c.pts, _c.generation).order_by(_c.id)
)
_LATEST: Final = text_of(sa.select(_c.id, _c.head_seq).where(_c.head_seq > sa.literal_column("0")))
_h: Final = schema.log_head.c
_HEAD: Final = text_of(
    sa.select(_h.generation, _h.seq, _h.leaf, _h.counted_seq).where(_h.shard == sa.literal_column("0"))
)
_n: Final = schema.pubsub_nodes.c
_NODE_OWNERS: Final = text_of(sa.select(_n.owner_actor).distinct())
_LAST_NODE: Final = text_of(sa.select(sa.func.max(_n.id)))

_q: Final = schema.peer_queue.c
_WAITING: Final = text_of(sa.select(_q.peer_id, sa.func.count(), sa.func.max(_q.n)).group_by(_q.peer_id))


class Recent:
    """What is in the log, but in neither the index nor the counters on disk."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Read it."""
        self.generation, self.seq, self.leaf, counted = connection.execute(_HEAD).fetchone()
        complete = runs.all_runs(connection)
        indexed = complete[-1].last_seq if complete else 0
        self.segments: list[Segment] = []
        self.counters = Counters(self.generation)
        self.latest: dict[int, int] = dict(connection.execute(_LATEST))
        for segment in _segments(connection, min(counted, indexed), indexed):
            if segment.last_seq <= indexed:
                self.counters.take_in(segment)
                note_latest(self.latest, segment)
            else:
                self.segments.append(segment)


def _segments(connection: sqlite3.Connection, after_seq: int, indexed: int) -> Iterator[Segment]:
    """Make segments from the log; one ends where the index on disk does."""
    segment = Segment()
    for event in all_after(connection, after_seq):
        if segment.rows >= SEGMENT_ROWS or (segment.rows and segment.last_seq <= indexed < event.seq):
            yield segment
            segment = Segment()
        segment.add(event)
    if segment.rows:
        yield segment


def snapshot(connection: sqlite3.Connection, recent: Recent) -> Snapshot:
    """Return the state as of the last commit."""
    counters = Counters(recent.generation)
    counters.heads, counters.boxes = dict(recent.counters.heads), dict(recent.counters.boxes)
    for segment in recent.segments:
        counters.take_in(segment)
    heads = [_exact(head, counters) for head in connection.execute(_HEADS)]
    accounts = statements.ACCOUNTS.rows(connection, statements.ACCOUNTS.select())
    for account in accounts:
        if counters.boxes.get(account.id, 0) > account.box_head:
            account.box_head, account.generation = counters.boxes[account.id], recent.generation
    last = last_event(connection)
    return Snapshot(
        generation=recent.generation,
        seq=recent.seq,
        leaf=recent.leaf,
        last_ms=0 if last is None else last.at_ms,
        accounts=accounts,
        actors=statements.ACTORS.rows(connection, statements.ACTORS.select()),
        conversations=statements.CONVERSATIONS.rows(connection, statements.CONVERSATIONS.select()),
        heads=heads,
        members=statements.MEMBERS.rows(connection, statements.MEMBERS.select()),
        states=statements.STATES.rows(connection, statements.STATES.select()),
        contacts=statements.CONTACTS.rows(connection, statements.CONTACTS.select()),
        blocks=statements.BLOCKS.rows(connection, statements.BLOCKS.select()),
        vouchers=statements.VOUCHERS.rows(connection, statements.VOUCHERS.select()),
        node_owners=[row[0] for row in connection.execute(_NODE_OWNERS)],
        last_node_id=connection.execute(_LAST_NODE).fetchone()[0] or 0,
        pushes=statements.PUSHES.rows(connection, statements.PUSHES.select()),
        queues=_queues(connection),
        peers=statements.PEERS.rows(connection, statements.PEERS.select()),
        waiting=connection.execute(_WAITING).fetchall(),
    )


def _queues(connection: sqlite3.Connection) -> QueueRows:
    sessions, waiting = statements.MQTT_SESSIONS, statements.MQTT_QUEUE
    order = [schema.mqtt_queue.c.session_id, schema.mqtt_queue.c.n]
    return QueueRows(
        sessions=sessions.rows(connection, sessions.select()),
        filters=statements.MQTT_FILTERS.rows(connection, statements.MQTT_FILTERS.select()),
        messages=statements.MQTT_MESSAGES.rows(connection, statements.MQTT_MESSAGES.select()),
        waiting=waiting.rows(connection, waiting.select(order=order)),
        received=statements.MQTT_RECEIVED.rows(connection, statements.MQTT_RECEIVED.select()),
        retained=statements.MQTT_RETAINED.rows(connection, statements.MQTT_RETAINED.select()),
    )


def _exact(
    stored: tuple[int, int, int, int, int, int], counters: Counters
) -> tuple[int, int, int, int, int, int]:
    """Return the counters of a conversation with what was counted since."""
    conversation_id, head_position, tail_position, message_no, pts, generation = stored
    head = counters.heads.get(conversation_id)
    if head is None:
        return stored
    pts += GENERATION_GAP * (counters.generation - generation)  # as `core.log` numbers
    position, last_message_no, last_pts, _ = head
    return (
        conversation_id,
        max(head_position, position),
        tail_position,
        max(message_no, last_message_no),
        max(pts, last_pts),
        counters.generation,
    )
