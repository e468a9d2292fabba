"""A crash after any step of the index, and how many runs there are at last."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest
from tests.contract.conftest import Place, shorten_runs
from tests.support.chronicle import Chronicle, read_page
from tests.support.loop import LoadedStore

from sabir.core.ports import PageQuery
from sabir.storage.config import StorageConfig
from sabir.storage.sqlite import connections, pages, runs, snapshots
from sabir.storage.sqlite.indexing import Indexing


def held_to(chronicle: Chronicle, opened: LoadedStore) -> None:
    """Compare a store with what was written: counters, pages, ids."""
    heads = {row[0]: (row[1], row[3], row[4]) for row in opened.snapshot.heads if row[1]}
    assert heads == {number: tuple(head) for number, head in chronicle.heads.items()}
    assert {row.id: row.box_head for row in opened.snapshot.accounts if row.box_head} == chronicle.boxes
    for newest in (True, False):
        for query in (
            *(PageQuery(conversation_id=each, newest=newest, limit=500) for each in (11, 12, 21)),
            *(PageQuery(account_id=each, newest=newest, limit=9) for each in (1, 2)),
        ):
            page = read_page(opened, query)
            assert ([event.seq for event in page.events], page.complete) == chronicle.page(query)
    held_to_ids(chronicle, opened)


def held_to_ids(chronicle: Chronicle, opened: LoadedStore) -> None:
    """Compare what is found by the ids that senders chose."""
    for event in chronicle.events:
        found = opened.store.find_native("test", event.actor_id, event.native_id)
        assert found == chronicle.native(event.actor_id, event.native_id)


def test_a_crash_after_any_step_of_the_index_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chronicle = Chronicle(LoadedStore(tmp_path / "data"))
    for number in range(80):
        chronicle.post((11, 12, 21)[number % 3], native_id=b"n%d" % (number % 50), actor=1 + number % 2)
    chronicle.opened.close()
    shorten_runs(monkeypatch)
    database = tmp_path / "data" / connections.FILE_NAME
    connection = connections.open_writer(database, StorageConfig())
    recent = snapshots.Recent(connection)
    indexing = Indexing(recent.counters, recent.segments, recent.latest)
    indexing.open(connection)
    steps = 0

    while indexing.has_work(connection):
        indexing.step()
        steps += 1
        if steps % 4 == 0:
            # What is on the disk when the process is killed now.
            crashed = tmp_path / f"crashed{steps}"
            crashed.mkdir()
            for suffix in ("", "-wal"):
                shutil.copyfile(f"{database}{suffix}", crashed / f"{connections.FILE_NAME}{suffix}")
            opened = LoadedStore(crashed)
            held_to(chronicle, opened)
            opened.close()
            shutil.rmtree(crashed)

    assert steps > 40
    complete = runs.all_runs(connection)
    assert {run.level for run in complete} >= {1, 2}
    listed = {run.run for run in complete}
    assert {run for (run,) in connection.execute("SELECT DISTINCT run FROM index_pages")} <= listed
    connection.close()


def test_what_a_crash_left_of_a_run_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shorten_runs(monkeypatch)
    place = Place(tmp_path / "data")
    chronicle = Chronicle(place.open())
    chronicle.post(11)
    chronicle.opened.close()
    with sqlite3.connect(tmp_path / "data" / connections.FILE_NAME) as connection:
        connection.executemany(
            "INSERT INTO index_pages VALUES (77, ?, x'01', x'01')", [(part,) for part in range(50)]
        )
    connection.close()
    place.forget()
    chronicle.attach(place.open())

    for _ in range(100):
        chronicle.post(11)
    place.close()

    with sqlite3.connect(tmp_path / "data" / connections.FILE_NAME) as connection:
        assert connection.execute("SELECT count(*) FROM index_pages WHERE run = 77").fetchone() == (0,)
    connection.close()


def test_the_runs_stay_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shorten_runs(monkeypatch)
    place = Place(tmp_path / "data")
    chronicle = Chronicle(place.open())

    for _ in range(50):
        batch = chronicle.batch()
        for _ in range(20):
            chronicle.say(batch, 11)
        assert chronicle.commit(batch) is None
    assert len(read_page(chronicle.opened, PageQuery(conversation_id=11, limit=5000)).events) == 1000
    place.close()

    connection = sqlite3.connect(tmp_path / "data" / connections.FILE_NAME)
    # 143 segments of 7, merged by threes: at most 2 or 3 of each level, and some under way.
    assert len(runs.all_runs(connection)) < 30
    connection.close()


def test_ids_whose_hashes_are_the_same_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shorten_runs(monkeypatch)
    for module in ("pages", "segment"):
        monkeypatch.setattr(
            f"sabir.storage.sqlite.{module}.native_hash",
            lambda actor_id, native_id, protocol: b"the same",
        )
    place = Place(tmp_path / "data")
    chronicle = Chronicle(place.open())

    for number in range(60):
        chronicle.post((11, 12, 21)[number % 3], native_id=b"n%d" % (number % 25), actor=1 + number % 2)

    held_to_ids(chronicle, chronicle.opened)
    assert chronicle.opened.store.find_native("test", 1, b"none") == 0
    assert chronicle.opened.store.find_native("other", 1, b"n0") == 0
    place.close()


def test_a_conversation_over_many_pages_is_read_from_both_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shorten_runs(monkeypatch)
    monkeypatch.setattr("sabir.storage.sqlite.indexing.SEGMENT_ROWS", 100)
    monkeypatch.setattr("sabir.storage.sqlite.pages.PAGE_ENTRIES", 4)
    place = Place(tmp_path / "data")
    chronicle = Chronicle(place.open())
    for number in range(250):
        chronicle.post((11, 11, 12, 11, 21)[number % 5])
    last = chronicle.events[-1].seq

    for conversation in (11, 12, 21):
        for newest in (True, False):
            for after in range(0, last + 2, 17):
                for limit in (1, 7, 60):
                    for query in (
                        PageQuery(conversation_id=conversation, after_seq=after, newest=newest, limit=limit),
                        PageQuery(conversation_id=conversation, before_seq=after, newest=newest, limit=limit),
                        PageQuery(account_id=1, after_seq=after, newest=newest, limit=limit),
                    ):
                        page = read_page(chronicle.opened, query)
                        expected = chronicle.page(query)
                        assert ([event.seq for event in page.events], page.complete) == expected
    place.close()


def test_a_position_is_found_without_reading_what_is_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shorten_runs(monkeypatch)
    chronicle = Chronicle(LoadedStore(tmp_path / "data"))
    for _ in range(60):
        chronicle.post(21)
    place = tmp_path / "data" / connections.FILE_NAME
    chronicle.opened.close()
    connection = connections.open_writer(place, StorageConfig())
    recent = snapshots.Recent(connection)
    indexing = Indexing(recent.counters, recent.segments, recent.latest)
    indexing.open(connection)
    indexing.seal()
    while indexing.has_work(connection):
        indexing.step()
    read: list[bytes] = []
    split = pages.split
    monkeypatch.setattr(pages, "split", lambda page, size: read.append(page) or split(page, size))  # type: ignore[func-returns-value]

    found: dict[int, list[int]] = {}
    for position in (1, 30, 58):
        read.clear()
        wanted = pages.Range(0, 1 << 40, 1 << 1, position)
        found[position] = [
            seq
            for run in runs.all_runs(connection)
            for seq in runs.find(connection, run.run, [21], wanted, 1000, newest=False)
        ]
        if position == 58:
            assert len(read) <= len(runs.all_runs(connection)) + 1

    connection.close()
    seqs = [event.seq for event in chronicle.events]
    assert found == {position: seqs[position - 1 :] for position in (1, 30, 58)}
