"""What the core needs from outside, each as a `typing.Protocol` with two implementations or more.

Threads: everything in the core runs on one thread, the event loop's. A store may use others, but calls back
on that one. Point look-ups (one row by its key) answer at once; pages answer through a callback.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

import msgspec

from sabir.core.errors import Refusal
from sabir.core.model.changes import (
    AccountRow,
    ActorRow,
    BlockRow,
    Change,
    ContactRow,
    ConversationRow,
    CredentialRow,
    ItemRow,
    KeyDeviceRow,
    MediaRow,
    MemberRow,
    MqttFilterRow,
    MqttMessageRow,
    MqttQueueRow,
    MqttReceivedRow,
    MqttRetainedRow,
    MqttSessionRow,
    NodeRow,
    OneTimeKeyRow,
    PeerQueueRow,
    PeerRow,
    PushRow,
    ReadRow,
    RelationRow,
    ReportRow,
    StateRow,
    SubscriberRow,
    VoucherRow,
)
from sabir.core.model.event import Event
from sabir.core.model.presence import Presence
from sabir.core.model.push import PushNotice, PushOutcome

if TYPE_CHECKING:
    from sabir.core.model.actor import Account, Actor
    from sabir.core.model.content import Content
    from sabir.core.model.conversation import Conversation
    from sabir.core.model.peer import Peer
    from sabir.core.model.signals import Receipt, Signal, Typing


class Clock(Protocol):
    """Tells the time in milliseconds since 1970."""

    def now_ms(self) -> int:
        """Return the current time."""
        ...


class Handle(Protocol):
    """A call that is still to come."""

    def cancel(self) -> None:
        """Make it not come."""
        ...


class Scheduler(Protocol):
    """Calls back on the core's thread."""

    def soon(self, callback: Callable[[], object]) -> object:
        """Call `callback` in the next turn of the loop."""
        ...

    def shortly(self, callback: Callable[[], object]) -> object:
        """Call `callback` within a millisecond or so."""
        ...

    def later(self, delay_ms: int, callback: Callable[[], object]) -> Handle:
        """Call `callback` after `delay_ms`, at the granularity of the timing wheel (about 250 ms)."""
        ...


class EventIdSource(Protocol):
    """Gives event ids, strictly increasing (`sabir.base.ids.EventIds`)."""

    def next(self, now_ms: int) -> bytes:
        """Return the next id."""
        ...


class Session(Protocol):
    """One connected device, as the core sees it. All calls are synchronous and must not block or raise.

    `account` is None for a guest. `resource` names the device among those of its account.
    """

    protocol: str
    actor: Actor
    resource: str
    presence: Presence

    @property
    def account(self) -> Account | None:
        """Whose device it is."""
        ...

    def deliver(self, conversation: Conversation, event: Event) -> None:
        """Show a committed event. Never called for the session's own posts: those get `posted`."""
        ...

    def posted(self, conversation: Conversation, event: Event, token: object) -> None:
        """Tell that the post with `token` is durable."""
        ...

    def refused(self, refusal: Refusal, token: object) -> None:
        """Tell that the post with `token` was refused; nothing of it was stored."""
        ...

    def signal(self, signal: Signal) -> None:
        """Show something that is not in the log."""
        ...

    def hold(self) -> None:
        """Stop reading from the client: the log has too much to write. `release` follows."""
        ...

    def release(self) -> None:
        """Read on."""
        ...

    def is_full(self) -> bool:
        """Return whether the client is behind: more than the high-water mark waits to be sent to it."""
        ...

    def live(self) -> None:
        """Tell a session that was a cursor that it has caught up: show the signals that it kept meanwhile."""
        ...

    def end(self, refusal: Refusal) -> None:
        """Say goodbye in the protocol's words and close.

        The account was disabled, the device name taken over.
        """
        ...


class Meter(Protocol):
    """Watches the commits. Called once per batch; one batch is under way at a time."""

    def started(self) -> None:
        """Note that a batch goes to the store."""
        ...

    def finished(self, entries: int, *, durable: bool) -> None:
        """Note that it is durable, or was rolled back."""
        ...


class Batch:
    """What one transaction writes: `events` ascending by seq, and `changes` in the order made.

    `first_seq` .. `last_seq` are all the numbers given in it (changes take one each).
    """

    def __init__(self, generation: int, first_seq: int) -> None:
        self.generation = generation
        self.first_seq = first_seq
        self.last_seq = first_seq - 1
        self.last_leaf = 0
        self.size_bytes = 0
        self.events: list[Event] = []
        self.changes: list[Change] = []


class StoreError(Exception):
    """The transaction was rolled back.

    `statement`: one of its rows is at fault, others may be tried singly.
    """

    def __init__(self, message: str, *, statement: bool = False) -> None:
        super().__init__(message)
        self.statement = statement


class QueueRows(msgspec.Struct, frozen=True):
    """What a broker keeps."""

    sessions: list[MqttSessionRow] = []
    filters: list[MqttFilterRow] = []
    messages: list[MqttMessageRow] = []
    waiting: list[MqttQueueRow] = []
    """By session and number."""
    received: list[MqttReceivedRow] = []
    retained: list[MqttRetainedRow] = []


