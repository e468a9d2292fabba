"""The tables, with the names and keys of the data model: what XMPP and IRC use of them.

Columns of a table of latest values are the fields of its row in `sabir.core.model.changes`. A number or text that
does not apply is 0 or empty, as in the core, so that no row is converted. The database is made by `migrations`; a
test holds both to be the same.
"""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa

VERSION: Final = "0014"
"""The migration that makes these tables."""

metadata: Final = sa.MetaData()

_Number: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_STRICT: Final[dict[str, Any]] = {"sqlite_strict": True}
# A key of several columns is the table itself: one B-tree to write, not two.
_CLUSTERED: Final[dict[str, Any]] = {"sqlite_strict": True, "sqlite_with_rowid": False}


def _number(name: str, *, key: bool = False) -> sa.Column[Any]:
    return sa.Column(name, _Number, primary_key=key, autoincrement=False, nullable=False)


def _text(name: str, *, key: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Text, primary_key=key, nullable=False)


def _blob(name: str, *, key: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.LargeBinary, primary_key=key, nullable=False)


# The log. The commit of a message writes these two only, and `events` only at its end.

log_head: Final = sa.Table(
    "log_head",
    metadata,
    _number("shard", key=True),
    _number("generation"),
    _number("seq"),
    _number("leaf"),
    _number("counted_seq"),
    **_STRICT,
)
"""`counted_seq`: up to where the counters of conversations and accounts are written."""

events: Final = sa.Table("events", metadata, _number("seq", key=True), _blob("entry"), **_STRICT)
"""Entries, each packed into one value (decision 25): `storage.sqlite.rows` says what it is made of."""

log_generations: Final = sa.Table(
    "log_generations",
    metadata,
    _number("shard", key=True),
    _number("generation", key=True),
    _number("first_seq"),
    _text("reason"),
    _number("at_ms"),
    **_CLUSTERED,
)

erasures: Final = sa.Table("erasures", metadata, _number("seq", key=True), _blob("event_id"), **_STRICT)
"""Entries whose body was erased here; told to a restored backup that still has them."""

log_imports: Final = sa.Table(
    "log_imports",
    metadata,
    _number("first_seq", key=True),
    _number("last_seq"),
    **_STRICT,
)
"""Stretches of the log that came with an import: in each, and between them, times and ids ascend."""

# The index of the log, written behind it in sorted runs. A run that `index_runs` does not list is not there.

index_runs: Final = sa.Table(
    "index_runs",
    metadata,
    _number("run", key=True),
    _number("level"),
    _number("first_seq"),
    _number("last_seq"),
    **_STRICT,
)

index_pages: Final = sa.Table(
    "index_pages",
    metadata,
    _number("run", key=True),
    _number("part", key=True),
    _blob("first", key=True),
    _blob("entries"),
    **_CLUSTERED,
)
"""Sorted entries, about a thousand to a row, `first` the first of them; `part` says what finds them, and `storage.
sqlite.pages` what they are made of."""

# Latest values. Those with `changed_seq` keep a row that is gone until every client has heard of it.

