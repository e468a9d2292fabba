"""Contact lists, subscriptions to presence, and blocking.

The states are those of RFC 6121 Appendix A in the core's words: "none + pending out" is `asked`, "to" is
`watches`, "from" is `watched`, "both" is the two, "pending in" is `asking`. Each operation changes both sides
in one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sabir.core.delivery import Sessions
from sabir.core.directory import Directory, contact_row
from sabir.core.errors import Refusal
from sabir.core.log import Log, Operation
from sabir.core.model.actor import Account, Actor
from sabir.core.model.changes import BlockRow
from sabir.core.model.ids import ActorId
from sabir.core.model.roster import Contact
from sabir.core.model.signals import (
    BlockListChanged,
    ContactChanged,
    Signal,
    SubscriptionAnswered,
    SubscriptionAsked,
)
from sabir.core.services import peers as abroad
from sabir.core.services.peers import Peers
from sabir.core.services.presence import Presences
from sabir.core.services.strangers import Strangers

MAX_CONTACTS = 2_000
MAX_BLOCKS = 2_000

Refused = Callable[[Refusal], None]
Then = Callable[[], None]


class Roster:
    """The contacts of local accounts."""

    def __init__(
        self,
        log: Log,
        directory: Directory,
        sessions: Sessions,
        presences: Presences,
        peers: Peers,
        strangers: Strangers,
    ) -> None:
        self._strangers = strangers
        self._peers = peers
        self._log = log
        self._directory = directory
        self._sessions = sessions
        self._presences = presences

    def contacts(self, account: Account) -> list[Contact]:
        """Return the listed contacts."""
        return [contact for contact in self._directory.contacts_of(account).values() if contact.listed]

    def contact(self, account: Account, actor: Actor) -> Contact | None:
        """Return one contact, listed or not."""
        return self._directory.contacts_of(account).get(actor.id)

    def requests(self, account: Account) -> list[Contact]:
        """Return who waits for an answer, to be shown at each login until answered (RFC 6121 §3.1.3)."""
        return [contact for contact in self._directory.contacts_of(account).values() if contact.asking]

    def set(
        self, account: Account, actor: Actor, name: str, groups: Sequence[str], then: Then, refused: Refused
    ) -> None:
        """List a contact, or change its name and groups; all sessions of the account are told."""

        def form(log: Log) -> Refusal | None:
            contacts = self._directory.contacts_of(account)
            if actor.id not in contacts and len(contacts) >= MAX_CONTACTS:
                return Refusal.TOO_MANY
            old = contacts.get(actor.id) or Contact(actor)
            self._put(log, account, old.with_(name=name, groups=tuple(groups), listed=True))
            return None

        self._run(form, lambda: self._show(account, actor), then, refused)

    def adopt(self, account: Account, contacts: Sequence[Contact], then: Then, refused: Refused) -> None:
        """Take over contacts as they stand, from another server: this side of each subscription only."""

        def form(log: Log) -> Refusal | None:
            if len(self._directory.contacts_of(account)) + len(contacts) > MAX_CONTACTS:
                return Refusal.TOO_MANY
            for contact in contacts:
                self._put(log, account, contact)
            return None

        self._run(form, lambda: None, then, refused)

    def remove(self, account: Account, actor: Actor, then: Then, refused: Refused) -> None:
        """Take a contact off the list, and with it the subscriptions both ways (RFC 6121 §2.5)."""
        other = self._account_of(actor)
        before: list[Contact] = []
        theirs_before: list[Contact] = []

        def form(log: Log) -> Refusal | None:
            old = self.contact(account, actor)
            if old is None or not old.listed:
                return Refusal.ACTOR_UNKNOWN
            before.append(old)
            log.undo(before.clear)
            log.undo(theirs_before.clear)
            self._put(log, account, None, actor)
            if old.watches or old.asked:
                self._peers.queue_step(log, account, actor, abroad.LEAVE)
            if old.watched or old.asking:
                self._peers.queue_step(log, account, actor, abroad.REFUSE)
            theirs = None if other is None else self.contact(other, account.actor)
            if other is not None and theirs is not None:
                theirs_before.append(theirs)
                self._put(
                    log,
                    other,
                    theirs.with_(watched=False, watches=False, asked=False, asking=False, request=b""),
                )
            return None

        def done() -> None:
            for session in self._sessions.of(account.id):
                session.signal(ContactChanged(before[0], removed=True))
            self._tell_server(account, actor, gone=before[0].watched)
            if other is None or not theirs_before:
                return
            theirs = theirs_before[0]
            if theirs.watched or theirs.asking:
                self._tell(other, SubscriptionAnswered(account.actor, granted=False, own=True))
                self._presences.tell_gone(other, account)
            if theirs.watches or theirs.asked:
                self._tell(other, SubscriptionAnswered(account.actor, granted=False))
                self._presences.tell_gone(account, other)
            self._show(other, account.actor)

        self._run(form, done, then, refused)

    def ask(self, account: Account, actor: Actor, request: bytes, then: Then, refused: Refused) -> None:
        """Ask to see the presence of `actor` (RFC 6121 §3.1); granted at once if that was approved before."""
        other = self._account_of(actor)
        granted: list[bool] = []

        def form(log: Log) -> Refusal | None:
            contacts = self._directory.contacts_of(account)
            if actor.id not in contacts and len(contacts) >= MAX_CONTACTS:
                return Refusal.TOO_MANY
            mine = contacts.get(actor.id) or Contact(actor)
            if other is None:
                if not mine.watches:
                    self._put(log, account, mine.with_(asked=True, listed=True))
                self._peers.queue_step(log, account, actor, abroad.ASK, request)
                return None
            theirs = self.contact(other, account.actor) or Contact(account.actor, listed=False)
            if theirs.watched or theirs.approved or other is account:
                granted.append(not theirs.watched)
                log.undo(granted.clear)
                self._put(log, account, mine.with_(asked=False, watches=True, listed=True))
                self._put(log, other, theirs.with_(watched=True, approved=False, listed=True))
            else:
                is_blocked = account.actor.name in self._directory.blocks_of(other)
                if not is_blocked and not theirs.asking:
                    refusal = self._strangers.may_ask(other, account.actor)
                    if refusal is not None:
                        return refusal
                self._put(log, account, mine.with_(asked=True, listed=True))
                if not is_blocked:
                    self._put(log, other, theirs.with_(asking=True, request=request))
            return None

        def done() -> None:
            self._show(account, actor)
            if other is None:
                self._tell_server(account, actor)
                return
            if granted:
                self._tell(account, SubscriptionAnswered(actor, granted=True))
                self._presences.tell_here(other, account)
                if granted[0]:
                    self._show(other, account.actor)
                return
            theirs = self.contact(other, account.actor)
            if theirs is not None and theirs.asking:
                self._tell(other, SubscriptionAsked(theirs))

        self._run(form, done, then, refused)

    def approve(self, account: Account, actor: Actor, then: Then, refused: Refused) -> None:
        """Let `actor` see the account's presence; without a request, approve one to come (RFC 6121 §3.4)."""
        other = self._account_of(actor)
        answered: list[bool] = []

        def form(log: Log) -> Refusal | None:
            mine = self.contact(account, actor) or Contact(actor, listed=False)
            theirs = None if other is None else self.contact(other, account.actor)
            if other is None and mine.asking:
                answered.append(True)
                log.undo(answered.clear)
                self._put(log, account, mine.with_(asking=False, watched=True, listed=True, request=b""))
                self._peers.queue_step(log, account, actor, abroad.GRANT)
                return None
            if other is None or not mine.asking or theirs is None:
                if not mine.watched:
                    self._put(log, account, mine.with_(approved=True, listed=True))
                return None
            answered.append(True)
            log.undo(answered.clear)
            self._put(log, account, mine.with_(asking=False, watched=True, listed=True, request=b""))
            self._put(log, other, theirs.with_(asked=False, watches=True, listed=True))
            return None

        def done() -> None:
            self._show(account, actor)
            if answered and other is None:
                self._tell_server(account, actor)
                self._presences.answer(account, actor)
            if answered and other is not None:
                self._tell(other, SubscriptionAnswered(account.actor, granted=True))
                self._show(other, account.actor)
                self._presences.tell_here(account, other)

        self._run(form, done, then, refused)

    def revoke(self, account: Account, actor: Actor, then: Then, refused: Refused) -> None:
        """Refuse a request of `actor`, or end what was granted (RFC 6121 §3.2)."""
        other = self._account_of(actor)
        changed: list[bool] = []

        def form(log: Log) -> Refusal | None:
            mine = self.contact(account, actor)
            if mine is None or not (mine.watched or mine.asking or mine.approved):
                return None
            changed.append(mine.watched)
            log.undo(changed.clear)
            kept = mine.with_(watched=False, asking=False, approved=False, request=b"")
            self._put(log, account, kept if kept.listed else None, actor)
            if mine.watched or mine.asking:
                self._peers.queue_step(log, account, actor, abroad.REFUSE)
            theirs = None if other is None else self.contact(other, account.actor)
            if other is not None and theirs is not None:
                self._put(log, other, theirs.with_(watches=False, asked=False))
            return None

        def done() -> None:
            if not changed:
                return
            self._show(account, actor)
            if other is None:
                self._tell_server(account, actor, gone=changed[0])
            if other is not None:
                if changed[0]:
                    self._presences.tell_gone(account, other)
                self._tell(other, SubscriptionAnswered(account.actor, granted=False))
                self._show(other, account.actor)

        self._run(form, done, then, refused)

    def unask(self, account: Account, actor: Actor, then: Then, refused: Refused) -> None:
        """Stop seeing the presence of `actor`, or take back the request (RFC 6121 §3.3)."""
        other = self._account_of(actor)
        changed: list[Contact] = []

        def form(log: Log) -> Refusal | None:
            mine = self.contact(account, actor)
            if mine is None or not (mine.watches or mine.asked):
                return None
            changed.append(mine)
            log.undo(changed.clear)
            self._put(log, account, mine.with_(watches=False, asked=False))
            self._peers.queue_step(log, account, actor, abroad.LEAVE)
            theirs = None if other is None else self.contact(other, account.actor)
            if other is not None and theirs is not None:
                kept = theirs.with_(watched=False, asking=False, request=b"")
                self._put(log, other, kept if kept.listed else None, account.actor)
            return None

        def done() -> None:
            if not changed:
                return
            self._show(account, actor)
            if other is None:
                self._tell_server(account, actor)
            if other is not None:
                self._tell(other, SubscriptionAnswered(account.actor, granted=False, own=True))
                self._show(other, account.actor)
                self._presences.tell_gone(other, account)

        self._run(form, done, then, refused)

    # What people of other servers do: the local side of RFC 6121 Appendix A

    def asked_by(self, account: Account, actor: Actor, request: bytes, then: Then, refused: Refused) -> None:
        """Take a request of somebody of another server; granted at once if that was approved before."""
        outcome: list[bool] = []

        def form(log: Log) -> Refusal | None:
            contacts = self._directory.contacts_of(account)
            if abroad.is_blocked(self._directory.blocks_of(account), actor):
                return None
            mine = contacts.get(actor.id) or Contact(actor, listed=False)
            if mine.asking:
                return None
            if mine.watched or mine.approved:
                # RFC 6121 §3.1.3: whoever may see it already is told so again.
                outcome.append(True)
                self._put(log, account, mine.with_(watched=True, approved=False, listed=True))
                self._peers.queue_step(log, account, actor, abroad.GRANT)
            elif len(contacts) >= MAX_CONTACTS:
                return Refusal.TOO_MANY
            else:
                refusal = self._strangers.may_ask(account, actor)
                if refusal is not None:
                    return refusal
                outcome.append(False)
                self._put(log, account, mine.with_(asking=True, request=request))
            log.undo(outcome.clear)
            return None

        def done() -> None:
            contact = self.contact(account, actor)
            if not outcome or contact is None:
                return
            if outcome[0]:
                self._show(account, actor)
                self._tell_server(account, actor)
                self._presences.answer(account, actor)
            else:
                self._tell(account, SubscriptionAsked(contact))

        self._run(form, done, then, refused)

    def answered_by(
        self, account: Account, actor: Actor, then: Then, refused: Refused, *, granted: bool
    ) -> None:
        """Take the answer of somebody of another server to a request, or the end of what was granted."""
        changed: list[bool] = []

        def form(log: Log) -> Refusal | None:
            mine = self.contact(account, actor)
            if mine is None or not (mine.asked or (mine.watches and not granted)):
                return None  # RFC 6121 §3.1.6, §3.2.3: nobody asked
            changed.append(True)
            log.undo(changed.clear)
            self._put(log, account, mine.with_(asked=False, watches=granted))
            return None

        def done() -> None:
            if changed:
                self._tell(account, SubscriptionAnswered(actor, granted=granted))
                self._show(account, actor)

        self._run(form, done, then, refused)

    def left_by(self, account: Account, actor: Actor, then: Then, refused: Refused) -> None:
        """Take note that somebody of another server does not want to see the account any more."""
        changed: list[bool] = []

        def form(log: Log) -> Refusal | None:
            mine = self.contact(account, actor)
            if mine is None or not (mine.watched or mine.asking):
                return None
            changed.append(mine.watched)
            log.undo(changed.clear)
            kept = mine.with_(watched=False, asking=False, request=b"")
            self._put(log, account, kept if kept.listed else None, actor)
            return None

        def done() -> None:
            if changed:
                self._tell(account, SubscriptionAnswered(actor, granted=False, own=True))
                self._show(account, actor)
                if changed[0]:
                    self._presences.show_gone(account, actor)  # RFC 6121 §3.3.3

        self._run(form, done, then, refused)

    def befriend(self, log: Log, one: Account, other: Account) -> None:
        """Let two accounts see each other, while an item forms; `show_befriended` follows."""
        for account, actor in ((one, other.actor), (other, one.actor)):
            known = self.contact(account, actor) or Contact(actor)
            flags = known.with_(
                watches=True, watched=True, asked=False, asking=False, approved=False, listed=True
            )
            self._put(log, account, flags.with_(request=b""))

    def show_befriended(self, one: Account, other: Account) -> None:
        """Tell the devices of both of it."""
        for account, friend in ((one, other), (other, one)):
            self._show(account, friend.actor)
            self._presences.tell_here(friend, account)

    def blocked(self, account: Account) -> list[str]:
        """Return the blocked addresses: names of local accounts, whole addresses of others."""
        return list(self._directory.blocks_of(account))

    def block(self, account: Account, names: Sequence[str], then: Then, refused: Refused) -> None:
        """Block addresses: nothing of theirs arrives, and they see the account as offline (XEP-0191 §3)."""

        def form(log: Log) -> Refusal | None:
            blocks = self._directory.blocks_of(account)
            if len(blocks) + len(names) > MAX_BLOCKS:
                return Refusal.TOO_MANY
            added = [name for name in names if name not in blocks]
            blocks.update(dict.fromkeys(added))
            log.undo(lambda: _unblock(blocks, added))
            for name in added:
                log.change(BlockRow(account_id=account.id, name=name))
            return None

        def done() -> None:
            for name in names:
                other = self._directory.account(name)
                if other is not None and self._presences.watches(other, account.actor):
                    self._presences.tell_gone(account, other)
            for actor in self._watchers_of_elsewhere(account, names):
                self._presences.show_gone(account, actor)
            for session in self._sessions.of(account.id):
                session.signal(BlockListChanged(tuple(names), blocked=True))

        self._run(form, done, then, refused)

    def unblock(self, account: Account, names: Sequence[str], then: Then, refused: Refused) -> None:
        """Unblock addresses; all of them if `names` is empty."""
        gone: list[str] = []

        def form(log: Log) -> Refusal | None:
            blocks = self._directory.blocks_of(account)
            log.undo(gone.clear)
            gone.extend(name for name in (names or list(blocks)) if name in blocks)
            _unblock(blocks, gone)
            log.undo(lambda: blocks.update(dict.fromkeys(gone)))
            for name in gone:
                log.change(BlockRow(account_id=account.id, name=name, gone=True))
            return None

        def done() -> None:
            for session in self._sessions.of(account.id):
                session.signal(BlockListChanged(tuple(names), blocked=False))
            for name in gone:
                other = self._directory.account(name)
                if other is not None and self._presences.watches(other, account.actor):
                    self._presences.tell_here(account, other)
            for actor in self._watchers_of_elsewhere(account, gone):
                self._presences.answer(account, actor)

        self._run(form, done, then, refused)

    def _run(self, form: Callable[[Log], Refusal | None], done: Then, then: Then, refused: Refused) -> None:
        def finish() -> None:
            then()
            done()

        self._log.append(Operation(form, finish, refused))

    def _put(self, log: Log, account: Account, contact: Contact | None, actor: Actor | None = None) -> None:
        contacts = self._directory.contacts_of(account)
        subject = contact.actor if contact is not None else actor
        assert subject is not None
        before = contacts.get(subject.id)
        if contact is None:
            contacts.pop(subject.id, None)
            row = contact_row(account, Contact(subject))
            row.gone = True
        else:
            log.introduce(subject.id)
            contacts[subject.id] = contact
            row = contact_row(account, contact)
        log.undo(lambda: _restore(contacts, subject, before))
        log.change(row)

    def _show(self, account: Account, actor: Actor) -> None:
        contact = self.contact(account, actor)
        if contact is not None and contact.listed:
            for session in self._sessions.of(account.id):
                session.signal(ContactChanged(contact))

    def _tell(self, account: Account, signal: Signal) -> None:
        for session in self._sessions.of(account.id):
            session.signal(signal)

    def _watchers_of_elsewhere(self, account: Account, names: Sequence[str]) -> list[Actor]:
        """Return those of other servers whom a block list of `names` is about, and who may see the account."""
        named = dict.fromkeys(names)
        return [
            contact.actor
            for contact in self._directory.contacts_of(account).values()
            if contact.watched
            and contact.actor.account_id is None
            and abroad.is_blocked(named, contact.actor)
        ]

    def _tell_server(self, account: Account, actor: Actor, *, gone: bool = False) -> None:
        """Send on what waits for the server of `actor`; `gone`: who may not see the account any more sees it leave."""
        if gone and actor.account_id is None:
            self._presences.show_gone(account, actor)  # RFC 6121 §3.2.2: before `unsubscribed` comes
        self._peers.wake(actor)

    def _account_of(self, actor: Actor) -> Account | None:
        return None if actor.account_id is None else self._directory.accounts.get(actor.account_id)


def _restore(contacts: dict[ActorId, Contact], actor: Actor, before: Contact | None) -> None:
    if before is None:
        contacts.pop(actor.id, None)
    else:
        contacts[actor.id] = before


def _unblock(blocks: dict[str, None], names: Sequence[str]) -> None:
    for name in names:
        blocks.pop(name, None)
