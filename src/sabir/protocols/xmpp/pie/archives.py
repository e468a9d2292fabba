"""What was said: from the archives of an export into the log, in order of time (XEP-0227 §4.5, §4.11; decision 0021).

All archives are read first, and what is in them is put on disk: the log wants it in order of time, and what two
people of the export said to each other is in the archives of both.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final, Protocol

import msgspec

from sabir.core.model.actor import Account
from sabir.core.model.event import Draft, Kind
from sabir.core.model.ids import AccountId
from sabir.core.services import Services
from sabir.core.services.backfill import Said
from sabir.protocols.xmpp import accept
from sabir.protocols.xmpp.codec import attribute, stanza_of
from sabir.protocols.xmpp.features.chat import PROTOCOL
from sabir.protocols.xmpp.jid import Jid
from sabir.protocols.xmpp.pie.person import CLIENT, DELAY, FORWARD, Person
from sabir.protocols.xmpp.translate import event_id_of
from sabir.protocols.xmpp.translate.native import milliseconds_of
from sabir.wire.xml import Element

_OF_ROOMS: Final = "http://jabber.org/protocol/muc#user"
_OF_HOPS: Final = frozenset(namespace.decode() for namespace in accept.STRIPPED) | {DELAY, "urn:xmpp:sid:0"}
"""Namespaces of what differs between the copies of a message."""
_SIGNALS: Final = (accept.TYPING, accept.DELIVERED, accept.DISPLAYED)


class Spool(Protocol):
    """Keeps what was said on disk, until it is read in order of time."""

    def put(self, at_ms: int, id: bytes, key: bytes, holder: int, payload: bytes) -> None:
        """Keep something. The same `key` of another `holder` at about that time is the same thing, and kept once."""

    def count(self) -> int:
        """Return how many there are, after the last `put`."""

    def in_order(self) -> Iterator[tuple[bytes, frozenset[int]]]:
        """Return each payload once, by time, then `id`, then as they came; and who held it."""


class Kept(msgspec.Struct, array_like=True):
    """A message on its way."""

    owner: int
    """An account's id."""
    peer: str
    """The other's bare address. Not an actor: those whom nothing names yet are forgotten after a while."""
    sent: bool
    at_ms: int
    event_id: bytes
    native: bytes
    native_id: bytes
    kind: int
    flags: int
    target: bytes
    reactions: tuple[str, ...] | None


