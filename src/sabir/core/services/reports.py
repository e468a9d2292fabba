"""What people report of others: kept until an operator has dealt with it, and told to the moderators of the room."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from sabir.core import policy
from sabir.core.errors import Refusal
from sabir.core.log import Log, Operation
from sabir.core.model.changes import ReportRow
from sabir.core.model.conversation import Conversation, Role
from sabir.core.model.event import Event
from sabir.core.model.signals import Reported
from sabir.core.pace import Pace
from sabir.core.ports import LogStore, Session
from sabir.core.services.history import History

MOST_MESSAGES: Final = 20
"""Messages that one report may name."""
MOST_CHARS: Final = 1_000
"""Characters of what the reporter adds."""

Then = Callable[[], None]
Refused = Callable[[Refusal], None]


class Reports:
    """Reports that are open. `filed` counts those made since the start."""

    def __init__(self, log: Log, store: LogStore, history: History, pace: Pace) -> None:
        self._log = log
        self._store = store
        self._history = history
        self._pace = pace
        self._closed: set[bytes] = set()
        """Those that the store may still have."""
        self.filed = 0

    def file(
        self,
        session: Session,
        reported: str,
        reason: str,
        text: str,
        messages: Iterable[Event],
        room: Conversation | None,
        then: Then,
        refused: Refused,
    ) -> None:
        """Report the address `reported`; `room` is where, if that was in one, and is told without saying by whom.

        Of `messages` those count that the reporter may read.
        """
        seen = [event for event in messages if self._may_see(session, event)][:MOST_MESSAGES]
        row = ReportRow(
            id=self._log.new_id(),
            at_ms=0,
            reporter=session.actor.id,
            reported=reported,
            reason=reason,
            text=text[:MOST_CHARS],
            messages=b"".join(event.event_id for event in seen),
        )

        def form(log: Log) -> Refusal | None:
            refusal = self._pace.take(session.actor.id)
            if refusal is None:
                row.at_ms = log.now_ms
                log.introduce(session.actor.id)
                log.change(row)
            return refusal

        def done() -> None:
            self.filed += 1
            then()
            if room is not None and session in room.listeners:
                told = Reported(room, reported, reason, row.text)
                for other, attendee in list(room.listeners.items()):
                    if attendee.role >= Role.MODERATOR and attendee.nick != reported.rpartition("/")[2]:
                        other.signal(told)

        self._log.append(Operation(form, done, refused))

    def open(self, limit: int) -> list[ReportRow]:
        """Return the latest reports that nobody has closed, newest first."""
        return self._store.reports(limit)

    def close(self, report_id: bytes, then: Then, refused: Refused) -> None:
        """Forget a report: it was dealt with."""

        def form(log: Log) -> Refusal | None:
            found = [row for row in self._store.reports(0) if row.id == report_id]
            if not found or report_id in self._closed:
                return Refusal.TARGET_UNKNOWN
            self._closed.add(report_id)
            log.undo(lambda: self._closed.discard(report_id))
            row = found[0]
            row.gone = True
            log.change(row)
            return None

        self._log.append(Operation(form, then, refused))

    def _may_see(self, session: Session, event: Event) -> bool:
        conversation = self._history.conversation(event)
        if conversation is None or self._history.may_read(conversation, session.actor) is not None:
            return False
        inside = not conversation.is_room or policy.is_visible(conversation, session.actor)
        return inside and self._history.may_see(conversation, session.actor, event)