class Snapshot(msgspec.Struct):
    """All that the core keeps in memory, as of the last commit.

    `heads` are (conversation id, head_position, tail_position, message_no, pts, generation); they and
    `AccountRow.box_head`
    are exact: the store brings counters written behind the watermark up to date from the log before it answers.
    """

    generation: int
    seq: int
    leaf: int
    last_ms: int
    accounts: list[AccountRow]
    actors: list[ActorRow]
    conversations: list[ConversationRow]
    heads: list[tuple[int, int, int, int, int, int]]
    members: list[MemberRow]
    states: list[StateRow]
    contacts: list[ContactRow]
    blocks: list[BlockRow]
    peers: list[PeerRow] = []
    waiting: list[tuple[int, int, int]] = []
    """(peer id, how many wait, last number) of each server for which something waits."""
    node_owners: list[int] = []
    """Actors that have pubsub nodes; those are read when they are needed (`LogStore.nodes`)."""
    last_node_id: int = 0
    pushes: list[PushRow] = []
    queues: QueueRows | None = None
    """None where nothing was kept; compiled, msgspec takes no struct as a default."""
    vouchers: list[VoucherRow] = []


class Nodes(msgspec.Struct):
    """The pubsub nodes of an actor. `items` are (node id, item id, bytes), oldest publication first."""

    nodes: list[NodeRow]
    items: list[tuple[int, str, int]]
    subscribers: list[SubscriberRow]


class PageQuery(msgspec.Struct, frozen=True):
    """A page of a conversation or of a person's mailbox.

    `conversation_id` names the one, `account_id` the other; with both, one conversation of the mailbox.

    Bounds are exclusive log numbers; 0 means none. `start_ms`/`end_ms` are inclusive times, 0 for none. With
    `newest` the page is taken from the end of the range, else from its start; events always come oldest
    first. `kinds` filters.
    """

    conversation_id: int = 0
    account_id: int = 0
    after_seq: int = 0
    before_seq: int = 0
    start_ms: int = 0
    end_ms: int = 0
    limit: int = 50
    newest: bool = False
    kinds: frozenset[int] = frozenset((1, 2, 3, 4, 5))
    from_position: int = 0
    """Lowest position to show: what the reader's membership allows."""


class Page(msgspec.Struct):
    """Events of a page, oldest first; `complete`: nothing more in the direction of reading.

    `relations` holds, by log number of the target, what was said about the events of the page (edits,
    deletions, reactions).
    """

    events: list[Event]
    complete: bool
    relations: dict[int, list[RelationRow]] = {}


class Text(NamedTuple):
    """What an entry says, for the full-text index; `account_ids` are those in whose mailbox it is."""

    seq: int
    conversation_id: int
    account_ids: tuple[int, ...]
    text: str


class TextIndex(Protocol):
    """Finds entries by their words (DATAMODEL 1.11). Erasing an entry takes it out, by the store itself."""

    seq: int
    """The log number up to which the log was indexed."""

    def add(self, texts: Sequence[Text], seq: int, then: Callable[[], None]) -> None:
        """Index these, of which the last may come before `seq`, up to which the index then is; then call `then`."""
        ...

    def find(self, text: str, query: PageQuery, then: Callable[[Page], None]) -> None:
        """Read a page of those entries that `query` allows and that have all words of `text`, as `LogStore.page`."""
        ...


class KeyStore(Protocol):
    """Public keys that devices published, as of the last commit."""

    def devices(self, account_id: int) -> list[KeyDeviceRow]:
        """Return what the devices of an account published, by device id."""
        ...

    def free(self, device: KeyDeviceRow, kind: int, after_id: int, limit: int) -> list[OneTimeKeyRow]:
        """Return one-time prekeys that were not handed out, by id."""
        ...

    def count(self, device: KeyDeviceRow, kind: int) -> int:
        """Return how many of those there are."""
        ...

    def changed(self, account_ids: Sequence[int], since: int) -> list[int]:
        """Return those of these accounts whose devices or identity keys changed after a log number."""
        ...


