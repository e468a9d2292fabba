"""The demo's server: the real one, as a child process on free ports with a temporary folder."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

READY_S: Final = 30.0
STOP_S: Final = 15.0
SABIR: Final = (sys.executable, "-c", "from sabir.cli import main; main()")
"""This Sabir, wherever it is installed."""


class StageError(Exception):
    """The server did not start, or did not do what it was told."""


@dataclass(frozen=True, slots=True)
class Door:
    """Where the server listens for one protocol."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Stage:
    """The running server, with its accounts and the room."""

    doors: dict[str, Door]
    domain: str
    certificate: Path
    passwords: dict[str, str]
    room: str


@contextmanager
def stage(accounts: Sequence[str], room: str) -> Iterator[Stage]:
    """Run a server with these accounts and a room of the first of them.

    Raises:
        StageError: it did not start.
    """
    with TemporaryDirectory(prefix="sabir-demo-") as name:
        data, ready, log = Path(name) / "data", Path(name) / "ready.json", Path(name) / "log"
        with log.open("wb") as output:
            server = subprocess.Popen(
                [*SABIR, "serve", "--data", str(data), "--ports", "auto", "--ready-file", str(ready)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C is for the demo, which stops the server in its turn.
            )
        try:
            facts = _ready(server, ready, log)
            passwords = {account: secrets.token_hex(6) for account in accounts}
            for account, password in passwords.items():
                _command("user", "add", account, "--password", password, "--data", str(data))
            _command("room", "create", room, "--owner", accounts[0], "--data", str(data))
            doors = {name: Door(fact["host"], fact["port"]) for name, fact in facts["listeners"].items()}
            yield Stage(doors, facts["domain"], data / "certificate.pem", passwords, room)
        finally:
            server.terminate()
            try:
                server.wait(STOP_S)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _ready(server: subprocess.Popen[bytes], ready: Path, log: Path) -> dict[str, Any]:
    deadline = time.monotonic() + READY_S
    while not ready.exists():
        if server.poll() is not None or time.monotonic() > deadline:
            ended = "is not ready" if server.returncode is None else f"ended with code {server.returncode}"
            raise StageError(
                f"The server {ended}. It said:\n{log.read_text(errors='replace').strip()[-1500:]}"
            )
        time.sleep(0.05)
    facts: dict[str, Any] = json.loads(ready.read_text())
    return facts


def _command(*arguments: str) -> None:
    done = subprocess.run([*SABIR, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise StageError(
            f"sabir {' '.join(arguments[:2])} was refused: {(done.stdout + done.stderr).strip()}"
        )
