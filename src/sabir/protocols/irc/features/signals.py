"""What is not a message, as lines: who comes and goes, roles, bans, configuration, typing (`core.model.signals`)."""

from typing import Final, assert_never

from sabir.core.errors import Refusal
from sabir.core.model.actor import Actor
from sabir.core.model.conversation import Conversation, Membership, Role
from sabir.core.model.event import Event
from sabir.core.model.signals import (
    AccountChanged,
    Announced,
    Attended,
    AttendeeChanged,
    BlockListChanged,
    Cause,
    ContactChanged,
    Departed,
    Invited,
    MemberListed,
    MembershipAsked,
    NodeChanged,
    PresenceChanged,
    ReadMarked,
    Receipt,
    Relayed,
    Reported,
    RoomConfigured,
    Signal,
    SubscriptionAnswered,
    SubscriptionAsked,
    Typing,
    Whispered,
)
from sabir.core.model.state import MemberChanged
from sabir.protocols.irc.features.channels import join_text
from sabir.protocols.irc.features.client import Client
from sabir.protocols.irc.features.history import send_marker
from sabir.protocols.irc.machine import Reply
from sabir.protocols.irc.translate.accept import typing_tag
from sabir.protocols.irc.translate.names import nick_of
from sabir.protocols.irc.translate.render import sender_tags
from sabir.protocols.irc.translate.rooms import LETTERS, Mode, difference, letter_of, state_of, written
from sabir.protocols.irc.types.capabilities import (
    AWAY_NOTIFY,
    INVITE_NOTIFY,
    MESSAGE_TAGS,
    READ_MARKER,
)

_REASONS: Final = {
    Cause.MEMBERS_ONLY: "The channel is for members only now",
    Cause.REVOKED: "The channel is for members only",
    Cause.DESTROYED: "The channel was closed",
}


def show(client: Client, signal: Signal) -> None:  # one case per signal, and so long
    """Show one signal."""
    match signal:
        case Attended():
            if signal.first and client.attends(signal.conversation):
                _attended(client, signal)
        case Departed():
            _departed(client, signal)
        case AttendeeChanged():
            _away(client, signal)
        case RoomConfigured():
            _configured(client, signal)
        case Invited():
            channel = client.network.scribe.channel(signal.conversation)
            client.event_line(signal.by, f"INVITE {client.machine.nick} {channel}")
        case MembershipAsked():
            # Modern servers tell operators of a KNOCK by numeric 710 (RPL_KNOCK).
            channel = client.network.scribe.channel(signal.conversation)
            mask = client.network.scribe.mask_of(signal.actor)
            client.server_line(f"710 {client.machine.nick} {channel} {mask} :has asked to be a member")
        case Reported():
            channel = client.network.scribe.channel(signal.conversation)
            why = signal.reason.rpartition(":")[2]
            text = f"{signal.reported} was reported for {why}. {signal.text}".replace("\n", " ").rstrip()
            client.server_line(f"NOTICE {client.machine.nick} :[{channel}] {text}")
        case Typing():
            _typing(client, signal)
        case ReadMarked():
            if client.caps & READ_MARKER:
                send_marker(client, signal.conversation, Reply(client.machine, ""))
        case Whispered():
            channel = client.network.scribe.channel(signal.conversation)
            for row in signal.text.split("\n"):
                text = f"[only to you, from {channel}] {row}"
                client.event_line(signal.actor, f"PRIVMSG {client.machine.nick} :{text}")
        case Relayed():
            command, _, text = signal.payload.decode(errors="replace").partition("\n")
            client.event_line(signal.actor, f"{command} {client.machine.nick} :{text}")
        case AccountChanged():
            client.session.end(Refusal.LOGIN_REQUIRED)  # what the login proved has changed
        case Announced():
            for row in f"{signal.subject}\n{signal.text}".strip("\n").splitlines():
                client.server_line(f"NOTICE {client.machine.nick} :{row}")
        case (
            NodeChanged()  # IRC publishes nothing
            | MemberListed()  # the entry in the log says the same, with a place in its order
            | PresenceChanged()
            | ContactChanged()
            | SubscriptionAsked()
            | SubscriptionAnswered()
            | BlockListChanged()
            | Receipt()
        ):
            pass  # IRC has no words for these
        case _:
            assert_never(signal)
    client.flush()


def _attended(client: Client, signal: Attended) -> None:
    room, attendee = signal.conversation, signal.attendee
    client.quitting.pop(attendee.actor.id, None)
    client.event_line(attendee.actor, join_text(client, room, attendee.actor))
    letter = letter_of(room, attendee.actor.id, attendee.role)
    channel = client.network.scribe.channel(room)
    if letter:
        client.server_line(f"MODE {channel} +{letter} {nick_of(attendee.actor)}")
    if attendee.away and client.caps & AWAY_NOTIFY:
        client.aways[attendee.actor.id] = attendee.away
        client.event_line(attendee.actor, f"AWAY :{attendee.away}")


