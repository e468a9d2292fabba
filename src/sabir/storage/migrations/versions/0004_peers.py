"""Other servers, what waits for them, and direct conversations with their people."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_Number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _number(name: str, *, key: bool = False) -> sa.Column[Any]:
    return sa.Column(name, _Number, primary_key=key, autoincrement=False, nullable=False)


def upgrade() -> None:
    """Make the tables, and the column of the party who is of another server."""
    op.create_table(
        "peers",
        _number("id", key=True),
        sa.Column("domain", sa.Text, nullable=False),
        sa.Column("transport", sa.Text, nullable=False),
        sa.UniqueConstraint("domain", "transport", name="peers_domain"),
        sqlite_strict=True,
    )
    op.create_table(
        "peer_queue",
        _number("peer_id", key=True),
        _number("n", key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        _number("expires_ms"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.add_column("conversations", sa.Column("peer", _Number, nullable=False, server_default="0"))
