"""Events as rows of `events` and `bodies`, and back.

Blobs are handed to `sqlite3` as bytearrays: it asks the adapters about every `bytes`, which costs more than the copy
(5.4 us a row instead of 8).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from sabir.core.model.event import Event
from sabir.storage import schema
from sabir.storage.sqlite.statements import in_list, insert_many, listed, text_of

_SIZES: Final = (64, 32, *range(16, 0, -1))
"""Rows of a statement. To run one costs what two or three rows do, above all as the interpreter's lock is given up,
and must be won back; to keep one prepared costs 2 KiB a row."""
_INSERTS: Final = [
    (size, insert_many(schema.events, size), insert_many(schema.bodies, size)) for size in _SIZES
]

_encode_boxes: Final = msgspec.msgpack.Encoder().encode
_NO_BOXES: Final = bytearray()
_decode_boxes: Final = msgspec.msgpack.Decoder(tuple[tuple[int, int], ...]).decode


def insert(connection: sqlite3.Connection, events: Sequence[Event]) -> None:
    """Insert the rows of `events` and `bodies`, in the open transaction."""
    at, end = 0, len(events)
    for size, skeletons, bodies in _INSERTS:
        while end - at >= size:
            connection.execute(skeletons, _skeletons(events, at, at + size))
            connection.execute(bodies, _bodies(events, at, at + size))
            at += size


def _skeletons(events: Sequence[Event], start: int, end: int) -> list[object]:
    """Return the values of rows of `events`, columns in their order."""
    values: list[object] = []
    for at in range(start, end):
        event = events[at]
        values.append(event.seq)
        values.append(bytearray(event.event_id))
        values.append(event.conversation_id)
        values.append(event.position)
        values.append(event.message_no)
        values.append(event.pts)
        values.append(event.leaf)
        values.append(event.actor_id)
        values.append(event.nick)
        values.append(event.kind)
        values.append(event.flags)
        values.append(event.target_seq)
        values.append(event.at_ms)
        values.append(event.expires_ms)
        values.append(event.protocol)
        values.append(bytearray(event.native_id))
        boxes = event.boxes
        values.append(bytearray(_encode_boxes(boxes)) if boxes else _NO_BOXES)
    return values


def _bodies(events: Sequence[Event], start: int, end: int) -> list[object]:
    """Return the values of rows of `bodies`."""
    values: list[object] = []
    for at in range(start, end):
        event = events[at]
        values.append(event.seq)
        values.append(event.relation_key)
        values.append(bytearray(event.native))
        values.append(bytearray(event.salt))
    return values


def boxes_of(stored: bytes) -> tuple[tuple[int, int], ...]:
    """Return `Event.boxes` from its column."""
    return _decode_boxes(stored) if stored else ()


def _select() -> sa.Select[Any]:
    event, body, target, erasure = (
        schema.events,
        schema.bodies,
        schema.events.alias("target"),
        schema.erasures,
    )
    return sa.select(
        event.c.seq,
        event.c.event_id,
        event.c.conversation_id,
        event.c.position,
        event.c.message_no,
        event.c.pts,
        event.c.leaf,
        event.c.actor_id,
        event.c.nick,
        event.c.kind,
        event.c.flags,
        event.c.target_seq,
        target.c.event_id,
        event.c.at_ms,
        event.c.expires_ms,
        event.c.protocol,
        body.c.native,
        body.c.leaf_salt,
        event.c.native_id,
        body.c.variant,
        event.c.boxes,
        erasure.c.seq,
    ).select_from(
        event.join(body, body.c.seq == event.c.seq)
        .outerjoin(target, target.c.seq == event.c.target_seq)
        .outerjoin(erasure, erasure.c.seq == event.c.seq)
    )


_SEQ: Final[sa.BindParameter[int]] = sa.bindparam("seq")
_AT: Final = text_of(_select().where(schema.events.c.seq == _SEQ))
_AFTER: Final = text_of(
    _select().where(schema.events.c.seq > _SEQ).order_by(schema.events.c.seq).limit(sa.bindparam("limit"))
)
_LISTED: Final = text_of(_select().where(in_list(schema.events.c.seq, "seqs")).order_by(schema.events.c.seq))


def event_at(connection: sqlite3.Connection, seq: int) -> Event | None:
    """Return the event with that log number."""
    row = connection.execute(_AT, (seq,)).fetchone()
    return None if row is None else _event(row)


def events_after(connection: sqlite3.Connection, seq: int, limit: int, most_bytes: int) -> list[Event]:
    """Return the events after a log number: so many, or as many as it takes for their bodies to fill so much."""
    events: list[Event] = []
    size_bytes = 0
    # SQLAlchemy's LIMIT for SQLite has an OFFSET with it.
    for row in connection.execute(_AFTER, (seq, limit, 0)):
        event = _event(row)
        events.append(event)
        size_bytes += len(event.native)
        if size_bytes >= most_bytes:
            break
    return events


def events_listed(connection: sqlite3.Connection, seqs: Iterable[int]) -> list[Event]:
    """Return the events with these log numbers, oldest first."""
    return [_event(row) for row in connection.execute(_LISTED, (listed(seqs),))]


def _event(row: Sequence[Any]) -> Event:
    erased = row[21] is not None
    event = Event(
        row[0],
        row[1],
        row[2],
        row[3],
        row[4],
        row[5],
        row[6],
        row[7],
        row[8],
        row[9],
        row[10],
        row[11],
        row[12] or b"",
        row[13],
        row[14],
        row[15],
        b"" if erased else row[16],
        b"" if erased else row[17],
    )
    event.native_id = row[18]
    event.relation_key = "" if erased else row[19]
    event.boxes = boxes_of(row[20])
    event.erased = erased
    return event