class LogStore(Protocol):
    """The durable log and the tables of latest values (DATAMODEL sections 2 and 3)."""

    texts: TextIndex | None
    """The full-text index, None if there is none."""
    keys: KeyStore

    def load(self) -> Snapshot:
        """Return the state as of the last commit. Called once, before anything else."""
        ...

    def append(self, batch: Batch, done: Callable[[Batch, StoreError | None], None]) -> None:
        """Write `batch` in one transaction and flush it to the disk, then call `done` on the core's thread.

        One batch at a time; `done` is never called before this returns. A batch whose commit failed is not in
        the store when `done` is called with an error.
        """
        ...

    def event_at(self, seq: int) -> Event | None:
        """Return the event with that log number, with its body (or `erased`), or None."""
        ...

    def find_event(self, event_id: bytes) -> Event | None:
        """Return the event with that id."""
        ...

    def find_native(self, protocol: str, actor_id: int, native_id: bytes) -> int:
        """Return the latest log number to which `actor_id` gave this id of its own, or 0."""
        ...

    def relations_of(self, seqs: Iterable[int]) -> list[RelationRow]:
        """Return what was said about these entries, by ascending `seq`."""
        ...

    def page(self, query: PageQuery, then: Callable[[Page], None]) -> None:
        """Read a page, then call `then` on the core's thread (maybe before this returns)."""
        ...

    def follow(self, after_seq: int, limit: int, then: Callable[[list[Event]], None]) -> None:
        """Read the events after a log number, with bodies: at most `limit`, or fewer large ones; none at the end."""
        ...

    def credential(self, account_id: int, mechanism: str) -> bytes | None:
        """Return the stored verifier."""
        ...

    def credentials(self, account_id: int) -> list[CredentialRow]:
        """Return all verifiers of an account, tokens included."""
        ...

    def data(self, account_id: int, conversation_id: int, type: str) -> bytes | None:
        """Return a value of account_data."""
        ...

    def scan_data(
        self, type: str, take: Callable[[int, bytes], bool], limit: int, then: Callable[[list[int]], None]
    ) -> None:
        """Find accounts by their value of a type, then call `then` on the core's thread.

        `take` is called with account id and value on another thread, until it has said yes `limit` times.
        """
        ...

    def data_types(self, account_id: int) -> list[str]:
        """Return the types of the values of account_data that concern no conversation."""
        ...

    def data_size(self, account_id: int) -> tuple[int, int]:
        """Return how many values of account_data an account has, and their bytes."""
        ...

    def reads(self, account_id: int) -> list[ReadRow]:
        """Return the read markers of an account."""
        ...

    def peer_queue(self, peer_id: int, after_n: int, limit: int) -> list[PeerQueueRow]:
        """Return what waits for another server, oldest first."""
        ...

    def nodes(self, owner_actor: int) -> Nodes:
        """Return the pubsub nodes of an actor."""
        ...

    def items(self, node_id: int, item_ids: Sequence[str]) -> list[ItemRow]:
        """Return the items of a node with these ids, those that there are, in the order asked."""
        ...

    def reports(self, limit: int) -> list[ReportRow]:
        """Return the latest reports, newest first; 0 for all."""
        ...

    def media(self, store_key: str) -> MediaRow | None:
        """Return the file with that address."""
        ...

    def media_bytes(self, actor_id: int) -> int:
        """Return how many bytes of files somebody has here."""
        ...

    def media_of(self, actor_id: int, limit: int) -> list[MediaRow]:
        """Return files of somebody, the oldest first."""
        ...

    def media_before(self, at_ms: int, limit: int) -> list[MediaRow]:
        """Return files that came before a time, the oldest first."""
        ...

    def media_erased(self, limit: int) -> list[MediaRow]:
        """Return files whose bytes are to be deleted: all that their owner said of them was erased."""
        ...

    def mailbox_heads(self, account_id: int, limit: int) -> list[tuple[int, int]]:
        """Return (conversation id, last seq) of the account's direct conversations, latest first."""
        ...


class Transport(Protocol):
    """The way to people of other servers, for actors of one protocol. Provided by its front end.

    Durable things are not handed over: they wait in `Peers`, and `waits` says that there is something.
    """

    def actor_of(self, address: str) -> Actor | None:
        """Return whom an address of another server stands for; None if it is none, or cannot be reached."""
        ...

    def waits(self, peer: Peer) -> None:
        """Note that something new waits for another server."""
        ...

    def show(self, account: Account, resource: str, presence: Presence, watcher: Actor) -> None:
        """Show `watcher` the presence of a device of `account`."""
        ...

    def probe(self, account: Account, actor: Actor) -> None:
        """Ask for the presence of `actor`, for `account`."""
        ...

    def pass_on(self, signal: Typing | Receipt, peer: Actor) -> None:
        """Show `peer` a signal of a direct conversation."""
        ...


class PushGateway(Protocol):
    """Wakes devices that are not connected, through the services of those who made them."""

    def push(self, row: PushRow, notice: PushNotice, done: Callable[[PushOutcome], None]) -> None:
        """Wake a device; `done` is called once, maybe before this returns."""
        ...


class Waker(Protocol):
    """Reaches devices through the services of their makers; gateways hand it what their protocol says."""

    types: frozenset[str]
    """The kinds of services that it reaches: what `type` among the options may be."""
    key: str
    """The public key that it signs with (RFC 8292), in base64url."""

    def wake(
        self,
        options: Mapping[str, str],
        payload: bytes,
        done: Callable[[PushOutcome], None],
        *,
        urgent: bool,
    ) -> None:
        """Send `payload` to the device that `options` describe; `done` is called once, later."""
        ...


class Translator(Protocol):
    """Derives canonical content from one protocol's native form; pure."""

    def content_of(self, event: Event) -> Content:
        """Return the content of an event of that protocol, never raising on what `accept` let in."""
        ...


class Verifiers(Protocol):
    """Makes password verifiers (`sabir.wire.sasl`), handed in so that the core knows no mechanism."""

    def make(self, password: str) -> Sequence[tuple[str, bytes]]:
        """Return (mechanism, verifier) for each mechanism offered."""
        ...
