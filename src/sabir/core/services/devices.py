"""Connected devices: logging in and out, what a person missed, and data kept for a person."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from sabir.core.delivery import Delivery, Sessions
from sabir.core.directory import Directory, account_row
from sabir.core.errors import Refusal
from sabir.core.log import Log, Operation
from sabir.core.model.actor import Account, AccountState
from sabir.core.model.changes import DataRow
from sabir.core.model.conversation import Conversation
from sabir.core.model.event import IMPORTED, Event, Kind
from sabir.core.model.signals import Announced
from sabir.core.ports import LogStore, Page, PageQuery, Scheduler, Session

SAVE_MS = 5_000
"""How long a delivery cursor may wait for its write: after a crash the device sees these messages again, by
the same ids.
"""


_MISSED: Final = frozenset(
    (
        int(Kind.MESSAGE),
        int(Kind.EDIT),
        int(Kind.DELETE),
        int(Kind.REACTION),
        int(Kind.TOPIC),
        int(Kind.CALL),
    )
)

ShowMissed = Callable[[Page, Sequence[Event]], None]


class _Missed:
    """One session on its way through what it missed, page by page, up to the present."""

    def __init__(
        self,
        session: Session,
        account: Account,
        store: LogStore,
        delivery: Delivery,
        devices: Devices,
        limit: int,
        show: ShowMissed,
    ) -> None:
        self._session = session
        self._account = account
        self._store = store
        self._delivery = delivery
        self._devices = devices
        self._limit = limit
        self._show = show
        self._old_seq = delivery.head_seq
        """What is later happened while we read, and is shown as live."""

    def read(self, after_seq: int) -> None:
        """Read the next page, unless there is none."""
        if after_seq >= self._delivery.head_seq:
            self._delivery.go_on(self._session)
            return
        self._delivery.hold_back(self._session)
        query = PageQuery(account_id=self._account.id, after_seq=after_seq, limit=self._limit, kinds=_MISSED)
        self._store.page(query, lambda page: self._take(page, after_seq))

    def _take(self, page: Page, after_seq: int) -> None:
        session, delivery = self._session, self._delivery
        if not self._devices.is_here(session):
            return
        # Beyond: committed, but its live delivery is still to come.
        events = [event for event in page.events if event.seq <= delivery.head_seq]
        missed = [event for event in events if event.seq <= self._old_seq and not event.flags & IMPORTED]
        self._show(page, missed)
        for event in events:
            conversation = self._devices.conversation_of(event)
            if event.seq > self._old_seq and conversation is not None:
                session.deliver(conversation, event)
        last = events[-1].seq if events else after_seq
        if events:
            self._devices.delivered(self._account, last)
        if delivery.held_back(session) or (events and not page.complete):
            self.read(last)
        else:
            delivery.go_on(session)


class Devices:
    """Sessions of accounts, and the cursor of each account for offline delivery."""

    def __init__(
        self,
        log: Log,
        directory: Directory,
        sessions: Sessions,
        delivery: Delivery,
        store: LogStore,
        scheduler: Scheduler,
    ) -> None:
        self._log = log
        self._directory = directory
        self._sessions = sessions
        self._delivery = delivery
        self._store = store
        self._scheduler = scheduler
        self._dirty: dict[int, Account] = {}

    def people(self) -> int:
        """Return how many are connected by any protocol."""
        return self._sessions.people()

    def log_in(self, session: Session) -> None:
        """Take a session in: it gets events from now on.

        Another of the same account and device name is ended.
        """
        if session.account is not None and session.resource:
            other = self._sessions.named(session.account.id, session.resource)
            if other is not None and other is not session:
                other.end(Refusal.ALREADY_ATTENDING)
        self._sessions.add(session)

    def log_out(self, session: Session) -> None:
        """Forget a session. Rooms and presence are left by their own services before."""
        self._sessions.remove(session)
        self._delivery.forget(session)

    def is_here(self, session: Session) -> bool:
        """Return whether a session is logged in still."""
        return session in self._sessions.all

    def of(self, account: Account) -> list[Session]:
        """Return the sessions of an account; not to be changed."""
        return self._sessions.of(account.id)

    def named(self, account: Account, resource: str) -> Session | None:
        """Return the session with that device name."""
        return self._sessions.named(account.id, resource)

    def announce(self, text: str, subject: str = "") -> int:
        """Tell everybody who is connected something; returns how many devices were told."""
        told = list(self._sessions.all)
        for session in told:
            session.signal(Announced(text, subject))
        return len(told)

    def delivered(self, account: Account, seq: int) -> None:
        """Note that a device of `account` was given everything up to `seq`; written down within seconds."""
        if seq > account.delivered_seq:
            account.delivered_seq = seq
            self._keep(account)

    def show_missed(self, session: Session, limit: int, show: ShowMissed) -> None:
        """Show `session` the direct messages that no device of its account was given yet, oldest first.

        `show` is called with each page and the entries of it to show. What is said meanwhile is held back and
        follows, so that the session sees everything once, in order.
        """
        account = session.account
        if account is not None:
            _Missed(session, account, self._store, self._delivery, self, limit, show).read(
                account.delivered_seq
            )

    def save(self) -> None:
        """Write the delivery cursors down now; those that cannot be are tried again within seconds."""
        dirty, self._dirty = self._dirty, {}

        def form(log: Log) -> Refusal | None:
            for account in dirty.values():
                if account.state is not AccountState.TEMPORARY:  # that one misses nothing: it ends
                    log.change(account_row(account))
            return None

        def refused(refusal: Refusal) -> None:
            for account in dirty.values():
                self._keep(account)

        if dirty:
            self._log.append(Operation(form, lambda: None, refused))

    def conversation_of(self, event: Event) -> Conversation | None:
        """Return the conversation of an event that was read from the store."""
        return self._directory.conversation(event.conversation_id)

    def data(self, account: Account, type: str, conversation_id: int = 0) -> bytes | None:
        """Return a value kept for a person, e.g. the vCard; as of the last commit."""
        return self._store.data(account.id, conversation_id, type)

    def data_types(self, account: Account) -> list[str]:
        """Return what is kept for a person, apart from single conversations; as of the last commit."""
        return self._store.data_types(account.id)

    def data_size(self, account: Account) -> tuple[int, int]:
        """Return how many values are kept for a person, and their bytes; as of the last commit."""
        return self._store.data_size(account.id)

    def set_data(
        self,
        account: Account,
        type: str,
        value: bytes,
        then: Callable[[], None],
        refused: Callable[[Refusal], None],
        conversation_id: int = 0,
    ) -> None:
        """Keep a value for a person; an empty one deletes it."""

        def form(log: Log) -> Refusal | None:
            row = DataRow(account_id=account.id, conversation_id=conversation_id, type=type, value=value)
            row.gone = not value
            log.change(row)
            return None

        self._log.append(Operation(form, then, refused))

    def _keep(self, account: Account) -> None:
        if not self._dirty:
            self._scheduler.later(SAVE_MS, self.save)
        self._dirty[account.id] = account
