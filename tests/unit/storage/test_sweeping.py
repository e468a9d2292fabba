"""Rows that are gone stay for 30 days, so that every client hears of it, and then go for good."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.chronicle import Chronicle
from tests.support.loop import LoadedStore

from sabir.core.model.changes import BlockRow
from sabir.storage.sqlite.sweeping import KEPT_MS, sweep


@pytest.fixture
def chronicle(tmp_path: Path) -> Iterator[Chronicle]:
    chronicle = Chronicle(LoadedStore(tmp_path))
    yield chronicle
    chronicle.opened.close()


def block(name: str, *, gone: bool) -> BlockRow:
    row = BlockRow(account_id=1, name=name)
    row.gone = gone
    return row


def rows(chronicle: Chronicle) -> list[str]:
    with sqlite3.connect(chronicle.opened.directory / "sabir.db") as connection:
        return [row[0] for row in connection.execute("SELECT name FROM blocks ORDER BY name")]


def swept(chronicle: Chronicle, now_ms: int) -> None:
    with sqlite3.connect(chronicle.opened.directory / "sabir.db") as connection:
        assert not sweep(connection, now_ms)


def test_what_is_long_gone_is_forgotten_and_nothing_else(chronicle: Chronicle) -> None:
    chronicle.change(block("old", gone=True), block("here", gone=False))
    old = chronicle.post(21)
    chronicle.change(block("later", gone=True))
    recent = chronicle.post(21)

    swept(chronicle, old.at_ms + KEPT_MS)
    assert rows(chronicle) == ["here", "later", "old"], "not before its time"
    swept(chronicle, old.at_ms + KEPT_MS + 1)
    assert rows(chronicle) == (["here"] if recent.at_ms == old.at_ms else ["here", "later"])
    swept(chronicle, recent.at_ms + KEPT_MS + 1)
    assert rows(chronicle) == ["here"]


def test_what_went_after_the_last_entry_stays_however_old_that_is(chronicle: Chronicle) -> None:
    last = chronicle.post(21)
    chronicle.change(block("recent", gone=True))

    swept(chronicle, last.at_ms + 10 * KEPT_MS)

    assert rows(chronicle) == ["recent"]
