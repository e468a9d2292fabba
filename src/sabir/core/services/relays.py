"""Relays: bytes between two peers of one protocol, which the core does not interpret (DATAMODEL 1.2)."""

from __future__ import annotations

from sabir.core import policy
from sabir.core.delivery import Sessions
from sabir.core.directory import Directory
from sabir.core.errors import Refusal
from sabir.core.model.actor import Account
from sabir.core.model.conversation import Attendee, Conversation
from sabir.core.model.signals import Relayed
from sabir.core.pace import Pace
from sabir.core.ports import Session
from sabir.core.services.peers import is_blocked


class Relays:
    """Routes what is neither stored nor translated: user-to-user IQ, Jingle, errors, CTCP."""

    def __init__(self, directory: Directory, sessions: Sessions, pace: Pace) -> None:
        self._directory = directory
        self._sessions = sessions
        self._pace = pace

    def to_device(self, session: Session, account: Account, resource: str, payload: bytes) -> Refusal | None:
        """Give `payload` to one device of `account`. Returns why that was not possible."""
        target = self._sessions.named(account.id, resource)
        if target is None or target.protocol != session.protocol or self._blocked(session, account):
            return Refusal.ACTOR_ABSENT
        refusal = self._pace.take(session.actor.id)
        if refusal is None:
            target.signal(Relayed(session.protocol, payload, session.actor, session.resource))
        return refusal

    def to_account(self, session: Session, account: Account, payload: bytes) -> int:
        """Give `payload` to every device of `account` that speaks the session's protocol.

        Returns how many; none if the sender is blocked, or too fast.
        """
        if self._blocked(session, account) or self._pace.take(session.actor.id) is not None:
            return 0
        told = Relayed(session.protocol, payload, session.actor, session.resource)
        count = 0
        for target in self._sessions.of(account.id):
            if target.protocol == session.protocol and target is not session:
                target.signal(told)
                count += 1
        return count

    def to_attendee(
        self, session: Session, conversation: Conversation, attendee: Attendee, payload: bytes
    ) -> Refusal | None:
        """Give `payload` to one session of a participant of a room, as from the sender's nick there."""
        sender = conversation.listeners.get(session)
        if sender is None:
            return Refusal.NOT_ATTENDING
        refusal = self._pace.take(session.actor.id)
        if refusal is not None:
            return refusal
        for target in attendee.sessions:
            if target.protocol == session.protocol:
                told = Relayed(
                    session.protocol, payload, session.actor, session.resource, conversation, sender.nick
                )
                target.signal(told)
                return None
        return Refusal.ACTOR_ABSENT

    def to_room(self, session: Session, conversation: Conversation, payload: bytes) -> Refusal | None:
        """Give `payload` to everyone else in a room who speaks the session's protocol; whoever may speak may."""
        refusal = policy.may_post(conversation, session.actor) or self._pace.take(session.actor.id)
        if refusal is None:
            sender = conversation.attendees[session.actor.id]
            told = Relayed(
                session.protocol, payload, session.actor, session.resource, conversation, sender.nick
            )
            for target in list(conversation.listeners):
                if target.protocol == session.protocol and target is not session:
                    target.signal(told)
        return refusal

    def _blocked(self, session: Session, account: Account) -> bool:
        blocks = self._directory.blocks.get(account.id)
        return blocks is not None and is_blocked(blocks, session.actor)
