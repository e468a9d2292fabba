"""Pages of the index: about a thousand entries in one blob, sorted, each a string of bytes of a fixed length.

An entry begins with its key, numbers with the highest byte first, so that the order of the bytes is the order of
the keys: a page is sorted, merged and bisected without taking an entry apart. A row of the database costs as much as
sorting ten of them.
"""

from __future__ import annotations

import sqlite3
import struct
from bisect import bisect_left
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

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
native_entry: Final = struct.Struct(">8sQ").pack
_actor: Final = struct.Struct(">Q").pack

_INSERT: Final = insert_into(schema.index_pages)


def native_hash(actor_id: int, native_id: bytes, protocol: str) -> bytes:
    """Return what stands for an id that a sender chose: what is found by it must be compared.

    Nobody can make another's id collide, and thus dear to find, in less than some 2^60 steps.
    """
    return blake2b(native_id + _actor(actor_id) + protocol.encode(), digest_size=8).digest()


def write(connection: sqlite3.Connection, run: int, part: int, entries: Sequence[bytes]) -> None:
    """Write a page, in the open transaction."""
    connection.execute(_INSERT, (run, part, bytearray(entries[0]), bytearray(b"".join(entries))))


def split(page: bytes, size: int) -> tuple[bytes, ...]:
    """Return the entries of a page."""
    return struct.unpack(f"{size}s" * (len(page) // size), page)


def find(page: bytes, size: int, key: bytes) -> int:
    """Return the number of entries below a key."""
    return bisect_left(range(len(page) // size), key, key=lambda at: page[at * size : (at + 1) * size])
