"""Asking people into rooms: in one that is for members only, an invitation makes a member."""

from __future__ import annotations

from sabir.core import policy
from sabir.core.errors import Refusal
from sabir.core.log import Log, Operation
from sabir.core.model.actor import Actor
from sabir.core.model.conversation import Conversation, Membership, Role
from sabir.core.model.event import Event
from sabir.core.pace import Pace
from sabir.core.ports import Session
from sabir.core.services.moderation import Moderation, Refused, Then
from sabir.core.services.rooms import Rooms


class Invitations:
    """Invitations by those who are in a room."""

    def __init__(self, log: Log, rooms: Rooms, moderation: Moderation, pace: Pace) -> None:
        self._log = log
        self._rooms = rooms
        self._moderation = moderation
        self._pace = pace

    def invite(
        self,
        session: Session,
        conversation: Conversation,
        target: Actor,
        reason: str,
        then: Then,
        refused: Refused,
    ) -> None:
        """Ask somebody in: they may enter from then on, and their devices are told."""
        made: list[Event] = []

        def form(log: Log) -> Refusal | None:
            refusal = self._check(session, conversation, target) or self._pace.take(session.actor.id)
            if refusal is None:
                self._admit(log, session, conversation, target, reason, made)
            return refusal

        def done() -> None:
            then()
            self._moderation.ask_in(conversation, session.actor, target, reason)
            for event in made:
                self._rooms.deliver(conversation, event)

        self._log.append(Operation(form, done, refused))

    def admit(self, session: Session, conversation: Conversation, target: Actor, then: Then) -> None:
        """Let somebody in whom the session's client itself asks in; `then` is called also if that may not be."""
        made: list[Event] = []

        def form(log: Log) -> Refusal | None:
            if policy.is_member(conversation, target) or not conversation.config.members_only:
                return None  # they may enter anyway
            refusal = self._check(session, conversation, target) or self._pace.take(session.actor.id)
            if refusal is None:
                self._admit(log, session, conversation, target, "", made)
            return refusal

        def done() -> None:
            then()
            for event in made:
                self._rooms.deliver(conversation, event)

        self._log.append(Operation(form, done, lambda _: then()))

    def _check(self, session: Session, conversation: Conversation, target: Actor) -> Refusal | None:
        refusal = policy.may_invite(conversation, session.actor)
        if refusal is None and conversation.role_of(target.id) is Role.BANNED:
            return Refusal.BANNED
        if refusal is None and target.id in conversation.attendees:
            return Refusal.ALREADY_ATTENDING
        return refusal or self._moderation.may_add(conversation, target)

    def _admit(
        self,
        log: Log,
        session: Session,
        conversation: Conversation,
        target: Actor,
        reason: str,
        made: list[Event],
    ) -> None:
        member = conversation.members.get(target.id)
        if member is None or member.membership is Membership.KNOCK:
            event = self._moderation.form_membership(
                log, conversation, session.actor, target, target.name, Membership.INVITE, reason
            )
            made.append(event)
            log.undo(made.clear)
