"""Other servers: what waits for them in the store, and the way to them (DATAMODEL 1.9).

Only direct things wait: messages, and steps of subscriptions. An entry is taken out when the other server has
confirmed it, so a crash of either side loses nothing; after one, the other server may see an entry twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from sabir.core.directory import Directory
from sabir.core.errors import Refusal
from sabir.core.log import Log, Operation
from sabir.core.model.actor import Account, Actor, ActorKind
from sabir.core.model.changes import PeerQueueRow, PeerRow
from sabir.core.model.event import Event
from sabir.core.model.peer import Peer
from sabir.core.model.presence import Presence
from sabir.core.model.signals import Receipt, Typing
from sabir.core.ports import LogStore, Transport

EVENT: Final = "event"
"""`payload` is a `Queued`."""
STEP: Final = "step"
"""`payload` is a `Step`."""
KEEP_MS: Final = 24 * 3_600_000


class Queued(msgspec.Struct, frozen=True):
    """An entry of the log that waits."""

    seq: int
    to_resource: str


class Step(msgspec.Struct, frozen=True):
    """A step of a subscription that waits: `account` did `what` (ask, grant, refuse, leave) towards `actor`."""

    account: int
    actor: int
    what: str
    native: bytes


ASK: Final = "ask"
GRANT: Final = "grant"
REFUSE: Final = "refuse"
LEAVE: Final = "leave"


class Peers:
    """The other servers."""

    def __init__(self, log: Log, directory: Directory, store: LogStore) -> None:
        self._log = log
        self._directory = directory
        self._store = store
        self.keep_ms = KEEP_MS
        """How long an entry may wait; the transport may change it."""
        self.max_waiting = 10_000
        """How many may wait for one server."""
        self._transports: dict[str, Transport] = {}

    def register(self, protocol: str, transport: Transport) -> None:
        """Let `transport` be the way to actors of `protocol`."""
        self._transports[protocol] = transport

    def actor_of(self, address: str) -> Actor | None:
        """Return whom an address of another server stands for, None if nobody can be reached there."""
        for transport in self._transports.values():
            actor = transport.actor_of(address)
            if actor is not None:
                return actor
        return None

    def known(self, protocol: str, domain: str) -> Peer | None:
        """Return a server for which something waited once."""
        return self._directory.peers.get((protocol, domain))

    def all(self) -> list[Peer]:
        """Return the servers for which something waits."""
        return [peer for peer in self._directory.peers.values() if peer.waiting]

    # While an item forms

    def is_full(self, actor: Actor) -> bool:
        """Return whether nothing more may wait for the server of `actor`."""
        peer = self._directory.peers.get((actor.protocol, domain_of(actor)))
        return peer is not None and peer.waiting >= self.max_waiting

    def queue_event(self, log: Log, event: Event, actor: Actor) -> None:
        """Let an entry wait for the server of `actor`."""
        self._queue(log, actor, EVENT, msgspec.msgpack.encode(Queued(event.seq, event.to_resource)))

    def queue_step(self, log: Log, account: Account, actor: Actor, what: str, native: bytes = b"") -> None:
        """Let a step of a subscription wait for the server of `actor`."""
        if actor.kind is ActorKind.REMOTE and actor.protocol in self._transports:
            step = Step(account.id, actor.id, what, native)
            self._queue(log, actor, STEP, msgspec.msgpack.encode(step))

    def _queue(self, log: Log, actor: Actor, kind: str, payload: bytes) -> None:
        peer = self._peer(log, actor)
        peer.last += 1
        peer.waiting += 1
        log.undo(lambda: _take_back(peer))
        row = PeerQueueRow(
            peer_id=peer.id, n=peer.last, kind=kind, payload=payload, expires_ms=log.now_ms + self.keep_ms
        )
        log.change(row)

    def _peer(self, log: Log, actor: Actor) -> Peer:
        peers = self._directory.peers
        key = (actor.protocol, domain_of(actor))
        peer = peers.get(key)
        if peer is None:
            peer = peers[key] = Peer(len(peers) + 1, key[1], key[0])
            log.undo(lambda: _forget(peers, key))
            log.change(PeerRow(id=peer.id, domain=peer.domain, transport=peer.transport))
        return peer

    # When it is durable

    def wake(self, actor: Actor) -> None:
        """Tell the transport that something waits for the server of `actor`."""
        peer = self._directory.peers.get((actor.protocol, domain_of(actor)))
        transport = self._transports.get(actor.protocol)
        if peer is not None and transport is not None:
            transport.waits(peer)

    def waiting(self, peer: Peer, after_n: int, limit: int) -> list[PeerQueueRow]:
        """Return what waits for a server, oldest first."""
        return self._store.peer_queue(peer.id, after_n, limit)

    def remove(self, peer: Peer, rows: Sequence[PeerQueueRow], then: Callable[[], None]) -> None:
        """Take entries out of the queue: confirmed, or given up."""

        def form(log: Log) -> Refusal | None:
            for row in rows:
                gone = PeerQueueRow(peer_id=peer.id, n=row.n, kind="", payload=b"", expires_ms=0)
                gone.gone = True
                log.change(gone)
            peer.waiting -= len(rows)
            log.undo(lambda: _put_back(peer, len(rows)))
            return None

        self._log.append(Operation(form, then, lambda _: then()))

    def show(self, account: Account, resource: str, presence: Presence, watcher: Actor) -> None:
        """Show somebody of another server the presence of a device."""
        transport = self._transports.get(watcher.protocol)
        if transport is not None:
            transport.show(account, resource, presence, watcher)

    def probe(self, account: Account, actor: Actor) -> None:
        """Ask another server for somebody's presence."""
        transport = self._transports.get(actor.protocol)
        if transport is not None:
            transport.probe(account, actor)

    def pass_on(self, signal: Typing | Receipt, peer: Actor) -> None:
        """Show somebody of another server a signal of a direct conversation."""
        transport = self._transports.get(peer.protocol)
        if transport is not None:
            transport.pass_on(signal, peer)


def is_blocked(blocks: dict[str, None], actor: Actor) -> bool:
    """Return whether a block list names an actor, or the server of one of another (XEP-0191 §2)."""
    return actor.name in blocks or (actor.kind is ActorKind.REMOTE and domain_of(actor) in blocks)


def domain_of(actor: Actor) -> str:
    """Return the server of somebody elsewhere."""
    return actor.name.rpartition("@")[2]


def _take_back(peer: Peer) -> None:
    peer.last -= 1
    peer.waiting -= 1


def _forget(peers: dict[tuple[str, str], Peer], key: tuple[str, str]) -> None:
    del peers[key]


def _put_back(peer: Peer, count: int) -> None:
    peer.waiting += count
