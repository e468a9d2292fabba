"""`sabir backup` and `sabir restore`, on a real store."""

from __future__ import annotations

import json
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
