"""Wills of MQTT sessions, and whose the retained messages are."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_Number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the columns."""
    op.add_column(
        "mqtt_sessions", sa.Column("will", sa.LargeBinary, nullable=False, server_default=sa.text("x''"))
    )
    op.add_column("mqtt_sessions", sa.Column("will_due_ms", _Number, nullable=False, server_default="0"))
    op.add_column("mqtt_retained", sa.Column("account_id", _Number, nullable=False, server_default="0"))
