"""How devices are woken that are not connected."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the table of registrations."""
    op.create_table(
        "pushes",
        sa.Column("account_id", sa.Integer, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("protocol", sa.Text, primary_key=True, nullable=False),
        sa.Column("service", sa.Text, primary_key=True, nullable=False),
        sa.Column("node", sa.Text, primary_key=True, nullable=False),
        sa.Column("resource", sa.Text, nullable=False),
        sa.Column("options", sa.LargeBinary, nullable=False),
        sa.Column("at_ms", sa.Integer, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
