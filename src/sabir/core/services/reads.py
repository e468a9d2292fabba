"""Read markers, receipts and typing: how far people are, and what they are doing."""

from __future__ import annotations

from collections.abc import Callable

from sabir.core import policy
from sabir.core.delivery import Sessions
from sabir.core.directory import Directory
from sabir.core.errors import Refusal
from sabir.core.log import Log, Operation
from sabir.core.model.actor import Account
from sabir.core.model.changes import ReadRow, ReceiptRow
from sabir.core.model.conversation import Conversation
from sabir.core.model.event import Event
from sabir.core.model.signals import ReadMarked, Receipt, ReceiptKind, Signal, Typing, TypingState
from sabir.core.pace import Pace
from sabir.core.ports import LogStore, Session
from sabir.core.services.peers import Peers, is_blocked


class Reads:
    """Markers are changes (durable, only the latest counts).

    Typing and the notice of a receipt are signals: those sent too fast are dropped.
    """

    def __init__(
        self,
        log: Log,
        directory: Directory,
        sessions: Sessions,
        store: LogStore,
        pace: Pace,
        peers: Peers,
    ) -> None:
        self._peers = peers
        self._log = log
        self._directory = directory
        self._sessions = sessions
        self._store = store
        self._pace = pace
        self._markers: dict[int, dict[int, ReadRow]] = {}
        self.observers: list[Callable[[Account, Conversation, Event], None]] = []
        """Told (account, conversation, event) of each marker that moved, once it is durable."""

    def marker(self, account: Account, conversation: Conversation) -> ReadRow | None:
        """Return how far `account` has read in `conversation`."""
        return self._of(account).get(conversation.id)

    def markers(self, account: Account) -> list[ReadRow]:
        """Return how far `account` has read, wherever it has."""
        return list(self._of(account).values())

    def mark(
        self,
        session: Session,
        conversation: Conversation,
        event: Event,
        then: Callable[[], None] | None = None,
        refused: Callable[[Refusal], None] | None = None,
    ) -> None:
        """Move the marker of the session's account up to `event`; never backwards.

        Its other sessions get `ReadMarked`, and `then` is called once the marker is durable (or was further
        already); or `refused`, and the marker is where it was.
        """
        account = session.account
        if account is None:
            return
        moved: list[ReadRow] = []

        def form(log: Log) -> Refusal | None:
            rows = self._of(account)
            before = rows.get(conversation.id)
            if before is not None and before.position >= event.position:
                return None
            refusal = self._pace.take(account.actor.id)
            if refusal is not None:
                return refusal
            message_no = event.message_no or (0 if before is None else before.message_no)
            row = ReadRow(
                account_id=account.id,
                conversation_id=conversation.id,
                thread="",
                kind="read",
                position=event.position,
                message_no=message_no,
                at_ms=event.at_ms,
            )
            rows[conversation.id] = row
            log.undo(lambda: _restore(rows, conversation.id, before))
            log.change(row)
            moved.append(row)
            log.undo(moved.clear)
            return None

        def done() -> None:
            if moved:
                told = ReadMarked(conversation, event.position, event.event_id, event.at_ms, session.protocol)
                for other in self._sessions.of(account.id):
                    if other is not session:
                        other.signal(told)
                for observer in self.observers:
                    observer(account, conversation, event)
            if then is not None:
                then()

        self._log.append(Operation(form, done, refused or _ignore))

    def receive(
        self,
        session: Session,
        conversation: Conversation,
        event: Event | None,
        kind: ReceiptKind,
        *,
        native_id: bytes = b"",
        to_resource: str = "",
        native: bytes = b"",
    ) -> None:
        """Tell the writer of `event` how far it got, and keep that (PROTOCOLS 3.2); `event` None.

        Only the notice goes out.
        """
        nick = session.actor.name
        if conversation.is_room:
            attendee = conversation.attendees.get(session.actor.id)
            if attendee is None or policy.may_post(conversation, session.actor) is not None:
                return  # what goes out is a message in some protocols, and may hold whatever one holds
            nick = attendee.nick
        if self._pace.take(session.actor.id) is not None:
            return
        if event is not None and not conversation.is_room:
            row = ReceiptRow(
                conversation_id=conversation.id,
                actor_id=session.actor.id,
                thread="",
                kind=kind.value,
                position=event.position,
            )
            self._log.append(Operation(lambda log: log.change(row), _ignore, _ignore))
        told = Receipt(
            conversation,
            session.actor,
            nick,
            kind,
            b"" if event is None else event.event_id,
            native_id,
            session.resource,
            to_resource,
            session.protocol,
            native,
        )
        self._tell(session, conversation, told)

    def typing(
        self,
        session: Session,
        conversation: Conversation,
        state: TypingState,
        *,
        to_resource: str = "",
        native: bytes = b"",
    ) -> None:
        """Tell the others that the session's actor is typing, or not any more."""
        nick = session.actor.name
        if conversation.is_room:
            attendee = conversation.attendees.get(session.actor.id)
            if attendee is None or policy.may_post(conversation, session.actor) is not None:
                return  # what goes out is a message in some protocols, and may hold whatever one holds
            nick = attendee.nick
        if self._pace.take(session.actor.id) is not None:
            return
        told = Typing(
            conversation, session.actor, nick, state, session.resource, to_resource, session.protocol, native
        )
        self._tell(session, conversation, told)

    def _tell(self, session: Session, conversation: Conversation, signal: Signal) -> None:
        if conversation.is_room:
            for other in conversation.listeners:
                if other is not session:
                    other.signal(signal)
            return
        peer = conversation.peer
        if peer is not None and peer is not session.actor and isinstance(signal, Typing | Receipt):
            self._peers.pass_on(signal, peer)
        for party in conversation.parties:
            blocks = self._directory.blocks.get(party.id)
            if blocks is not None and is_blocked(blocks, session.actor):
                continue
            for other in self._sessions.of(party.id):
                if other is not session:
                    other.signal(signal)

    def _of(self, account: Account) -> dict[int, ReadRow]:
        rows = self._markers.get(account.id)
        if rows is None:
            rows = {row.conversation_id: row for row in self._store.reads(account.id) if row.kind == "read"}
            self._markers[account.id] = rows
        return rows


def _ignore(*outcome: object) -> None:
    """Nobody waits for the outcome."""


def _restore(rows: dict[int, ReadRow], conversation_id: int, before: ReadRow | None) -> None:
    if before is None:
        rows.pop(conversation_id, None)
    else:
        rows[conversation_id] = before
