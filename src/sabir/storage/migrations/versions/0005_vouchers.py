"""Vouchers: invitations."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_Number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_CLUSTERED: dict[str, Any] = {"sqlite_strict": True, "sqlite_with_rowid": False}


def _number(name: str) -> sa.Column[Any]:
    return sa.Column(name, _Number, autoincrement=False, nullable=False)


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "vouchers",
        sa.Column("digest", sa.LargeBinary, primary_key=True, nullable=False),
        _number("account_id"),
        sa.Column("name", sa.Text, nullable=False),
        _number("uses"),
        _number("expires_ms"),
        _number("registers"),
        _number("befriends"),
        **_CLUSTERED,
    )
