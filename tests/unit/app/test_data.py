"""`sabir.app.data`: the folder belongs to one process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

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


def test_a_second_holder_is_told_who_the_first_is(tmp_path: Path) -> None:
    told = f"in use by process {os.getpid()}"
    with data.held(tmp_path), pytest.raises(data.DataInUse, match=told), data.held(tmp_path):
        raise AssertionError

    with data.held(tmp_path):
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_a_process_that_is_killed_lets_go(tmp_path: Path) -> None:
    holder = "import os, sys, pathlib; from sabir.app import data; d = data.held(pathlib.Path(sys.argv[1]));"
    holder += "d.__enter__(); print(os.getpid(), flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", holder, tmp_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": "src"},
    ) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        with pytest.raises(data.DataInUse) as refused, data.held(tmp_path):
            raise AssertionError
        process.kill()
        process.wait()

    assert refused.value.pid == pid
    with data.held(tmp_path):
        pass
