"""The stores that the contract suite runs against. A new store adds its name to `STORES` and a branch to `open`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.chronicle import Chronicle
from tests.support.loop import LoadedStore, OpenStore

STORES = ("sqlite", "sqlite with short runs")


class Place:
    """Somewhere a store can be, opened and opened again."""

    def __init__(self, directory: Path, *, short: bool = False) -> None:
        self.directory = directory
        self.short = short
        self._opened: list[OpenStore] = []

    def open_bare(self) -> OpenStore:
        """Open the store for a core that will load it."""
        opened = OpenStore(self.directory)
        self._opened.append(opened)
        return opened

    def open(self) -> LoadedStore:
        opened = LoadedStore(self.directory)
        self._opened.append(opened)
        return opened

    def reopen(self, chronicle: Chronicle) -> LoadedStore:
        """Close the store and open it again."""
        chronicle.opened.close()
        self._opened.remove(chronicle.opened)
        chronicle.attach(self.open())
        return chronicle.opened

    def close(self) -> None:
        for opened in self._opened:
            opened.close()

    def forget(self) -> None:
        """Forget the stores that were closed."""
        self._opened = []

    def files(self) -> dict[str, bytes]:
        """Return everything that the store keeps."""
        return {path.name: path.read_bytes() for path in self.directory.rglob("*") if path.is_file()}


def shorten_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the index be written, merged and swept after a handful of entries."""
    for module in ("indexing", "snapshots"):
        monkeypatch.setattr(f"sabir.storage.sqlite.{module}.SEGMENT_ROWS", 7)
    monkeypatch.setattr("sabir.storage.sqlite.indexing.STEP_ROWS", 5)
    monkeypatch.setattr("sabir.storage.sqlite.indexing.ROWS_PER_STEP", 0.1)
    monkeypatch.setattr("sabir.storage.sqlite.indexing.MERGE_RUNS", 3)
    monkeypatch.setattr("sabir.storage.sqlite.segment.STRETCH", 2)
    monkeypatch.setattr("sabir.storage.sqlite.segment.MERGED", 2)
    monkeypatch.setattr("sabir.storage.sqlite.pages.PAGE_ENTRIES", 3)
    monkeypatch.setattr("sabir.storage.sqlite.indexing.TAKEN_AT_ONCE", 4)
    monkeypatch.setattr("sabir.storage.sqlite.indexing.SWEPT_PAGES", 2)
    monkeypatch.setattr("sabir.storage.sqlite.merging.PAGES_PER_STEP", 2)
    monkeypatch.setattr("sabir.storage.sqlite.counters.MOST_ENTRIES", 20)


@pytest.fixture(params=STORES)
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    short = request.param == "sqlite with short runs"
    if short:
        shorten_runs(monkeypatch)
    place = Place(tmp_path / "data", short=short)
    yield place
    place.close()


@pytest.fixture
def chronicle(place: Place) -> Chronicle:
    return Chronicle(place.open())
