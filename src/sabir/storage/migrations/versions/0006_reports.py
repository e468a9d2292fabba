"""What people report of others."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_Number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the table of reports."""
    op.create_table(
        "reports",
        sa.Column("id", sa.LargeBinary, primary_key=True, nullable=False),
        sa.Column("at_ms", _Number, autoincrement=False, nullable=False),
        sa.Column("reporter", _Number, autoincrement=False, nullable=False),
        sa.Column("reported", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("messages", sa.LargeBinary, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
