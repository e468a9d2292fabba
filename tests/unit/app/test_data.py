"""`sabir.app.data`: the folder is for its owner alone."""

from __future__ import annotations

import os
from pathlib import Path

from sabir.app import data


def test_the_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    before = os.umask(0o022)
    try:
        data.prepare(folder)
        (folder / "key").touch()
    finally:
        os.umask(before)

    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "key").stat().st_mode & 0o777 == 0o600
