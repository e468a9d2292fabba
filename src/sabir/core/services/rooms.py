"""Rooms: creating, joining and leaving, and who attends them now.

Everything here is an item of the log's queue, even where nothing is written: so it takes its place among the
posts of the same session (a part never overtakes the message before it), and policy sees the effect of
whatever came earlier.

While an item forms, `Conversation.attendees` and `nicks` change at once; `listeners`, `Attendee.sessions` and
the signals follow when it is durable.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from sabir.core import policy
from sabir.core.delivery import Delivery, Sessions
from sabir.core.directory import Directory, conversation_row, member_row
from sabir.core.errors import Refusal
from sabir.core.log import Log, Operation
from sabir.core.model.actor import Actor, ActorKind
from sabir.core.model.changes import StateRow
from sabir.core.model.conversation import (
    Attendee,
    Conversation,
    ConversationKind,
    Member,
    Membership,
    Role,
)
from sabir.core.model.event import Event, Kind
from sabir.core.model.ids import ConversationId
from sabir.core.model.signals import (
    Attended,
    AttendeeChanged,
    Cause,
    Departed,
    Signal,
    Whispered,
)
from sabir.core.model.state import Created, encode_state
from sabir.core.names import fold, is_room_name, skeleton
from sabir.core.pace import Pace
from sabir.core.policy import PolicyConfig
from sabir.core.ports import Session
from sabir.core.services.membership import (
    begin_membership,
    check_namesake,
    end_membership,
    is_parting,
    put_back,
    put_session_back,
    rename,
    revive,
    take_out,
    take_session_out,
)

_NOWHERE: Final[dict[int, Conversation]] = {}
Refused = Callable[[Refusal], None]


@dataclass(frozen=True, slots=True)
class Joined:
    """The outcome of a join. `created`: the room is new and the joiner its owner."""

    conversation: Conversation
    attendee: Attendee
    created: bool
    first: bool
    """The actor's first session there; others may have joined before."""


