"""Belonging to a room on one's own wish: asking to be a member, and having a nick there that nobody else may use.

Where whoever joins may speak, asking is being a member. In rooms that are moderated or for members only an admin
has to agree: until then the request is a row of `members` (`Membership.KNOCK`), and so survives a restart. Whoever
belongs to the room without a role (joined for good, or invited) gets the nick and no role with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sabir.core import policy
from sabir.core.errors import Refusal
from sabir.core.log import Log, Operation
from sabir.core.model.actor import Actor, ActorKind
from sabir.core.model.conversation import Conversation, Member, Membership, Role
from sabir.core.model.signals import MembershipAsked
from sabir.core.pace import Pace, Slowness
from sabir.core.ports import Clock, Session
from sabir.core.services.membership import nick_row, release
from sabir.core.services.moderation import Moderation, Refused, RoleChange, Then
from sabir.core.services.rooms import Rooms

MOST_WAITING: Final = 100
"""Requests that may wait in one room; more are refused until somebody has looked at those."""

VOICE_MS: Final = 60_000
"""How often one may ask for voice."""


class Registration:
    """Requests for membership, and the nicks that members have for themselves."""

    def __init__(
        self, log: Log, rooms: Rooms, moderation: Moderation, pace: Pace, clock: Clock, domain: str
    ) -> None:
        self._log = log
        self._rooms = rooms
        self._moderation = moderation
        self._pace = pace
        self._clock = clock
        self._domain = domain
        self._voice = Slowness()

    def may_ask(self, conversation: Conversation, actor: Actor) -> Refusal | None:
        """Return why `actor` may not ask to be a member, or None."""
        if conversation.destroyed:
            return Refusal.ROOM_GONE
        role = conversation.role_of(actor.id)
        masked = policy.is_masked(conversation, policy.mask_of(actor, self._domain))
        if actor.kind is not ActorKind.LOCAL or role is Role.BANNED or (masked and role < Role.ADMIN):
            return Refusal.BANNED
        return None

    def ask_for_voice(self, session: Session, conversation: Conversation) -> Refusal | None:
        """Return why somebody who is mute may not ask moderators for voice now; if they may, it is noted."""
        actor = session.actor
        attendee = conversation.attendees.get(actor.id)
        if attendee is None:
            return Refusal.NOT_ATTENDING
        if attendee.role is not Role.VISITOR:
            return Refusal.ALREADY_ATTENDING
        now_ms = self._clock.now_ms()
        if now_ms - self._voice.last_ms(conversation.id, actor.id) < VOICE_MS:
            return Refusal.RATE_LIMITED
        self._voice.note(conversation.id, actor.id, now_ms)
        return None

    def waiting(self, conversation: Conversation) -> list[Member]:
        """Return those who have asked and got no answer yet."""
        return [member for member in conversation.members.values() if member.membership is Membership.KNOCK]

    def ask(
        self,
        session: Session,
        conversation: Conversation,
        nick: str,
        then: Callable[[bool], None],
        refused: Refused,
    ) -> None:
        """Ask to be a member with `nick` for oneself; of a member, only the nick.

        `then` is told whether that is so now, or an admin has to agree.
        """
        actor = session.actor
        granted: list[RoleChange | None] = []

        def form(log: Log) -> Refusal | None:
            refusal = self.may_ask(conversation, actor)
            refusal = refusal or self._rooms.check_nick(conversation, actor, nick)
            refusal = refusal or self._pace.take(actor.id)
            if refusal is not None:
                return refusal
            if policy.needs_approval(conversation, actor):
                if len(self.waiting(conversation)) >= MOST_WAITING:
                    return Refusal.TOO_MANY
                self._moderation.form_membership(log, conversation, actor, actor, nick, Membership.KNOCK, "")
                return None
            if conversation.role_of(actor.id) is Role.NONE and not conversation.config.moderated:
                change = self._moderation.form_role(log, conversation, actor, actor, "", Role.MEMBER, "")
                granted.append(change)
            else:
                granted.append(None)
            log.undo(granted.clear)
            self._reserve(log, conversation, actor, nick)
            return None

        def done() -> None:
            then(bool(granted))
            for change in granted:
                if change is not None:
                    self._moderation.tell_role(conversation, change)
            if not granted:
                asked = MembershipAsked(conversation, actor, nick)
                for other, attendee in list(conversation.listeners.items()):
                    if attendee.role >= Role.ADMIN:
                        other.signal(asked)

        self._log.append(Operation(form, done, refused))

    def answer(
        self,
        session: Session,
        conversation: Conversation,
        target: Actor,
        granted: bool,
        then: Then,
        refused: Refused,
    ) -> None:
        """Grant or refuse what `target` has asked; only admins may."""
        changes: list[RoleChange] = []

        def form(log: Log) -> Refusal | None:
            member = conversation.members.get(target.id)
            if conversation.destroyed:
                return Refusal.ROOM_GONE
            if policy.effective_role(conversation, session.actor) < Role.ADMIN:
                return Refusal.ROLE_TOO_LOW
            if member is None or member.membership is not Membership.KNOCK:
                return Refusal.ACTOR_UNKNOWN
            if granted:
                refusal = self._rooms.check_nick(conversation, target, member.nick)
                if refusal is not None:
                    return refusal
            nick = member.nick
            by = self._moderation.nick_of(conversation, session.actor)
            role = Role.MEMBER if granted else member.role
            changes.append(self._moderation.form_role(log, conversation, session.actor, target, by, role, ""))
            log.undo(changes.clear)
            if granted:
                self._reserve(log, conversation, target, nick)
            return None

        def done() -> None:
            then()
            self._moderation.tell_role(conversation, changes[0])
            if granted and target.id not in conversation.attendees and not conversation.config.members_only:
                self._moderation.ask_in(conversation, session.actor, target, "")  # so that they hear of it

        self._log.append(Operation(form, done, refused))

    def withdraw(self, session: Session, conversation: Conversation, then: Then, refused: Refused) -> None:
        """Give one's nick back, and be a member no more; whoever is more than a member stays that."""
        actor = session.actor
        changes: list[RoleChange] = []

        def form(log: Log) -> Refusal | None:
            if conversation.destroyed:
                return Refusal.ROOM_GONE
            member = conversation.members.get(actor.id)
            known = actor.id in conversation.registered
            if member is None or not (known or member.membership is Membership.KNOCK):
                return Refusal.ACTOR_UNKNOWN
            release(log, conversation, actor)
            if member.role is Role.MEMBER or member.membership is Membership.KNOCK:
                role = Role.NONE if member.role is Role.MEMBER else member.role
                change = self._moderation.form_role(log, conversation, actor, actor, "", role, "")
                changes.append(change)
                log.undo(changes.clear)
            return None

        def done() -> None:
            then()
            for change in changes:
                self._moderation.tell_role(conversation, change)

        self._log.append(Operation(form, done, refused))

    def _reserve(self, log: Log, conversation: Conversation, actor: Actor, nick: str) -> None:
        before = conversation.registered.get(actor.id)
        conversation.set_registered(actor.id, nick)
        log.undo(lambda: conversation.set_registered(actor.id, before))
        log.change(nick_row(conversation, actor, nick))
