"""Accounts: creating, disabling, passwords; and actors who have none."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final

from sabir.core.delivery import Sessions
from sabir.core.directory import Directory, account_row, actor_row
from sabir.core.errors import Refusal
from sabir.core.log import Log, Operation
from sabir.core.model.actor import Account, AccountState, Actor, ActorKind
from sabir.core.model.changes import CredentialRow, DataRow
from sabir.core.model.conversation import Conversation, Role
from sabir.core.model.ids import AccountId, ActorId
from sabir.core.model.presence import OFFLINE
from sabir.core.model.roster import Contact
from sabir.core.model.signals import (
    AccountChanged,
    ContactChanged,
    PresenceChanged,
    SubscriptionAnswered,
)
from sabir.core.names import skeleton
from sabir.core.ports import Clock, LogStore, Verifiers
from sabir.core.services.deletion import Tie, delete_account
from sabir.core.services.membership import end_membership
from sabir.core.services.tokens import Tokens

NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,29}\Z")
"""Names valid in every protocol alike (PROTOCOLS 1)."""
ENROLLED: Final = ".certificates"
"""The end of the types of account data with which somebody logs in without the password."""
PASSING_MS: Final = 600_000
"""People of other servers whom nothing here names are forgotten when nothing is heard of them for so long."""
RESERVED: Final = frozenset({"admin", "root", "server", "rooms", "sabir", "nickserv", "chanserv", "system"})

_KEPT: Final = frozenset({AccountState.ACTIVE, AccountState.DISABLED})
_OPEN: Final = frozenset({AccountState.ACTIVE, AccountState.TEMPORARY})


class Promise:
    """What an account is made by, where not everybody may make one: `digest` names it."""

    def __init__(
        self, digest: bytes, check: Callable[[], Refusal | None], keep: Callable[[Log, Account], None]
    ) -> None:
        self.digest = digest
        self.check = check
        """Called when the account is about to form: says why the promise no longer counts, or None."""
        self.keep = keep
        """Called while it forms: does what else was promised."""


class Accounts:
    """The people and bots of this server."""

    def __init__(
        self,
        log: Log,
        directory: Directory,
        sessions: Sessions,
        store: LogStore,
        verifiers: Verifiers,
        tokens: Tokens,
        clock: Clock,
        attended_by: Callable[[Actor], Sequence[Conversation]],
    ) -> None:
        """Prepare. `attended_by` returns the rooms in which somebody is now."""
        self._tokens = tokens
        self._clock = clock
        self._attended_by = attended_by
        self._passing: OrderedDict[ActorId, int] = OrderedDict()
        """When somebody of another server whom nothing here named was heard of last, the longest ago first."""
        self._log = log
        self._directory = directory
        self._sessions = sessions
        self._store = store
        self._verifiers = verifiers
        self._guests: dict[str, Actor] = {}
        self.locked_out: list[Callable[[Log, Account], None]] = []
        """Called while an item forms that deletes an account or changes its password: devices start anew."""

    def find(self, name: str) -> Account | None:
        """Return the account of that name, without regard to case; none that was deleted."""
        account = self._directory.account(name.lower())
        return None if account is None or account.state is AccountState.DELETED else account

    def all(self) -> list[Account]:
        """Return every account that there is, disabled ones too, but none that is for one session only."""
        return [each for each in self._directory.accounts.values() if each.state in _KEPT]

    def may_log_in(self, account: Account) -> Refusal | None:
        """Return why the account may not log in, or None."""
        return None if account.state in _OPEN else Refusal.ACCOUNT_DISABLED

    def verifier(self, account: Account, mechanism: str) -> bytes | None:
        """Return the stored verifier of `account` for a SASL mechanism."""
        return self._store.credential(account.id, mechanism)

    def create(
        self,
        name: str,
        password: str,
        then: Callable[[Account], None],
        refused: Callable[[Refusal], None],
        promise: Promise | None = None,
    ) -> None:
        """Make an account; `then` is called once it is durable.

        Takes milliseconds of CPU for the verifiers.
        """
        if not NAME.match(name) or name in RESERVED:
            refused(Refusal.NAME_INVALID)
        elif not password:
            refused(Refusal.BAD_REQUEST)
        else:
            self.create_with(name, self._verifiers.make(password), then, refused, promise)

    def create_with(
        self,
        name: str,
        verifiers: Sequence[tuple[str, bytes]],
        then: Callable[[Account], None],
        refused: Callable[[Refusal], None],
        promise: Promise | None = None,
    ) -> None:
        """Make an account from verifiers that were computed elsewhere (bulk import), or by a `promise`."""
        made: list[Account] = []

        def form(log: Log) -> Refusal | None:
            directory = self._directory
            if not NAME.match(name) or name in RESERVED:
                return Refusal.NAME_INVALID
            if directory.account(name) is not None:
                return Refusal.ACCOUNT_EXISTS
            promised_by, until_ms = directory.promised_names.get(name, (b"", 0))
            if until_ms > log.now_ms and (promise is None or promise.digest != promised_by):
                return Refusal.ACCOUNT_EXISTS
            broken = None if promise is None else promise.check()
            if broken is not None:
                return broken
            account_id = AccountId(directory.last_account_id + 1)
            actor = Actor(
                ActorId(directory.last_actor_id + 1), ActorKind.LOCAL, name, account_id, "local", name
            )
            account = Account(account_id, log.new_id(), name, AccountState.ACTIVE, actor, log.now_ms)
            account.generation = log.generation
            account.delivered_seq = log.head_seq
            directory.add_actor(actor)
            directory.add_account(account)
            log.undo(lambda: _remove(directory, account))
            log.change(actor_row(actor))
            log.change(account_row(account))
            for mechanism, verifier in verifiers:
                log.change(CredentialRow(account_id=account_id, mechanism=mechanism, verifier=verifier))
            made.append(account)
            log.undo(made.clear)
            if promise is not None:
                promise.keep(log, account)
            return None

        self._log.append(Operation(form, lambda: then(made[0]), refused))

    def set_password(
        self, account: Account, password: str, then: Callable[[], None], refused: Callable[[Refusal], None]
    ) -> None:
        """Replace all verifiers of an account, end its tokens, and ask its sessions to log in again.

        What its owner has enrolled to log in without the password stays: there is a list of it to look at.
        """
        self._set_password(account, password, lambda log: None, then, refused)

    def reset_password(
        self, account: Account, password: str, then: Callable[[], None], refused: Callable[[Refusal], None]
    ) -> None:
        """The same, by an operator: the new password is the only thing with which anybody gets in."""

        def form(log: Log) -> None:
            for type_ in self._store.data_types(account.id):
                if type_.endswith(ENROLLED):
                    row = DataRow(account_id=account.id, conversation_id=0, type=type_, value=b"")
                    row.gone = True
                    log.change(row)

        self._set_password(account, password, form, then, refused)

    def _set_password(
        self,
        account: Account,
        password: str,
        also: Callable[[Log], None],
        then: Callable[[], None],
        refused: Callable[[Refusal], None],
    ) -> None:
        if not password:
            refused(Refusal.BAD_REQUEST)
            return
        verifiers = self._verifiers.make(password)

        def form(log: Log) -> Refusal | None:
            for mechanism, verifier in verifiers:
                log.change(CredentialRow(account_id=account.id, mechanism=mechanism, verifier=verifier))
            self._tokens.forget_all(log, account)
            self._lock_out(log, account)
            also(log)
            return None

        def done() -> None:
            then()
            for session in list(self._sessions.of(account.id)):
                session.signal(AccountChanged(account))

        self._log.append(Operation(form, done, refused))

    def add_verifier(
        self,
        account: Account,
        mechanism: str,
        verifier: bytes,
        proven_at: int,
        then: Callable[[], None],
        refused: Callable[[Refusal], None],
    ) -> None:
        """Add the verifier of another mechanism for the same password.

        `proven_at` is `Account.secrets_no` when that was proven; refused with `LOGIN_FAILED` if it has changed since.
        """

        def form(log: Log) -> Refusal | None:
            if account.secrets_no != proven_at:
                return Refusal.LOGIN_FAILED
            log.change(CredentialRow(account_id=account.id, mechanism=mechanism, verifier=verifier))
            return None

        self._log.append(Operation(form, then, refused))

    def set_state(
        self,
        account: Account,
        state: AccountState,
        then: Callable[[], None],
        refused: Callable[[Refusal], None],
    ) -> None:
        """Enable or disable an account; disabling ends its sessions, its tokens and what wakes its devices."""

        def form(log: Log) -> Refusal | None:
            before = account.state
            account.state = state
            log.undo(lambda: setattr(account, "state", before))
            log.change(account_row(account))
            if state is AccountState.DISABLED:
                self._tokens.forget_all(log, account)
                self._lock_out(log, account)
            return None

        def done() -> None:
            if state is AccountState.DISABLED:
                for session in list(self._sessions.of(account.id)):
                    session.end(Refusal.ACCOUNT_DISABLED)
            then()

        self._log.append(Operation(form, done, refused))

    def delete(self, account: Account, then: Callable[[], None], refused: Callable[[Refusal], None]) -> None:
        """End an account for good: its sessions, subscriptions, memberships and everything kept for it alone.

        What it said stays where it was said, under a name that nobody gets again.
        """
        ties: list[Tie] = []

        def form(log: Log) -> Refusal | None:
            if account.state is AccountState.DELETED:
                return Refusal.ACCOUNT_UNKNOWN
            ties[:] = delete_account(log, self._directory, account)
            self._lock_out(log, account)
            return None

        def done() -> None:
            then()
            for tie in ties:
                self._tell_deleted(account, *tie)
            for session in list(self._sessions.of(account.id)):
                session.end(Refusal.ACCOUNT_DISABLED)

        self._log.append(Operation(form, done, refused))

    def _lock_out(self, log: Log, account: Account) -> None:
        for lock_out in self.locked_out:
            lock_out(log, account)

    def _tell_deleted(self, account: Account, other: Account, before: Contact) -> None:
        """Tell the devices of `other`, whose contact a deleted account was, what became of that."""
        now = self._directory.contacts_of(other).get(account.actor.id)
        for session in self._sessions.of(other.id):
            if before.watches and session.presence.is_available:
                for gone in self._sessions.of(account.id):
                    session.signal(PresenceChanged(account.actor, gone.resource, OFFLINE))
            if before.watches or before.asked:
                session.signal(SubscriptionAnswered(account.actor, granted=False))
            if before.watched or before.asking:
                session.signal(SubscriptionAnswered(account.actor, granted=False, own=True))
            if now is not None:
                session.signal(ContactChanged(now))

    def guest(self, protocol: str, nick: str) -> Actor | None:
        """Return a new actor for somebody who has not logged in.

        Or None if the nick is taken or an account's name. Who has the nick next is another actor: nobody
        inherits anything from a guest. `release_guest` ends it.
        """
        key = skeleton(nick)
        if self._directory.account(key) is not None or key in self._guests:
            return None
        guest = self._newcomer(ActorKind.GUEST, nick, protocol, self._log.new_id().hex())
        self._guests[key] = guest
        return guest

    def release_guest(self, actor: Actor) -> None:
        """Let others use the nick of a guest who left; the roles that it was given end."""
        self._guests.pop(skeleton(actor.name), None)

        def form(log: Log) -> Refusal | None:
            if log.newcomers.pop(actor.id, None) is not None:
                self._directory.remove_actor(actor)
                return None
            for room in self._directory.rooms.values():
                member = room.members.get(actor.id)
                if member is not None:
                    end_membership(log, room, member, member.nick, "", Role.NONE)
            return None

        self._log.append(Operation(form, _nothing, _nothing))

    def remote(self, protocol: str, uri: str) -> Actor:
        """Return the actor of an address on another server."""
        known = self._directory.actors_by_uri.get((protocol, uri))
        if known is not None:
            if known.id in self._passing:
                self._passing[known.id] = self._clock.now_ms()
                self._passing.move_to_end(known.id)
            return known
        self._forget_passing()
        actor = self._newcomer(ActorKind.REMOTE, uri, protocol, uri)
        self._passing[actor.id] = self._clock.now_ms()
        return actor

    def _forget_passing(self) -> None:
        """Forget some of those who came and went: more than come, so that their number is bounded."""
        passing, now_ms = self._passing, self._clock.now_ms()
        for _ in range(2):
            if not passing or next(iter(passing.values())) > now_ms - PASSING_MS:
                return
            actor_id, _heard_ms = passing.popitem(last=False)
            if actor_id not in self._log.newcomers:
                continue  # something names it by now: it stays
            actor = self._directory.actors[actor_id]
            if actor.is_kept or self._attended_by(actor):
                passing[actor_id] = now_ms
            else:
                del self._log.newcomers[actor_id]
                self._directory.remove_actor(actor)

    def _newcomer(self, kind: ActorKind, name: str, protocol: str, uri: str) -> Actor:
        """Return a new actor, to be stored when something in the store first names it."""
        actor = Actor(ActorId(self._directory.last_actor_id + 1), kind, name, None, protocol, uri)
        self._directory.add_actor(actor)
        self._log.newcomers[actor.id] = (actor_row(actor),)
        return actor


def _nothing(*outcome: object) -> None:
    """Nobody waits for the outcome."""


def _remove(directory: Directory, account: Account) -> None:
    del directory.accounts[account.id]
    del directory.accounts_by_name[account.name]
    directory.remove_actor(account.actor)
