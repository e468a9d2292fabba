"""What is particular to the store on SQLite: its files, its lock, its tables, its settings."""

from __future__ import annotations

import os
import sqlite3
import stat
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.contract.conftest import Place
from tests.support.chronicle import Chronicle, follow
from tests.support.loop import LoadedStore

from sabir.core.model.event import Event
from sabir.storage import lock, migrations, schema
from sabir.storage.config import StorageConfig


def test_the_files_are_their_owners_alone(tmp_path: Path) -> None:
    umask = os.umask(0o022)
    try:
        chronicle = Chronicle(LoadedStore(tmp_path / "data"))
        chronicle.erase(chronicle.post(11))
        chronicle.post(11)
    finally:
        os.umask(umask)

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "data").iterdir()}
    chronicle.opened.close()

    assert set(modes.values()) == {0o600}
    assert {"lock", "sabir.db", "sabir.db-wal", "erased-ids"} <= modes.keys()
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


def test_a_folder_is_locked_once(tmp_path: Path) -> None:
    with lock.acquire(tmp_path) as held:
        with pytest.raises(lock.Locked, match=str(os.getpid())):
            lock.acquire(tmp_path)
        held.release()
        lock.acquire(tmp_path).release()


def test_the_migrations_make_the_tables_of_the_schema(tmp_path: Path) -> None:
    migrations.upgrade(tmp_path / "migrated")
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'made'}")
    schema.metadata.create_all(engine)
    engine.dispose()

    def tables(path: Path) -> dict[str, str]:
        connection = sqlite3.connect(path)
        rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
        connection.close()
        return {name: " ".join(sql.split()) for name, sql in rows if name != "alembic_version"}

    assert tables(tmp_path / "migrated") == tables(tmp_path / "made")


def test_a_second_start_has_nothing_to_migrate(tmp_path: Path) -> None:
    migrations.upgrade(tmp_path / "file")
    before = (tmp_path / "file").read_bytes()

    migrations.upgrade(tmp_path / "file")

    assert (tmp_path / "file").read_bytes() == before


def test_a_store_that_flushes_at_intervals_keeps_what_it_closes_with(tmp_path: Path) -> None:
    config = StorageConfig(sync="interval")
    chronicle = Chronicle(LoadedStore(tmp_path / "data", config=config))
    for _ in range(20):
        chronicle.post(11)
    chronicle.opened.close()

    opened = LoadedStore(tmp_path / "data", config=config)

    assert len(follow(opened, 0)) == 20
    opened.close()


@pytest.mark.parametrize("fields", [{"readers": 0}, {"readers": 65}, {"cache_mib": 0}, {"cache_mib": 5000}])
def test_an_impossible_setting_is_refused_by_name(fields: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(fields))}: must be"):
        StorageConfig(**fields)


def test_the_journal_begins_anew_when_it_is_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sabir.storage.sqlite.checkpoints.PAGES", 50)
    place = Place(tmp_path / "data")
    chronicle = Chronicle(place.open())

    for _ in range(600):
        chronicle.post(11, b"x" * 10_000)

    size = (place.directory / "sabir.db-wal").stat().st_size
    place.close()
    assert size < 3_000_000


def test_large_entries_are_followed_a_few_at_a_time(tmp_path: Path) -> None:
    chronicle = Chronicle(LoadedStore(tmp_path / "data"))
    for _ in range(40):
        chronicle.post(11, b"x" * 60_000)
    parts: list[list[Event]] = []

    chronicle.opened.store.follow(0, 256, parts.append)
    chronicle.opened.loop.run()

    assert 1 <= len(parts[0]) <= 6
    assert [event.seq for event in follow(chronicle.opened, 0)] == [event.seq for event in chronicle.events]
    chronicle.opened.close()
