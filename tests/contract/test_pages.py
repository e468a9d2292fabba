"""Pages of conversations and mailboxes, held to a model that looks at every entry."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.contract.conftest import STORES, Place, shorten_runs
from tests.support.chronicle import ACCOUNTS, DIRECTS, ROOMS, Chronicle, read_page
from tests.support.loop import START_MS

from sabir.core.model.changes import RelationRow
from sabir.core.ports import PageQuery

CONVERSATIONS = (*DIRECTS, *ROOMS)
KINDS = range(1, 9)

entries = st.lists(
    st.tuples(st.sampled_from(CONVERSATIONS), st.sampled_from(KINDS), st.integers(0, 3), st.booleans()),
    max_size=120,
)
kinds = st.one_of(st.just(frozenset((1, 2, 3, 4, 5))), st.frozensets(st.sampled_from(KINDS)))
bounds = st.one_of(st.just(0), st.integers(1, 160))
times = st.one_of(st.just(0), st.integers(START_MS - 2, START_MS + 160))


@st.composite
def queries(draw: st.DrawFn) -> PageQuery:
    whose = draw(st.sampled_from(("conversation", "mailbox", "both")))
    account = draw(st.sampled_from(ACCOUNTS)) if whose != "conversation" else 0
    if whose == "mailbox":
        conversation = 0
    elif account:
        conversation = draw(
            st.sampled_from([each for each, parties in DIRECTS.items() if account in parties])
        )
    else:
        conversation = draw(st.sampled_from(CONVERSATIONS))
    return PageQuery(
        conversation_id=conversation,
        account_id=account,
        after_seq=draw(bounds),
        before_seq=draw(bounds),
        start_ms=draw(times),
        end_ms=draw(times),
        limit=draw(st.integers(1, 20)),
        newest=draw(st.booleans()),
        kinds=draw(kinds),
        from_position=draw(st.one_of(st.just(0), st.integers(1, 30))) if conversation else 0,
    )


@pytest.mark.parametrize("store", STORES)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=entries, asked=st.lists(queries(), min_size=1, max_size=30))
def test_a_page_is_what_the_model_says(
    store: str,
    monkeypatch: pytest.MonkeyPatch,
    history: list[tuple[int, int, int, bool]],
    asked: list[PageQuery],
) -> None:
    with tempfile.TemporaryDirectory() as folder, monkeypatch.context() as patch:
        if store == "sqlite with short runs":
            shorten_runs(patch)
        place = Place(Path(folder) / "data")
        chronicle = Chronicle(place.open())
        batch = chronicle.batch()
        for conversation, kind, passed_ms, ends in history:
            chronicle.now_ms += passed_ms
            chronicle.say(batch, conversation, kind=kind)
            if ends:
                assert chronicle.commit(batch) is None
                batch = chronicle.batch()
        assert chronicle.commit(batch) is None
        try:
            for query in asked:
                page = read_page(chronicle.opened, query)
                assert ([event.seq for event in page.events], page.complete) == chronicle.page(query)
        finally:
            place.close()


def test_every_page_after_page_reads_every_entry_once(place: Place, chronicle: Chronicle) -> None:
    for number in range(200):
        chronicle.post(11 if number % 3 else 21)
    wanted = [event.seq for event in chronicle.events if event.conversation_id == 11]
    place.reopen(chronicle)

    forward: list[int] = []
    complete = False
    while not complete:
        after = forward[-1] if forward else 0
        page = read_page(chronicle.opened, PageQuery(conversation_id=11, after_seq=after, limit=7))
        forward += [event.seq for event in page.events]
        complete = page.complete
    backward: list[int] = []
    complete = False
    while not complete:
        before = backward[0] if backward else 0
        page = read_page(chronicle.opened, PageQuery(account_id=2, before_seq=before, newest=True, limit=7))
        backward = [event.seq for event in page.events] + backward
        complete = page.complete

    assert forward == backward == wanted


def test_a_page_comes_with_what_was_said_about_its_entries(chronicle: Chronicle) -> None:
    first, second = chronicle.post(11), chronicle.post(11)

    def relation(kind: int, actor: int, key: str, seq: int, *, gone: bool = False) -> RelationRow:
        return RelationRow(target_seq=first.seq, kind=kind, actor_id=actor, key=key, seq=seq, gone=gone)

    for row in (
        relation(4, 2, "👍", 100),
        relation(4, 2, "🎉", 101),
        relation(2, 1, "", 102),
        relation(2, 1, "", 105),
        relation(4, 2, "🎉", 106, gone=True),
    ):
        assert chronicle.change(row) is None

    page = read_page(chronicle.opened, PageQuery(conversation_id=11))

    said = [(row.kind, row.actor_id, row.key, row.seq) for row in page.relations[first.seq]]
    assert said == [(4, 2, "👍", 100), (2, 1, "", 105)]
    assert second.seq not in page.relations
    assert chronicle.opened.store.relations_of([first.seq, second.seq]) == page.relations[first.seq]
    assert chronicle.opened.store.relations_of([]) == []


def test_many_pages_may_be_asked_for_at_once(chronicle: Chronicle) -> None:
    for _ in range(50):
        chronicle.post(11)
    answers: list[int] = []

    for _ in range(40):
        chronicle.opened.store.page(
            PageQuery(conversation_id=11), lambda page: answers.append(len(page.events))
        )
    assert answers == []
    chronicle.opened.loop.run()

    assert answers == [50] * 40
