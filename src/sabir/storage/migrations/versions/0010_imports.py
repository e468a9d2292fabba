"""Which stretches of the log came with an import."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_Number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "log_imports",
        sa.Column("first_seq", _Number, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("last_seq", _Number, autoincrement=False, nullable=False),
        sqlite_strict=True,
    )
