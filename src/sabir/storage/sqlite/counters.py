"""Counters of conversations and accounts: exact in the core's memory, written now and then far behind the log.

A conversation that had a hundred entries since is written once. What is not written yet is in the log, which is
counted again at start from `log_head.counted_seq` on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import sqlalchemy as sa

from sabir.core.log import GENERATION_GAP
from sabir.storage import schema
from sabir.storage.sqlite.segment import Head, Segment
from sabir.storage.sqlite.statements import text_of

MOST_ENTRIES: Final = 131_072
"""Entries to be counted at start, about: a third of a second."""
MOST_COUNTERS: Final = 16_384
"""Counters waiting to be written, about."""

Update = tuple[str, list[tuple[int, ...]]]

_c: Final = schema.conversations.c
_generation: Final[sa.BindParameter[int]] = sa.bindparam("generation")
_HEADS: Final = text_of(
    sa.update(schema.conversations)
    .where(_c.id == sa.bindparam("id"))
    .ordered_values(
        (_c.head_position, sa.func.max(_c.head_position, sa.bindparam("position"))),
        (_c.message_no, sa.func.max(_c.message_no, sa.bindparam("number"))),
        # As `core.log` numbers: the first entry of a generation jumps, whether `pts` counts it or not.
        (
            _c.pts,
            sa.func.max(
                _c.pts + sa.literal_column(str(GENERATION_GAP)) * (_generation - _c.generation),
                sa.bindparam("points"),
            ),
        ),
        (_c.head_seq, sa.bindparam("seq")),
        (_c.generation, _generation),
    )
)
_a: Final = schema.accounts.c
_BOXES: Final = text_of(
    sa.update(schema.accounts)
    .where(_a.id == sa.bindparam("account"))
    .ordered_values(
        (_a.box_head, sa.func.max(_a.box_head, sa.bindparam("box"))),
        (_a.generation, sa.func.max(_a.generation, _generation)),
    )
)
_COUNTED: Final = text_of(
    sa.update(schema.log_head)
    .where(schema.log_head.c.shard == sa.literal_column("0"))
    .values({"counted_seq": sa.bindparam("seq")})
)


class Counters:
    """The counters that are ahead of the tables, as of the end of the last segment taken in."""

    def __init__(self, generation: int) -> None:
        self.generation = generation
        self.heads: dict[int, Head] = {}
        self.boxes: dict[int, int] = {}
        self.seq = 0
        self.entries = 0

    def take_in(self, segment: Segment) -> None:
        """Count the entries of the next segment."""
        heads = self.heads
        for conversation_id, head in segment.heads.items():
            position, message_no, pts, seq = head
            if not (message_no and pts) and conversation_id in heads:
                _, last_no, last_pts, _ = heads[conversation_id]
                head = (position, message_no or last_no, pts or last_pts, seq)
            heads[conversation_id] = head
        self.boxes.update(segment.boxes)
        self.seq = segment.last_seq
        self.entries += segment.rows

    def is_due(self) -> bool:
        """Return whether they should be written."""
        return self.entries >= MOST_ENTRIES or len(self.heads) + len(self.boxes) >= MOST_COUNTERS

    def updates(self, size: int) -> Iterator[Update]:
        """Return statements and their parameters, `size` rows each, that bring the tables up to date.

        Each is right by itself, and right again when a crash lets it be repeated; the last says that all are done.
        """
        generation = self.generation
        heads: list[tuple[int, ...]] = [
            (position, message_no, generation, pts, seq, generation, conversation_id)
            for conversation_id, (position, message_no, pts, seq) in sorted(self.heads.items())
        ]
        boxes: list[tuple[int, ...]] = [
            (box, generation, account_id) for account_id, box in sorted(self.boxes.items())
        ]
        for statement, rows in ((_HEADS, heads), (_BOXES, boxes)):
            for at in range(0, len(rows), size):
                yield statement, rows[at : at + size]
        yield _COUNTED, [(self.seq,)]

    def written(self) -> None:
        """Start anew: the tables are up to date."""
        self.heads, self.boxes, self.entries = {}, {}, 0


def note_latest(latest: dict[int, int], segment: Segment) -> None:
    """Note the last log number of each conversation of the next segment."""
    for conversation_id, head in segment.heads.items():
        latest[conversation_id] = head[3]
