"""Files: found by their address, added up by owner, listed by age."""

from __future__ import annotations

from tests.contract.conftest import Place
from tests.contract.test_values import as_stored
from tests.support.chronicle import Chronicle

from sabir.core.model.changes import MediaRefRow, MediaRow


def file(number: int, actor_id: int = 1, at_ms: int = 100) -> MediaRow:
    return MediaRow(
        id=number,
        store_key=f"key{number}",
        name="très.jpg",
        size=10 * number,
        mime="image/jpeg",
        sha256=bytes([number]) * 32,
        actor_id=actor_id,
        at_ms=at_ms,
        state="ready",
    )


def test_files_are_there_until_they_are_gone(place: Place, chronicle: Chronicle) -> None:
    files = [file(1), file(2, at_ms=50), file(3, actor_id=2), file(4, at_ms=200)]
    chronicle.change(*files)
    store = place.reopen(chronicle).store

    assert store.media("key2") == as_stored(files[1])
    assert store.media("key") is None
    assert [store.media_bytes(actor) for actor in (1, 2, 3)] == [70, 30, 0]
    assert [row.id for row in store.media_of(1, 2)] == [1, 2]
    assert [row.id for row in store.media_before(200, 10)] == [2, 1, 3]
    assert [row.id for row in store.media_before(200, 1)] == [2]

    gone = file(2)
    gone.gone = True
    chronicle.change(gone)

    assert store.media("key2") is None
    assert store.media_bytes(1) == 50


def named(number: int, seq: int) -> MediaRefRow:
    return MediaRefRow(media_id=number, seq=seq)


def test_a_file_goes_with_the_last_message_that_names_it(place: Place, chronicle: Chronicle) -> None:
    first, second = chronicle.post(11, b"one"), chronicle.post(11, b"two")
    owner = first.actor_id
    chronicle.change(file(1, owner), named(1, first.seq), named(1, second.seq))

    chronicle.erase(first)
    assert chronicle.opened.store.media_erased(10) == []

    chronicle.erase(second)
    store = place.reopen(chronicle).store
    assert [row.id for row in store.media_erased(10)] == [1]

    gone = file(1, owner)
    gone.gone = True
    chronicle.change(gone)
    assert chronicle.opened.store.media_erased(10) == []


def test_nobody_has_a_file_of_another_deleted_by_naming_it(chronicle: Chronicle) -> None:
    event = chronicle.post(11, b"one")
    chronicle.change(file(1, event.actor_id + 1), named(1, event.seq))

    chronicle.erase(event)

    assert chronicle.opened.store.media_erased(10) == []