accounts: Final = sa.Table(
    "accounts",
    metadata,
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

credentials: Final = sa.Table(
    "credentials",
    metadata,
    _number("account_id", key=True),
    _text("mechanism", key=True),
    _blob("verifier"),
    **_CLUSTERED,
)

actors: Final = sa.Table(
    "actors",
    metadata,
    _number("id", key=True),
    _text("kind"),
    _text("name"),
    sa.Column("account_id", _Number, nullable=True),
    _text("protocol"),
    _text("uri"),
    sa.UniqueConstraint("protocol", "uri", name="actors_uri"),
    **_STRICT,
)

conversations: Final = sa.Table(
    "conversations",
    metadata,
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
    sa.Column("peer", _Number, nullable=False, server_default="0"),
    **_STRICT,
)
"""The six before the last are counters, written behind the log with its index; a row of the core never touches them."""

sa.Index("conversations_party_lo", conversations.c.party_lo, sqlite_where=conversations.c.party_lo > 0)
sa.Index("conversations_party_hi", conversations.c.party_hi, sqlite_where=conversations.c.party_hi > 0)

members: Final = sa.Table(
    "members",
    metadata,
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

member_spans: Final = sa.Table(
    "member_spans",
    metadata,
    _number("conversation_id", key=True),
    _number("actor_id", key=True),
    _number("from_position", key=True),
    _number("to_position"),
    **_CLUSTERED,
)

state: Final = sa.Table(
    "state",
    metadata,
    _number("conversation_id", key=True),
    _text("type", key=True),
    _text("key", key=True),
    _blob("value"),
    **_CLUSTERED,
)

vouchers: Final = sa.Table(
    "vouchers",
    metadata,
    _blob("digest", key=True),
    _number("account_id"),
    _text("name"),
    _number("uses"),
    _number("expires_ms"),
    _number("registers"),
    _number("befriends"),
    **_CLUSTERED,
)
"""Invitations that are not used up. What their holders show is not stored, only its digest."""

relations: Final = sa.Table(
    "relations",
    metadata,
    _number("target_seq", key=True),
    _number("kind", key=True),
    _number("actor_id", key=True),
    _text("key", key=True),
    _number("seq"),
    **_CLUSTERED,
)

roster: Final = sa.Table(
    "roster",
    metadata,
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
"""`groups` is MessagePack."""

blocks: Final = sa.Table(
    "blocks",
    metadata,
    _number("account_id", key=True),
    _text("name", key=True),
    _number("changed_seq"),
    _number("gone"),
    **_CLUSTERED,
)

peers: Final = sa.Table(
    "peers",
    metadata,
    _number("id", key=True),
    _text("domain"),
    _text("transport"),
    sa.UniqueConstraint("domain", "transport", name="peers_domain"),
    **_STRICT,
)

peer_queue: Final = sa.Table(
    "peer_queue",
    metadata,
    _number("peer_id", key=True),
    _number("n", key=True),
    _text("kind"),
    _blob("payload"),
    _number("expires_ms"),
    **_CLUSTERED,
)

account_data: Final = sa.Table(
    "account_data",
    metadata,
    _number("account_id", key=True),
    _number("conversation_id", key=True),
    _text("type", key=True),
    _blob("value"),
    _number("changed_seq"),
    _number("gone"),
    **_CLUSTERED,
)

pushes: Final = sa.Table(
    "pushes",
    metadata,
    _number("account_id", key=True),
    _text("protocol", key=True),
    _text("service", key=True),
    _text("node", key=True),
    _text("resource"),
    _blob("options"),
    _number("at_ms"),
    **_CLUSTERED,
)
"""How devices are woken. `options` is MessagePack."""

mqtt_sessions: Final = sa.Table(
    "mqtt_sessions",
    metadata,
    _number("id", key=True),
    _number("account_id"),
    _text("client_id"),
    _number("expiry_s"),
    _number("expires_ms"),
    sa.Column("will", sa.LargeBinary, nullable=False, server_default=sa.text("x''")),
    sa.Column("will_due_ms", _Number, nullable=False, server_default="0"),
    sa.Column("chat_seq", _Number, nullable=False, server_default="0"),
    sa.UniqueConstraint("account_id", "client_id", name="mqtt_sessions_client"),
    **_STRICT,
)

mqtt_filters: Final = sa.Table(
    "mqtt_filters",
    metadata,
    _number("session_id", key=True),
    _text("filter", key=True),
    _number("flags"),
    _number("sub_id"),
    sa.Column("since_seq", _Number, nullable=False, server_default="0"),
    **_CLUSTERED,
)

mqtt_messages: Final = sa.Table(
    "mqtt_messages",
    metadata,
    _number("id", key=True),
    _text("topic"),
    _blob("payload"),
    _blob("properties"),
    _number("qos"),
    _number("expires_ms"),
    **_STRICT,
)
"""Kept while something names them. `properties` are those of the packet, as they go on to subscribers."""

mqtt_queue: Final = sa.Table(
    "mqtt_queue",
    metadata,
    _number("session_id", key=True),
    _number("n", key=True),
    _number("message_id"),
    _number("qos"),
    _number("retain"),
    _number("released"),
    _blob("sub_ids"),
    _text("share"),
    **_CLUSTERED,
)
"""What waits for a client. The packet identifier follows from `n`. `sub_ids` is MessagePack."""

mqtt_received: Final = sa.Table(
    "mqtt_received",
    metadata,
    _number("session_id", key=True),
    _number("packet_id", key=True),
    **_CLUSTERED,
)

mqtt_retained: Final = sa.Table(
    "mqtt_retained",
    metadata,
    _text("topic", key=True),
    _number("message_id"),
    sa.Column("account_id", _Number, nullable=False, server_default="0"),
    **_CLUSTERED,
)

reads: Final = sa.Table(
    "reads",
    metadata,
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

receipts: Final = sa.Table(
    "receipts",
    metadata,
    _number("conversation_id", key=True),
    _number("actor_id", key=True),
    _text("thread", key=True),
    _text("kind", key=True),
    _number("position"),
    _number("changed_seq"),
    _number("gone"),
    **_CLUSTERED,
)

pubsub_nodes: Final = sa.Table(
    "pubsub_nodes",
    metadata,
    _number("id", key=True),
    _number("owner_actor"),
    _text("name"),
    _text("access"),
    _blob("config"),
    sa.UniqueConstraint("owner_actor", "name", name="pubsub_nodes_name"),
    **_STRICT,
)

pubsub_items: Final = sa.Table(
    "pubsub_items",
    metadata,
    _number("node_id", key=True),
    _text("item_id", key=True),
    _number("publisher"),
    _blob("payload"),
    _number("at_ms"),
    _number("changed_seq"),
    **_CLUSTERED,
)
"""An item that was taken back leaves no row: no client asks what is gone, and some publish without end."""

sa.Index("pubsub_items_changed", pubsub_items.c.node_id, pubsub_items.c.changed_seq)

pubsub_subscribers: Final = sa.Table(
    "pubsub_subscribers",
    metadata,
    _number("node_id", key=True),
    _text("jid", key=True),
    _text("state"),
    _text("affiliation"),
    **_CLUSTERED,
)

reports: Final = sa.Table(
    "reports",
    metadata,
    _blob("id", key=True),
    _number("at_ms"),
    _number("reporter"),
    _text("reported"),
    _text("reason"),
    _text("text"),
    _blob("messages"),
    **_CLUSTERED,
)

media: Final = sa.Table(
    "media",
    metadata,
    _number("id", key=True),
    _text("store_key"),
    _text("name"),
    _number("size"),
    _text("mime"),
    _blob("sha256"),
    _number("actor_id"),
    _number("at_ms"),
    _text("state"),
    sa.UniqueConstraint("store_key", name="media_store_key"),
    **_STRICT,
)
sa.Index("media_actor", media.c.actor_id)
sa.Index("media_at", media.c.at_ms)
sa.Index("media_sha256", media.c.sha256)
sa.Index("media_state", media.c.state)

media_refs: Final = sa.Table(
    "media_refs", metadata, _number("media_id", key=True), _number("seq", key=True), **_CLUSTERED
)
"""Which entries name a file; gone with their bodies."""
sa.Index("media_refs_seq", media_refs.c.seq)

key_devices: Final = sa.Table(
    "key_devices",
    metadata,
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

device_keys: Final = sa.Table(
    "device_keys",
    metadata,
    *(_number(name, key=True) for name in ("account_id", "device_id", "kind", "key_id")),
    _blob("key"),
    _blob("signature"),
    sa.Column("taken_ms", _Number, nullable=False, server_default="0"),
    **_CLUSTERED,
)
"""One-time prekeys. One that was handed out is empty, and its number taken, until `sweeping` deletes it."""
_FREE: Final = (device_keys.c.account_id, device_keys.c.device_id, device_keys.c.kind, device_keys.c.key_id)
sa.Index("device_keys_free", *_FREE, sqlite_where=device_keys.c.taken_ms == 0)
sa.Index("device_keys_taken", device_keys.c.taken_ms, sqlite_where=device_keys.c.taken_ms > 0)

key_changes: Final = sa.Table(
    "key_changes", metadata, _number("account_id", key=True), _number("changed_seq"), **_STRICT
)
