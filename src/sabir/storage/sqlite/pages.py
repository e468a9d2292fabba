"""Pages of the index: about a thousand entries in one blob, sorted, each a string of bytes of a fixed length.

An entry begins with its key, numbers with the highest byte first, so that the order of the bytes is the order of
the keys: a page is sorted, merged and bisected without taking an entry apart. A row of the database costs as much as
sorting ten of them.
"""

from __future__ import annotations

import sqlite3
import struct
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Final, NamedTuple

from sabir.storage import schema
from sabir.storage.sqlite.statements import insert_into

PAGE_ENTRIES: Final = 1024
"""Entries of a full page: 16 or 25 KiB. Twice as many make reading dearer, half as many writing."""

CONVERSATIONS: Final = 0
"""The part of a run that finds entries by conversation: conversation, seq, position, kind."""
NATIVES: Final = 1
"""The part that finds them by the id that the sender chose: its hash, seq."""
PARTS: Final = (CONVERSATIONS, NATIVES)
SIZES: Final = (25, 16)
"""Length of an entry of each part."""

conversation_entry: Final = struct.Struct(">QQQB").pack
conversation_key: Final = struct.Struct(">QQ").pack
position_key: Final = struct.Struct(">Q").pack
native_entry: Final = struct.Struct(">8sQ").pack
_actor: Final = struct.Struct(">Q").pack

_INSERT: Final = insert_into(schema.index_pages)


def native_hash(actor_id: int, native_id: bytes, protocol: str) -> bytes:
    """Return what stands for an id that a sender chose: what is found by it must be compared.

    Nobody can make another's id collide, and thus dear to find, in less than some 2^60 steps.
    """
    return blake2b(native_id + _actor(actor_id) + protocol.encode(), digest_size=8).digest()


def past_native(key: bytes) -> bytes:
    """Return what is above all entries with this hash, and below those with a higher one."""
    return key + b"\xff" * 8


class Range(NamedTuple):
    """Which entries are wanted: log numbers between the two, kinds in the mask, positions from one on."""

    after_seq: int
    before_seq: int
    kinds: int
    from_position: int


def seq_of(entry: bytes) -> int:
    """Return the log number of an entry of either part."""
    return int.from_bytes(entry[8:16], "big")


def wanted_seqs(entries: Iterable[bytes], wanted: Range) -> list[int]:
    """Return the log numbers of those of the entries (of a conversation) that are of a kind and position wanted."""
    kinds, position = wanted.kinds, wanted.from_position
    return [
        int.from_bytes(entry[8:16], "big")
        for entry in entries
        if kinds >> entry[24] & 1 and int.from_bytes(entry[16:24], "big") >= position
    ]


def write(connection: sqlite3.Connection, run: int, part: int, entries: Sequence[bytes]) -> None:
    """Write a page, in the open transaction."""
    connection.execute(_INSERT, (run, part, bytearray(entries[0]), bytearray(b"".join(entries))))


def split(page: bytes, size: int) -> tuple[bytes, ...]:
    """Return the entries of a page."""
    return struct.unpack(f"{size}s" * (len(page) // size), page)


def find(page: bytes, size: int, key: bytes) -> int:
    """Return the number of entries below a key."""
    return bisect_left(range(len(page) // size), key, key=lambda at: page[at * size : (at + 1) * size])