class Archives:
    """Takes what was said by and to new accounts."""

    def __init__(
        self,
        services: Services,
        made: dict[str, Account],
        ours: Callable[[str], Jid | None],
        spool: Spool,
        max_bytes: int,
    ) -> None:
        """Prepare.

        Args:
            services: where to.
            made: the new accounts, by name.
            ours: returns a full address as it is to be here.
            spool: keeps what was said.
            max_bytes: of one message.
        """
        self._services: Final = services
        self._made: Final = made
        self._ours: Final = ours
        self._spool: Final = spool
        self._max_bytes: Final = max_bytes
        self.left_out: Final[Counter[tuple[str, str]]] = Counter()
        """How many were left out, by account and what they were."""
        self.waited_for: Final[set[int]] = set()
        """Ids of the accounts for which something waits."""

    def take(self, person: Person, element: Element) -> None:
        """Take a `result` of an archive, or a `message` that waited for its receiver."""
        account = self._made.get(person.name.lower())
        if account is None:
            return
        waits = element.name == "message"
        forwarded = element if waits else element.find("forwarded", FORWARD)
        message = element if waits or forwarded is None else forwarded.find("message", CLIENT)
        delay = None if forwarded is None else forwarded.find("delay", DELAY)
        at_ms = None if delay is None else milliseconds_of(delay.get("stamp") or "")
        if message is None or message.namespace != CLIENT or at_ms is None or at_ms <= 0:
            self._leave_out(account, "messages without a time")
            return
        kept = self._kept(account, message, at_ms, event_id_of(element.get("id") or ""))
        if kept is not None:
            # Who waits holds another copy than his archive does.
            holder = -account.id if waits else account.id
            payload = msgspec.msgpack.encode(kept)
            if waits:
                self.waited_for.add(account.id)
            self._spool.put(at_ms, kept.event_id, self._key(kept, message), holder, payload)

    def said(self) -> Iterator[Said]:
        """Return all that was taken, in order of time."""
        services = self._services
        decoder = msgspec.msgpack.Decoder(Kept)
        for payload, holders in self._spool.in_order():
            kept = decoder.decode(payload)
            owner = services.directory.accounts[AccountId(kept.owner)]
            local, _, domain = kept.peer.rpartition("@")
            other = services.accounts.find(local) if domain == services.domain else None
            if other is None:
                peer = services.accounts.remote(PROTOCOL, kept.peer)
                conversation = services.messaging.open_foreign(owner, peer)
            else:
                peer = other.actor
                conversation = services.messaging.open_direct(owner, other)
            draft = Draft(
                PROTOCOL,
                kept.native,
                kind=kept.kind,
                flags=kept.flags,
                native_id=kept.native_id,
                target_id=event_id_of(kept.target.decode(errors="replace")),
                target_native=kept.target,
            )
            yield Said(
                conversation,
                owner.actor if kept.sent else peer,
                draft,
                kept.at_ms,
                kept.event_id,
                kept.reactions,
                is_missed=min(holders) < 0,
            )

    def _leave_out(self, account: Account, what: str) -> None:
        self.left_out[account.name, what] += 1

    def _kept(self, account: Account, message: Element, at_ms: int, event_id: bytes) -> Kept | None:
        type_ = message.get("type")
        if type_ == "groupchat" or message.find("x", _OF_ROOMS) is not None:
            self._leave_out(account, "messages of rooms")
            return None
        me = Jid(account.name, self._services.domain, "")
        sender = self._address(message.get("from"), me)
        receiver = self._address(message.get("to"), me)
        if sender is None or receiver is None or me not in (sender.bare, receiver.bare):
            self._leave_out(account, "messages of others")
            return None
        sent = sender.bare == me
        peer = receiver if sent else sender
        accepted = accept.accept(
            stanza_of(message), attribute("from", str(sender)).encode(), b"", self._services.domain
        )
        if accepted.what in _SIGNALS:
            return None
        if accepted.what == accept.RELAY or type_ in ("error", "headline") or not peer.local:
            self._leave_out(account, "messages that are not kept here")
            return None
        if len(accepted.native) > self._max_bytes:
            self._leave_out(account, "messages that are too large")
            return None
        is_set = accepted.what == accept.REACTIONS
        return Kept(
            account.id,
            str(peer.bare),
            sent,
            at_ms,
            event_id,
            accepted.native,
            accepted.native_id,
            int(Kind.REACTION) if is_set else accepted.kind,
            accepted.flags,
            accepted.target,
            accepted.emojis if is_set else None,
        )

    def _address(self, address: str | None, default: Jid) -> Jid | None:
        return default if address is None else self._ours(address)

    def _key(self, kept: Kept, message: Element) -> bytes:
        """Return what two copies of a message have in common."""
        account = self._services.directory.accounts[AccountId(kept.owner)]
        owner = f"{account.name}@{self._services.domain}"
        pair = (owner, kept.peer) if kept.sent else (kept.peer, owner)
        digest = hashlib.sha256(f"{pair} {kept.native_id!r}".encode())
        for child in message.elements():
            if child.namespace not in _OF_HOPS:
                _digest(child, digest.update)
        return digest.digest()[:16]


def _digest(element: Element, update: Callable[[bytes], None]) -> None:
    """Take in an element, whatever the order of its attributes."""
    update(f"<{element.name!r} {element.namespace!r} {sorted(element.attributes.items())}".encode())
    for child in element.children:
        if isinstance(child, str):
            update(repr(child).encode())
        else:
            _digest(child, update)
    update(b">")
