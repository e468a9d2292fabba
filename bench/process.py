"""A server under test: started on its own core, watched through /proc, stopped."""

import contextlib
import os
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
SERVER_CORE: Final = 0
LOAD_CORE: Final = 1


class ServerDied(Exception):
    """The server ended, or did not answer in time; the text ends with the tail of its log."""


def pin_load() -> None:
    """Move this process to the load's core and let it open thousands of sockets."""
    if LOAD_CORE in os.sched_getaffinity(0):
        os.sched_setaffinity(0, {LOAD_CORE})
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@dataclass(slots=True)
class Process:
    """A running server and everything it started."""

    popen: "subprocess.Popen[bytes]"
    log: Path

    @classmethod
    def start(
        cls, command: Sequence[str], *, folder: Path, env: Mapping[str, str] | None = None
    ) -> "Process":
        """Start `command` on the server's core, with its output in `folder`/output.log."""
        log = folder / "output.log"
        pinned = ["taskset", "-c", str(SERVER_CORE), *command]
        with log.open("ab") as output:
            popen = subprocess.Popen(
                pinned,
                cwd=folder,
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return cls(popen, log)

    def alive(self) -> None:
        """Raise `ServerDied` if the server has ended."""
        if self.popen.poll() is not None:
            raise ServerDied(f"the server ended with code {self.popen.returncode}\n{self.tail()}")

    def tail(self) -> str:
        """Return the end of what the server wrote."""
        return self.log.read_text(errors="replace")[-700:] if self.log.exists() else ""

    def stop(self, *, grace_s: float = 15.0) -> None:
        """End the server: politely first, then with its whole process group."""
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.popen.wait(grace_s)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()

    def cpu_s(self) -> float:
        """Return the user and system CPU seconds of the server and of its children, living and ended."""
        return sum(sum(_stat(pid)[11:15]) for pid in self._family()) / TICKS_PER_S

    def rss_bytes(self) -> int:
        """Return the resident memory of the server and of its children."""
        return sum(_stat(pid)[21] for pid in self._family()) * PAGE_BYTES

    def _family(self) -> list[int]:
        parents = {int(entry): _stat(int(entry))[1] for entry in os.listdir("/proc") if entry.isdigit()}
        family, grown = {self.popen.pid}, 0
        while len(family) != grown:
            grown = len(family)
            family |= {pid for pid, parent in parents.items() if parent in family}
        return sorted(family)


def _stat(pid: int) -> list[int]:
    """Return the fields of /proc/PID/stat from the third on (state as 0); zeros if it has gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return [0] * 50
    fields = text[text.rindex(")") + 2 :].split()
    return [0, *(int(field) for field in fields[1:])]


def wait_for_port(process: Process, port: int, *, timeout_s: float = 30.0) -> None:
    """Return when something accepts connections on `port` of the loopback."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        process.alive()
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
            return
        except OSError:
            time.sleep(0.05)
    raise ServerDied(f"nothing listens on port {port} after {timeout_s:.0f} s\n{process.tail()}")
