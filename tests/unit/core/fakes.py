"""A store, a scheduler and sessions for tests of the core: everything in memory, one step at a time."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from typing import TypeVar

from sabir.base.ids import EventIds
from sabir.core.errors import Refusal
from sabir.core.model.actor import Account, Actor
from sabir.core.model.changes import (
    ERASED,
    Change,
    CredentialRow,
    DataRow,
    EraseBody,
    ItemRow,
    MediaRow,
    NodeCleared,
    NodeRow,
    ReadRow,
    RelationRow,
    ReportRow,
    SubscriberRow,
)
from sabir.core.model.conversation import Conversation
from sabir.core.model.event import Event
from sabir.core.model.presence import OFFLINE, Presence
from sabir.core.model.signals import Signal
from sabir.core.policy import PolicyConfig
from sabir.core.ports import Batch, Nodes, Page, PageQuery, Snapshot, StoreError, TextIndex
from sabir.core.services import Services, assemble
from sabir.core.services.media import MediaConfig


class FixedClock:
    """A clock that stands until it is moved."""

    def __init__(self, now_ms: int = 1_800_000_000_000) -> None:
        self.value_ms = now_ms

    def now_ms(self) -> int:
        """See `core.ports.Clock`."""
        return self.value_ms


class Call:
    """A call that may be cancelled."""

    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        """See `core.ports.Handle`."""
        self.callback = None


class StepScheduler:
    """Calls back when `run` is called."""

    def __init__(self, clock: FixedClock) -> None:
        self._clock = clock
        self._soon: list[Callable[[], object]] = []
        self._shortly: list[Callable[[], object]] = []
        self._later: list[tuple[int, int, Call]] = []
        self._order = count()

    def soon(self, callback: Callable[[], object]) -> None:
        """See `core.ports.Scheduler`."""
        self._soon.append(callback)

    def shortly(self, callback: Callable[[], object]) -> None:
        """See `core.ports.Scheduler`."""
        self._shortly.append(callback)

    def later(self, delay_ms: int, callback: Callable[[], object]) -> Call:
        """See `core.ports.Scheduler`."""
        call = Call(callback)
        heapq.heappush(self._later, (self._clock.value_ms + delay_ms, next(self._order), call))
        return call

    def run(self) -> None:
        """Call until nothing more is to be called now."""
        while self._soon or self._shortly:
            if not self._soon:
                self._soon, self._shortly = self._shortly, []
            turn, self._soon = self._soon, []
            for callback in turn:
                callback()

    def pass_ms(self, delay_ms: int) -> None:
        """Let time pass, and call what is due."""
        self._clock.value_ms += delay_ms
        while self._later and self._later[0][0] <= self._clock.value_ms:
            call = heapq.heappop(self._later)[2]
            if call.callback is not None:
                call.callback()
            self.run()
        self.run()


_Key = TypeVar("_Key")
_Row = TypeVar("_Row", bound=Change)


def _number(row: Change) -> int:
    return row.changed_seq


def _put(rows: dict[_Key, _Row], key: _Key, row: _Row) -> None:
    if row.gone:
        rows.pop(key, None)
    else:
        rows[key] = row


class FakeStore:
    """Keeps batches in lists. `errors` are given to the next appends; `stalled` keeps answers back until `go`."""

    def __init__(self, scheduler: StepScheduler) -> None:
        self._scheduler = scheduler
        self.texts: TextIndex | None = None
        self.keys = None  # what concerns them is tested on a real store
        self.events: list[Event] = []
        self.changes: list[Change] = []
        self.batches: list[Batch] = []
        self.errors: list[StoreError] = []
        self.stalled = False
        self._kept: list[Callable[[], None]] = []
        self.poison = b"\0"
        self.credentials: dict[tuple[int, str], bytes] = {}
        self.values: dict[tuple[int, int, str], bytes] = {}
        self.report_rows: dict[bytes, ReportRow] = {}
        self.node_rows: dict[int, NodeRow] = {}
        self.item_rows: dict[tuple[int, str], ItemRow] = {}
        self.subscriber_rows: dict[tuple[int, str], SubscriberRow] = {}
        self.media_rows: dict[int, MediaRow] = {}

    def load(self) -> Snapshot:
        """See `core.ports.LogStore`."""
        return Snapshot(1, 0, 0, 0, [], [], [], [], [], [], [], [])

    def append(self, batch: Batch, done: Callable[[Batch, StoreError | None], None]) -> None:
        """See `core.ports.LogStore`."""
        error = self.errors.pop(0) if self.errors else None
        if any(event.native == self.poison for event in batch.events):
            error = StoreError("poisoned", statement=True)
        if error is None:
            self.batches.append(batch)
            self.events += batch.events
            for change in batch.changes:
                self._apply(change)
        if self.stalled:
            self._kept.append(lambda: done(batch, error))
        else:
            self._scheduler.soon(lambda: done(batch, error))

    def go(self) -> None:
        """Give the answers that were kept back."""
        self.stalled = False
        kept, self._kept = self._kept, []
        for answer in kept:
            answer()

    def _apply(self, change: Change) -> None:
        self.changes.append(change)
        if isinstance(change, CredentialRow):
            self.credentials[(change.account_id, change.mechanism)] = change.verifier
        elif isinstance(change, DataRow):
            self.values[(change.account_id, change.conversation_id, change.type)] = change.value
        elif isinstance(change, NodeRow):
            _put(self.node_rows, change.id, change)
        elif isinstance(change, ItemRow):
            _put(self.item_rows, (change.node_id, change.item_id), change)
        elif isinstance(change, SubscriberRow):
            _put(self.subscriber_rows, (change.node_id, change.jid), change)
        elif isinstance(change, NodeCleared):
            for item in [key for key in self.item_rows if key[0] == change.node_id]:
                del self.item_rows[item]
            if change.subscribers:
                for jid in [key for key in self.subscriber_rows if key[0] == change.node_id]:
                    del self.subscriber_rows[jid]
        elif isinstance(change, ReportRow):
            _put(self.report_rows, change.id, change)
        elif isinstance(change, MediaRow):
            _put(self.media_rows, change.id, change)
        elif isinstance(change, EraseBody):
            for event in self.events:
                if event.seq in change.seqs:
                    event.native, event.erased = b"", True

    def reports(self, limit: int) -> list[ReportRow]:
        """See `core.ports.LogStore`."""
        rows = sorted(self.report_rows.values(), key=lambda row: row.id, reverse=True)
        return rows[:limit] if limit else rows

    def event_at(self, seq: int) -> Event | None:
        """See `core.ports.LogStore`."""
        return next((event for event in self.events if event.seq == seq), None)

    def find_event(self, event_id: bytes) -> Event | None:
        """See `core.ports.LogStore`."""
        return next((event for event in self.events if event.event_id == event_id), None)

    def find_native(self, protocol: str, actor_id: int, native_id: bytes) -> int:
        """See `core.ports.LogStore`."""
        for event in reversed(self.events):
            if (event.protocol, event.actor_id, event.native_id) == (protocol, actor_id, native_id):
                return event.seq
        return 0

    def relations_of(self, seqs: Iterable[int]) -> list[RelationRow]:
        """See `core.ports.LogStore`."""
        wanted = set(seqs)
        rows: dict[tuple[int, int, int, str], RelationRow] = {}
        for change in self.changes:
            if isinstance(change, RelationRow) and change.target_seq in wanted:
                rows[(change.target_seq, change.kind, change.actor_id, change.key)] = change
        return [row for row in rows.values() if not row.gone]

    def page(self, query: PageQuery, then: Callable[[Page], None]) -> None:
        """See `core.ports.LogStore`."""
        found = [event for event in self.events if self._matches(event, query)]
        part = found[-query.limit :] if query.newest else found[: query.limit]
        self._scheduler.soon(lambda: then(Page(part, len(part) == len(found))))

    def _matches(self, event: Event, query: PageQuery) -> bool:
        return (
            (not query.conversation_id or event.conversation_id == query.conversation_id)
            and (not query.account_id or query.account_id in [box[0] for box in event.boxes])
            and event.seq > query.after_seq
            and (not query.before_seq or event.seq < query.before_seq)
            and event.kind in query.kinds
            and event.position >= query.from_position
        )

    def follow(self, after_seq: int, limit: int, then: Callable[[list[Event]], None]) -> None:
        """See `core.ports.LogStore`."""
        found = [event for event in self.events if event.seq > after_seq][:limit]
        self._scheduler.soon(lambda: then(found))

    def credential(self, account_id: int, mechanism: str) -> bytes | None:
        """See `core.ports.LogStore`."""
        return self.credentials.get((account_id, mechanism))

    def data(self, account_id: int, conversation_id: int, type: str) -> bytes | None:
        """See `core.ports.LogStore`."""
        return self.values.get((account_id, conversation_id, type)) or None

    def scan_data(
        self, type: str, take: Callable[[int, bytes], bool], limit: int, then: Callable[[list[int]], None]
    ) -> None:
        then([])

    def data_types(self, account_id: int) -> list[str]:
        return []

    def data_size(self, account_id: int) -> tuple[int, int]:
        """See `core.ports.LogStore`."""
        values = [value for (owner, _, _), value in self.values.items() if owner == account_id and value]
        return len(values), sum(map(len, values))

    def nodes(self, owner_actor: int) -> Nodes:
        """See `core.ports.LogStore`."""
        rows = [row for row in self.node_rows.values() if row.owner_actor == owner_actor]
        ids = {row.id for row in rows}
        items = sorted((row for row in self.item_rows.values() if row.node_id in ids), key=_number)
        subscribers = [row for row in self.subscriber_rows.values() if row.node_id in ids]
        return Nodes(rows, [(row.node_id, row.item_id, len(row.payload)) for row in items], subscribers)

    def items(self, node_id: int, item_ids: Sequence[str]) -> list[ItemRow]:
        """See `core.ports.LogStore`."""
        keys = [(node_id, item_id) for item_id in item_ids]
        return [self.item_rows[key] for key in keys if key in self.item_rows]

    def reads(self, account_id: int) -> list[ReadRow]:
        """See `core.ports.LogStore`."""
        return []

    def media(self, store_key: str) -> MediaRow | None:
        """See `core.ports.LogStore`."""
        return next((row for row in self.media_rows.values() if row.store_key == store_key), None)

    def media_bytes(self, actor_id: int) -> int:
        """See `core.ports.LogStore`."""
        return sum(row.size for row in self.media_rows.values() if row.actor_id == actor_id)

    def media_of(self, actor_id: int, limit: int) -> list[MediaRow]:
        """See `core.ports.LogStore`."""
        return [row for row in self.media_rows.values() if row.actor_id == actor_id][:limit]

    def media_before(self, at_ms: int, limit: int) -> list[MediaRow]:
        """See `core.ports.LogStore`."""
        return [row for row in self.media_rows.values() if row.at_ms < at_ms][:limit]

    def media_erased(self, limit: int) -> list[MediaRow]:
        """See `core.ports.LogStore`."""
        return [row for row in self.media_rows.values() if row.state == ERASED][:limit]

    def mailbox_heads(self, account_id: int, limit: int) -> list[tuple[int, int]]:
        """See `core.ports.LogStore`."""
        heads: dict[int, int] = {}
        for event in self.events:
            if account_id in [box[0] for box in event.boxes]:
                heads[event.conversation_id] = event.seq
        return sorted(heads.items(), key=lambda head: -head[1])[:limit]


class Listener:
    """A session that writes down what it is told."""

    def __init__(self, who: Account | Actor, resource: str = "one", protocol: str = "test") -> None:
        self.protocol = protocol
        self.account: Account | None = who if isinstance(who, Account) else None
        self.actor: Actor = who.actor if isinstance(who, Account) else who
        self.resource = resource
        self.presence: Presence = OFFLINE
        self.heard: list[object] = []
        self.full = False
        self.held = False
        self.ended: Refusal | None = None

    def deliver(self, conversation: Conversation, event: Event) -> None:
        """See `core.ports.Session`."""
        self.heard.append(event.native)

    def posted(self, conversation: Conversation, event: Event, token: object) -> None:
        """See `core.ports.Session`."""
        self.heard.append(("posted", token))

    def refused(self, refusal: Refusal, token: object) -> None:
        """See `core.ports.Session`."""
        self.heard.append((refusal, token))

    def signal(self, signal: Signal) -> None:
        """See `core.ports.Session`."""
        self.heard.append(signal)

    def hold(self) -> None:
        """See `core.ports.Session`."""
        self.held = True

    def release(self) -> None:
        """See `core.ports.Session`."""
        self.held = False

    def is_full(self) -> bool:
        """See `core.ports.Session`."""
        return self.full

    def live(self) -> None:
        """See `core.ports.Session`."""
        self.heard.append("live")

    def end(self, refusal: Refusal) -> None:
        """See `core.ports.Session`."""
        self.ended = refusal

    def took(self) -> list[object]:
        """Return what was heard since the last call."""
        heard, self.heard = self.heard, []
        return heard


class PlainVerifiers:
    """Stores the password itself; for tests alone."""

    def make(self, password: str) -> Sequence[tuple[str, bytes]]:
        """See `core.ports.Verifiers`."""
        return [("PLAIN", password.encode())]


class World:
    """A core with its fakes, and shortcuts to talk to it."""

    def __init__(
        self,
        policy: PolicyConfig | None = None,
        *,
        limited: bool = False,
        media: MediaConfig | None = None,
    ) -> None:
        self.clock = FixedClock()
        self.scheduler = StepScheduler(self.clock)
        self.store = FakeStore(self.scheduler)
        self.discarded: list[str] = []
        """Keys of files whose bytes were deleted."""
        random = count(1)

        def randomness(size: int) -> bytes:
            return next(random).to_bytes(8, "big").rjust(size, b"\x01")

        self.services: Services = assemble(
            self.store,
            self.scheduler,
            self.clock,
            lambda last_ms: EventIds(randomness, last_ms),
            randomness,
            PlainVerifiers(),
            b"k" * 32,
            policy=policy,
            limited=limited,
            media=media,
            discard=self.discarded.extend,
        )

    def account(self, name: str) -> Account:
        """Make an account."""
        made: list[Account] = []
        self.services.accounts.create(name, "pw", made.append, _fail)
        self.scheduler.run()
        return made[0]

    def session(self, name: str, resource: str = "one") -> Listener:
        """Log in with a new session, making the account if need be."""
        account = self.services.accounts.find(name) or self.account(name)
        listener = Listener(account, resource)
        self.services.devices.log_in(listener)
        return listener

    def guest(self, nick: str) -> Listener:
        """Let somebody in who has no account."""
        actor = self.services.accounts.guest("test", nick)
        assert actor is not None
        listener = Listener(actor)
        self.services.devices.log_in(listener)
        return listener

    def leave(self, guest: Listener) -> None:
        """Let a guest go."""
        self.services.rooms.drop(guest)
        self.services.devices.log_out(guest)
        self.services.accounts.release_guest(guest.actor)
        self.scheduler.run()

    def join(self, listener: Listener, room: str, nick: str = "", *, durable: bool = False) -> Conversation:
        """Attend a room and forget what was heard on the way."""
        self.services.rooms.join(
            listener, room, nick or listener.actor.name, lambda joined: None, _fail, durable=durable
        )
        self.scheduler.run()
        conversation = self.services.rooms.find(room)
        assert conversation is not None
        return conversation


def _fail(refusal: Refusal) -> None:
    raise AssertionError(f"refused: {refusal}")
