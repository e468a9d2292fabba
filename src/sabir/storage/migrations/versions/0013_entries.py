"""Packs each entry of the log into one value, instead of two rows of columns (decision 25)."""

from collections.abc import Iterator
from typing import Any

import msgspec
import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

_STORED = """
    SELECT e.seq, e.event_id, e.conversation_id, e.position, e.message_no, e.pts, e.leaf, e.actor_id, e.nick,
        e.kind, e.flags, e.target_seq, coalesce(t.event_id, x''), e.at_ms, e.expires_ms, e.protocol, e.native_id,
        e.boxes, x.seq IS NOT NULL, b.variant, b.native, b.leaf_salt
    FROM skeletons e JOIN bodies b ON b.seq = e.seq
        LEFT JOIN skeletons t ON t.seq = e.target_seq LEFT JOIN erasures x ON x.seq = e.seq
    ORDER BY e.seq
"""
_BOXES = 17


def upgrade() -> None:
    """Copy the entries; what the old rows leave behind is wiped."""
    op.rename_table("events", "skeletons")
    op.create_table(
        "events",
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            primary_key=True,
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("entry", sa.LargeBinary, nullable=False),
        sqlite_strict=True,
    )
    connection: Any = op.get_bind().connection.driver_connection  # whole rows at a time, never all of them
    connection.execute("PRAGMA secure_delete=ON")
    connection.executemany("INSERT INTO events VALUES (?, ?)", _packed(connection.execute(_STORED)))
    op.drop_table("skeletons")
    op.drop_table("bodies")


def _packed(rows: Iterator[tuple[Any, ...]]) -> Iterator[tuple[int, bytes]]:
    for row in rows:
        entry = list(row[1:])
        boxes = entry[_BOXES - 1]
        entry[_BOXES - 1] = msgspec.msgpack.decode(boxes) if boxes else ()
        entry[_BOXES] = bool(entry[_BOXES])
        yield row[0], msgspec.msgpack.encode(entry)
