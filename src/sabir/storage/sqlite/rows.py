"""Events as rows of `events`, and back: a row is a log number and the entry, packed as one value (decision 25).

The entry is an array in MessagePack, its items in the order of `_Entry`. What can be erased stands at its end and is
overwritten in place, with as many zeros: the packed length depends on the lengths alone.

Blobs are handed to `sqlite3` as bytearrays: it asks the adapters about every `bytes`, which costs more than the copy.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from sabir.core.model.event import Event
from sabir.storage import schema
from sabir.storage.sqlite.statements import in_list, insert_many, listed, text_of

_Entry = tuple[
    bytes,  # event_id
    int,  # conversation_id
    int,  # position
    int,  # message_no
    int,  # pts
    int,  # leaf
    int,  # actor_id
    str,  # nick
    int,  # kind
    int,  # flags
    int,  # target_seq
    bytes,  # target_id
    int,  # at_ms
    int,  # expires_ms
    str,  # protocol
    bytes,  # native_id
    tuple[tuple[int, int], ...],  # boxes
    bool,  # erased
    str,  # relation_key
    bytes,  # native
    bytes,  # salt
]

_SIZES: Final = (128, 64, *range(32, 0, -1))
"""Rows of a statement. To run one costs what several rows do, above all as the interpreter's lock is given up, and
must be won back; to keep one prepared costs some 300 bytes a row."""
_INSERTS: Final = [(size, insert_many(schema.events, size)) for size in _SIZES]

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(_Entry).decode


def insert(connection: sqlite3.Connection, events: Sequence[Event]) -> None:
    """Insert the rows of `events`, in the open transaction."""
    at, end = 0, len(events)
    for size, statement in _INSERTS:
        while end - at >= size:
            connection.execute(statement, _values(events, at, at + size))
            at += size


def _values(events: Sequence[Event], start: int, end: int) -> list[object]:
    """Return the values of some rows."""
    values: list[object] = []
    for at in range(start, end):
        event = events[at]
        values.append(event.seq)
        values.append(bytearray(pack(event)))
    return values


def pack(event: Event) -> bytes:
    """Return an event as the entry that is stored."""
    return _encode(
        (
            event.event_id,
            event.conversation_id,
            event.position,
            event.message_no,
            event.pts,
            event.leaf,
            event.actor_id,
            event.nick,
            event.kind,
            event.flags,
            event.target_seq,
            event.target_id,
            event.at_ms,
            event.expires_ms,
            event.protocol,
            event.native_id,
            event.boxes,
            False,
            event.relation_key,
            event.native,
            event.salt,
        )
    )


_columns: Final = schema.events.c
_SELECT: Final = sa.select(_columns.seq, _columns.entry)
_SEQ: Final[sa.BindParameter[int]] = sa.bindparam("seq")
_AT: Final = text_of(_SELECT.where(_columns.seq == _SEQ))
_AFTER: Final = text_of(_SELECT.where(_columns.seq > _SEQ).order_by(_columns.seq)) + " LIMIT ?"
_LISTED: Final = text_of(_SELECT.where(in_list(_columns.seq, "seqs")).order_by(_columns.seq))
_LAST: Final = text_of(_SELECT.order_by(_columns.seq.desc())) + " LIMIT 1"
_REPLACE: Final = text_of(
    sa.update(schema.events).where(_columns.seq == _SEQ).values({"entry": sa.bindparam("entry_")})
)
_ALL: Final = -1
"""No limit, to SQLite."""


def event_at(connection: sqlite3.Connection, seq: int) -> Event | None:
    """Return the event with that log number."""
    return _first(connection.execute(_AT, (seq,)))


def event_from(connection: sqlite3.Connection, seq: int) -> Event | None:
    """Return the event with that log number, or else the next."""
    return _first(connection.execute(_AFTER, (seq - 1, 1)))


def last_event(connection: sqlite3.Connection) -> Event | None:
    """Return the last event."""
    return _first(connection.execute(_LAST))


def _first(rows: sqlite3.Cursor) -> Event | None:
    row = rows.fetchone()
    return None if row is None else _event(row[0], row[1])


def all_after(connection: sqlite3.Connection, seq: int) -> Iterator[Event]:
    """Yield the events after a log number, as they are read."""
    for number, entry in connection.execute(_AFTER, (seq, _ALL)):
        yield _event(number, entry)


def events_after(connection: sqlite3.Connection, seq: int, limit: int, most_bytes: int) -> list[Event]:
    """Return the events after a log number: so many, or as many as it takes for their bodies to fill so much."""
    events: list[Event] = []
    size_bytes = 0
    for number, entry in connection.execute(_AFTER, (seq, limit)):
        event = _event(number, entry)
        events.append(event)
        size_bytes += len(event.native)
        if size_bytes >= most_bytes:
            break
    return events


def events_listed(connection: sqlite3.Connection, seqs: Iterable[int]) -> list[Event]:
    """Return the events with these log numbers, oldest first."""
    return [_event(seq, entry) for seq, entry in connection.execute(_LISTED, (listed(seqs),))]


def wipe(connection: sqlite3.Connection, seqs: Iterable[int]) -> list[Event]:
    """Overwrite the bodies of these entries, in the open transaction; return what is left of them.

    As many zeros as there was text: a row that shrinks or goes makes SQLite move its neighbours to other pages, and
    what it leaves behind of those is wiped by no setting.
    """
    wiped: list[Event] = []
    for seq, stored in connection.execute(_LISTED, (listed(seqs),)).fetchall():
        entry: list[Any] = list(_decode(stored))
        *_, key, native, salt = entry
        entry[-4:] = [True, "\0" * len(key.encode()), bytes(len(native)), bytes(len(salt))]
        packed = _encode(entry)
        connection.execute(_REPLACE, (bytearray(packed), seq))
        wiped.append(_event(seq, packed))
    return wiped


def _event(seq: int, stored: bytes) -> Event:
    entry = _decode(stored)
    erased = entry[17]
    event = Event(
        seq,
        entry[0],
        entry[1],
        entry[2],
        entry[3],
        entry[4],
        entry[5],
        entry[6],
        entry[7],
        entry[8],
        entry[9],
        entry[10],
        entry[11],
        entry[12],
        entry[13],
        entry[14],
        b"" if erased else entry[19],
        b"" if erased else entry[20],
    )
    event.native_id = entry[15]
    event.relation_key = "" if erased else entry[18]
    event.boxes = entry[16]
    event.erased = erased
    return event
