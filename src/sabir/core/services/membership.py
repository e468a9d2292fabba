"""Who belongs to a room and who is in it: changes to memory while an item forms, and how to take them back."""

from __future__ import annotations

from sabir.core.directory import Directory, member_row
from sabir.core.errors import Refusal
from sabir.core.log import Log
from sabir.core.model.actor import Actor
from sabir.core.model.changes import SpanRow, StateRow
from sabir.core.model.conversation import Attendee, Conversation, Member, Membership, Role
from sabir.core.model.event import Kind
from sabir.core.model.state import MemberChanged, encode_state
from sabir.core.names import fold, is_nick, skeleton
from sabir.core.ports import Session


def begin_membership(log: Log, conversation: Conversation, actor: Actor, nick: str) -> None:
    """Make an actor a member who joined for good, while an item forms; nothing happens if it is one."""
    before = conversation.members.get(actor.id)
    if before is not None and before.membership is Membership.JOIN:
        return
    role = Role.NONE if before is None else before.role
    entry = MemberChanged(actor.id, nick, Membership.JOIN, role, role, actor.id, nick)
    event = log.enter_state(conversation, actor.id, nick, Kind.MEMBER, encode_state(entry))
    member = Member(actor, role, Membership.JOIN, nick, durable=True)
    member.since = event.position
    conversation.set_member(actor, member)
    log.undo(lambda: conversation.set_member(actor, before))
    log.change(member_row(conversation, member))
    log.change(span_row(conversation, member, 0))


def end_membership(
    log: Log, conversation: Conversation, member: Member, nick: str, reason: str, role: Role
) -> None:
    """End a membership by the member's own will, while an item forms; `role` is the one that stays."""
    actor = member.actor
    after = Member(actor, role, Membership.LEAVE, nick, durable=True)
    row = member_row(conversation, after)
    row.gone = role is Role.NONE
    conversation.set_member(actor, None if row.gone else after)
    log.undo(lambda: conversation.set_member(actor, member))
    log.change(row)
    if row.gone:
        release(log, conversation, actor)
    entry = MemberChanged(actor.id, nick, Membership.LEAVE, role, member.role, actor.id, nick, reason)
    event = log.enter_state(conversation, actor.id, nick, Kind.MEMBER, encode_state(entry))
    if member.since:
        log.change(span_row(conversation, member, event.position))


def is_parting(session: Session, conversation: Conversation, attendee: Attendee, member: Member) -> bool:
    """Return whether a part ends the membership of somebody who joined for good (DATAMODEL 1.7b).

    Not while another session of that protocol stays: there, to be in the room is to belong to it. One of another
    protocol only attends, and goes on doing so, unless only membership lets it in.
    """
    if member.membership is not Membership.JOIN:
        return False
    if any(other.protocol == session.protocol for other in attendee.entered):
        return False
    lets_in = conversation.config.members_only and member.role is Role.NONE
    return not (attendee.entered and lets_in)


def check_namesake(directory: Directory, actor: Actor, nick: str) -> Refusal | None:
    """Refuse what is no nick, or the account name of somebody else, or looks like it."""
    if not is_nick(nick):
        return Refusal.NICK_INVALID
    namesake = directory.account(fold(nick)) or directory.account(skeleton(nick))
    if namesake is not None and namesake.actor is not actor:
        return Refusal.NICK_IN_USE
    return None


def revive(directory: Directory, conversation: Conversation) -> None:
    """Undo the end of a room."""
    conversation.set_destroyed(False)
    directory.rooms[fold(conversation.name)] = conversation


def span_row(conversation: Conversation, member: Member, to_position: int) -> SpanRow:
    """Return the row of a membership that began at `member.since`; `to_position` 0 while it lasts."""
    return SpanRow(
        conversation_id=conversation.id,
        actor_id=member.actor.id,
        from_position=member.since,
        to_position=to_position,
    )


def release(log: Log, conversation: Conversation, actor: Actor) -> None:
    """Let others use the nick that `actor` had for itself in a room, if any, while an item forms."""
    before = conversation.registered.get(actor.id)
    if before is not None:
        conversation.set_registered(actor.id, None)
        log.undo(lambda: conversation.set_registered(actor.id, before))
        row = nick_row(conversation, actor, "")
        row.gone = True
        log.change(row)


def nick_row(conversation: Conversation, actor: Actor, nick: str) -> StateRow:
    """Return the row of a nick that is for `actor` alone."""
    return StateRow(conversation_id=conversation.id, type="nick", key=str(actor.id), value=nick.encode())


def take_out(conversation: Conversation, attendee: Attendee) -> None:
    """Take an attendee out of the roster."""
    conversation.attendees.pop(attendee.actor.id, None)
    conversation.nicks.pop(skeleton(attendee.nick), None)


def put_back(conversation: Conversation, attendee: Attendee, entered: dict[Session, None]) -> None:
    """Put an attendee back, with these sessions."""
    attendee.entered = entered
    conversation.attendees[attendee.actor.id] = attendee
    conversation.nicks[skeleton(attendee.nick)] = attendee.actor.id


def put_session_back(conversation: Conversation, attendee: Attendee, session: Session) -> None:
    """Undo the leaving of one session."""
    put_back(conversation, attendee, {**attendee.entered, session: None})


def take_session_out(attendee: Attendee, session: Session) -> None:
    """Undo the joining of a further session."""
    del attendee.entered[session]


def rename(conversation: Conversation, attendee: Attendee, nick: str) -> None:
    """Show an attendee under another nick."""
    conversation.nicks.pop(skeleton(attendee.nick), None)
    attendee.nick = nick
    conversation.nicks[skeleton(nick)] = attendee.actor.id
