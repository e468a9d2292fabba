"""Files in a folder, written and read by a few threads, so that a slow disk holds nobody up."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

log = logging.getLogger(__name__)

FOLDER_NAME: Final = "media"
"""The folder, in the data folder."""
THREADS: Final = 4
MAX_WAITING: Final = 100
"""Jobs that wait because each is done alone."""
CHUNK_BYTES: Final = 262_144
"""How much is read at a time."""

_Answer = TypeVar("_Answer")


class Disk:
    """The folder, and the threads that work in it. A key is made of hex digits."""

    def __init__(self, folder: Path, call_soon: Callable[[Callable[[], object]], object]) -> None:
        """Work in `folder`, which is made if need be; what an earlier process left half-written is deleted.

        Args:
            folder: for nothing else.
            call_soon: calls a function on the loop's thread, from any other.

        Raises:
            OSError: the folder cannot be made.
        """
        self._folder: Final = folder
        self._call_soon: Final = call_soon
        self._pool: Final = ThreadPoolExecutor(THREADS, "sabir-media")
        self._alone: Final = ThreadPoolExecutor(1, "sabir-thumbnail")
        self._waiting = 0
        (folder / "new").mkdir(parents=True, exist_ok=True)
        for left in (folder / "new").iterdir():
            left.unlink()

    def close(self) -> None:
        """Finish what was begun."""
        self._pool.shutdown()
        self._alone.shutdown(cancel_futures=True)

    def run(self, work: Callable[[], _Answer], then: Callable[[_Answer | OSError], object]) -> None:
        """Do `work` in a thread, then call `then` on the loop's with its answer, or why the disk refused."""
        self._pool.submit(self._run, work, then)

    def run_alone(self, work: Callable[[], _Answer], then: Callable[[_Answer | OSError], object]) -> bool:
        """Do `work` that takes much memory, after all other of its kind; return False if too much waits already."""
        if self._waiting >= MAX_WAITING:
            return False
        self._waiting += 1

        def done(answer: _Answer | OSError) -> None:
            self._waiting -= 1
            then(answer)

        self._alone.submit(self._run, work, done)
        return True

    def small(self, key: str) -> Path:
        """Return where the small picture of a file is, if it has one."""
        return self.path(f"{key}.small")

    def path(self, key: str) -> Path:
        """Return where the bytes of a file are."""
        return self._folder / place_of(key)

    def draft(self, key: str) -> Path:
        """Return where they are written first."""
        return self._folder / "new" / key

    def delete(self, keys: Sequence[str]) -> None:
        """Delete files in a moment, and what was made of them; some may be gone already."""
        self.run(partial(self._delete, list(keys)), _log_failure)

    def _run(self, work: Callable[[], _Answer], then: Callable[[_Answer | OSError], object]) -> None:
        answer: _Answer | OSError
        try:
            answer = work()
        except OSError as error:
            answer = error
        except Exception as error:  # the thread's boundary: whoever waits for an answer gets one
            log.exception("a job failed")
            answer = OSError(type(error).__name__)
        self._call_soon(partial(then, answer))

    def _delete(self, keys: list[str]) -> None:
        for key in keys:
            self.path(key).unlink(missing_ok=True)
            self.small(key).unlink(missing_ok=True)


def place_of(key: str) -> Path:
    """Return where the bytes of a file are in the folder."""
    return Path(key[:2], key[2:])


class Draft:
    """A file that is being written. The methods block, and are called one after the other."""

    def __init__(self, disk: Disk, key: str) -> None:
        self._disk: Final = disk
        self._key: Final = key
        self._hash: Final = hashlib.sha256()
        self._descriptor = -1

    def write(self, pieces: Sequence[bytes]) -> None:
        """Write more of it.

        Raises:
            OSError: the disk is full, or worse.
        """
        if self._descriptor < 0:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            self._descriptor = os.open(self._disk.draft(self._key), flags, 0o600)
        for piece in pieces:
            self._hash.update(piece)
            view = memoryview(piece)
            while view:
                view = view[os.write(self._descriptor, view) :]

    def finish(self) -> bytes:
        """Put the whole file in its place, safe on the disk, and return its SHA-256.

        Raises:
            OSError: it is not.
        """
        os.fsync(self._descriptor)
        self._close()
        path = self._disk.path(self._key)
        path.parent.mkdir(exist_ok=True)
        self._disk.draft(self._key).replace(path)
        # The folder too, or the name may be lost with the power.
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return self._hash.digest()

    def drop(self) -> None:
        """Forget what was written."""
        self._close()
        self._disk.draft(self._key).unlink(missing_ok=True)

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class Reader:
    """A part of a file that is being read. The methods block, and are called one after the other."""

    def __init__(self, path: Path, start: int, size: int) -> None:
        self._path: Final = path
        self._at = start
        self._left = size
        self._descriptor = -1

    def read(self) -> bytes:
        """Return the next piece; nothing at the end.

        Raises:
            OSError: the file is not there, or ends too early.
        """
        if self._descriptor < 0:
            self._descriptor = os.open(self._path, os.O_RDONLY)
        data = os.pread(self._descriptor, min(CHUNK_BYTES, self._left), self._at)
        if not data and self._left:
            raise OSError("the file is shorter than it was")
        self._at += len(data)
        self._left -= len(data)
        return data

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _log_failure(answer: object) -> None:
    if isinstance(answer, OSError):
        log.error("files cannot be deleted", exc_info=answer)