class Rooms:
    """The rooms of this server."""

    def __init__(
        self,
        log: Log,
        directory: Directory,
        sessions: Sessions,
        delivery: Delivery,
        config: PolicyConfig,
        pace: Pace,
        secret: bytes,
    ) -> None:
        self._log = log
        self._directory = directory
        self._delivery = delivery
        self._config = config
        self._pace = pace
        self._secret = secret
        self._sessions = sessions
        self._attended: dict[int, dict[int, Conversation]] = {}
        """Rooms with a live session of each actor, by their ids."""

    def find(self, name: str) -> Conversation | None:
        """Return the room of that name."""
        return self._directory.room(name)

    def listed(self) -> list[Conversation]:
        """Return the rooms that directories show."""
        return [room for room in self._directory.rooms.values() if room.config.listed]

    def all(self) -> list[Conversation]:
        """Return every room, listed or not, for operators."""
        return list(self._directory.rooms.values())

    def attended_by(self, actor: Actor) -> list[Conversation]:
        """Return the rooms that an actor attends now."""
        return list(self._attended.get(actor.id, _NOWHERE).values())

    def may_own(self, actor: Actor) -> Refusal | None:
        """Return why `actor` may not get a room more, unless an operator gives it."""
        return Refusal.TOO_MANY if actor.rooms_owned >= self._config.max_rooms_owned else None

    def is_big(self, conversation: Conversation) -> bool:
        """Return whether comings and goings are told to moderators only (DATAMODEL 1.12)."""
        return len(conversation.attendees) > self._config.big_room

    def create(self, name: str, owner: Actor, then: Callable[[Conversation], None], refused: Refused) -> None:
        """Make a room without joining it (an operator's command)."""
        made: list[Conversation] = []

        def form(log: Log) -> Refusal | None:
            if self._directory.room(name) is not None:
                return Refusal.ROOM_EXISTS
            result = self._create(log, name, owner, owner.name)
            if isinstance(result, Refusal):
                return result
            made.append(result)
            log.undo(made.clear)
            return None

        self._log.append(Operation(form, lambda: then(made[0]), refused))

    def join(
        self,
        session: Session,
        name: str,
        nick: str,
        then: Callable[[Joined], None],
        refused: Refused,
        *,
        key: str = "",
        durable: bool = False,
        presence: bytes = b"",
        address: str = "",
        create: bool = True,
    ) -> None:
        """Attend a room, which is made if need be and policy allows.

        `durable`: joining is membership in the session's protocol (IRC JOIN), not only attendance (XMPP). If
        the actor attends already, the session is added under the nick in use, whatever `nick` says. `then` is
        called before the others are told; `address` (nick!user@host) is what ban masks are compared with.
        """
        outcome: list[Joined] = []

        def form(log: Log) -> Refusal | None:
            result = self._form_join(log, session, name, nick, key, durable, address, create)
            if isinstance(result, Refusal):
                return result
            outcome.append(result)
            log.undo(outcome.clear)
            return None

        def done() -> None:
            joined = outcome[0]
            attendee, room = joined.attendee, joined.conversation
            if session not in attendee.entered:
                refused(Refusal.NOT_ATTENDING)  # put out before having been told
                return
            attendee.sessions[session] = presence
            room.listeners[session] = attendee
            self._attended.setdefault(attendee.actor.id, {})[room.id] = room
            then(joined)
            if session not in self._sessions.all:
                self.leave(session, room, Cause.QUIT, "", _ignore, _ignore)
            told = Attended(room, attendee, joined.first)
            self.tell(room, told, session, about=attendee)

        self._log.append(Operation(form, done, refused))

    def leave(
        self,
        session: Session,
        conversation: Conversation,
        cause: Cause,
        reason: str,
        then: Callable[[Attendee, bool], None],
        refused: Refused,
    ) -> None:
        """End the attendance of a session; `Cause.PARTED` also ends a durable membership.

        `then(attendee, gone)` is called when that is durable: `gone` unless other sessions of the actor stay.
        """
        left: list[tuple[Attendee, bool]] = []

        def form(log: Log) -> Refusal | None:
            attendee = conversation.attendees.get(session.actor.id)
            if attendee is None or session not in attendee.entered:
                return Refusal.NOT_ATTENDING
            del attendee.entered[session]
            gone = not attendee.entered
            log.undo(lambda: put_session_back(conversation, attendee, session))
            if gone:
                take_out(conversation, attendee)
            member = conversation.members.get(session.actor.id)
            if (
                cause is Cause.PARTED
                and member is not None
                and is_parting(session, conversation, attendee, member)
            ):
                end_membership(log, conversation, member, attendee.nick, reason, member.role)
            left.append((attendee, gone))
            log.undo(left.clear)
            return None

        def done() -> None:
            attendee, gone = left[0]
            attendee.sessions.pop(session, None)
            conversation.listeners.pop(session, None)
            if gone:
                self._forget(attendee, conversation)
            then(attendee, gone)
            if gone:
                self.tell(
                    conversation, Departed(conversation, attendee, cause, reason=reason), about=attendee
                )
                self.close_if_empty(conversation)

        self._log.append(Operation(form, done, refused))

    def drop(self, session: Session, cause: Cause = Cause.QUIT, reason: str = "") -> None:
        """End the attendance of a session everywhere: it disconnected."""
        for room in self.attended_by(session.actor):
            if session in room.listeners:
                self.leave(session, room, cause, reason, _ignore, _ignore)

    def rename(
        self,
        session: Session,
        conversation: Conversation,
        nick: str,
        then: Callable[[Attendee], None],
        refused: Refused,
    ) -> None:
        """Change the nick under which the actor is shown in a room.

        Everyone there is told, the session included.
        """
        changed: list[tuple[Attendee, str]] = []

        def form(log: Log) -> Refusal | None:
            attendee = conversation.attendees.get(session.actor.id)
            if attendee is None:
                return Refusal.NOT_ATTENDING
            refusal = self.check_nick(conversation, session.actor, nick) or self._pace.take(session.actor.id)
            if refusal is not None:
                return refusal
            old = attendee.nick
            rename(conversation, attendee, nick)
            log.undo(lambda: rename(conversation, attendee, old))
            changed.append((attendee, old))
            log.undo(changed.clear)
            return None

        def done() -> None:
            attendee, old = changed[0]
            then(attendee)
            if old != nick:
                self.tell(
                    conversation, AttendeeChanged(conversation, attendee, old, attendee.role), about=attendee
                )

        self._log.append(Operation(form, done, refused))

    def show(self, session: Session, conversation: Conversation, presence: bytes, away: str) -> None:
        """Change what the session shows of itself in a room.

        Its protocol's own presence, and the away message. One who does so too fast is shown as before.
        """
        attendee = conversation.listeners.get(session)
        if attendee is not None and self._pace.take(session.actor.id) is None:
            attendee.sessions[session] = presence
            attendee.away = away
            told = AttendeeChanged(conversation, attendee, attendee.nick, attendee.role)
            self.tell(conversation, told, about=attendee)

    def whisper(
        self, session: Session, conversation: Conversation, nick: str, text: str, native: bytes
    ) -> Refusal | None:
        """Send a private message from one participant to another.

        Not in the log: it is nobody's history but theirs.
        """
        sender = conversation.listeners.get(session)
        if sender is None:
            return Refusal.NOT_ATTENDING
        target = self.attendee(conversation, nick)
        if target is None:
            return Refusal.ACTOR_ABSENT
        refusal = policy.may_whisper(conversation, sender)
        if refusal is not None:
            return refusal
        account = target.actor.account_id
        if account is not None and session.actor.name in self._directory.blocks.get(account, ()):
            return Refusal.BLOCKED
        refusal = self._pace.take(session.actor.id)
        if refusal is not None:
            return refusal
        told = Whispered(
            conversation, session.actor, sender.nick, target.nick, text, session.protocol, native
        )
        for other in list(target.sessions):
            other.signal(told)
        return None

    def attendee(self, conversation: Conversation, nick: str) -> Attendee | None:
        """Return who is shown under `nick` in a room."""
        actor_id = conversation.nicks.get(skeleton(nick))
        found = None if actor_id is None else conversation.attendees.get(actor_id)
        # Who only looks like the one meant is not the one meant.
        return found if found is not None and fold(found.nick) == fold(nick) else None

    def occupant_id(self, conversation: Conversation, actor: Actor) -> str:
        """Return a stable, opaque id of an actor in one room (XEP-0421 §3).

        Keyed, so nobody can compute it.
        """
        text = conversation.uuid + actor.id.to_bytes(8, "big")
        return hashlib.blake2b(text, key=self._secret[:64], digest_size=20).hexdigest()

    def tell(
        self,
        conversation: Conversation,
        signal: Signal,
        but: Session | None = None,
        *,
        about: Attendee | None = None,
    ) -> None:
        """Signal to everyone in a room.

        In a big one, comings and goings only to moderators and the one concerned.
        """
        big = about is not None and self.is_big(conversation)
        for session, attendee in list(conversation.listeners.items()):
            if session is but or (big and attendee is not about and attendee.role < Role.MODERATOR):
                continue
            session.signal(signal)

    def expel(
        self,
        conversation: Conversation,
        attendee: Attendee,
        cause: Cause,
        by_nick: str,
        reason: str,
        alternate: str = "",
    ) -> None:
        """Take out the sessions of somebody whose attendance a formed item has ended.

        And tell everyone, those included.
        """
        told = Departed(conversation, attendee, cause, by_nick, reason, alternate)
        self.tell(conversation, told, about=attendee)
        for session in list(attendee.sessions):
            conversation.listeners.pop(session, None)
        attendee.sessions.clear()
        self._forget(attendee, conversation)
        self.close_if_empty(conversation)

    def remove(self, log: Log, conversation: Conversation, attendee: Attendee) -> None:
        """End an attendance while an item forms; `expel` follows when it is durable."""
        entered, attendee.entered = attendee.entered, {}
        take_out(conversation, attendee)
        log.undo(lambda: put_back(conversation, attendee, entered))

    def close_if_empty(self, conversation: Conversation) -> None:
        """Destroy a room that was not meant to last once nobody is in it."""
        if conversation.config.persistent or conversation.attendees or conversation.destroyed:
            return

        def form(log: Log) -> Refusal | None:
            if conversation.attendees or conversation.destroyed:
                return Refusal.ALREADY_ATTENDING
            self.mark_destroyed(log, conversation)
            return None

        self._log.append(Operation(form, lambda: None, _ignore))

    def mark_destroyed(self, log: Log, conversation: Conversation) -> None:
        """Make a room no longer exist, while an item forms; its log stays until it is erased."""
        conversation.set_destroyed(True)
        self._directory.rooms.pop(fold(conversation.name), None)
        log.undo(lambda: revive(self._directory, conversation))
        log.change(conversation_row(conversation))

    def deliver(self, conversation: Conversation, event: Event) -> None:
        """Show an entry that the core wrote to everyone in the room."""
        self._delivery.deliver(conversation, event, None)

    def _form_join(
        self,
        log: Log,
        session: Session,
        name: str,
        nick: str,
        key: str,
        durable: bool,
        address: str,
        create: bool,
    ) -> Joined | Refusal:
        actor = session.actor
        if session not in self._sessions.all:
            return Refusal.ACTOR_ABSENT
        conversation = self._directory.room(name)
        created = conversation is None
        if conversation is None:
            if not create:
                return Refusal.ROOM_UNKNOWN
            if not self._config.create_rooms or actor.kind is not ActorKind.LOCAL:
                return Refusal.ROOM_CREATION_DENIED
            denied = (
                check_namesake(self._directory, actor, nick)
                or self._check_count(actor)
                or self.may_own(actor)
            )
            if denied is not None:
                return denied  # before there is a room that nobody would be in
            result = self._create(log, name, actor, nick)
            if isinstance(result, Refusal):
                return result
            conversation = result
        present = conversation.attendees.get(actor.id)
        if present is not None:
            if session not in present.entered:
                present.entered[session] = None
                log.undo(lambda: take_session_out(present, session))
            if durable:
                begin_membership(log, conversation, actor, present.nick)
            return Joined(conversation, present, created=False, first=False)
        refusal = policy.may_join(conversation, actor, key, address, self._config.max_attendees)
        if refusal is None:
            refusal = self.check_nick(conversation, actor, nick)
        refusal = refusal or self._check_count(actor)
        if refusal is not None:
            return refusal
        role = policy.effective_role(conversation, actor)
        attendee = Attendee(actor, nick, role, self.occupant_id(conversation, actor), log.now_ms)
        attendee.entered[session] = None
        conversation.attendees[actor.id] = attendee
        conversation.nicks[skeleton(nick)] = actor.id
        log.undo(lambda: take_out(conversation, attendee))
        attended = self._attended.setdefault(actor.id, {})
        if conversation.id not in attended:
            attended[conversation.id] = conversation  # counted now: the next join may be of the same batch
            log.undo(lambda: self._forget(attendee, conversation))
        if durable:
            begin_membership(log, conversation, actor, nick)
        return Joined(conversation, attendee, created, first=True)

    def _create(self, log: Log, name: str, owner: Actor, nick: str) -> Conversation | Refusal:
        if not is_room_name(name):
            return Refusal.NAME_INVALID
        number = ConversationId(self._directory.last_conversation_id + 1)
        conversation = Conversation(number, log.new_id(), ConversationKind.ROOM, fold(name))
        conversation.generation = log.generation
        self._directory.add_conversation(conversation)
        log.undo(lambda: self._directory.remove_conversation(conversation))
        log.change(conversation_row(conversation))
        member = Member(owner, Role.OWNER, Membership.INVITE, nick, durable=True)
        conversation.set_member(owner, member)
        log.undo(lambda: conversation.set_member(owner, None))
        log.change(member_row(conversation, member))
        log.change(
            StateRow(
                conversation_id=number,
                type="config",
                key="",
                value=msgspec.msgpack.encode(conversation.config),
            )
        )
        log.enter_state(conversation, owner.id, nick, Kind.STATE, encode_state(Created(nick)))
        return conversation

    def _check_count(self, actor: Actor) -> Refusal | None:
        attended = len(self._attended.get(actor.id, _NOWHERE))
        return Refusal.TOO_MANY if attended >= self._config.max_rooms else None

    def _forget(self, attendee: Attendee, conversation: Conversation) -> None:
        attended = self._attended.get(attendee.actor.id)
        if attended is not None:
            attended.pop(conversation.id, None)
            if not attended:
                del self._attended[attendee.actor.id]

    def check_nick(self, conversation: Conversation, actor: Actor, nick: str) -> Refusal | None:
        """Refuse nicks that are in use, reserved, or the account name of somebody else, or look like that.

        Nobody can pose as another. Who has a nick already keeps it when an account of that name is made, until
        the next change of nick or join.
        """
        plain = skeleton(nick)
        if conversation.nicks.get(plain, actor.id) != actor.id:
            return Refusal.NICK_IN_USE
        if conversation.reserved.get(plain, actor.id) != actor.id and skeleton(actor.name) != plain:
            return Refusal.NICK_IN_USE  # one's own name is one's own everywhere
        return check_namesake(self._directory, actor, nick)


def _ignore(*outcome: object) -> None:
    """Nobody waits for the outcome."""
