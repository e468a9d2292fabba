"""The statements as SQL text, made once from the schema with SQLAlchemy Core, run by `sqlite3` itself.

SQLAlchemy's own execution costs several times the insert (LOGPATH), and its connections would be a second library
on one file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final, Generic, Protocol, TypeVar

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql import ClauseElement

from sabir.core.model import changes
from sabir.storage import schema

Row = TypeVar("Row", bound=changes.Change)

_DIALECT: Final = sqlite.dialect(paramstyle="qmark")
_NUMBERING: Final = ("changed_seq", "gone")
_ONE_TIME_KEY: Final = ("account_id", "device_id", "kind", "key_id")


def text_of(statement: ClauseElement) -> str:
    """Return a statement as SQL, its parameters as question marks in the order in which they were written."""
    return str(statement.compile(dialect=_DIALECT))


def in_list(column: sa.ColumnElement[int], name: str) -> sa.ColumnElement[bool]:
    """Return the condition that a column is in a list of any length, given by `listed`: one statement for all."""
    return column.in_(sa.select(sa.func.json_each(sa.bindparam(name)).table_valued("value").c.value))


def listed(numbers: Iterable[int]) -> str:
    """Return numbers as the parameter for `in_list`."""
    return f"[{','.join(map(str, numbers))}]"


def insert_into(table: sa.Table) -> str:
    """Return an INSERT of a whole row, values in the order of the columns."""
    return text_of(
        sa.insert(table).values({column.name: sa.bindparam(column.name) for column in table.columns})
    )


def insert_many(table: sa.Table, count: int) -> str:
    """Return an INSERT of many whole rows: half the cost of `executemany` where rows are short."""
    columns = ", ".join(table.columns.keys())
    row = f"({', '.join('?' * len(table.columns))})"
    return f"INSERT INTO {table.name} ({columns}) VALUES {', '.join([row] * count)}"


class Stored(Generic[Row]):
    """How changes of one kind become rows of a table, and rows changes."""

    def __init__(
        self,
        row: type[Row],
        table: sa.Table,
        *,
        kept: Sequence[str] = (),
        initial: dict[str, int] | None = None,
    ) -> None:
        """Make the statements.

        Args:
            row: its fields are columns.
            table: where it goes.
            kept: columns that are written when the row is new, and never after.
            initial: further columns of a new row.
        """
        self.row: Final = row
        self.table: Final = table
        names = [name for name in row.__struct_fields__ if name in table.c]
        self._keys = [column.name for column in table.primary_key]
        self._fields = [name for name in names if name not in _NUMBERING]
        types = msgspec.structs.fields(row)
        self._flags = frozenset(field.name for field in types if field.type is bool)
        self._packed = {
            field.name: field.type for field in types if field.name in ("groups", "options", "sub_ids")
        }
        insert = sqlite.insert(table).values(
            {name: sa.bindparam(name) for name in names}
            | {name: sa.literal_column(str(value)) for name, value in (initial or {}).items()}
        )
        updated = [name for name in names if name not in self._keys and name not in kept]
        put = insert.on_conflict_do_update(
            index_elements=self._keys, set_={name: insert.excluded[name] for name in updated or self._keys}
        ).compile(dialect=_DIALECT)
        self._put = str(put)
        self._order = [str(name) for name in put.positiontup or ()]
        # A row with `gone` stays, so that clients hear of it.
        self._remove = (
            None
            if "gone" in table.c
            else text_of(sa.delete(table).where(*(table.c[key] == sa.bindparam(key) for key in self._keys)))
        )

    def put(self, connection: sqlite3.Connection, change: changes.Change) -> None:
        """Store a change of this kind."""
        if change.gone and self._remove is not None:
            connection.execute(self._remove, [getattr(change, name) for name in self._keys])
        else:
            connection.execute(
                self._put,
                [
                    msgspec.msgpack.encode(getattr(change, name))
                    if name in self._packed
                    else getattr(change, name)
                    for name in self._order
                ],
            )

    def select(self, *where: sa.ColumnElement[bool], order: Sequence[sa.ColumnElement[object]] = ()) -> str:
        """Return a SELECT of rows that are there, to be read with `rows`."""
        present = (self.table.c.gone == sa.literal_column("0"),) if "gone" in self.table.c else ()
        columns = [self.table.c[name] for name in self._fields]
        return text_of(sa.select(*columns).where(*present, *where).order_by(*order))

    def rows(
        self, connection: sqlite3.Connection, select: str, parameters: Sequence[object] = ()
    ) -> list[Row]:
        """Return the rows that `select` finds."""
        found: list[Row] = []
        for values in connection.execute(select, parameters):
            fields = dict(zip(self._fields, values, strict=True))
            for name in self._flags & fields.keys():
                fields[name] = bool(fields[name])
            for name, kind in self._packed.items():
                fields[name] = msgspec.msgpack.decode(fields[name], type=kind)
            found.append(self.row(**fields))
        return found


class Forgetting:
    """How everything that is kept for one account alone is deleted (`ForgetAccount`)."""

    def __init__(self, *tables: sa.Table) -> None:
        """Make the statements; each table has the column `account_id`."""
        self._deletes: Final = [
            text_of(sa.delete(table).where(table.c.account_id == sa.bindparam("account"))) for table in tables
        ]
        actor = sa.select(schema.actors.c.id).where(schema.actors.c.account_id == sa.bindparam("account"))
        nodes = schema.pubsub_nodes.c
        owned = sa.select(nodes.id).where(nodes.owner_actor == actor.scalar_subquery())
        for table in (schema.pubsub_items, schema.pubsub_subscribers):
            self._deletes.append(text_of(sa.delete(table).where(table.c.node_id.in_(owned))))
        self._deletes.append(
            text_of(sa.delete(schema.pubsub_nodes).where(nodes.owner_actor == actor.scalar_subquery()))
        )

    def put(self, connection: sqlite3.Connection, change: changes.Change) -> None:
        """Delete what the account has."""
        assert isinstance(change, changes.ForgetAccount)
        for delete in self._deletes:
            connection.execute(delete, (change.account_id,))


class Put(Protocol):
    """Stores changes of one kind."""

    def put(self, connection: sqlite3.Connection, change: changes.Change) -> None:
        """Store a change, in the open transaction."""
        ...


class Clearing:
    """Deletes what belongs to a pubsub node: `NodeCleared`."""

    def __init__(self) -> None:
        """Make the statements."""
        node_id: sa.BindParameter[int] = sa.bindparam("node_id")
        self._items = text_of(sa.delete(schema.pubsub_items).where(schema.pubsub_items.c.node_id == node_id))
        self._subscribers = text_of(
            sa.delete(schema.pubsub_subscribers).where(schema.pubsub_subscribers.c.node_id == node_id)
        )

    def put(self, connection: sqlite3.Connection, change: changes.Change) -> None:
        """See `Put.put`."""
        assert isinstance(change, changes.NodeCleared)
        connection.execute(self._items, (change.node_id,))
        if change.subscribers:
            connection.execute(self._subscribers, (change.node_id,))


class Ending:
    """Stores a session of a broker, or deletes it with everything that belongs to it: `MqttSessionRow`."""

    def __init__(self) -> None:
        """Make the statements."""
        session_id: sa.BindParameter[int] = sa.bindparam("session_id")
        self._deletes: Final = [
            text_of(sa.delete(table).where(table.c.session_id == session_id))
            for table in (schema.mqtt_filters, schema.mqtt_queue, schema.mqtt_received)
        ]

    def put(self, connection: sqlite3.Connection, change: changes.Change) -> None:
        """See `Put.put`."""
        assert isinstance(change, changes.MqttSessionRow)
        MQTT_SESSIONS.put(connection, change)
        if change.gone:
            for delete in self._deletes:
                connection.execute(delete, (change.id,))


class Discarding:
    """Stores a file, or deletes it with what names it: `MediaRow`."""

    def __init__(self) -> None:
        """Make the statement."""
        media_id: sa.BindParameter[int] = sa.bindparam("media_id")
        self._delete: Final = text_of(
            sa.delete(schema.media_refs).where(schema.media_refs.c.media_id == media_id)
        )

    def put(self, connection: sqlite3.Connection, change: changes.Change) -> None:
        """See `Put.put`."""
        assert isinstance(change, changes.MediaRow)
        MEDIA.put(connection, change)
        if change.gone:
            connection.execute(self._delete, (change.id,))


class Taking:
    """Notes that a one-time prekey was handed out (`KeyTaken`)."""

    def __init__(self) -> None:
        """Make the statement."""
        column = schema.device_keys.c
        self._take: Final = text_of(
            sa.update(schema.device_keys)
            .values(
                key=sa.bindparam("nothing"), signature=sa.bindparam("nothing"), taken_ms=sa.bindparam("at")
            )
            .where(*(column[name] == sa.bindparam(f"{name}_") for name in _ONE_TIME_KEY))
        )

    def put(self, connection: sqlite3.Connection, change: changes.Change) -> None:
        """See `Put.put`."""
        assert isinstance(change, changes.KeyTaken)
        key = (change.account_id, change.device_id, change.kind, change.key_id)
        connection.execute(self._take, (b"", b"", change.taken_ms, *key))


class ClearingKeys:
    """Deletes the one-time prekeys of a device (`KeysCleared`)."""

    def __init__(self) -> None:
        """Make the statement."""
        column = schema.device_keys.c
        self._delete: Final = text_of(
            sa.delete(schema.device_keys).where(
                column.account_id == sa.bindparam("account"), column.device_id == sa.bindparam("device")
            )
        )

    def put(self, connection: sqlite3.Connection, change: changes.Change) -> None:
        """See `Put.put`."""
        assert isinstance(change, changes.KeysCleared)
        connection.execute(self._delete, (change.account_id, change.device_id))


class ForgettingTokens:
    """How the tokens of an account are deleted (`ForgetTokens`)."""

    def __init__(self) -> None:
        """Make the statement."""
        column = schema.credentials.c
        self._delete: Final = text_of(
            sa.delete(schema.credentials).where(
                column.account_id == sa.bindparam("account"),
                column.mechanism >= sa.bindparam("first"),
                column.mechanism < sa.bindparam("after"),
            )
        )

    def put(self, connection: sqlite3.Connection, change: changes.Change) -> None:
        """Delete them."""
        assert isinstance(change, changes.ForgetTokens)
        after = changes.TOKEN[:-1] + chr(ord(changes.TOKEN[-1]) + 1)
        connection.execute(self._delete, (change.account_id, changes.TOKEN, after))


ACCOUNTS: Final = Stored(changes.AccountRow, schema.accounts)
CREDENTIALS: Final = Stored(changes.CredentialRow, schema.credentials)
ACTORS: Final = Stored(changes.ActorRow, schema.actors)
CONVERSATIONS: Final = Stored(
    changes.ConversationRow,
    schema.conversations,
    kept=["generation"],  # it belongs to the counters, which move behind the log
    initial={"head_position": 0, "tail_position": 1, "message_no": 0, "pts": 0, "head_seq": 0},
)
MEMBERS: Final = Stored(changes.MemberRow, schema.members)
SPANS: Final = Stored(changes.SpanRow, schema.member_spans)
STATES: Final = Stored(changes.StateRow, schema.state)
RELATIONS: Final = Stored(changes.RelationRow, schema.relations)
CONTACTS: Final = Stored(changes.ContactRow, schema.roster)
BLOCKS: Final = Stored(changes.BlockRow, schema.blocks)
PEERS: Final = Stored(changes.PeerRow, schema.peers)
PEER_QUEUE: Final = Stored(changes.PeerQueueRow, schema.peer_queue)
DATA: Final = Stored(changes.DataRow, schema.account_data)
READS: Final = Stored(changes.ReadRow, schema.reads)
RECEIPTS: Final = Stored(changes.ReceiptRow, schema.receipts)
VOUCHERS: Final = Stored(changes.VoucherRow, schema.vouchers)
NODES: Final = Stored(changes.NodeRow, schema.pubsub_nodes)
ITEMS: Final = Stored(changes.ItemRow, schema.pubsub_items)
SUBSCRIBERS: Final = Stored(changes.SubscriberRow, schema.pubsub_subscribers)
REPORTS: Final = Stored(changes.ReportRow, schema.reports)
PUSHES: Final = Stored(changes.PushRow, schema.pushes)
MEDIA: Final = Stored(changes.MediaRow, schema.media)
MEDIA_REFS: Final = Stored(changes.MediaRefRow, schema.media_refs)
IMPORTS: Final = Stored(changes.ImportRow, schema.log_imports)
KEY_DEVICES: Final = Stored(changes.KeyDeviceRow, schema.key_devices)
ONE_TIME_KEYS: Final = Stored(changes.OneTimeKeyRow, schema.device_keys, kept=["key", "signature"])
KEY_CHANGES: Final = Stored(changes.KeyChangeRow, schema.key_changes)

MQTT_SESSIONS: Final = Stored(changes.MqttSessionRow, schema.mqtt_sessions)
MQTT_FILTERS: Final = Stored(changes.MqttFilterRow, schema.mqtt_filters)
MQTT_MESSAGES: Final = Stored(changes.MqttMessageRow, schema.mqtt_messages)
MQTT_QUEUE: Final = Stored(changes.MqttQueueRow, schema.mqtt_queue)
MQTT_RECEIVED: Final = Stored(changes.MqttReceivedRow, schema.mqtt_received)
MQTT_RETAINED: Final = Stored(changes.MqttRetainedRow, schema.mqtt_retained)

FORGETTING: Final = Forgetting(
    schema.credentials,
    schema.roster,
    schema.blocks,
    schema.account_data,
    schema.reads,
    schema.pushes,
    schema.key_devices,
    schema.device_keys,
    schema.key_changes,
)

STORED: Final[dict[type[changes.Change], Put]] = {
    changes.ForgetAccount: FORGETTING,
    changes.ForgetTokens: ForgettingTokens(),
    changes.NodeCleared: Clearing(),
    changes.MqttSessionRow: Ending(),
    changes.MediaRow: Discarding(),
    changes.KeyTaken: Taking(),
    changes.KeysCleared: ClearingKeys(),
    **{
        stored.row: stored
        for stored in (
            ACCOUNTS,
            CREDENTIALS,
            ACTORS,
            CONVERSATIONS,
            MEMBERS,
            SPANS,
            STATES,
            RELATIONS,
            CONTACTS,
            BLOCKS,
            PEERS,
            PEER_QUEUE,
            DATA,
            READS,
            RECEIPTS,
            REPORTS,
            NODES,
            ITEMS,
            SUBSCRIBERS,
            MQTT_FILTERS,
            MQTT_MESSAGES,
            MQTT_QUEUE,
            MQTT_RECEIVED,
            MQTT_RETAINED,
            PUSHES,
            VOUCHERS,
            MEDIA_REFS,
            IMPORTS,
            KEY_DEVICES,
            ONE_TIME_KEYS,
            KEY_CHANGES,
        )
    },
}
