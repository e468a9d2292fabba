"""Keys that devices publish for encrypted sessions."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

_Number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_CLUSTERED: dict[str, Any] = {"sqlite_strict": True, "sqlite_with_rowid": False}


def _number(name: str, *, key: bool = False) -> sa.Column[Any]:
    return sa.Column(name, _Number, primary_key=key, autoincrement=False, nullable=False)


def _blob(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.LargeBinary, nullable=False)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "key_devices",
        _number("account_id", key=True),
        _number("device_id", key=True),
        _number("registration_id"),
        _blob("identity_key"),
        _number("signed_id"),
        _blob("signed_key"),
        _blob("signed_signature"),
        _number("signed_ms"),
        _number("kyber_id"),
        _blob("kyber_key"),
        _blob("kyber_signature"),
        _number("kyber_ms"),
        **_CLUSTERED,
    )
    op.create_table(
        "device_keys",
        *(_number(name, key=True) for name in ("account_id", "device_id", "kind", "key_id")),
        _blob("key"),
        _blob("signature"),
        sa.Column("taken_ms", _Number, nullable=False, server_default="0"),
        **_CLUSTERED,
    )
    free = ["account_id", "device_id", "kind", "key_id"]
    op.create_index("device_keys_free", "device_keys", free, sqlite_where=sa.text("taken_ms = 0"))
    op.create_index("device_keys_taken", "device_keys", ["taken_ms"], sqlite_where=sa.text("taken_ms > 0"))
    op.create_table(
        "key_changes", _number("account_id", key=True), _number("changed_seq"), sqlite_strict=True
    )
