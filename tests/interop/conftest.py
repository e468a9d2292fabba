"""A real server in a process of its own, for real clients."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

PASSWORD: Final = "correct horse"
ACCOUNTS: Final = ("romeo", "juliet", "nurse", "mercutio", "benvolio", "paris", "tybalt", "rosaline")

_TRIES: Final = 300
_TRY_S: Final = 0.1
SABIR: Final = (sys.executable, "-c", "from sabir.cli import main; main()")


@dataclass(frozen=True, slots=True)
class RunningServer:
    """Where the server listens: `ports` by the listener's name."""

    domain: str
    data: Path
    certificate: Path
    ports: dict[str, int]


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server on free ports with `ACCOUNTS`; it must end well and log no fault."""
    with serving(tmp_path_factory.mktemp("interop")) as server:
        yield server


@contextmanager
def serving(folder: Path, *settings: str) -> Iterator[RunningServer]:
    """Run such a server in `folder`, with more settings (`section.key=value`)."""
    data, ready, log = folder / "data", folder / "ready.json", folder / "log"
    people = folder / "people.csv"
    people.write_text("".join([f"{name},{PASSWORD}\n" for name in ACCOUNTS]))
    subprocess.run([*SABIR, "user", "import", str(people), "--data", str(data)], check=True, timeout=60)
    flags = (
        "--data",
        str(data),
        "--ports",
        "auto",
        "--ready-file",
        str(ready),
        "--set",
        "limits.enabled=false",
        *[flag for setting in settings for flag in ("--set", setting)],
    )
    with (
        log.open("wb") as out,
        subprocess.Popen([*SABIR, "serve", *flags], stdout=out, stderr=out) as process,
    ):
        try:
            told = wait_until_ready(process, ready, log)
            ports = {name: listener["port"] for name, listener in told["listeners"].items()}
            yield RunningServer(told["domain"], data, next(data.rglob("certificate.pem")), ports)
        finally:
            process.terminate()
            code = process.wait(timeout=20)
    assert code == 0, log.read_text()
    assert "Traceback" not in log.read_text(), log.read_text()


def wait_until_ready(process: subprocess.Popen[bytes], ready: Path, log: Path) -> Any:
    """Return what the server writes once it is ready."""
    for _ in range(_TRIES):
        if ready.exists():
            return json.loads(ready.read_text())
        try:
            process.wait(timeout=_TRY_S)
        except subprocess.TimeoutExpired:
            continue
        break
    raise AssertionError(f"the server did not start:\n{log.read_text()}")
