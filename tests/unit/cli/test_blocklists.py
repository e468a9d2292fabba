"""`sabir blocklist`, on a real store that no server holds."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from tests.unit.cli.typed import sabir


def test_a_list_is_imported_shown_and_removed(tmp_path: Path) -> None:
    data, file = tmp_path / "data", tmp_path / "list.txt"
    sabir("user", "add", "ada", "--password", "secret", "--data", data)
    hashed = hashlib.sha256(b"spam.example").hexdigest()
    file.write_text(f"# from friends\n{hashed} spam\nspam.example\neve@evil.example\n\n")

    result = sabir("blocklist", "import", "friends", file, "--data", data)

    assert result.exit_code == 0
    assert result.stdout == "2 entries.\n"
    sizes = json.loads(sabir("blocklist", "list", "--json", "--data", data).stdout)["sizes"]
    assert sizes == {"friends": 2}
    assert "friends" in sabir("blocklist", "list", "--data", data).stdout
    assert sabir("blocklist", "remove", "friends", "--data", data).exit_code == 0
    assert json.loads(sabir("blocklist", "list", "--json", "--data", data).stdout)["sizes"] == {}


@pytest.mark.parametrize(("source", "lines"), [("../etc", 1), ("friends", 10_001)])
def test_a_list_that_cannot_be_is_refused(tmp_path: Path, source: str, lines: int) -> None:
    data, file = tmp_path / "data", tmp_path / "list.txt"
    sabir("user", "add", "ada", "--password", "secret", "--data", data)
    file.write_text("".join([f"spam{number}.example\n" for number in range(lines)]))

    assert sabir("blocklist", "import", source, file, "--data", data).exit_code == 1
