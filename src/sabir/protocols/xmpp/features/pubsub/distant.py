"""Readers of other servers: told of what happens at nodes here, as contacts here are (XEP-0163 §4).

Kept are the devices of contacts elsewhere who may see somebody's presence and share theirs, with what they want to be
told of; those who subscribed to a node are known by the node itself.
"""

from dataclasses import replace
from typing import Final

from sabir.core.model.actor import Account, Actor
from sabir.core.model.pubsub import NodeEvent, SendLast
from sabir.core.model.signals import NodeChanged
from sabir.protocols.xmpp.features.caps_hash import Claim
from sabir.protocols.xmpp.features.context import Place
from sabir.protocols.xmpp.features.pubsub import notifying
from sabir.protocols.xmpp.features.pubsub.names import PROTOCOL
from sabir.protocols.xmpp.jid import Jid, parse_jid

MAX_READERS: Final = 1_000
"""Devices elsewhere that are known for one account."""


class Reader:
    """One device of a contact elsewhere, as a reader of one account. See `context.Claimant`."""

    def __init__(self, place: Place, account: Account, actor: Actor, jid: Jid) -> None:
        self.place: Place = place
        self.actor: Actor = actor
        self.jid: Jid = jid
        self.interests: frozenset[str] = frozenset()
        self.claimed: tuple[str, str, str] | None = None
        self._account: Final = account

    def send(self, stanza: bytes) -> None:
        """See `Claimant.send`."""
        self.place.abroad.send(self.place.domain, self.jid.domain, stanza)

    def learn(self, names: frozenset[str]) -> None:
        """See `Claimant.learn`."""
        pubsub = self.place.services.pubsub
        for node in pubsub.nodes(self._account.actor):
            if node.name in names and node.config.send_last is SendLast.ON_PRESENCE:
                for _, item in pubsub.last_item(node, self.actor):
                    shown = ((item.item_id, item.payload),)
                    self.show(NodeChanged(node, NodeEvent.PUBLISHED, shown, last=True, at_ms=item.at_ms))

    def show(self, signal: NodeChanged) -> None:
        """Tell the device what happened."""
        self.send(notifying.message(self.place, signal, str(self.jid)))


class DistantReaders:
    """All of them, by account and address."""

    def __init__(self, place: Place) -> None:
        self._place: Final = place
        self._readers: Final[dict[int, dict[Jid, Reader]]] = {}

    def arrived(self, account: Account, actor: Actor, jid: Jid, claim: Claim | None) -> None:
        """Take in that a device elsewhere is available to `account`."""
        readers = self._readers.get(account.id, {})
        known = readers.get(jid)
        if not self._place.services.presences.shows(account, actor):
            self.left(account, jid)
            return
        if known is None:
            if claim is None or len(readers) >= MAX_READERS:
                return
            reader = readers[jid] = Reader(self._place, account, actor, jid)
            self._readers[account.id] = readers
            self._place.capabilities.note(reader, claim, arrived=True)
        else:
            self._place.capabilities.note(known, claim, arrived=False)

    def left(self, account: Account, jid: Jid) -> None:
        """Take in that it is not any more."""
        readers = self._readers.get(account.id, {})
        reader = readers.pop(jid, None)
        if reader is not None:
            self._place.capabilities.forget(reader)
        if not readers:
            self._readers.pop(account.id, None)

    def lost(self, remote: str) -> None:
        """Forget the devices of a server that cannot be reached."""
        accounts = self._place.services.directory.accounts
        for account_id, readers in list(self._readers.items()):
            for jid in [each for each in readers if each.domain == remote]:
                self.left(accounts[account_id], jid)  # type: ignore[index]  # ids of accounts are kept as numbers

    def publish(self, signal: NodeChanged) -> None:
        """Tell those elsewhere who asked for it, and may know; see `Pubsub.outlets`."""
        node = signal.node
        pubsub, accounts = self._place.services.pubsub, self._place.services.accounts
        local = self._place.pubsub_domain if node.owner is pubsub.service else self._place.domain
        told: set[Jid] = set()
        for reader in list(self._readers.get(node.owner.account_id or 0, {}).values()):
            if node.name in reader.interests and pubsub.may_read(node, reader.actor):
                told |= {reader.jid, reader.jid.bare}
                reader.show(signal)
        for key, known in list(node.subscribers.items()):
            name = key.partition("/")[0]
            if not known.subscribed or ("@" not in name and "." not in name):
                continue
            jid = parse_jid(key)
            if jid not in told and pubsub.may_read(node, accounts.remote(PROTOCOL, name)):
                stanza = notifying.message(self._place, replace(signal, wanted=True), key)
                self._place.abroad.send(local, jid.domain, stanza)
