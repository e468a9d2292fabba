"""DATAMODEL 5, test 5, for one node: a restored backup gives no number twice and brings back nothing erased."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.contract.conftest import Place
from tests.support.chronicle import Chronicle, fields, follow, read_page

from sabir.core.log import GENERATION_GAP
from sabir.core.ports import PageQuery
from sabir.storage import backup
from sabir.storage.lock import acquire


def restore(place: Place, chronicle: Chronicle, source: Path) -> backup.Restored:
    """Restore with the server stopped, and open the store again."""
    place.close()
    with acquire(place.directory) as lock:
        done = backup.restore(source, lock, chronicle.now_ms)
    place.forget()
    chronicle.attach(place.open())
    return done


def test_a_restored_backup_begins_a_new_generation(
    place: Place, chronicle: Chronicle, tmp_path: Path
) -> None:
    for number in range(40):
        chronicle.post(11 + number % 3, b"before")
    backup.backup(place.directory, tmp_path / "copy")
    kept, seq = list(chronicle.events), chronicle.seq
    heads = {key: list(head) for key, head in chronicle.heads.items()}
    boxes = dict(chronicle.boxes)
    lost = [chronicle.post(11, b"lost") for _ in range(30)]

    done = restore(place, chronicle, tmp_path / "copy")

    chronicle.events, chronicle.heads, chronicle.boxes = kept, heads, boxes
    snapshot = chronicle.opened.snapshot
    assert (done.generation, snapshot.generation, snapshot.seq) == (2, 2, seq + backup.SEQ_GAP)
    assert [fields(event) for event in follow(chronicle.opened, 0)] == [fields(event) for event in kept]
    # What `core.log` does in a new generation.
    chronicle.boxes = {account: box + GENERATION_GAP for account, box in boxes.items()}
    after = chronicle.post(11, b"after")
    assert after.seq > lost[-1].seq
    assert after.position > lost[-1].position
    page = read_page(chronicle.opened, PageQuery(conversation_id=11, newest=True, limit=100))
    assert ([event.seq for event in page.events], page.complete) == chronicle.page(
        PageQuery(conversation_id=11, newest=True, limit=100)
    )
    place.reopen(chronicle)
    head = {row[0]: row for row in chronicle.opened.snapshot.heads}[11]
    assert head == (11, after.position, 1, after.message_no, after.pts, 2)
    assert chronicle.opened.store.find_event(after.event_id) is not None
    assert chronicle.opened.store.find_event(kept[0].event_id) is not None


def test_restoring_one_backup_twice_gives_no_number_twice(
    place: Place, chronicle: Chronicle, tmp_path: Path
) -> None:
    chronicle.post(11)
    backup.backup(place.directory, tmp_path / "copy")
    given: list[tuple[int, int]] = []

    for generation in (2, 3, 4):
        heads, generations = {11: [1, 1, 1]}, {11: 1}
        assert restore(place, chronicle, tmp_path / "copy").generation == generation
        chronicle.heads, chronicle.generations = heads, generations
        given += [(event.seq, event.position) for event in (chronicle.post(11), chronicle.post(11))]
        if generation == 3:
            place.close()
            place.forget()
            (place.directory / "sabir.db").unlink()
            chronicle.attach(place.open())

    assert len({seq for seq, _ in given}) == len({position for _, position in given}) == len(given)


def test_what_was_erased_since_the_backup_stays_erased(
    place: Place, chronicle: Chronicle, tmp_path: Path
) -> None:
    first, second = chronicle.post(11, b"a plain secret"), chronicle.post(11, b"kept")
    backup.backup(place.directory, tmp_path / "copy")
    chronicle.erase(first)

    done = restore(place, chronicle, tmp_path / "copy")

    assert done.erased == 1
    stored = chronicle.opened.store.event_at(first.seq)
    assert stored is not None
    assert stored.erased
    assert [event.native for event in follow(chronicle.opened, 0)] == [b"", second.native]
    assert [name for name, content in place.files().items() if b"a plain secret" in content] == []


@pytest.mark.parametrize("content", [b"", b"not a database" * 100])
def test_what_is_no_backup_is_refused_and_the_store_stays(
    place: Place, chronicle: Chronicle, tmp_path: Path, content: bytes
) -> None:
    chronicle.post(11)
    (tmp_path / "copy").write_bytes(content)

    with pytest.raises(backup.BackupError, match="copy"):
        restore(place, chronicle, tmp_path / "copy")
    place.forget()
    chronicle.attach(place.open())

    assert chronicle.opened.snapshot.generation == 1
    assert len(follow(chronicle.opened, 0)) == 1


def test_a_backup_overwrites_nothing(place: Place, chronicle: Chronicle, tmp_path: Path) -> None:
    (tmp_path / "copy").write_bytes(b"precious")

    with pytest.raises(backup.BackupError, match="exists"):
        backup.backup(place.directory, tmp_path / "copy")
    with pytest.raises(backup.BackupError, match="no store"):
        backup.backup(tmp_path / "nowhere", tmp_path / "other")
