"""Sabir itself, through its command line only: limits off, the log on as always."""

import csv
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench.process import Process, ServerDied
from bench.servers.contract import Door, Running, Server, output_of
from bench.speech import PASSWORD, Irc, Mqtt, Xmpp

PRELOADED: Final = "SABIR_BENCH_PRELOADED"
"""Names a folder made by `python -m bench.preload`, copied before each start."""
READY_S: Final = 30.0


def command() -> list[str]:
    """Return the `sabir` command of this interpreter: the installed, compiled one under `make bench`."""
    return [sys.executable, "-c", "from sabir.cli import main; main()"]


def _start(folder: Path, accounts: Sequence[str]) -> Running:
    data, ready, names = folder / "data", folder / "ready.json", folder / "accounts.csv"
    if preloaded := os.environ.get(PRELOADED):
        shutil.copytree(preloaded, data)
    with names.open("w", newline="") as file:
        csv.writer(file).writerows((account, PASSWORD) for account in accounts)
    done = subprocess.run(
        [*command(), "user", "import", str(names), "--data", str(data)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ServerDied(
            f"`sabir user import` failed with code {done.returncode}\n{done.stdout}{done.stderr}"
        )
    process = Process.start(
        [
            *command(), "serve", "--data", str(data), "--ports", "auto",
            "--ready-file", str(ready), "--set", "limits.enabled=false",
        ],
        folder=folder,
    )  # fmt: skip
    try:
        listeners = _listeners(process, ready)
    except BaseException:
        process.stop()
        raise
    doors = {}
    if "xmpp" in listeners:
        doors["xmpp"] = Door(listeners["xmpp"]["port"], Xmpp(), echoes_room=True)
    if "irc" in listeners:
        doors["irc"] = Door(listeners["irc"]["port"], Irc(), echoes_room=False)
    if "mqtt" in listeners:
        doors["mqtt"] = Door(listeners["mqtt"]["port"], Mqtt(), echoes_room=True)
    return Running(process, doors)


def _listeners(process: Process, ready: Path) -> dict[str, dict[str, int]]:
    deadline = time.monotonic() + READY_S
    while not ready.exists():
        process.alive()
        if time.monotonic() > deadline:
            raise ServerDied(f"not ready after {READY_S:.0f} s\n{process.tail()}")
        time.sleep(0.05)
    listeners: dict[str, dict[str, int]] = json.loads(ready.read_text())["listeners"]
    return listeners


SABIR: Final = Server(
    name="sabir",
    protocols=("xmpp", "irc", "mqtt"),
    durable=True,
    needs=(),
    install="make venv",
    start=_start,
    version=lambda: output_of(*command(), "--version"),
)
