"""The data folder: one owner, one process at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK_NAME = "lock"
SOCKET_NAME = "control.sock"


class DataInUse(Exception):
    """Another process works on this data folder; `pid` is its number, 0 if it did not say."""

    def __init__(self, folder: Path, pid: int) -> None:
        self.folder = folder
        self.pid = pid
        by = f"process {pid}" if pid else "another process"
        super().__init__(f"{folder} is in use by {by}")


def prepare(folder: Path) -> None:
    """Create the data folder if it is not there, for its owner alone, and keep new files in it so, too.

    Raises:
        OSError: it cannot be made, or is not a folder.
    """
    os.umask(0o077)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the data folder until the block ends; the kernel lets go even if the process is killed.

    Raises:
        DataInUse: another process holds it.
    """
    lock = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            said = os.pread(lock, 20, 0).strip()
            raise DataInUse(folder, int(said) if said.isdigit() else 0) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        # The file stays: removing it would let two processes lock two files of that name.
        os.close(lock)
