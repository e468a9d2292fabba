"""Which messages name a file."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

_Number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "media_refs",
        sa.Column("media_id", _Number, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("seq", _Number, primary_key=True, autoincrement=False, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("media_refs_seq", "media_refs", ["seq"])
    op.create_index("media_state", "media", ["state"])
