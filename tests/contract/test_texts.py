"""The full-text index: finds by all words, within what the reader may see, and forgets what is erased."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from tests.contract.conftest import Place
from tests.support.chronicle import DIRECTS, Chronicle

from sabir.core.model.event import Event
from sabir.core.ports import Page, PageQuery, Text, TextIndex

ROOM, OTHER, DIRECT = 21, 22, 11


def index(chronicle: Chronicle) -> TextIndex:
    texts = chronicle.opened.store.texts
    assert texts is not None
    return texts


def put(chronicle: Chronicle, texts: Iterable[tuple[Event, str]]) -> None:
    rows = [
        Text(event.seq, event.conversation_id, DIRECTS.get(event.conversation_id, ()), text)
        for event, text in texts
    ]
    index(chronicle).add(rows, rows[-1].seq, lambda: None)
    chronicle.opened.loop.run()


def said(chronicle: Chronicle, conversation: int, *texts: str) -> list[Event]:
    """Write entries that say these, and index them."""
    events = [chronicle.post(conversation, text.encode()) for text in texts]
    put(chronicle, zip(events, texts, strict=True))
    return events


def found(chronicle: Chronicle, text: str, query: PageQuery) -> tuple[list[str], bool]:
    pages: list[Page] = []
    index(chronicle).find(text, query, pages.append)
    chronicle.opened.loop.run()
    (page,) = pages
    return [event.native.decode() for event in page.events], page.complete


@pytest.mark.parametrize(
    ("text", "hits"),
    [
        ("turtle", ["The Turtle swims", "a turtle, and another"]),
        ("TURTLE", ["The Turtle swims", "a turtle, and another"]),
        ("turtle swims", ["The Turtle swims"]),
        ("swims, turtle!", ["The Turtle swims"]),
        ("turt", ["The Turtle swims", "a turtle, and another"]),
        ("tu", []),
        ("cafe", ["un café crème"]),
        ("cafe\u0301", ["un café crème"]),
        ("猫", ["猫が好き"]),
        ("猫好", ["猫が好き"]),
        ("犬", []),
        ("नमस्ते", ["नमस्ते दुनिया"]),
        ("snake_case", ["a snake_case name"]),
        ('" OR text:turtle*', []),
        ("c21", []),
        ("NOT", []),
        ("?!", []),
        ("", []),
    ],
)
def test_entries_are_found_by_all_of_their_words(chronicle: Chronicle, text: str, hits: list[str]) -> None:
    said(chronicle, ROOM, "The Turtle swims", "a turtle, and another", "un café crème")
    said(chronicle, ROOM, "猫が好き", "नमस्ते दुनिया", "a snake_case name")

    assert found(chronicle, text, PageQuery(conversation_id=ROOM)) == (hits, True)


def test_a_search_finds_nothing_of_other_conversations(chronicle: Chronicle) -> None:
    said(chronicle, ROOM, "turtle one")
    said(chronicle, OTHER, "turtle two")
    said(chronicle, DIRECT, "turtle three")

    assert found(chronicle, "turtle", PageQuery(conversation_id=OTHER))[0] == ["turtle two"]
    one, two = DIRECTS[DIRECT]
    for account in (one, two):
        assert found(chronicle, "turtle", PageQuery(account_id=account))[0] == ["turtle three"]
    (stranger,) = {1, 2, 3} - {one, two}
    assert found(chronicle, "turtle", PageQuery(account_id=stranger)) == ([], True)
    both = PageQuery(account_id=one, conversation_id=DIRECT)
    assert found(chronicle, "turtle", both)[0] == ["turtle three"]


def test_what_is_found_comes_in_pages_from_either_end(chronicle: Chronicle) -> None:
    events = said(chronicle, ROOM, *[f"turtle {number}" for number in range(10)])

    def ask(**fields: int | bool) -> tuple[list[str], bool]:
        return found(chronicle, "turtle", PageQuery(conversation_id=ROOM, limit=3, **fields))  # type: ignore[arg-type]

    assert ask() == (["turtle 0", "turtle 1", "turtle 2"], False)
    assert ask(newest=True) == (["turtle 7", "turtle 8", "turtle 9"], False)
    assert ask(after_seq=events[7].seq) == (["turtle 8", "turtle 9"], True)
    assert ask(before_seq=events[2].seq, newest=True) == (["turtle 0", "turtle 1"], True)
    assert ask(from_position=events[8].position) == (["turtle 8", "turtle 9"], True)
    assert ask(from_position=events[8].position, newest=True) == (["turtle 8", "turtle 9"], True)


def test_what_is_erased_is_found_no_more_and_is_in_no_file(place: Place, chronicle: Chronicle) -> None:
    secret, _ = said(chronicle, ROOM, "abracadabra hocuspocus", "turtle")
    said(chronicle, ROOM, "abracadabra again")

    chronicle.erase(secret)

    assert found(chronicle, "abracadabra", PageQuery(conversation_id=ROOM))[0] == ["abracadabra again"]
    chronicle.opened.close()
    files = place.files()
    place.forget()
    assert files
    for word in (b"hocuspocus", b"ocuspocus", b"cuspocus"):
        assert [name for name, data in files.items() if word in data] == []


def test_what_was_erased_before_it_was_indexed_is_not(chronicle: Chronicle) -> None:
    event = chronicle.post(ROOM, b"abracadabra")
    chronicle.erase(event)

    put(chronicle, [(event, "abracadabra")])

    assert found(chronicle, "abracadabra", PageQuery(conversation_id=ROOM)) == ([], True)


def test_the_index_outlives_the_store(place: Place, chronicle: Chronicle) -> None:
    (event,) = said(chronicle, ROOM, "turtle")

    place.reopen(chronicle)

    assert index(chronicle).seq == event.seq
    assert found(chronicle, "turtle", PageQuery(conversation_id=ROOM))[0] == ["turtle"]


def test_an_erasure_that_a_crash_overtook_is_made_up_for(place: Place, chronicle: Chronicle) -> None:
    (event,) = said(chronicle, ROOM, "abracadabra")
    kept = {name: data for name, data in place.files().items() if name.startswith("search.db")}
    chronicle.erase(event)
    chronicle.opened.close()
    for name, data in kept.items():
        (place.directory / name).write_bytes(data)
    place.forget()

    chronicle.attach(place.open())

    assert found(chronicle, "abracadabra", PageQuery(conversation_id=ROOM)) == ([], True)


def test_a_damaged_index_is_made_anew(place: Place, chronicle: Chronicle) -> None:
    said(chronicle, ROOM, "turtle")
    chronicle.opened.close()
    (place.directory / "search.db").write_bytes(b"nonsense" * 1000)
    place.forget()

    chronicle.attach(place.open())

    assert index(chronicle).seq == 0
    assert found(chronicle, "turtle", PageQuery(conversation_id=ROOM)) == ([], True)


def test_a_store_that_cannot_index_works_without(
    place: Place, chronicle: Chronicle, monkeypatch: pytest.MonkeyPatch
) -> None:
    said(chronicle, ROOM, "turtle")
    chronicle.opened.close()
    (place.directory / "search.db").unlink()
    place.forget()
    monkeypatch.setattr("sabir.storage.sqlite.texts._TABLES", ("CREATE VIRTUAL TABLE words USING fts99(x)",))

    chronicle.attach(place.open())

    assert chronicle.opened.store.texts is None
    chronicle.post(ROOM, b"still here")
