"""One process per data folder: whoever holds its lock may open the store, nobody else."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Final

FILE_NAME: Final = "lock"


class Locked(Exception):
    """Another process uses the data folder. `pid` is its process id, 0 where it is not known."""

    def __init__(self, directory: Path, pid: int) -> None:
        who = f"process {pid}" if pid else "another process"
        super().__init__(f"{directory} is in use by {who}: stop it first, or choose another folder")
        self.directory = directory
        self.pid = pid


class DataLock:
    """The right to use a data folder, from `acquire` until `release` or the end of the process."""

    def __init__(self, directory: Path, descriptor: int) -> None:
        self.directory = directory
        self._descriptor = descriptor

    def release(self) -> None:
        """Let others in; a second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> DataLock:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def acquire(directory: Path) -> DataLock:
    """Make the data folder if need be (for its owner alone) and lock it.

    The lock is the kernel's, on the open file: it cannot be left behind by a crash.

    Raises:
        Locked: another process has it.
        OSError: the folder cannot be made or written.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(directory / FILE_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        said = os.read(descriptor, 20).strip()
        os.close(descriptor)
        raise Locked(directory, int(said) if said.isdigit() else 0) from None
    os.ftruncate(descriptor, 0)
    os.write(descriptor, b"%d\n" % os.getpid())
    return DataLock(directory, descriptor)
