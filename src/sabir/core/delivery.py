"""From a committed event to the sessions that must see it.

Fan-out is a loop over sessions; each renders once per protocol variant and shares the bytes (`Event.cache`).
A session whose client does not keep up stops being live and becomes a cursor: `catch_up` feeds it from the
log at its own pace, and hands it back to live delivery at the head, so that memory is bounded and nothing is
dropped.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Final

from sabir.core.directory import Directory
from sabir.core.errors import Refusal
from sabir.core.model.actor import Actor
from sabir.core.model.conversation import Conversation
from sabir.core.model.event import Event
from sabir.core.ports import LogStore, Scheduler, Session

log = logging.getLogger(__name__)

CATCH_UP_EVENTS: Final = 256
"""Events read from the log at a time for a cursor."""


class Sessions:
    """The connected devices of every account."""

    def __init__(self) -> None:
        self._of: dict[int, list[Session]] = {}
        self.all: dict[Session, None] = {}
        self._guests = 0

    def people(self) -> int:
        """Return how many are connected, however many devices each has."""
        return len(self._of) + self._guests

    def add(self, session: Session) -> None:
        """Note a session that has logged in."""
        self.all[session] = None
        if session.account is not None:
            self._of.setdefault(session.account.id, []).append(session)
        else:
            self._guests += 1

    def remove(self, session: Session) -> None:
        """Forget a session; a second call does nothing."""
        if self.all.pop(session, self) is self:
            return
        if session.account is not None:
            own = self._of[session.account.id]
            own.remove(session)
            if not own:
                del self._of[session.account.id]
        else:
            self._guests -= 1

    def of(self, account_id: int) -> list[Session]:
        """Return the sessions of an account; not to be changed."""
        return self._of.get(account_id, _NONE)

    def named(self, account_id: int, resource: str) -> Session | None:
        """Return the session of an account with that device name."""
        for session in self._of.get(account_id, _NONE):
            if session.resource == resource:
                return session
        return None


_NONE: Final[list[Session]] = []


class Cursor:
    """How far a slow session has read. `seq` is the last log number that it was given or may skip."""

    def __init__(self, seq: int) -> None:
        self.seq = seq
        self.running = False
        self.own: set[int] = set()
        """Entries that the session itself posted meanwhile: it was told by `posted`."""


class Delivery:
    """Delivers committed events, live or through cursors."""

    def __init__(
        self, sessions: Sessions, directory: Directory, store: LogStore, scheduler: Scheduler
    ) -> None:
        self._sessions = sessions
        self._directory = directory
        self._store = store
        self._scheduler = scheduler
        self._cursors: dict[Session, Cursor] = {}
        self._missing: dict[Session, bool] = {}
        """Sessions that are being shown what they missed; true once a live entry was held back from one."""
        self.head_seq = 0
        """The log number up to which everything was delivered, or needed no delivery."""
        self.delivered = 0
        self.registered: Mapping[int, object] = {}
        """Accounts with devices that may be woken, by id."""
        self.missed: Callable[[int, Conversation, Event], None] = _nobody
        """Told of what is said to one of them."""
        self.abroad: Callable[[Actor], None] | None = None
        """Told of each entry of a direct conversation with somebody of another server."""

    def deliver(self, conversation: Conversation, event: Event, origin: Session | None) -> None:
        """Show `event` to everyone concerned but `origin`."""
        self.head_seq = event.seq
        cursors = self._cursors
        if cursors and origin in cursors:
            cursors[origin].own.add(event.seq)
        count = 0
        if conversation.is_room:
            for session in list(conversation.listeners):
                if session is not origin and not (cursors and session in cursors):
                    try:
                        session.deliver(conversation, event)
                    except Exception:
                        log.exception("delivery failed", extra={"protocol": session.protocol})
                        session.end(Refusal.FAULT)
                    count += 1
        else:
            missing = self._missing
            for account in conversation.parties:
                for session in list(self._sessions.of(account.id)):
                    if session is not origin and not (cursors and session in cursors):
                        if missing and session in missing:
                            missing[session] = True
                            continue
                        try:
                            session.deliver(conversation, event)
                        except Exception:
                            log.exception("delivery failed", extra={"protocol": session.protocol})
                            session.end(Refusal.FAULT)
                        count += 1
                if self.registered and account.id in self.registered and account.actor.id != event.actor_id:
                    self.missed(account.id, conversation, event)
            if conversation.peer is not None and self.abroad is not None:
                self.abroad(conversation.peer)
        self.delivered += count

    def reached(self, head_seq: int) -> None:
        """Note that everything up to `head_seq` had its outcome."""
        if head_seq > self.head_seq:
            self.head_seq = head_seq

    def lagging(self) -> int:
        """Return the number of sessions that are cursors now."""
        return len(self._cursors)

    def is_lagging(self, session: Session) -> bool:
        """Return whether `session` is a cursor now."""
        return session in self._cursors

    def lag(self, session: Session) -> None:
        """Make a live session a cursor at the present head: its client does not keep up."""
        if session not in self._cursors:
            self._cursors[session] = Cursor(self.head_seq)

    def forget(self, session: Session) -> None:
        """Drop the cursor of a session that ended."""
        self._cursors.pop(session, None)
        self._missing.pop(session, None)

    def hold_back(self, session: Session) -> None:
        """Give `session` no live entries of direct conversations until `go_on`: older ones come first."""
        self._missing[session] = False

    def held_back(self, session: Session) -> bool:
        """Return whether an entry was held back since `hold_back`."""
        return self._missing.get(session, False)

    def go_on(self, session: Session) -> None:
        """Give `session` live entries again."""
        self._missing.pop(session, None)

    def catch_up(self, session: Session) -> None:
        """Feed `session` the next part of the log, if it is a cursor.

        To be called when its client has read its fill.

        It is live again when it reaches the head.
        """
        cursor = self._cursors.get(session)
        if cursor is None or cursor.running or session.is_full():
            return
        if cursor.seq >= self.head_seq:
            del self._cursors[session]
            session.live()
            return
        cursor.running = True
        self._store.follow(cursor.seq, CATCH_UP_EVENTS, lambda events: self._feed(session, cursor, events))

    def _feed(self, session: Session, cursor: Cursor, events: list[Event]) -> None:
        cursor.running = False
        if self._cursors.get(session) is not cursor:
            return
        for event in events:
            if event.seq > self.head_seq:
                break  # committed, but its live delivery is still to come
            cursor.seq = event.seq
            conversation = self._directory.conversation(event.conversation_id)
            if event.seq in cursor.own or conversation is None or not concerns(session, conversation):
                continue
            if session in self._missing and not conversation.is_room:
                self._missing[session] = True
            else:
                session.deliver(conversation, event)
        if not events:
            cursor.seq = self.head_seq
        self._scheduler.soon(lambda: self.catch_up(session))


def _nobody(account_id: int, conversation: Conversation, event: Event) -> None:
    """Wake nobody."""


def concerns(session: Session, conversation: Conversation) -> bool:
    """Return whether `session` is to see the events of `conversation` as they happen."""
    if conversation.is_room:
        return session in conversation.listeners
    return session.account in conversation.parties
