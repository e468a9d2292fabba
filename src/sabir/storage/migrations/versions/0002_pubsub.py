"""Nodes, items and subscribers of pubsub."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_Number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_STRICT: dict[str, Any] = {"sqlite_strict": True}
_CLUSTERED: dict[str, Any] = {"sqlite_strict": True, "sqlite_with_rowid": False}


def _number(name: str, *, key: bool = False) -> sa.Column[Any]:
    return sa.Column(name, _Number, primary_key=key, autoincrement=False, nullable=False)


def _text(name: str, *, key: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Text, primary_key=key, nullable=False)


def _blob(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.LargeBinary, nullable=False)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "pubsub_nodes",
        _number("id", key=True),
        _number("owner_actor"),
        _text("name"),
        _text("access"),
        _blob("config"),
        sa.UniqueConstraint("owner_actor", "name", name="pubsub_nodes_name"),
        **_STRICT,
    )
    op.create_table(
        "pubsub_items",
        _number("node_id", key=True),
        _text("item_id", key=True),
        _number("publisher"),
        _blob("payload"),
        _number("at_ms"),
        _number("changed_seq"),
        **_CLUSTERED,
    )
    op.create_index("pubsub_items_changed", "pubsub_items", ["node_id", "changed_seq"])
    op.create_table(
        "pubsub_subscribers",
        _number("node_id", key=True),
        _text("jid", key=True),
        _text("state"),
        _text("affiliation"),
        **_CLUSTERED,
    )