def _departed(client: Client, signal: Departed) -> None:
    room, actor = signal.conversation, signal.attendee.actor
    is_me = actor is client.actor
    if not client.attends(room):
        return
    channel = client.network.scribe.channel(room)
    nick = nick_of(actor)
    match signal.cause:
        case Cause.KICKED:
            _by(client, room, signal.by_nick, f"KICK {channel} {nick} :{signal.reason or nick}")
        case Cause.BANNED:
            _by(client, room, signal.by_nick, f"MODE {channel} +b $a:{nick}")
            _by(client, room, signal.by_nick, f"KICK {channel} {nick} :{signal.reason or 'Banned'}")
            client.banned = (room.id, actor.id)
        case Cause.MEMBERS_ONLY | Cause.REVOKED | Cause.DESTROYED:
            reason = signal.reason or _REASONS[signal.cause]
            client.server_line(f"KICK {channel} {nick} :{reason}")
        case Cause.QUIT:
            _quit(client, room, actor, signal.reason)
        case Cause.PARTED:
            text = f"PART {channel} :{signal.reason}" if signal.reason else f"PART {channel}"
            client.event_line(actor, text)
        case _:
            assert_never(signal.cause)
    if is_me:
        client.channels.pop(room.id, None)
        client.targets.clear()
    elif not client.shares_room(actor):
        client.aways.pop(actor.id, None)


def _quit(client: Client, room: Conversation, actor: Actor, reason: str) -> None:
    """QUIT once for somebody who has left the server, PART for one who only left this room."""
    if client.network.is_online(actor):
        channel = client.network.scribe.channel(room)
        client.event_line(actor, f"PART {channel} :{reason}" if reason else f"PART {channel}")
    elif actor.id not in client.quitting:
        client.quitting[actor.id] = None
        client.event_line(actor, f"QUIT :{reason}")


def _away(client: Client, signal: AttendeeChanged) -> None:
    """Show a changed away message, once however many rooms it is told in (IRCv3 away-notify)."""
    actor = signal.attendee.actor
    if not client.caps & AWAY_NOTIFY or actor is client.actor or not client.attends(signal.conversation):
        return
    text = signal.attendee.away
    if client.aways.get(actor.id, "") == text:
        return
    if text:
        client.aways[actor.id] = text
    else:
        client.aways.pop(actor.id, None)
    client.event_line(actor, f"AWAY :{text}" if text else "AWAY")


def _configured(client: Client, signal: RoomConfigured) -> None:
    room = signal.conversation
    channel = client.channels.get(room.id)
    if channel is None:
        return
    name = client.network.scribe.channel(room)
    changes = difference(channel.config, room.config)
    channel.config = room.config
    changes += [Mode(is_added, "b", pattern) for pattern, is_added in signal.masks]
    if changes:
        _by(client, room, signal.by_nick, f"MODE {name} {written(changes)}")


def _typing(client: Client, signal: Typing) -> None:
    if not client.caps & MESSAGE_TAGS or signal.actor is client.actor:
        return
    scribe = client.network.scribe
    target = scribe.target(signal.conversation, signal.actor.id)
    tags = sender_tags(
        client.network.services.clock.now_ms(), scribe.account_of(signal.actor), client.variant
    )
    tag = typing_tag(signal.state)
    client.line(f":{scribe.mask_of(signal.actor)} TAGMSG {target}", f"{tags};{tag}" if tags else tag)


def show_member(client: Client, room: Conversation, event: Event) -> None:
    """Show an entry about somebody's role or an invitation; joining and leaving are shown by signals."""
    entry = state_of(event)
    if not isinstance(entry, MemberChanged):
        return
    directory = client.network.services.directory
    target = directory.actors.get(entry.actor)  # type: ignore[call-overload]  # rows hold plain ints
    by = directory.actors.get(entry.by)  # type: ignore[call-overload]  # as above
    if target is None or by is None:
        return
    channel = client.network.scribe.channel(room)
    if entry.membership is Membership.INVITE and entry.role == entry.old_role:
        if client.caps & INVITE_NOTIFY and by is not client.actor and target is not client.actor:
            client.event_line(by, f"INVITE {nick_of(target)} {channel}")
    elif entry.role != entry.old_role:
        changes = _role_changes(entry.old_role, entry.role, nick_of(target))
        if Role.BANNED in (entry.role, entry.old_role) and client.banned == (room.id, target.id):
            changes = [change for change in changes if change.letter != "b"]
            client.banned = (0, 0)
        if changes and not entry.by_nick:
            client.server_line(f"MODE {channel} {written(changes)}")
        elif changes:
            client.event_line(by, f"MODE {channel} {written(changes)}")
    client.flush()


def _role_changes(old: Role, new: Role, nick: str) -> list[Mode]:
    changes: list[Mode] = []
    if old is Role.BANNED:
        changes.append(Mode(False, "b", f"$a:{nick}"))
    elif old in LETTERS:
        changes.append(Mode(False, LETTERS[old], nick))
    if new is Role.BANNED:
        changes.append(Mode(True, "b", f"$a:{nick}"))
    elif new in LETTERS:
        changes.append(Mode(True, LETTERS[new], nick))
    return changes


def _by(client: Client, room: Conversation, shown_nick: str, text: str) -> None:
    """Send a line as from whoever is shown in the room as `shown_nick`, else from the server."""
    attendee = client.network.services.rooms.attendee(room, shown_nick) if shown_nick else None
    if attendee is not None:
        client.event_line(attendee.actor, text)
    else:
        client.server_line(text)
