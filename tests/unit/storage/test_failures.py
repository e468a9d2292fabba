"""Disks that are full or broken: the batch is refused as a whole, and the next one finds the store in order."""

from __future__ import annotations

import resource
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.contract.conftest import Place
from tests.support.chronicle import Chronicle, follow

from sabir.storage.sqlite import connections


@pytest.fixture
def chronicle(tmp_path: Path) -> Iterator[Chronicle]:
    place = Place(tmp_path / "data")
    yield Chronicle(place.open())
    place.close()


@contextmanager
def files_limited_to(size_bytes: int) -> Iterator[None]:
    """Let every write beyond a size fail, as a broken disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.logs_errors
def test_a_batch_that_cannot_be_written_is_refused_as_a_whole(chronicle: Chronicle) -> None:
    first = chronicle.post(11, b"before")
    journal = Path(f"{chronicle.opened.directory / connections.FILE_NAME}-wal")

    with files_limited_to(journal.stat().st_size + 1000):
        batch = chronicle.batch()
        for _ in range(100):
            chronicle.say(batch, 11, b"lost" * 100)
        error = chronicle.commit(batch)
        batch = chronicle.batch()
        chronicle.say(batch, 11, b"lost" * 1000)
        again = chronicle.commit(batch)

    assert error is not None
    assert again is not None
    assert not error.statement
    after = chronicle.post(11, b"after")
    assert (after.seq, after.position) == (first.seq + 1, first.position + 1)
    assert [event.native for event in follow(chronicle.opened, 0)] == [b"before", b"after"]


@pytest.mark.logs_errors
def test_a_full_disk_is_no_fault_of_a_row(chronicle: Chronicle) -> None:
    chronicle.post(11, b"before")
    writer = chronicle.opened.store._writer
    assert writer is not None
    assert writer._connection is not None
    (pages,) = writer._connection.execute("PRAGMA page_count").fetchone()
    writer._connection.execute(f"PRAGMA max_page_count={pages + 2}")

    batch = chronicle.batch()
    chronicle.say(batch, 11, b"lost" * 10_000)
    error = chronicle.commit(batch)

    assert error is not None
    assert not error.statement
    chronicle.post(11, b"after")
    assert [event.native for event in follow(chronicle.opened, 0)] == [b"before", b"after"]


@pytest.mark.logs_errors
def test_a_commit_that_landed_although_its_flush_failed_is_found(chronicle: Chronicle) -> None:
    # LOGPATH 6: after a failed flush the head is compared, never COMMIT repeated.
    chronicle.post(11, b"before")
    writer = chronicle.opened.store._writer
    assert writer is not None
    connection = writer._connection

    class Failing:
        """The connection, whose next COMMIT lands and then says that it failed."""

        def execute(self, statement: str, *parameters: object) -> object:
            answer = connection.execute(statement, *parameters)  # type: ignore[union-attr, arg-type]  # see above
            if statement == "COMMIT":
                raise sqlite3.OperationalError("disk I/O error")
            return answer

        def __getattr__(self, name: str) -> object:
            return getattr(connection, name)

    writer._connection = Failing()  # type: ignore[assignment]  # stands in for one commit

    landed = chronicle.post(11, b"landed")

    assert chronicle.post(11, b"after").position == landed.position + 1
    assert [event.native for event in follow(chronicle.opened, 0)] == [b"before", b"landed", b"after"]
