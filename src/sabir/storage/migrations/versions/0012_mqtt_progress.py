"""How far MQTT clients are in the log on their chat topics."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

_Number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the columns."""
    op.add_column("mqtt_sessions", sa.Column("chat_seq", _Number, nullable=False, server_default="0"))
    op.add_column("mqtt_filters", sa.Column("since_seq", _Number, nullable=False, server_default="0"))
