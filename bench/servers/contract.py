"""What an adapter tells about its server."""

import shutil
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.process import Process
from bench.speech import Speech


@dataclass(frozen=True, slots=True)
class Door:
    """Where and how the server speaks one protocol."""

    port: int
    speech: Speech
    echoes_room: bool
    """Whether a room's speaker hears its own message."""


@dataclass(frozen=True, slots=True)
class Running:
    """A started server with its accounts made."""

    process: Process
    doors: Mapping[str, Door]


@dataclass(frozen=True, slots=True)
class Server:
    """A server that can be measured."""

    name: str
    protocols: Sequence[str]
    durable: bool
    """Whether a delivered message is in a log on disk."""
    needs: Sequence[str]
    """Programs or files that must exist."""
    install: str
    """The line to type when they do not."""
    start: Callable[[Path, Sequence[str]], Running]
    """Start it in a folder with these accounts."""
    version: Callable[[], str]

    def missing(self) -> list[str]:
        """Return what of `needs` is not installed."""
        return [
            need for need in self.needs if not (Path(need).exists() if "/" in need else shutil.which(need))
        ]


def free_port() -> int:
    """Return a loopback port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def output_of(*command: str) -> str:
    """Return the first line that a version command prints."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    return lines[0].strip() if lines else "unknown"
