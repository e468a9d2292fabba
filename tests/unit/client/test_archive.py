"""What a device keeps."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sabir.client.archive import Archive
from sabir.client.model import Chat, Encryption, Kind, Message, Standing
from sabir.client.sealing import Seal, WrongKey
from sabir.client.stanzas import Act, Outgoing

BOB = "bob@example.org"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    archive = Archive(tmp_path)
    archive.keep_chat(Chat(BOB, Kind.PERSON, "Bob"))
    yield archive
    archive.close()


def said(number: int, text: str = "hello", mine: bool = False) -> Message:
    sender = "ada@example.org" if mine else BOB
    return Message(0, BOB, sender, mine, NOON + timedelta(minutes=number), text, f"o{number}")


def add(archive: Archive, message: Message, reply_id: str = "") -> Message:
    kept = archive.add(message, reply_id)
    assert kept is not None
    return kept


def test_messages_come_back_in_the_order_of_their_times(archive: Archive) -> None:
    for number in (2, 0, 1):
        add(archive, said(number))

    assert [one.origin_id for one in archive.page(BOB)] == ["o0", "o1", "o2"]
    last = archive.page(BOB)[-1]
    assert [one.origin_id for one in archive.page(BOB, before=last, size=1)] == ["o1"]


def test_a_message_is_kept_once_and_learns_the_id_of_the_archive(archive: Archive) -> None:
    add(archive, said(1))

    assert archive.add(Message(0, BOB, BOB, False, NOON, "hello", "o1", "s1")) is None

    (kept,) = archive.page(BOB)
    assert kept.stanza_id == "s1"


def test_nobody_names_the_message_of_another_by_its_origin_id(archive: Archive) -> None:
    add(archive, said(1, mine=True))

    assert archive.find(BOB, "o1", BOB) is None
    assert archive.find(BOB, "o1") is not None


def test_a_reply_finds_what_it_answers(archive: Archive) -> None:
    first = add(archive, said(1))
    answer = add(archive, said(2, mine=True), reply_id="o1")

    assert answer.reply_to == first.number


def test_a_text_that_was_taken_back_is_gone(archive: Archive) -> None:
    message = add(archive, said(1, "regretted"))
    archive.react(message, BOB, ["👍", "👍"])
    assert archive.message(message.number).reactions == (("👍", (BOB,)),)

    gone = archive.retract(message)

    assert (gone.retracted, gone.text, gone.reactions) == (True, "", ())


def test_a_standing_never_goes_back(archive: Archive) -> None:
    message = add(archive, said(1, mine=True))

    read = archive.advance(message, Standing.READ)

    assert archive.advance(read, Standing.SENT).standing is Standing.READ


def test_a_marker_covers_what_came_before(archive: Archive) -> None:
    older, newer = add(archive, said(1, mine=True)), add(archive, said(2, mine=True))

    assert [one.number for one in archive.behind(newer, Standing.READ)] == [older.number, newer.number]
    assert archive.behind(newer, Standing.RECEIVED) == [newer]


def test_what_waits_waits_in_order_until_it_is_posted(archive: Archive) -> None:
    for ident in ("b", "a"):
        archive.post(Outgoing(id=ident, chat=BOB, room=False, act=Act.TEXT, text=ident, secret=True))

    assert [one.id for one in archive.waiting()] == ["b", "a"]
    archive.posted("b")
    assert [(one.id, one.secret) for one in archive.waiting()] == [("a", True)]


def test_nothing_that_was_said_can_be_read_in_the_files(tmp_path: Path) -> None:
    archive = Archive(tmp_path, "a passphrase")
    archive.keep_chat(Chat(BOB, Kind.PERSON, "Bob"))
    add(archive, said(1, "a very secret text"))
    archive.post(Outgoing(id="x", chat=BOB, room=False, act=Act.TEXT, text="a very secret text"))
    archive.keep_secret("key", b"a very secret text")
    archive.close()

    files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"very secret" not in files
    assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.iterdir())
    with pytest.raises(WrongKey):
        Archive(tmp_path, "another passphrase")
    again = Archive(tmp_path, "a passphrase")
    assert again.page(BOB)[0].text == "a very secret text"
    again.close()


def test_what_is_sealed_for_one_place_does_not_open_in_another() -> None:
    seal = Seal(bytes(32))
    sealed = seal.close(b"x", "here")

    assert seal.open(sealed, "here") == b"x"
    for place in range(len(sealed)):
        altered = bytes([*sealed[:place], sealed[place] ^ 1, *sealed[place + 1 :]])
        with pytest.raises(WrongKey):
            seal.open(altered, "here")
    with pytest.raises(WrongKey):
        seal.open(sealed, "there")


def test_a_chat_shows_its_newest_message_and_how_much_is_unread(archive: Archive) -> None:
    assert archive.add(said(1, "first"), unread=True)
    assert archive.add(said(2, "second"), unread=True)
    archive.keep_chat(Chat(BOB, Kind.PERSON, "Robert", encryption=Encryption.OMEMO))

    (chat,) = archive.chats()
    assert (chat.name, chat.last, chat.unread, chat.encryption) == ("Robert", "second", 2, Encryption.OMEMO)
    archive.read(BOB)
    assert archive.chats()[0].unread == 0


def test_a_chat_taken_from_the_list_keeps_how_it_is_encrypted(archive: Archive) -> None:
    archive.keep_chat(Chat(BOB, Kind.PERSON, "Bob", encryption=Encryption.OMEMO))

    archive.forget_chat(BOB)

    assert archive.chats() == []
    kept = archive.chat(BOB)
    assert kept is not None
    assert kept.encryption is Encryption.OMEMO
    assert archive.add(said(1))
    assert [chat.jid for chat in archive.chats()] == [BOB]


def test_ids_that_a_sender_uses_again_lose_no_message(archive: Archive) -> None:
    for number in (1, 2):
        add(archive, Message(0, BOB, BOB, False, NOON, f"text {number}", "same", f"s{number}"))

    assert [one.text for one in archive.page(BOB)] == ["text 1", "text 2"]


def test_a_time_out_of_the_calendar_is_brought_back_into_it(archive: Archive) -> None:
    add(archive, Message(0, BOB, BOB, False, datetime(9998, 1, 1, tzinfo=UTC), "late", "o1"))

    assert archive.page(BOB)[0].time.year == 2100


def test_what_belongs_together_is_on_disk_together(archive: Archive, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "chat.db")

    def counted() -> tuple[int, int]:
        texts, keys = (
            other.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("messages", "secrets")
        )
        return texts, keys

    before = counted()
    with archive.at_once():
        archive.keep_secret("key", b"used up")
        assert counted() == before
        add(archive, said(1, "what it opened"))
        assert counted() == before
    assert counted() == (before[0] + 1, before[1] + 1)
    other.close()
