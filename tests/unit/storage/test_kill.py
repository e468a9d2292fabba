"""SIGKILL at any moment: whatever was acknowledged is in the store, in order, dense, once."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from tests.support.chronicle import follow, read_page
from tests.support.loop import LoadedStore

from sabir.core.model.event import Event
from sabir.core.ports import PageQuery

ROOT: Final = Path(__file__).parents[3]
KILLS: Final = 5

# Commits batches for ever, and tells of each on its standard output once it was acknowledged.
PROGRAM: Final = """
import sys
from pathlib import Path
from sabir.storage.sqlite import indexing, pages, segment
from tests.support.chronicle import Chronicle
from tests.support.loop import LoadedStore

indexing.SEGMENT_ROWS = 40  # so that the index is at work when the end comes
indexing.STEP_ROWS = 16
indexing.ROWS_PER_STEP = 4
indexing.MERGE_RUNS = 3
pages.PAGE_ENTRIES = 8
segment.STRETCH = 4
opened = LoadedStore(Path(sys.argv[1]))
chronicle = Chronicle(opened)
heads = {row[0]: [row[1], row[3], row[4]] for row in opened.snapshot.heads}
chronicle.heads = {number: head for number, head in heads.items() if head[0]}
chronicle.boxes = {row.id: row.box_head for row in opened.snapshot.accounts if row.box_head}
chronicle.now_ms = max(chronicle.now_ms, opened.snapshot.last_ms) + 1
chronicle.ids._ms = chronicle.now_ms + 1
while True:
    batch = chronicle.batch()
    for number in range(23):
        chronicle.say(batch, (11, 12, 21)[number % 3], b"%d" % chronicle.seq, native_id=b"%d" % chronicle.seq)
    assert chronicle.commit(batch) is None
    for event in batch.events:
        print(event.seq, event.conversation_id, event.position, event.native.decode(), flush=False)
    sys.stdout.flush()
"""


def acknowledged_before_a_kill(folder: Path, after_lines: int) -> list[tuple[int, int, int, bytes]]:
    """Run the program, kill it after it has told so much, and return all that it told."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder)], stdout=subprocess.PIPE, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in range(after_lines)]
        process.send_signal(signal.SIGKILL)
        told += process.stdout.read().splitlines(keepends=True)
        assert process.wait(timeout=20) == -signal.SIGKILL
    rows = [line.split() for line in told if line.endswith(b"\n")]
    return [
        (int(seq), int(conversation), int(position), native) for seq, conversation, position, native in rows
    ]


@pytest.mark.parametrize("seed", range(2))
def test_a_killed_store_has_every_acknowledged_entry_in_order_and_once(tmp_path: Path, seed: int) -> None:
    chosen = random.Random(seed)
    acknowledged: list[tuple[int, int, int, bytes]] = []

    for _ in range(KILLS):
        acknowledged += acknowledged_before_a_kill(tmp_path / "data", chosen.randrange(1, 1500))

    opened = LoadedStore(tmp_path / "data")
    events = follow(opened, 0)
    stored = {event.seq: event for event in events}
    assert [row[0] for row in acknowledged] == sorted({row[0] for row in acknowledged})
    for seq, conversation, position, native in acknowledged:
        event = stored[seq]
        assert (event.conversation_id, event.position, event.native) == (conversation, position, native)
        assert opened.store.find_native("test", 1, native) == seq
    for conversation in (11, 12, 21):
        kept = [event for event in events if event.conversation_id == conversation]
        assert [event.position for event in kept] == list(range(1, len(kept) + 1))
        page = read_page(opened, PageQuery(conversation_id=conversation, limit=100_000))
        assert [event.seq for event in page.events] == [event.seq for event in kept]
    heads = {row[0]: row[1] for row in opened.snapshot.heads if row[1]}
    assert heads == {number: max_position(events, number) for number in (11, 12, 21)}
    opened.close()


def max_position(events: list[Event], conversation: int) -> int:
    return max(event.position for event in events if event.conversation_id == conversation)
