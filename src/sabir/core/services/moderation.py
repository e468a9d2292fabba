"""What moderators, admins and owners do in a room.

Topic, roles, kicks, bans, configuration, its end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from sabir.core import policy
from sabir.core.delivery import Sessions
from sabir.core.directory import Directory, conversation_row, member_row
from sabir.core.errors import Refusal
from sabir.core.log import Log, Operation
from sabir.core.model.actor import Actor
from sabir.core.model.changes import StateRow
from sabir.core.model.conversation import (
    Attendee,
    BanMask,
    Conversation,
    Member,
    Membership,
    Role,
    RoomConfig,
    Topic,
)
from sabir.core.model.event import Event, Kind
from sabir.core.model.signals import AttendeeChanged, Cause, Invited, MemberListed, RoomConfigured
from sabir.core.model.state import (
    ConfigChanged,
    Destroyed,
    MasksChanged,
    MemberChanged,
    TopicChanged,
    encode_state,
)
from sabir.core.pace import Pace
from sabir.core.ports import Session
from sabir.core.services.membership import release, span_row
from sabir.core.services.peers import is_blocked
from sabir.core.services.rooms import Rooms

MAX_MASKS = 256
MAX_MEMBERS = 10_000
"""People of one room with a role, a ban or an invitation; an operator may add more."""
MAX_REASON = 1_000
"""Characters of a reason that is kept."""
MAX_TOPIC = 2_000
Then = Callable[[], None]
Refused = Callable[[Refusal], None]


class RoleChange(NamedTuple):
    """A change of role that was formed; `effective` is what the attendee could do before."""

    by: Actor
    target: Actor
    role: Role
    old_role: Role
    effective: Role
    attendee: Attendee | None
    by_nick: str
    reason: str
    event: Event


class Moderation:
    """Changes to a room by those who may.

    Each is an entry of its log, and takes effect at its place there.
    """

    def __init__(self, log: Log, directory: Directory, sessions: Sessions, rooms: Rooms, pace: Pace) -> None:
        self._log = log
        self._directory = directory
        self._sessions = sessions
        self._rooms = rooms
        self._pace = pace

    def set_topic(
        self, session: Session, conversation: Conversation, text: str, then: Then, refused: Refused
    ) -> None:
        """Set the topic; everyone in the room, the session included, is shown the entry by `deliver`."""
        made: list[Event] = []

        def form(log: Log) -> Refusal | None:
            refusal = policy.may_set_topic(conversation, session.actor)
            if refusal is None and len(text) > MAX_TOPIC:
                refusal = Refusal.TOO_LARGE
            refusal = refusal or self._pace.take(session.actor.id)
            if refusal is not None:
                return refusal
            nick = self.nick_of(conversation, session.actor)
            native = encode_state(TopicChanged(text, nick))
            event = log.enter_state(conversation, session.actor.id, nick, Kind.TOPIC, native)
            before = conversation.topic
            topic = Topic(text, session.actor.id, nick, log.now_ms, event.event_id)
            conversation.topic = topic
            log.undo(lambda: setattr(conversation, "topic", before))
            log.change(
                StateRow(
                    conversation_id=conversation.id, type="topic", key="", value=msgspec.msgpack.encode(topic)
                )
            )
            made.append(event)
            log.undo(made.clear)
            return None

        def done() -> None:
            then()
            self._rooms.deliver(conversation, made[0])

        self._log.append(Operation(form, done, refused))

    def kick(
        self,
        session: Session,
        conversation: Conversation,
        target: Actor,
        reason: str,
        then: Then,
        refused: Refused,
    ) -> None:
        """Put `target` out of the room, whatever its nick is by then; coming back is allowed."""
        made: list[tuple[Attendee, str, Event]] = []

        def form(log: Log) -> Refusal | None:
            if conversation.destroyed:
                return Refusal.ROOM_GONE
            if session.actor.id not in conversation.attendees:
                return Refusal.NOT_ATTENDING
            attendee = conversation.attendees.get(target.id)
            if attendee is None:
                return Refusal.ACTOR_ABSENT
            refusal = policy.may_moderate(conversation, session.actor, target)
            if refusal is not None:
                return refusal
            by = self.nick_of(conversation, session.actor)
            self._rooms.remove(log, conversation, attendee)
            role = conversation.role_of(target.id)
            entry = MemberChanged(
                target.id,
                attendee.nick,
                Membership.LEAVE,
                role,
                role,
                session.actor.id,
                by,
                reason,
                kicked=True,
            )
            event = self._enter(log, conversation, session.actor, by, entry)
            member = conversation.members.get(target.id)
            if member is not None and member.membership is Membership.JOIN:
                self._put(log, conversation, target, role, Membership.LEAVE, attendee.nick, "", event)
            made.append((attendee, by, event))
            log.undo(made.clear)
            return None

        def done() -> None:
            attendee, by, event = made[0]
            then()
            self._rooms.expel(conversation, attendee, Cause.KICKED, by, reason)
            self._rooms.deliver(conversation, event)

        self._log.append(Operation(form, done, refused))

    def set_role(
        self,
        session: Session | None,
        conversation: Conversation,
        target: Actor,
        role: Role,
        reason: str,
        then: Then,
        refused: Refused,
    ) -> None:
        """Give `target` a stored role; `Role.BANNED` puts it out too, `Role.NONE` ends it.

        `session` None: an operator.
        """
        made: list[RoleChange] = []

        def form(log: Log) -> Refusal | None:
            actor = target if session is None else session.actor
            refusal = None if session is None else policy.may_set_role(conversation, actor, target, role)
            if refusal is None and conversation.destroyed:
                refusal = Refusal.ROOM_GONE
            if refusal is None and session is not None:
                refusal = self.may_add(conversation, target)
                if role is Role.OWNER:
                    refusal = refusal or self._rooms.may_own(target)
                refusal = refusal or self._pace.take(session.actor.id)
            if refusal is not None:
                return refusal
            by = "" if session is None else self.nick_of(conversation, actor)
            made.append(self.form_role(log, conversation, actor, target, by, role, reason[:MAX_REASON]))
            log.undo(made.clear)
            return None

        def done() -> None:
            then()
            self.tell_role(conversation, made[0])

        self._log.append(Operation(form, done, refused))

    def may_add(self, conversation: Conversation, target: Actor) -> Refusal | None:
        """Return why the room cannot have somebody more to remember, or None."""
        known = target.id in conversation.members
        return Refusal.TOO_MANY if not known and len(conversation.members) >= MAX_MEMBERS else None

    def form_role(
        self,
        log: Log,
        conversation: Conversation,
        actor: Actor,
        target: Actor,
        by_nick: str,
        role: Role,
        reason: str,
    ) -> RoleChange:
        """Give `target` a stored role while an item forms; whoever may not has been refused. `tell_role` follows."""
        old = conversation.role_of(target.id)
        attendee = conversation.attendees.get(target.id)
        effective = Role.NONE if attendee is None else attendee.role
        nick = target.name if attendee is None else attendee.nick
        member = conversation.members.get(target.id)
        membership = Membership.INVITE if member is None else member.membership
        if role is Role.BANNED:
            membership = Membership.BAN
        elif membership is Membership.KNOCK:
            membership = Membership.INVITE if role >= Role.MEMBER else Membership.LEAVE
        elif membership is Membership.BAN or (role is Role.NONE and membership is Membership.INVITE):
            membership = Membership.LEAVE
        entry = MemberChanged(target.id, nick, membership, role, old, actor.id, by_nick, reason)
        event = self._enter(log, conversation, actor, by_nick, entry)
        self._put(log, conversation, target, role, membership, nick, reason, event)
        if role < Role.MEMBER:
            release(log, conversation, target)
        if attendee is not None:
            self._apply(log, conversation, attendee)
        return RoleChange(actor, target, role, old, effective, attendee, by_nick, reason, event)

    def tell_role(self, conversation: Conversation, change: RoleChange) -> None:
        """Tell everyone concerned of a change of role that is durable."""
        target, attendee, by, reason = change.target, change.attendee, change.by_nick, change.reason
        if attendee is None:
            self._rooms.tell(
                conversation, MemberListed(conversation, target, change.role, change.old_role, by, reason)
            )
            if conversation.config.members_only and change.old_role < Role.MEMBER <= change.role:
                self.ask_in(conversation, change.by, target, reason)  # XEP-0045 §9.5
        elif change.role is Role.BANNED:
            self._rooms.expel(conversation, attendee, Cause.BANNED, by, reason)
        elif target.id not in conversation.attendees and not attendee.entered:
            self._rooms.expel(conversation, attendee, Cause.REVOKED, by, reason)
        else:
            told = AttendeeChanged(conversation, attendee, attendee.nick, change.effective, by, reason)
            self._rooms.tell(conversation, told)
        self._rooms.deliver(conversation, change.event)

    def form_membership(
        self,
        log: Log,
        conversation: Conversation,
        actor: Actor,
        target: Actor,
        nick: str,
        membership: Membership,
        reason: str,
    ) -> Event:
        """Note an invitation or a request while an item forms; `target` keeps its role."""
        role, by = conversation.role_of(target.id), self.nick_of(conversation, actor)
        entry = MemberChanged(target.id, nick, membership, role, role, actor.id, by, reason)
        event = self._enter(log, conversation, actor, by, entry)
        self._put(log, conversation, target, role, membership, nick, "", event)
        return event

    def ask_in(self, conversation: Conversation, by: Actor, target: Actor, reason: str) -> None:
        """Tell the devices of `target` that `by` asks them in, unless it is somebody they have blocked."""
        if target.account_id is not None:
            if not is_blocked(self._directory.blocks.get(target.account_id, {}), by):
                told = Invited(conversation, by, reason, conversation.config.key)
                for other in self._sessions.of(target.account_id):
                    other.signal(told)

    def nick_of(self, conversation: Conversation, actor: Actor) -> str:
        """Return under which nick `actor` does something in a room."""
        attendee = conversation.attendees.get(actor.id)
        return actor.name if attendee is None else attendee.nick

    def configure(
        self,
        session: Session | None,
        conversation: Conversation,
        config: RoomConfig,
        then: Then,
        refused: Refused,
    ) -> None:
        """Replace the configuration.

        An owner may all; moderators what IRC operators set by MODE (i, m, k, l, t, s).
        """
        out: list[Attendee] = []
        told: list[tuple[Event, str]] = []

        def form(log: Log) -> Refusal | None:
            actor_id, by = 0, ""
            if conversation.destroyed:
                return Refusal.ROOM_GONE
            if session is not None:
                actor_id, by = session.actor.id, self.nick_of(conversation, session.actor)
                if policy.effective_role(conversation, session.actor) < Role.MODERATOR:
                    return Refusal.ROLE_TOO_LOW
                if policy.effective_role(conversation, session.actor) < Role.OWNER and not _is_mode_change(
                    conversation.config, config
                ):
                    return Refusal.ROLE_TOO_LOW
            before = conversation.config
            conversation.config = config
            log.undo(lambda: setattr(conversation, "config", before))
            event = log.enter_state(
                conversation, actor_id, by, Kind.STATE, encode_state(ConfigChanged(config, by))
            )
            log.raise_state_version(conversation)
            log.change(conversation_row(conversation))
            log.change(
                StateRow(
                    conversation_id=conversation.id,
                    type="config",
                    key="",
                    value=msgspec.msgpack.encode(config),
                )
            )
            for attendee in list(conversation.attendees.values()):
                # XEP-0045 §10.2.1: when a room becomes members-only, those who are not members go (status
                # 322).
                self._apply(log, conversation, attendee)
                if attendee.actor.id not in conversation.attendees:
                    out.append(attendee)
            told.append((event, by))
            log.undo(told.clear)
            log.undo(out.clear)
            return None

        def done() -> None:
            event, by = told[0]
            then()
            self._rooms.tell(conversation, RoomConfigured(conversation, by))
            for attendee in out:
                self._rooms.expel(conversation, attendee, Cause.MEMBERS_ONLY, by, "")
            self._rooms.deliver(conversation, event)

        self._log.append(Operation(form, done, refused))

    def set_mask(
        self,
        session: Session,
        conversation: Conversation,
        pattern: str,
        added: bool,
        then: Then,
        refused: Refused,
    ) -> None:
        """Add or remove a ban mask (IRC `+b nick!user@host`); people in the room stay until kicked."""

        def form(log: Log) -> Refusal | None:
            if conversation.destroyed:
                return Refusal.ROOM_GONE
            if policy.effective_role(conversation, session.actor) < Role.MODERATOR:
                return Refusal.ROLE_TOO_LOW
            if (pattern in conversation.ban_masks) == added:
                return None
            if added and len(conversation.ban_masks) >= MAX_MASKS:
                return Refusal.TOO_MANY
            by = self.nick_of(conversation, session.actor)
            before = dict(conversation.ban_masks)
            log.undo(lambda: setattr(conversation, "ban_masks", before))
            mask = BanMask(pattern, by, log.now_ms)
            row = StateRow(
                conversation_id=conversation.id,
                type="ban.mask",
                key=pattern,
                value=msgspec.msgpack.encode(mask),
            )
            row.gone = not added
            if added:
                conversation.ban_masks[pattern] = mask
            else:
                conversation.ban_masks.pop(pattern)
            native = encode_state(MasksChanged(pattern, added, by))
            log.enter_state(conversation, session.actor.id, by, Kind.STATE, native)
            log.raise_state_version(conversation)
            log.change(row)
            return None

        def done() -> None:
            then()
            by = self.nick_of(conversation, session.actor)
            self._rooms.tell(conversation, RoomConfigured(conversation, by, ((pattern, added),)))

        self._log.append(Operation(form, done, refused))

    def destroy(
        self,
        session: Session | None,
        conversation: Conversation,
        reason: str,
        alternate: str,
        then: Then,
        refused: Refused,
    ) -> None:
        """Close a room for good: everyone is put out, and the name is free again."""
        out: list[Attendee] = []

        def form(log: Log) -> Refusal | None:
            if session is not None and conversation.role_of(session.actor.id) is not Role.OWNER:
                return Refusal.ROLE_TOO_LOW
            if conversation.destroyed:
                return Refusal.ROOM_GONE
            actor_id = 0 if session is None else session.actor.id
            native = encode_state(Destroyed(reason, alternate))
            log.enter_state(conversation, actor_id, "", Kind.STATE, native)
            for attendee in list(conversation.attendees.values()):
                self._rooms.remove(log, conversation, attendee)
                out.append(attendee)
            self._rooms.mark_destroyed(log, conversation)
            log.undo(out.clear)
            return None

        def done() -> None:
            then()
            for attendee in out:
                self._rooms.expel(conversation, attendee, Cause.DESTROYED, "", reason, alternate)

        self._log.append(Operation(form, done, refused))

    def _enter(
        self, log: Log, conversation: Conversation, actor: Actor, nick: str, entry: MemberChanged
    ) -> Event:
        event = log.enter_state(conversation, actor.id, nick, Kind.MEMBER, encode_state(entry))
        log.raise_state_version(conversation)
        log.change(conversation_row(conversation))
        return event

    def _put(
        self,
        log: Log,
        conversation: Conversation,
        actor: Actor,
        role: Role,
        membership: Membership,
        nick: str,
        reason: str,
        event: Event,
    ) -> None:
        before = conversation.members.get(actor.id)
        log.introduce(actor.id)
        member = Member(actor, role, membership, nick, durable=True)
        member.reason = reason
        stays = before is not None and membership is Membership.JOIN
        if before is not None and stays:
            member.since = before.since
        row = member_row(conversation, member)
        row.gone = role is Role.NONE and membership is Membership.LEAVE
        conversation.set_member(actor, None if row.gone else member)
        log.undo(lambda: conversation.set_member(actor, before))
        log.change(row)
        if before is not None and before.since and not stays:
            log.change(span_row(conversation, before, event.position))

    def _apply(self, log: Log, conversation: Conversation, attendee: Attendee) -> None:
        """Give an attendee the effective role that follows from what is stored now, or put it out."""
        before = attendee.role
        actor = attendee.actor
        attendee.role = policy.effective_role(conversation, actor)
        log.undo(lambda: setattr(attendee, "role", before))
        revoked = conversation.config.members_only and not policy.is_member(conversation, actor)
        if attendee.role is Role.BANNED or revoked:
            self._rooms.remove(log, conversation, attendee)


def _is_mode_change(old: RoomConfig, new: RoomConfig) -> bool:
    """Return whether only what channel operators may set differs."""
    return (
        msgspec.structs.replace(
            new,
            members_only=old.members_only,
            moderated=old.moderated,
            key=old.key,
            max_attendees=old.max_attendees,
            topic_locked=old.topic_locked,
            listed=old.listed,
        )
        == old
    )
