"""What an MQTT broker keeps: sessions, what waits in them, retained messages."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_Number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _number(name: str, *, key: bool = False) -> sa.Column[Any]:
    return sa.Column(name, _Number, primary_key=key, autoincrement=False, nullable=False)


def _text(name: str, *, key: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Text, primary_key=key, nullable=False)


def _blob(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.LargeBinary, nullable=False)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "mqtt_sessions",
        _number("id", key=True),
        _number("account_id"),
        _text("client_id"),
        _number("expiry_s"),
        _number("expires_ms"),
        sa.UniqueConstraint("account_id", "client_id", name="mqtt_sessions_client"),
        sqlite_strict=True,
    )
    op.create_table(
        "mqtt_messages",
        _number("id", key=True),
        _text("topic"),
        _blob("payload"),
        _blob("properties"),
        _number("qos"),
        _number("expires_ms"),
        sqlite_strict=True,
    )
    for name, columns in (
        (
            "mqtt_filters",
            (_number("session_id", key=True), _text("filter", key=True), _number("flags"), _number("sub_id")),
        ),
        (
            "mqtt_queue",
            (
                _number("session_id", key=True),
                _number("n", key=True),
                _number("message_id"),
                _number("qos"),
                _number("retain"),
                _number("released"),
                _blob("sub_ids"),
                _text("share"),
            ),
        ),
        ("mqtt_received", (_number("session_id", key=True), _number("packet_id", key=True))),
        ("mqtt_retained", (_text("topic", key=True), _number("message_id"))),
    ):
        op.create_table(name, *columns, sqlite_strict=True, sqlite_with_rowid=False)
