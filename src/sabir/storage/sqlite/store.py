"""The store as the core sees it: `sabir.core.ports.LogStore`.

Point look-ups run at once, on a connection of the core's thread; pages run in a few threads that only read; batches
go to the writer. Answers of the last two come by `call_soon`.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import Final, TypeVar

import sqlalchemy as sa

from sabir.core.model.changes import (
    ERASED,
    CredentialRow,
    ItemRow,
    MediaRow,
    PeerQueueRow,
    ReadRow,
    RelationRow,
    ReportRow,
)
from sabir.core.model.event import Event
from sabir.core.ports import Batch, KeyStore, Nodes, Page, PageQuery, Snapshot, StoreError, TextIndex
from sabir.storage import migrations, schema
from sabir.storage.config import StorageConfig
from sabir.storage.lock import DataLock
from sabir.storage.sqlite import connections, reading, rows, snapshots, statements
from sabir.storage.sqlite.erasing import Erasing
from sabir.storage.sqlite.indexing import Indexing
from sabir.storage.sqlite.keys import KeyReading
from sabir.storage.sqlite.segment import Segment
from sabir.storage.sqlite.statements import text_of
from sabir.storage.sqlite.texts import Texts
from sabir.storage.sqlite.writer import CallSoon, Writer

log = logging.getLogger(__name__)

RETRY_S: Final = 1.0
"""After a read that failed."""

FOLLOWED_BYTES: Final = 256 << 10
"""Bodies read at a time for a reader that does not keep up: what they cost is the memory of a slow client."""

_Answer = TypeVar("_Answer")

_credentials: Final = schema.credentials.c
_CREDENTIAL: Final = text_of(
    sa.select(_credentials.verifier).where(
        _credentials.account_id == sa.bindparam("account_id"),
        _credentials.mechanism == sa.bindparam("mechanism"),
    )
)
_CREDENTIALS_OF: Final = statements.CREDENTIALS.select(_credentials.account_id == sa.bindparam("account_id"))
_data: Final = schema.account_data.c
_DATA: Final = text_of(
    sa.select(_data.value).where(
        _data.account_id == sa.bindparam("account_id"),
        _data.conversation_id == sa.bindparam("conversation_id"),
        _data.type == sa.bindparam("type"),
        _data.gone == sa.literal_column("0"),
    )
)
_DATA_TYPES: Final = text_of(
    sa.select(_data.type)
    .where(
        _data.account_id == sa.bindparam("account_id"),
        _data.conversation_id == sa.literal_column("0"),
        _data.gone == sa.literal_column("0"),
    )
    .order_by(_data.type)
)
_DATA_OF_TYPE: Final = text_of(
    sa.select(_data.account_id, _data.value)
    .where(
        _data.conversation_id == sa.literal_column("0"),
        _data.type == sa.bindparam("type"),
        _data.gone == sa.literal_column("0"),
    )
    .order_by(_data.account_id)
)
_DATA_SIZE: Final = text_of(
    sa.select(sa.func.count(), sa.func.total(sa.func.length(_data.value))).where(
        _data.account_id == sa.bindparam("account_id"), _data.gone == sa.literal_column("0")
    )
)
_items: Final = schema.pubsub_items.c
_nodes: Final = schema.pubsub_nodes.c
_OWNER: Final[sa.BindParameter[int]] = sa.bindparam("owner_actor")
_OWNED: Final = sa.select(_nodes.id).where(_nodes.owner_actor == _OWNER)
_NODES: Final = statements.NODES.select(_nodes.owner_actor == _OWNER, order=[_nodes.id])
_ITEM_INDEX: Final = text_of(
    sa.select(_items.node_id, _items.item_id, sa.func.length(_items.payload))
    .where(_items.node_id.in_(_OWNED))
    .order_by(_items.changed_seq)
)
_SUBSCRIBERS: Final = statements.SUBSCRIBERS.select(schema.pubsub_subscribers.c.node_id.in_(_OWNED))
_ITEM: Final = statements.ITEMS.select(
    _items.node_id == sa.bindparam("node_id"), _items.item_id == sa.bindparam("item_id")
)
_media: Final = schema.media.c
_MEDIA: Final = statements.MEDIA.select(_media.store_key == sa.bindparam("store_key"))
_MEDIA_BYTES: Final = text_of(
    sa.select(sa.func.coalesce(sa.func.sum(_media.size), sa.literal_column("0"))).where(
        _media.actor_id == sa.bindparam("actor_id")
    )
)
_MEDIA_OF: Final = (
    statements.MEDIA.select(_media.actor_id == sa.bindparam("actor_id"), order=[_media.id]) + " LIMIT ?"
)
_MEDIA_BEFORE: Final = (
    statements.MEDIA.select(_media.at_ms < sa.bindparam("at_ms"), order=[_media.at_ms]) + " LIMIT ?"
)
_MEDIA_ERASED: Final = statements.MEDIA.select(_media.state == sa.bindparam("state")) + " LIMIT ?"
_queue: Final = schema.peer_queue.c
_PEER_QUEUE: Final = (
    statements.PEER_QUEUE.select(
        _queue.peer_id == sa.bindparam("peer_id"), _queue.n > sa.bindparam("n"), order=(_queue.n,)
    )
    + " LIMIT ?"
)
_READS: Final = statements.READS.select(schema.reads.c.account_id == sa.bindparam("account_id"))

# Ids ascend with time.
_REPORTS: Final = statements.REPORTS.select(order=[schema.reports.c.id.desc()]) + " LIMIT ?"


class SqliteStore:
    """The log and the tables of latest values in one database file of a locked data folder."""

    def __init__(self, lock: DataLock, config: StorageConfig, call_soon: CallSoon) -> None:
        """Open the store, making or migrating the database; `load` must follow, and `close` at the end.

        Args:
            lock: of the data folder, from `sabir.storage.lock.acquire`; it stays the caller's to release.
            config: the settings.
            call_soon: calls a function on the core's thread, from any other, never at once.

        Raises:
            OSError: the files cannot be made.
            sqlite3.Error: this is not a database, or it cannot be read.
        """
        self._directory = lock.directory
        self._path = lock.directory / connections.FILE_NAME
        self._config = config
        self._call_soon = call_soon
        connections.create(self._path)
        migrations.upgrade(self._path)
        self._connection = connections.open_reader(self._path, config)
        self.keys: KeyStore = KeyReading(self._connection)
        self._closing = threading.Event()
        self._of_thread = threading.local()
        self._pool = ThreadPoolExecutor(config.readers, "sabir-reader", initializer=self._connect_thread)
        self.texts: TextIndex | None = None
        self._texts: Texts | None = None
        self._indexing: Indexing | None = None
        self._writer: Writer | None = None
        self.owed = 0
        """Answers still to come, of `append`, `page` and `follow`."""

    def close(self) -> None:
        """Write what was handed in, then close the files. What is still owed was handed to `call_soon` by then."""
        self._closing.set()
        if self._writer is not None:
            self._writer.stop()
        if self._texts is not None:
            self._texts.close()
        self._pool.shutdown()
        self._connection.close()

    def load(self) -> Snapshot:
        """See `LogStore.load`."""
        recent = snapshots.Recent(self._connection)
        snapshot = snapshots.snapshot(self._connection, recent)
        self._indexing = Indexing(recent.counters, recent.segments, recent.latest)
        if self._config.search:
            self.texts = self._texts = self._open_texts()
        self._writer = Writer(
            self._path,
            self._config,
            self._indexing,
            Erasing(self._directory),
            self._call_soon,
            _ignore if self._texts is None else self._texts.erase,
        )
        return snapshot

    def append(self, batch: Batch, done: Callable[[Batch, StoreError | None], None]) -> None:
        """See `LogStore.append`."""
        assert self._writer is not None, "load() comes first"
        self.owed += 1
        self._writer.submit(batch, partial(self._appended, done))

    def event_at(self, seq: int) -> Event | None:
        """See `LogStore.event_at`."""
        return rows.event_at(self._connection, seq)

    def find_event(self, event_id: bytes) -> Event | None:
        """See `LogStore.find_event`."""
        return reading.find_event(self._connection, event_id)

    def find_native(self, protocol: str, actor_id: int, native_id: bytes) -> int:
        """See `LogStore.find_native`."""
        return reading.find_native(self._connection, self._segments(), protocol, actor_id, native_id)

    def relations_of(self, seqs: Iterable[int]) -> list[RelationRow]:
        """See `LogStore.relations_of`."""
        return reading.relations_of(self._connection, list(seqs))

    def page(self, query: PageQuery, then: Callable[[Page], None]) -> None:
        """See `LogStore.page`."""
        # The segments as of now: whatever was acknowledged is in them or on disk.
        segments = self._segments()
        self._read(lambda connection: reading.page(connection, segments, query), then)

    def follow(self, after_seq: int, limit: int, then: Callable[[list[Event]], None]) -> None:
        """See `LogStore.follow`."""
        self._read(lambda connection: rows.events_after(connection, after_seq, limit, FOLLOWED_BYTES), then)

    def credential(self, account_id: int, mechanism: str) -> bytes | None:
        """See `LogStore.credential`."""
        row = self._connection.execute(_CREDENTIAL, (account_id, mechanism)).fetchone()
        return None if row is None else bytes(row[0])

    def credentials(self, account_id: int) -> list[CredentialRow]:
        """See `LogStore.credentials`."""
        return statements.CREDENTIALS.rows(self._connection, _CREDENTIALS_OF, (account_id,))

    def data(self, account_id: int, conversation_id: int, type: str) -> bytes | None:
        """See `LogStore.data`."""
        row = self._connection.execute(_DATA, (account_id, conversation_id, type)).fetchone()
        return None if row is None else bytes(row[0])

    def scan_data(
        self, type: str, take: Callable[[int, bytes], bool], limit: int, then: Callable[[list[int]], None]
    ) -> None:
        """See `LogStore.scan_data`."""

        def read(connection: sqlite3.Connection) -> list[int]:
            rows = connection.execute(_DATA_OF_TYPE, (type,))
            return list(islice((account for account, value in rows if take(account, bytes(value))), limit))

        self._read(read, then)

    def data_types(self, account_id: int) -> list[str]:
        """See `LogStore.data_types`."""
        return [row[0] for row in self._connection.execute(_DATA_TYPES, (account_id,))]

    def data_size(self, account_id: int) -> tuple[int, int]:
        """See `LogStore.data_size`."""
        count, size = self._connection.execute(_DATA_SIZE, (account_id,)).fetchone()
        return count, int(size)

    def reads(self, account_id: int) -> list[ReadRow]:
        """See `LogStore.reads`."""
        return statements.READS.rows(self._connection, _READS, (account_id,))

    def peer_queue(self, peer_id: int, after_n: int, limit: int) -> list[PeerQueueRow]:
        """See `LogStore.peer_queue`."""
        return statements.PEER_QUEUE.rows(self._connection, _PEER_QUEUE, (peer_id, after_n, limit))

    def nodes(self, owner_actor: int) -> Nodes:
        """See `LogStore.nodes`."""
        connection, owner = self._connection, (owner_actor,)
        return Nodes(
            nodes=statements.NODES.rows(connection, _NODES, owner),
            items=connection.execute(_ITEM_INDEX, owner).fetchall(),
            subscribers=statements.SUBSCRIBERS.rows(connection, _SUBSCRIBERS, owner),
        )

    def items(self, node_id: int, item_ids: Sequence[str]) -> list[ItemRow]:
        """See `LogStore.items`."""
        found: list[ItemRow] = []
        for item_id in item_ids:
            found += statements.ITEMS.rows(self._connection, _ITEM, (node_id, item_id))
        return found

    def reports(self, limit: int) -> list[ReportRow]:
        """See `LogStore.reports`."""
        return statements.REPORTS.rows(self._connection, _REPORTS, (limit or -1,))

    def media(self, store_key: str) -> MediaRow | None:
        """See `LogStore.media`."""
        found = statements.MEDIA.rows(self._connection, _MEDIA, (store_key,))
        return found[0] if found else None

    def media_bytes(self, actor_id: int) -> int:
        """See `LogStore.media_bytes`."""
        return int(self._connection.execute(_MEDIA_BYTES, (actor_id,)).fetchone()[0])

    def media_of(self, actor_id: int, limit: int) -> list[MediaRow]:
        """See `LogStore.media_of`."""
        return statements.MEDIA.rows(self._connection, _MEDIA_OF, (actor_id, limit))

    def media_before(self, at_ms: int, limit: int) -> list[MediaRow]:
        """See `LogStore.media_before`."""
        return statements.MEDIA.rows(self._connection, _MEDIA_BEFORE, (at_ms, limit))

    def media_erased(self, limit: int) -> list[MediaRow]:
        """See `LogStore.media_erased`."""
        return statements.MEDIA.rows(self._connection, _MEDIA_ERASED, (ERASED, limit))

    def mailbox_heads(self, account_id: int, limit: int) -> list[tuple[int, int]]:
        """See `LogStore.mailbox_heads`."""
        assert self._indexing is not None, "load() comes first"
        latest_of = self._indexing.latest_of
        heads = [
            (latest_of(conversation_id), conversation_id)
            for conversation_id in reading.directs(self._connection, account_id)
        ]
        heads.sort(reverse=True)
        return [(conversation_id, seq) for seq, conversation_id in heads[:limit] if seq]

    def _segments(self) -> tuple[Segment, ...]:
        return () if self._indexing is None else self._indexing.segments

    def _appended(
        self, done: Callable[[Batch, StoreError | None], None], batch: Batch, error: StoreError | None
    ) -> None:
        self.owed -= 1
        done(batch, error)

    # Reading threads

    def _read(self, read: Callable[[sqlite3.Connection], _Answer], then: Callable[[_Answer], None]) -> None:
        self.owed += 1
        self._pool.submit(self._answer, read, then)

    def _answer(self, read: Callable[[sqlite3.Connection], _Answer], then: Callable[[_Answer], None]) -> None:
        while True:
            try:
                answer = read(self._of_thread.connection)
            except sqlite3.Error as error:
                # There is no empty answer that would not be a lie: try until the disk is back.
                log.error("read failed", exc_info=error)
                if self._closing.wait(RETRY_S):
                    return
            else:
                self._call_soon(partial(self._answered, then, answer))
                return

    def _answered(self, then: Callable[[_Answer], None], answer: _Answer) -> None:
        self.owed -= 1
        then(answer)

    def _open_texts(self) -> Texts | None:
        """Open the full-text index; where that fails (a SQLite without FTS5), only searching is lost."""
        try:
            return Texts(self._path, self._config, self._answer_later, self._owe)
        except sqlite3.Error as error:
            log.warning("no full-text search", extra={"error": str(error)})
            return None

    def _owe(self) -> None:
        self.owed += 1

    def _answer_later(self, answer: Callable[[], None]) -> None:
        self._call_soon(partial(self._answer_owed, answer))

    def _answer_owed(self, answer: Callable[[], None]) -> None:
        self.owed -= 1
        answer()

    def _connect_thread(self) -> None:
        self._of_thread.connection = connections.open_reader(self._path, self._config)


def _ignore(seqs: Sequence[int]) -> None:
    """There is no index to take anything out of."""
