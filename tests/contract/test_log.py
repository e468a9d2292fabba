"""What every store promises about the log."""

from __future__ import annotations

from tests.contract.conftest import Place
from tests.support.chronicle import ACCOUNTS, DIRECTS, Chronicle, actor_row, fields, follow, read_page

from sabir.core.model.content import text
from sabir.core.ports import PageQuery
from sabir.core.services.contents import Contents


def test_a_new_store_is_empty(place: Place) -> None:
    snapshot = place.open().snapshot

    assert (snapshot.generation, snapshot.seq, snapshot.leaf, snapshot.last_ms) == (1, 0, 0, 0)
    assert snapshot.accounts == snapshot.actors == snapshot.conversations == snapshot.heads == []
    assert snapshot.members == snapshot.states == snapshot.contacts == snapshot.blocks == []


def test_an_entry_is_read_as_it_was_written_also_after_a_restart(place: Place, chronicle: Chronicle) -> None:
    first = chronicle.post(11, "<body>grüße</body>".encode(), native_id=b"m\x001")
    batch = chronicle.batch()
    second = chronicle.say(batch, 11, b"better", kind=2, target=first, flags=0, actor=2)
    third = chronicle.say(batch, 21, b"wave", kind=4, target=first, key="👋", actor=3)
    assert chronicle.commit(batch) is None

    for _ in range(2):
        store = chronicle.opened.store
        for event in (first, second, third):
            stored = store.event_at(event.seq)
            assert stored is not None
            assert fields(stored) == fields(event)
        assert store.event_at(first.seq - 1) is None
        assert store.event_at(third.seq + 1) is None
        place.reopen(chronicle)


def test_the_counters_are_exact_after_a_restart(place: Place, chronicle: Chronicle) -> None:
    for number in range(60):
        chronicle.now_ms += 10
        batch = chronicle.batch()
        chronicle.say(batch, (11, 12, 14, 21)[number % 4], flags=number % 2, kind=1 + number % 5)
        assert chronicle.commit(batch) is None
    place.reopen(chronicle)

    snapshot = chronicle.opened.snapshot

    assert (snapshot.seq, snapshot.leaf, snapshot.last_ms) == (
        chronicle.seq,
        chronicle.leaf,
        chronicle.now_ms,
    )
    heads = {row[0]: (row[1], row[3], row[4]) for row in snapshot.heads}
    assert heads == {number: tuple(chronicle.heads.get(number, (0, 0, 0))) for number in (*DIRECTS, 21, 22)}
    assert {row[2] for row in snapshot.heads} == {1}
    assert {row.id: row.box_head for row in snapshot.accounts} == {
        number: chronicle.boxes.get(number, 0) for number in ACCOUNTS
    }


def test_a_row_at_fault_rolls_back_its_whole_batch_and_nothing_else(
    place: Place, chronicle: Chronicle
) -> None:
    before = chronicle.post(11)
    poisoned = chronicle.batch()
    chronicle.say(poisoned, 11, b"innocent")
    chronicle.put(poisoned, actor_row(99, "user1"))

    error = chronicle.commit(poisoned)
    after = chronicle.post(11, b"later")

    assert error is not None
    assert error.statement
    assert after.position == before.position + 1
    assert [event.native for event in follow(chronicle.opened, 0)] == [b"hello", b"later"]
    assert place.reopen(chronicle).snapshot.seq == after.seq


def test_text_that_cannot_be_stored_is_the_fault_of_its_row(chronicle: Chronicle) -> None:
    batch = chronicle.batch()
    chronicle.say(batch, 11).nick = "\ud800"

    error = chronicle.commit(batch)

    assert error is not None
    assert error.statement
    assert chronicle.post(11).position == 1


def test_an_event_is_found_by_its_id(chronicle: Chronicle) -> None:
    for number in range(50):
        chronicle.now_ms += number % 3
        if number % 5 == 0:
            chronicle.change(actor_row(1))
        chronicle.post(11)

    for event in chronicle.events:
        found = chronicle.opened.store.find_event(event.event_id)
        assert found is not None
        assert found.seq == event.seq
    unknown = [
        chronicle.ids.next(chronicle.now_ms - 1),
        b"\0" * 16,
        b"\xff" * 16,
        chronicle.events[3].event_id[:15],
    ]
    assert [chronicle.opened.store.find_event(event_id) for event_id in unknown] == [None] * 4


def test_a_repeat_is_found_by_the_senders_own_id(place: Place, chronicle: Chronicle) -> None:
    ids = [b"a", b"b", b"a", b"%", b"1", b"1", b"\xff\0"]
    for number in range(40):
        chronicle.post(
            11 + number % 2, native_id=ids[number % 7] + b"%d" % (number % 11), actor=1 + number % 3
        )

    for _ in range(2):
        store = chronicle.opened.store
        for event in chronicle.events:
            assert store.find_native("test", event.actor_id, event.native_id) == chronicle.native(
                event.actor_id, event.native_id
            )
        assert store.find_native("test", 1, b"never") == 0
        assert store.find_native("other", chronicle.events[0].actor_id, chronicle.events[0].native_id) == 0
        place.reopen(chronicle)


def test_the_log_is_followed_from_any_number(chronicle: Chronicle) -> None:
    for _ in range(30):
        chronicle.post(11)

    numbers = [event.seq for event in chronicle.events]

    assert [event.seq for event in follow(chronicle.opened, 0)] == numbers
    assert [event.seq for event in follow(chronicle.opened, numbers[9], 5)] == numbers[10:15]
    assert follow(chronicle.opened, numbers[-1]) == []


def test_what_was_acknowledged_is_on_the_page_that_is_read_next(chronicle: Chronicle) -> None:
    for number in range(100):
        event = chronicle.post(11 + number % 3)

        page = read_page(
            chronicle.opened, PageQuery(conversation_id=event.conversation_id, newest=True, limit=1)
        )

        assert [each.seq for each in page.events] == [event.seq]


def test_the_latest_direct_conversations_come_first(place: Place, chronicle: Chronicle) -> None:
    last: dict[int, int] = {}
    for conversation in (11, 12, 14, 21, 11, 13, *[12] * 20):
        last[conversation] = chronicle.post(conversation).seq

    for _ in range(2):
        store = chronicle.opened.store
        assert store.mailbox_heads(1, 10) == [(12, last[12]), (11, last[11]), (14, last[14])]
        assert store.mailbox_heads(1, 2) == [(12, last[12]), (11, last[11])]
        assert store.mailbox_heads(3, 10) == [(12, last[12]), (13, last[13])]
        assert store.mailbox_heads(4, 10) == []
        place.reopen(chronicle)


def test_two_releases_of_a_translator_over_one_store_change_no_id(place: Place, chronicle: Chronicle) -> None:
    # DATAMODEL 5, test 8: ids are given at append and never derived from content.
    class Translator:
        def __init__(self, release: str) -> None:
            self._release = release

        def content_of(self, event: object) -> object:
            return text(self._release)

    for _ in range(20):
        chronicle.post(11)
    read: list[list[tuple[object, ...]]] = []

    for release in ("1", "2"):
        contents = Contents()
        contents.register("test", Translator(release))  # type: ignore[arg-type]  # enough of one
        events = follow(chronicle.opened, 0)
        assert all(contents.of(event) == text(release) for event in events)
        read.append([(event.seq, event.event_id, event.position, event.native_id) for event in events])
        place.reopen(chronicle)

    assert read[0] == read[1]
