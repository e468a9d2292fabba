"""The first tables: the log, its index, accounts, conversations."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_Number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_STRICT: dict[str, Any] = {"sqlite_strict": True}
_CLUSTERED: dict[str, Any] = {"sqlite_strict": True, "sqlite_with_rowid": False}


def _number(name: str, *, key: bool = False) -> sa.Column[Any]:
    return sa.Column(name, _Number, primary_key=key, autoincrement=False, nullable=False)


def _text(name: str, *, key: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Text, primary_key=key, nullable=False)


def _blob(name: str, *, key: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.LargeBinary, primary_key=key, nullable=False)


def upgrade() -> None:
    """Make the tables, and the head of an empty log in its first generation."""
    _make_log()
    _make_index()
    _make_people()
    _make_conversations()
    op.execute("INSERT INTO log_head (shard, generation, seq, leaf, counted_seq) VALUES (0, 1, 0, 0, 0)")
    op.execute(
        "INSERT INTO log_generations (shard, generation, first_seq, reason, at_ms) VALUES (0, 1, 1, 'new', 0)"
    )


def _make_log() -> None:
    op.create_table(
        "log_head",
        _number("shard", key=True),
        _number("generation"),
        _number("seq"),
        _number("leaf"),
        _number("counted_seq"),
        **_STRICT,
    )
    op.create_table(
        "events",
        _number("seq", key=True),
        _blob("event_id"),
        _number("conversation_id"),
        _number("position"),
        _number("message_no"),
        _number("pts"),
        _number("leaf"),
        _number("actor_id"),
        _text("nick"),
        _number("kind"),
        _number("flags"),
        _number("target_seq"),
        _number("at_ms"),
        _number("expires_ms"),
        _text("protocol"),
        _blob("native_id"),
        _blob("boxes"),
        **_STRICT,
    )
    op.create_table(
        "bodies", _number("seq", key=True), _text("variant"), _blob("native"), _blob("leaf_salt"), **_STRICT
    )
    op.create_table(
        "log_generations",
        _number("shard", key=True),
        _number("generation", key=True),
        _number("first_seq"),
        _text("reason"),
        _number("at_ms"),
        **_CLUSTERED,
    )
    op.create_table("erasures", _number("seq", key=True), _blob("event_id"), **_STRICT)


def _make_index() -> None:
    op.create_table(
        "index_runs",
        _number("run", key=True),
        _number("level"),
        _number("first_seq"),
        _number("last_seq"),
        **_STRICT,
    )
    op.create_table(
        "index_pages",
        _number("run", key=True),
        _number("part", key=True),
        _blob("first", key=True),
        _blob("entries"),
        **_CLUSTERED,
    )


def _make_people() -> None:
    op.create_table(
        "accounts",
        _number("id", key=True),
        _blob("uuid"),
        _text("name"),
        _text("state"),
        _number("box_head"),
        _number("generation"),
        _number("delivered_seq"),
        _text("display"),
        _number("created_ms"),
        sa.UniqueConstraint("name", name="accounts_name"),
        **_STRICT,
    )
    op.create_table(
        "credentials",
        _number("account_id", key=True),
        _text("mechanism", key=True),
        _blob("verifier"),
        **_CLUSTERED,
    )
    op.create_table(
        "actors",
        _number("id", key=True),
        _text("kind"),
        _text("name"),
        sa.Column("account_id", _Number, nullable=True),
        _text("protocol"),
        _text("uri"),
        sa.UniqueConstraint("protocol", "uri", name="actors_uri"),
        **_STRICT,
    )
    op.create_table(
        "roster",
        _number("account_id", key=True),
        _number("actor_id", key=True),
        _text("name"),
        _blob("groups"),
        _number("flags"),
        _blob("request"),
        _number("changed_seq"),
        _number("gone"),
        **_CLUSTERED,
    )
    op.create_table(
        "blocks",
        _number("account_id", key=True),
        _text("name", key=True),
        _number("changed_seq"),
        _number("gone"),
        **_CLUSTERED,
    )
    op.create_table(
        "account_data",
        _number("account_id", key=True),
        _number("conversation_id", key=True),
        _text("type", key=True),
        _blob("value"),
        _number("changed_seq"),
        _number("gone"),
        **_CLUSTERED,
    )
    op.create_table(
        "reads",
        _number("account_id", key=True),
        _number("conversation_id", key=True),
        _text("thread", key=True),
        _text("kind", key=True),
        _number("position"),
        _number("message_no"),
        _number("at_ms"),
        _number("changed_seq"),
        _number("gone"),
        **_CLUSTERED,
    )
    op.create_table(
        "receipts",
        _number("conversation_id", key=True),
        _number("actor_id", key=True),
        _text("thread", key=True),
        _text("kind", key=True),
        _number("position"),
        _number("changed_seq"),
        _number("gone"),
        **_CLUSTERED,
    )


def _make_conversations() -> None:
    op.create_table(
        "conversations",
        _number("id", key=True),
        _blob("uuid"),
        _text("kind"),
        _text("name"),
        _text("authority"),
        _text("visibility"),
        _text("encryption"),
        _number("state_version"),
        _number("destroyed"),
        _number("party_lo"),
        _number("party_hi"),
        _number("generation"),
        _number("head_position"),
        _number("tail_position"),
        _number("message_no"),
        _number("pts"),
        _number("head_seq"),
        **_STRICT,
    )
    op.create_index(
        "conversations_party_hi", "conversations", ["party_hi"], sqlite_where=sa.text("party_hi > 0")
    )
    op.create_index(
        "conversations_party_lo", "conversations", ["party_lo"], sqlite_where=sa.text("party_lo > 0")
    )
    op.create_table(
        "members",
        _number("conversation_id", key=True),
        _number("actor_id", key=True),
        _text("membership"),
        _number("role"),
        _text("nick"),
        _number("durable"),
        _text("reason"),
        _number("since"),
        _number("changed_seq"),
        _number("gone"),
        **_CLUSTERED,
    )
    op.create_table(
        "member_spans",
        _number("conversation_id", key=True),
        _number("actor_id", key=True),
        _number("from_position", key=True),
        _number("to_position"),
        **_CLUSTERED,
    )
    op.create_table(
        "state",
        _number("conversation_id", key=True),
        _text("type", key=True),
        _text("key", key=True),
        _blob("value"),
        **_CLUSTERED,
    )
    op.create_table(
        "relations",
        _number("target_seq", key=True),
        _number("kind", key=True),
        _number("actor_id", key=True),
        _text("key", key=True),
        _number("seq"),
        **_CLUSTERED,
    )
