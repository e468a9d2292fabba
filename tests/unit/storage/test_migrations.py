"""A database of an earlier version keeps what is in it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from tests.support.chronicle import follow
from tests.support.loop import LoadedStore

from sabir.storage.migrations import run
from sabir.storage.sqlite import connections

FIRST, REACTION, ERASED = 1, 2, 4


def _made_by_0012(path: Path) -> None:
    """Make a database with three entries, as it was before entries were packed."""
    connections.create(path)
    run.upgrade(path, "0012")
    boxes = b"\x92\x92\x01\x05\x92\x02\x06"  # ((1, 5), (2, 6)) in MessagePack
    skeletons = [
        (FIRST, b"\x01" * 16, 11, 1, 1, 1, 1, 1, "ada", 1, 1, 0, 1000, 0, "irc", b"", boxes),
        (REACTION, b"\x02" * 16, 11, 2, 0, 0, 2, 2, "bob", 4, 0, FIRST, 2000, 9, "xmpp", b"mine", b""),
        (ERASED, b"\x04" * 16, 21, 1, 1, 1, 3, 1, "ada", 1, 1, 0, 3000, 0, "irc", b"", b""),
    ]
    bodies = [
        (FIRST, "", b"PRIVMSG bob :hello", b"s" * 32),
        (REACTION, "\N{GRINNING FACE}", b"<message/>", b"t" * 32),
        (ERASED, "", bytes(7), bytes(32)),
    ]
    with sqlite3.connect(path) as connection:
        connection.executemany(f"INSERT INTO events VALUES ({', '.join('?' * 17)})", skeletons)
        connection.executemany("INSERT INTO bodies VALUES (?, ?, ?, ?)", bodies)
        connection.execute("INSERT INTO erasures VALUES (?, ?)", (ERASED, b"\x04" * 16))
        connection.execute("UPDATE log_head SET seq = 4, leaf = 3")
    connection.close()


def test_entries_stored_as_two_rows_are_packed_into_one(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    _made_by_0012(data / connections.FILE_NAME)

    opened = LoadedStore(data)
    first, reaction, erased = follow(opened, 0)
    opened.close()

    assert (first.seq, first.event_id, first.conversation_id, first.position) == (1, b"\x01" * 16, 11, 1)
    assert (first.nick, first.at_ms, first.native, first.salt) == (
        "ada",
        1000,
        b"PRIVMSG bob :hello",
        b"s" * 32,
    )
    assert first.boxes == ((1, 5), (2, 6))
    assert (reaction.target_seq, reaction.target_id) == (FIRST, first.event_id)
    assert (reaction.relation_key, reaction.native_id, reaction.expires_ms) == (
        "\N{GRINNING FACE}",
        b"mine",
        9,
    )
    assert (erased.seq, erased.erased, erased.native, erased.salt) == (ERASED, True, b"", b"")


def test_no_copy_of_a_text_is_left_where_entries_were_before(tmp_path: Path) -> None:
    path = tmp_path / connections.FILE_NAME
    _made_by_0012(path)

    run.upgrade(path)

    assert path.read_bytes().count(b"PRIVMSG bob :hello") == 1
