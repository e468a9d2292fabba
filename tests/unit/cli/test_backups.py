"""`sabir backup` and `sabir restore`, on a real store."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path

import pytest
from tests.unit.cli.typed import sabir

from sabir.storage import lock


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    sabir("user", "add", "ada", "--password", "secret", "--data", folder)
    return folder


def names(data: Path) -> list[str]:
    return [
        each["name"] for each in json.loads(sabir("user", "list", "--json", "--data", data).stdout)["users"]
    ]


def test_a_restored_copy_has_what_the_store_had(data: Path, tmp_path: Path) -> None:
    made = sabir("backup", tmp_path / "copy.db", "--data", data)
    sabir("user", "add", "bob", "--password", "secret", "--data", data)

    restored = sabir("restore", tmp_path / "copy.db", "--data", data)

    assert (made.exit_code, restored.exit_code) == (0, 0)
    assert "generation 2" in restored.stdout
    assert names(data) == ["ada"]
    assert (tmp_path / "copy.db").stat().st_mode & 0o777 == 0o600


def test_a_copy_is_not_restored_under_a_running_server(data: Path, tmp_path: Path) -> None:
    sabir("backup", tmp_path / "copy.db", "--data", data)

    with lock.acquire(data):
        refused = sabir("restore", tmp_path / "copy.db", "--data", data)

    assert refused.exit_code == 1
    assert "stop it first" in refused.stderr


def test_what_cannot_be_copied_or_restored_is_refused_with_the_reason(data: Path, tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.write_text("precious")

    assert "exists" in sabir("backup", there, "--data", data).stderr
    assert "not a copy" in sabir("restore", there, "--data", data).stderr or (
        "cannot be read" in sabir("restore", there, "--data", data).stderr
    )
    assert sabir("backup", tmp_path / "no" / "folder", "--data", data).exit_code == 1
    assert there.read_text() == "precious"


def shared(data: Path, key: str, content: bytes) -> Path:
    """Put a file of ada into the store and the folder, as an upload does."""
    with contextlib.closing(sqlite3.connect(data / "sabir.db")) as connection:
        values = (int(key[:4], 16), key, "a.txt", len(content), "text/plain", bytes(32), 1, 0, "ready")
        connection.execute("INSERT INTO media VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
        connection.commit()
    path = data / "media" / key[:2] / key[2:]
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path


def test_files_go_with_the_copy_and_come_back_with_it(data: Path, tmp_path: Path) -> None:
    first, second = shared(data, "ab12" + "0" * 44, b"one"), shared(data, "cd34" + "0" * 44, b"two")
    (first.parent / "unknown").write_bytes(b"of nobody")
    second.unlink()

    made = sabir("backup", tmp_path / "copy.db", "--data", data)
    first.unlink()
    restored = sabir("restore", tmp_path / "copy.db", "--data", data)

    assert (made.exit_code, restored.exit_code) == (0, 0)
    assert "1 files" in made.stdout
    assert "lost, or deleted meanwhile: 1" in made.stdout
    assert first.read_bytes() == b"one"
    assert "nowhere to be found: 1" in restored.stdout
    copies = [
        path.relative_to(tmp_path / "copy.db.media") for path in (tmp_path / "copy.db.media").rglob("*")
    ]
    assert sorted(map(str, copies)) == ["ab", "ab/12" + "0" * 44, "cd"]
    assert first.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "copy.db.media").stat().st_mode & 0o777 == 0o700


def test_copies_may_share_a_folder_of_files(data: Path, tmp_path: Path) -> None:
    first = shared(data, "ab12" + "0" * 44, b"one")
    folder = tmp_path / "files"
    sabir("backup", tmp_path / "1.db", "--media", folder, "--data", data)
    copy = folder / first.relative_to(data / "media")
    before = copy.stat().st_mtime_ns

    made = sabir("backup", tmp_path / "2.db", "--media", folder, "--data", data)

    assert made.exit_code == 0
    assert copy.stat().st_mtime_ns == before
    first.unlink()
    assert sabir("restore", tmp_path / "2.db", "--media", folder, "--data", data).exit_code == 0
    assert first.read_bytes() == b"one"
