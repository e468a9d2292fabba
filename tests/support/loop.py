"""A loop for tests of everything that is built on the core: no sockets, no sleep, time that is told to move.

It waits for the threads of a store only while the store owes an answer, so a test ends as soon as it can.
"""

from __future__ import annotations

import heapq
import queue
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from sabir.storage.config import StorageConfig
from sabir.storage.lock import DataLock, acquire
from sabir.storage.sqlite.store import SqliteStore

START_MS = 1_700_000_000_000
PATIENCE_S = 30.0


class Owing(Protocol):
    owed: int


class Timer:
    """See `sabir.core.ports.Handle`."""

    def __init__(self, due_ms: int, order: int, callback: Callable[[], object]) -> None:
        self.due_ms = due_ms
        self.order = order
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        self.callback = None

    def __lt__(self, other: Timer) -> bool:
        return (self.due_ms, self.order) < (other.due_ms, other.order)


class TestLoop:
    """`sabir.core.ports.Scheduler` and `Clock`, run by `run()` until nothing is left to do."""

    __test__ = False

    def __init__(self, now_ms: int = START_MS) -> None:
        self._now_ms = now_ms
        self._ready: deque[Callable[[], object]] = deque()
        self._from_threads: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._timers: list[Timer] = []
        self._order = 0
        self._stores: list[Owing] = []

    def now_ms(self) -> int:
        return self._now_ms

    def soon(self, callback: Callable[[], object]) -> object:
        self._ready.append(callback)
        return None

    def shortly(self, callback: Callable[[], object]) -> object:
        return self.soon(callback)

    def later(self, delay_ms: int, callback: Callable[[], object]) -> Timer:
        self._order += 1
        timer = Timer(self._now_ms + delay_ms, self._order, callback)
        heapq.heappush(self._timers, timer)
        return timer

    def call_soon_threadsafe(self, callback: Callable[[], object]) -> None:
        self._from_threads.put(callback)

    def wait_for(self, store: Owing) -> None:
        """Let `run` wait for the answers of `store`."""
        self._stores.append(store)

    def run(self) -> None:
        """Run callbacks until there are none, and no store owes an answer."""
        while True:
            while self._ready:
                self._ready.popleft()()
            try:
                callback = self._from_threads.get_nowait()
            except queue.Empty:
                if not any(store.owed for store in self._stores):
                    return
                callback = self._from_threads.get(timeout=PATIENCE_S)
            callback()

    def turn(self) -> None:
        """Run what is ready now, once, and wait for nothing."""
        for _ in range(len(self._ready)):
            self._ready.popleft()()
        while not self._from_threads.empty():
            self._from_threads.get_nowait()()

    def advance(self, delay_ms: int) -> None:
        """Let time pass: timers that fall due are run in their order, and all that follows from them."""
        end = self._now_ms + delay_ms
        self.run()
        while self._timers and self._timers[0].due_ms <= end:
            timer = heapq.heappop(self._timers)
            self._now_ms = max(self._now_ms, timer.due_ms)
            if timer.callback is not None:
                timer.callback()
            self.run()
        self._now_ms = end


class OpenStore:
    """A store in a folder of its own, with the loop that it answers on."""

    def __init__(
        self, directory: Path, loop: TestLoop | None = None, config: StorageConfig | None = None
    ) -> None:
        self.directory = directory
        self.loop = loop or TestLoop()
        self._config = config or StorageConfig()
        self.lock: DataLock = acquire(directory)
        self.store = SqliteStore(self.lock, self._config, self.loop.call_soon_threadsafe)
        self.loop.wait_for(self.store)

    def close(self) -> None:
        """Close the store as a server that stops does."""
        self.store.close()
        self.loop.run()
        self.lock.release()


class LoadedStore(OpenStore):
    """A store that has been loaded, for tests without a core."""

    def __init__(
        self, directory: Path, loop: TestLoop | None = None, config: StorageConfig | None = None
    ) -> None:
        super().__init__(directory, loop, config)
        self.snapshot = self.store.load()
