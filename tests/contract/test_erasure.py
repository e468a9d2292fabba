"""DATAMODEL 5, test 7: what is erased is nowhere any more."""

from __future__ import annotations

import random

from tests.contract.conftest import Place
from tests.support.chronicle import Chronicle, fields, read_page

from sabir.core.ports import PageQuery


def test_an_erased_entry_keeps_its_skeleton(place: Place, chronicle: Chronicle) -> None:
    event = chronicle.post(11, b"a secret", native_id=b"x1")

    chronicle.erase(event)

    for _ in range(2):
        stored = chronicle.opened.store.event_at(event.seq)
        assert stored is not None
        assert stored.erased
        assert fields(stored) == fields(event)
        assert [each.erased for each in read_page(chronicle.opened, PageQuery(account_id=2)).events] == [True]
        assert chronicle.opened.store.find_native("test", 1, b"x1") == event.seq
        place.reopen(chronicle)


def test_no_file_holds_what_was_erased(place: Place, chronicle: Chronicle) -> None:
    chosen = random.Random(5)
    events = []
    for number in range(300):
        text = b"plain text number %d " % number
        events.append(chronicle.post(11, text * chosen.choice((1, 3, 20, 150, 400))))
    texts = {event.seq: event.native[:24] for event in events}
    chosen.shuffle(events)

    while events:
        some = [events.pop() for _ in range(min(len(events), 30))]
        chronicle.erase(*some)
        # The answer to the next batch comes after the journal was emptied.
        chronicle.post(21, b"something else")
        chronicle.post(21, b"something else")
        kept = place.files()
        for event in some:
            assert [name for name, content in kept.items() if texts[event.seq] in content] == []

    chronicle.opened.close()
    assert [name for name, content in place.files().items() if b"plain text number" in content] == []
    chronicle.attach(place.open())


def test_what_is_not_erased_stays(chronicle: Chronicle) -> None:
    events = [chronicle.post(11, b"text %d" % number) for number in range(100)]

    chronicle.erase(*events[::3])

    for number, event in enumerate(events):
        stored = chronicle.opened.store.event_at(event.seq)
        assert stored is not None
        assert stored.native == (b"" if number % 3 == 0 else b"text %d" % number)
