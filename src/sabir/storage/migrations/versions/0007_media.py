"""Files that people share."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_Number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_STRICT: dict[str, Any] = {"sqlite_strict": True}


def _number(name: str, *, key: bool = False) -> sa.Column[Any]:
    return sa.Column(name, _Number, primary_key=key, autoincrement=False, nullable=False)


def _text(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Text, nullable=False)


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "media",
        _number("id", key=True),
        _text("store_key"),
        _text("name"),
        _number("size"),
        _text("mime"),
        sa.Column("sha256", sa.LargeBinary, nullable=False),
        _number("actor_id"),
        _number("at_ms"),
        _text("state"),
        sa.UniqueConstraint("store_key", name="media_store_key"),
        **_STRICT,
    )
    op.create_index("media_actor", "media", ["actor_id"])
    op.create_index("media_at", "media", ["at_ms"])
    op.create_index("media_sha256", "media", ["sha256"])
