"""A real server, for the whole table."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from tests.crossing.driver import Listener, Server
from tests.crossing.table import GUEST, READER, WRITER

PASSWORD: Final = "correct horse"
_START_TRIES: Final = 300
_TRY_S: Final = 0.1

_SABIR: Final = (sys.executable, "-c", "from sabir.cli import main; main()")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on free ports, with an account for everybody in the table."""
    folder = tmp_path_factory.mktemp("crossing")
    data, ready, people = folder / "data", folder / "ready.json", folder / "people.csv"
    people.write_text("".join([f"{name},{PASSWORD}\n" for name in (WRITER, READER, GUEST)]))
    subprocess.run([*_SABIR, "user", "import", str(people), "--data", str(data)], check=True, timeout=60)
    log = folder / "log"
    flags = (
        "--data",
        str(data),
        "--ports",
        "auto",
        "--ready-file",
        str(ready),
        "--set",
        "limits.enabled=false",
    )
    with (
        log.open("wb") as out,
        subprocess.Popen([*_SABIR, "serve", *flags], stdout=out, stderr=out) as process,
    ):
        try:
            told = _ready(process, ready, log)
            found = {name: Listener(one["host"], one["port"]) for name, one in told["listeners"].items()}
            yield Server(told["domain"], next(data.rglob("certificate.pem")), found)
        finally:
            process.terminate()
            assert process.wait(timeout=20) == 0, log.read_text()
    assert "Traceback" not in log.read_text(), log.read_text()


def _ready(process: subprocess.Popen[bytes], ready: Path, log: Path) -> Any:
    for _ in range(_START_TRIES):
        if ready.exists():
            return json.loads(ready.read_text())
        try:
            process.wait(timeout=_TRY_S)
        except subprocess.TimeoutExpired:
            continue
        break
    raise AssertionError(f"the server did not start:\n{log.read_text()}")
