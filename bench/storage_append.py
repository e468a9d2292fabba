"""What an append costs: CPU of the whole process per row, commit latency, start-up, a page; at any size of the log.

    python -m bench.storage_append --rows 1000000 --batch 45 --measure 50000

Rows are spread over conversations uniformly and carry a random native id: the worst case for an index.
"""

from __future__ import annotations

import argparse
import gc
import os
import queue
import random
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import accumulate
from pathlib import Path

from sabir.base.ids import EventIds
from sabir.core.model.changes import AccountRow, ActorRow, ConversationRow
from sabir.core.model.event import Event
from sabir.core.ports import Batch, PageQuery, StoreError
from sabir.storage.config import StorageConfig
from sabir.storage.lock import acquire
from sabir.storage.sqlite.store import SqliteStore

ACCOUNTS = 3000
PAYLOAD = b" from='user%d@localhost/x' type='chat' id='%d'><body>%s</body></message>"
WORDS = 30
"""Of one message; the n-th of `VOCABULARY` words is about 1/n as frequent as the first, as in any language."""
VOCABULARY = 20_000


def word_of(number: int) -> bytes:
    """Return the n-th word of the vocabulary, made of syllables."""
    word = b""
    while number:
        number, rest = divmod(number, 25)
        word += b"bcdfghjklmnpqrstvwxyzbcdf"[rest : rest + 1] + b"aeiou"[rest % 5 : rest % 5 + 1]
    return word + b"n"


