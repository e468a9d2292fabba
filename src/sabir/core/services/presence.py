"""Who is there: availability of people, told to those who may know."""

from __future__ import annotations

from collections.abc import Callable

from sabir.core.delivery import Sessions
from sabir.core.directory import Directory
from sabir.core.model.actor import Account, Actor, ActorKind
from sabir.core.model.presence import OFFLINE, Presence
from sabir.core.model.signals import PresenceChanged
from sabir.core.ports import Clock, Session
from sabir.core.services.peers import Peers, is_blocked


class Presences:
    """Presence lives in memory, with the sessions that have it."""

    def __init__(self, directory: Directory, sessions: Sessions, clock: Clock, peers: Peers) -> None:
        self._peers = peers
        self._clock = clock
        self._directory = directory
        self._sessions = sessions
        self.observers: list[Callable[[Account, bool, bool], None]] = []
        """Told (account, was it here, is it here) of every change, for watchers that are no contacts (IRC MONITOR).

        Whoever observes decides what it may show to whom.
        """

    def change(self, session: Session, presence: Presence) -> None:
        """Set the presence of `session` and tell the account's watchers and other sessions.

        When it becomes available, it is told the presence of everyone it watches (RFC 6121 §4.2.2).
        """
        was_available = session.presence.is_available
        session.presence = presence
        account = session.account
        if account is not None and was_available and not presence.is_available:
            account.left_ms = self._clock.now_ms()
        if account is None or not (was_available or presence.is_available):
            return
        told = PresenceChanged(account.actor, session.resource, presence)
        for watcher in self.watchers(account):
            for other in self._sessions.of(watcher.id):
                if other.presence.is_available:
                    other.signal(told)
        for watching in self.foreign_watchers(account):
            self._peers.show(account, session.resource, presence, watching)
        for other in self._sessions.of(account.id):
            if other.presence.is_available or other is session:
                other.signal(told)
        if presence.is_available and not was_available:
            self.probe_all(session, account)
        if self.observers:
            others = any(
                other.presence.is_available for other in self._sessions.of(account.id) if other is not session
            )
            for observer in self.observers:
                observer(account, others or was_available, others or presence.is_available)

    def probe_all(self, session: Session, account: Account) -> None:
        """Tell `session` the presence of everyone whom its account watches, and of its own other devices."""
        for contact in self._directory.contacts_of(account).values():
            if contact.watches and contact.actor.kind is ActorKind.REMOTE:
                self._peers.probe(account, contact.actor)
            elif contact.watches:
                self.probe(session, contact.actor)
        for other in self._sessions.of(account.id):
            if other is not session and other.presence.is_available:
                session.signal(PresenceChanged(account.actor, other.resource, other.presence))

    def probe(self, session: Session, actor: Actor) -> bool:
        """Tell `session` the presence of each device of `actor`; returns whether there was any."""
        found = False
        if actor.account_id is not None and not self.hides(actor, session.actor):
            for other in self._sessions.of(actor.account_id):
                if other.presence.is_available:
                    session.signal(PresenceChanged(actor, other.resource, other.presence))
                    found = True
        return found

    def may_see(self, account: Account, actor: Actor) -> bool:
        """Return whether `account` may see the presence of `actor`: its own, or who lets it and has not blocked it."""
        return self.watches(account, actor) and not self.hides(actor, account.actor)

    def watches(self, account: Account, actor: Actor) -> bool:
        """Return whether `account` may see `actor` unless it is blocked."""
        if account.actor is actor:
            return True
        contact = self._directory.contacts_of(account).get(actor.id)
        return contact is not None and contact.watches

    def shows(self, account: Account, viewer: Actor) -> bool:
        """Return whether `account` lets `viewer`, who may be of another server, see its presence."""
        if account.actor is viewer:
            return True
        contact = self._directory.contacts_of(account).get(viewer.id)
        return contact is not None and contact.watched and not self.hides(account.actor, viewer)

    def hides(self, actor: Actor, viewer: Actor) -> bool:
        """Return whether `actor` has blocked `viewer`, who is to take it for absent."""
        if actor.account_id is None:
            return False
        blocks = self._directory.blocks.get(actor.account_id)
        return blocks is not None and is_blocked(blocks, viewer)

    def direct(self, session: Session, account: Account, resource: str, presence: Presence) -> None:
        """Send a presence to one account.

        Or one of its devices) whatever the subscriptions (RFC 6121 §4.6.
        """
        if self.hides(account.actor, session.actor):
            return
        told = PresenceChanged(session.actor, session.resource, presence)
        for other in self._sessions.of(account.id):
            if not resource or other.resource == resource:
                other.signal(told)

    def tell_gone(self, account: Account, watcher: Account) -> None:
        """Make `watcher` see all devices of `account` go offline: it may not see them any more."""
        self._tell(account, watcher, gone=True)

    def tell_here(self, account: Account, watcher: Account) -> None:
        """Tell `watcher` the presence of all devices of `account`: it may see them now, unless blocked."""
        if self.hides(account.actor, watcher.actor):
            return
        self._tell(account, watcher, gone=False)

    def watchers(self, account: Account) -> list[Account]:
        """Return the local accounts that may see the presence of `account` and have not been blocked."""
        blocks = self._directory.blocks_of(account)
        found: list[Account] = []
        for contact in self._directory.contacts_of(account).values():
            if contact.watched and contact.actor.account_id is not None and contact.actor.name not in blocks:
                watcher = self._directory.accounts.get(contact.actor.account_id)
                if watcher is not None and watcher is not account:
                    found.append(watcher)
        return found

    def foreign_watchers(self, account: Account) -> list[Actor]:
        """Return those of other servers who may see the presence of `account` and have not been blocked."""
        return [
            contact.actor
            for contact in self._directory.contacts_of(account).values()
            if contact.watched
            and contact.actor.kind is ActorKind.REMOTE
            and not self.hides(account.actor, contact.actor)
        ]

    def arrive(self, actor: Actor, resource: str, presence: Presence, account: Account) -> None:
        """Show an account the presence of somebody of another server whom it watches; others it is not shown."""
        contact = self._directory.contacts_of(account).get(actor.id)
        if contact is None or not contact.watches or self.hides(account.actor, actor):
            return
        told = PresenceChanged(actor, resource, presence)
        for session in self._sessions.of(account.id):
            if session.presence.is_available:
                session.signal(told)

    def answer(self, account: Account, actor: Actor) -> bool:
        """Show somebody of another server all devices of `account`; returns whether that one may see them."""
        contact = self._directory.contacts_of(account).get(actor.id)
        if contact is None or not contact.watched or self.hides(account.actor, actor):
            return False
        found = False
        for session in self._sessions.of(account.id):
            if session.presence.is_available:
                self._peers.show(account, session.resource, session.presence, actor)
                found = True
        if not found:
            self._peers.show(account, "", OFFLINE, actor)
        return True

    def show_gone(self, account: Account, actor: Actor) -> None:
        """Make somebody of another server see all devices of `account` go offline."""
        for session in self._sessions.of(account.id):
            if session.presence.is_available:
                self._peers.show(account, session.resource, OFFLINE, actor)

    def best(self, account: Account) -> Presence:
        """Return the presence of the most available device (PROTOCOLS 3.2)."""
        best = OFFLINE
        for session in self._sessions.of(account.id):
            if session.presence.availability > best.availability:
                best = session.presence
        return best

    def _tell(self, account: Account, watcher: Account, *, gone: bool) -> None:
        for session in self._sessions.of(account.id):
            if session.presence.is_available:
                told = PresenceChanged(account.actor, session.resource, OFFLINE if gone else session.presence)
                for other in self._sessions.of(watcher.id):
                    if other.presence.is_available:
                        other.signal(told)