class Filler:
    """Makes batches as `core.log` does, and hands them in one at a time."""

    def __init__(self, directory: Path, conversations: int, *, rooms: bool) -> None:
        self._lock = acquire(directory)
        self._answers: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self.store = SqliteStore(self._lock, StorageConfig(), self._answers.put)
        started = time.perf_counter()
        snapshot = self.store.load()
        self.load_s = time.perf_counter() - started
        self._ids = EventIds(os.urandom)
        self._random = random.Random(7)
        self._rooms = rooms
        self._conversations = conversations
        self.generation, self._seq, self._leaf = snapshot.generation, snapshot.seq, snapshot.leaf
        self._now_ms = max(snapshot.last_ms, 1_700_000_000_000)
        self._heads = {row[0]: row[1] for row in snapshot.heads}
        self._boxes = {account.id: account.box_head for account in snapshot.accounts}
        self._vocabulary = [word_of(n) for n in range(1, VOCABULARY + 1)]
        self._weights = list(accumulate(1 / n for n in range(1, VOCABULARY + 1)))
        self.latencies: list[float] = []
        if not self._heads:
            self._found()

    def close(self) -> None:
        self.store.close()
        self._lock.release()

    def commit(self, batch: Batch) -> None:
        """Append a batch and wait for the answer."""
        failed: list[StoreError] = []
        started = time.perf_counter()
        self.store.append(batch, lambda _, error: failed.append(error) if error else None)
        self._answers.get()()
        self.latencies.append(time.perf_counter() - started)
        if failed:
            raise failed[0]

    def wait(self) -> None:
        """Take one answer."""
        self._answers.get()()

    def batches(self, rows: int, size: int) -> Iterator[Batch]:
        """Make batches of messages."""
        for at in range(0, rows, size):
            batch = Batch(self.generation, self._seq + 1)
            self._now_ms += 5
            for _ in range(min(size, rows - at)):
                self._add(batch)
            batch.last_seq, batch.last_leaf = self._seq, self._leaf
            yield batch

    def parties(self, conversation: int) -> tuple[int, int]:
        """Return the two accounts of a direct conversation."""
        one = conversation % ACCOUNTS
        return one + 1, (one + 1 + conversation // ACCOUNTS) % ACCOUNTS + 1

    def _add(self, batch: Batch) -> None:
        conversation = self._random.randrange(self._conversations) + 1
        one, other = self.parties(conversation)
        self._seq += 1
        self._leaf += 1
        head = self._heads[conversation] = self._heads[conversation] + 1
        native = PAYLOAD % (one, self._seq, self._text())
        event = Event(
            self._seq,
            self._ids.next(self._now_ms),
            conversation,
            head,
            head,
            head,
            self._leaf,
            one,
            "ada",
            1,
            1,
            0,
            b"",
            self._now_ms,
            0,
            "xmpp",
            native,
            self._random.randbytes(32),
        )
        event.native_id = self._random.randbytes(18)
        if not self._rooms:
            boxes = []
            for account in (one, other):
                box = self._boxes[account] = self._boxes[account] + 1
                boxes.append((account, box))
            event.boxes = tuple(boxes)
        batch.events.append(event)
        batch.size_bytes += len(native) + 64

    def _text(self) -> bytes:
        return b" ".join(self._random.choices(self._vocabulary, cum_weights=self._weights, k=WORDS))

    def _found(self) -> None:
        batch = Batch(self.generation, 1)
        for number in range(1, ACCOUNTS + 1):
            name = f"user{number}"
            self._boxes[number] = 0
            batch.changes.append(
                ActorRow(id=number, kind="local", name=name, account_id=number, protocol="local", uri=name)
            )
            batch.changes.append(
                AccountRow(
                    id=number,
                    uuid=os.urandom(16),
                    name=name,
                    state="active",
                    box_head=0,
                    generation=1,
                    delivered_seq=0,
                    display="",
                    created_ms=1,
                )
            )
        for number in range(1, self._conversations + 1):
            self._heads[number] = 0
            low, high = sorted(self.parties(number))
            batch.changes.append(
                ConversationRow(
                    id=number,
                    uuid=os.urandom(16),
                    kind="room" if self._rooms else "direct",
                    name=f"room{number}",
                    authority="hosted",
                    visibility="shared",
                    encryption="",
                    state_version=0,
                    generation=1,
                    destroyed=False,
                    party_lo=0 if self._rooms else low,
                    party_hi=0 if self._rooms else high,
                )
            )
        self._seq = batch.last_seq = len(batch.changes)
        self.commit(batch)


def quantile(values: list[float], part: float) -> float:
    """Return a quantile, in milliseconds."""
    ordered = sorted(values)
    return 1000 * ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else 0.0


def measure(filler: Filler, rows: int, size: int) -> str:
    """Append prepared batches, and say what a row cost."""
    batches = list(filler.batches(rows, size))
    gc.collect()
    gc.freeze()
    filler.latencies.clear()
    cpu, started = time.process_time(), time.perf_counter()
    for batch in batches:
        filler.commit(batch)
    busy = time.process_time() - cpu
    wall = time.perf_counter() - started
    return (
        f"batch {size:4}: {1e6 * busy / rows:6.2f} us of CPU a row, {rows / wall:8.0f} rows/s, "
        f"commit p50 {quantile(filler.latencies, 0.5):.2f} p99 {quantile(filler.latencies, 0.99):.2f} ms"
    )


def pages(filler: Filler, conversations: int, account: bool) -> str:
    """Read the last 50 entries of random conversations or mailboxes."""
    chosen = random.Random(3)
    times: list[float] = []
    for _ in range(300):
        if account:
            query = PageQuery(account_id=chosen.randrange(ACCOUNTS) + 1, newest=True)
        else:
            query = PageQuery(conversation_id=chosen.randrange(conversations) + 1, newest=True)
        started = time.perf_counter()
        filler.store.page(query, lambda page: None)
        filler.wait()
        times.append(time.perf_counter() - started)
    what = "mailbox" if account else "conversation"
    return f"last 50 of a {what}: p50 {quantile(times, 0.5):.2f} p99 {quantile(times, 0.99):.2f} ms"


def main() -> None:
    """Fill a store, then measure it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of the store (kept); else a temporary one")
    parser.add_argument("--rows", type=int, default=1_000_000, help="messages stored before measuring")
    parser.add_argument("--conversations", type=int, default=10_000)
    parser.add_argument("--measure", type=int, default=100_000, help="messages appended while measuring")
    parser.add_argument("--batch", type=int, nargs="+", default=[45, 300])
    parser.add_argument("--rooms", action="store_true", help="rooms instead of direct conversations")
    options = parser.parse_args()
    gc.set_threshold(100_000, 50, 100)  # as the server does
    with tempfile.TemporaryDirectory() as temporary:
        directory = options.data or Path(temporary)
        filler = Filler(directory, options.conversations, rooms=options.rooms)
        started, cpu = time.perf_counter(), time.process_time()
        for batch in filler.batches(options.rows, 4000):
            filler.commit(batch)
        if options.rows:
            wall, busy = time.perf_counter() - started, time.process_time() - cpu
            print(
                f"filled: {options.rows / wall:.0f} rows/s, {1e6 * busy / options.rows:.2f} us of CPU a row"
            )
        for size in options.batch:
            print(measure(filler, options.measure, size))
        print(pages(filler, options.conversations, account=False))
        if not options.rooms:
            print(pages(filler, options.conversations, account=True))
        filler.close()
        filler = Filler(directory, options.conversations, rooms=options.rooms)
        print(
            f"load: {filler.load_s:.2f} s, memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MiB"
        )
        filler.close()


if __name__ == "__main__":
    main()
