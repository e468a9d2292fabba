"""Presences to rooms (XEP-0045 §7.2, §7.6, §7.7, §7.14), and what occupants see of each other."""

from typing import Final, assert_never

from sabir.core.model.conversation import Attendee, Conversation, Role
from sabir.core.model.signals import (
    Attended,
    AttendeeChanged,
    Cause,
    Departed,
    MemberListed,
    RoomConfigured,
)
from sabir.protocols.xmpp.errors import ITEM_NOT_FOUND, JID_MALFORMED
from sabir.protocols.xmpp.features.context import Context
from sabir.protocols.xmpp.features.muc import cards, entering, occupants
from sabir.protocols.xmpp.features.muc.names import (
    MUC,
    USER,
    affiliation_name,
    real_address,
    sender,
)
from sabir.protocols.xmpp.features.muc.occupants import Item
from sabir.protocols.xmpp.jid import Jid
from sabir.protocols.xmpp.types import Stanza
from sabir.wire.xml import Element, escape_attribute, escape_text

_NOT_HERE: Final = "You are not in the room."


def take(context: Context, stanza: Stanza, to: Jid, presence: Element) -> None:
    """Take a presence to a room; the types that rooms know are none and `unavailable` (XEP-0045 §17.3)."""
    if stanza.type == b"unavailable":
        context.run(lambda: _leave(context, to, presence.child_text("status") or ""))
    elif stanza.type == b"":
        _arrive(context, stanza, to, presence)


def _arrive(context: Context, stanza: Stanza, to: Jid, presence: Element) -> None:
    if not to.local:
        context.refuse(stanza, ITEM_NOT_FOUND)
        return
    if not to.resource:
        context.refuse(stanza, JID_MALFORMED)  # XEP-0045 §7.2.1: a nick is needed
        return
    muc = presence.find("x", MUC)
    if muc is not None:
        entering.enter(context, stanza, to, muc)
    else:
        context.run(lambda: _change(context, stanza, to, presence))


def _change(context: Context, stanza: Stanza, to: Jid, presence: Element) -> None:
    """Take the presence of somebody who should be in the room already."""
    services = context.place.services
    room = services.rooms.find(to.local)
    attendee = None if room is None else room.listeners.get(context.session)
    if room is None or attendee is None:
        _not_here(context, to)
        return
    shown = occupants.shown_of(context.place, context.actor, stanza)
    away = occupants.away_of(shown, presence.child_text("status") or "")
    if attendee.nick == to.resource:
        services.rooms.show(context.session, room, shown, away)
        return
    ticket = context.begin()

    def renamed(_: Attendee) -> None:
        attendee.sessions[context.session] = shown
        ticket.finish()

    services.rooms.rename(context.session, room, to.resource, renamed, context.refused_by(stanza, ticket))


def _not_here(context: Context, to: Jid) -> None:
    """Tell a client that believes to be in a room that it is not (XEP-0045 §7.2.18)."""
    origin, own = escape_attribute(str(to)), escape_attribute(str(context.jid))
    context.send(
        f"<presence to='{own}' from='{origin}' type='unavailable'><x xmlns='{USER}'>"
        f"<item affiliation='none' role='none'><reason>{_NOT_HERE}</reason></item>"
        "<status code='110'/><status code='307'/><status code='333'/></x></presence>".encode()
    )


def _leave(context: Context, to: Jid, status: str) -> None:
    services = context.place.services
    room = services.rooms.find(to.local) if to.local else None
    if room is None or context.session not in room.listeners:
        return  # XEP-0045 §17.3 rule 5
    ticket = context.begin()
    services.rooms.leave(
        context.session,
        room,
        Cause.QUIT,
        status,
        lambda attendee, _: entering.left(context, ticket, room, attendee, status),
        lambda _: ticket.finish(),
    )


def show_arrival(context: Context, signal: Attended) -> None:
    """Show that somebody came in; a further device of one who was there changes nothing."""
    if signal.first:
        _send_available(context, signal.conversation, signal.attendee)


def show_change(context: Context, signal: AttendeeChanged) -> None:
    """Show a new presence, nick, role or affiliation."""
    room, attendee = signal.conversation, signal.attendee
    if signal.old_nick != attendee.nick:
        own = _viewer(context, room, attendee)
        renamed = Item(nick=attendee.nick)
        context.send(
            occupants.unavailable(context.place, room, attendee, own, (303,), renamed, nick=signal.old_nick)
        )  # XEP-0045 §7.6
    _send_available(context, room, attendee, Item(by=signal.by_nick, reason=signal.reason))


def show_departure(context: Context, signal: Departed) -> None:
    """Show that somebody is gone, and why."""
    room, attendee = signal.conversation, signal.attendee
    if attendee.actor is context.actor:
        context.joining.pop(room.id, None)
    reason, status = signal.reason, ""
    affiliation = ""
    destroyed = ""
    codes: tuple[int, ...] = ()
    match signal.cause:
        case Cause.PARTED | Cause.QUIT:
            reason, status = "", signal.reason
        case Cause.KICKED:
            codes = (307,)  # XEP-0045 §8.2
        case Cause.BANNED:
            codes = (301,)  # XEP-0045 §9.1
        case Cause.REVOKED:
            codes, affiliation = (321,), "none"  # XEP-0045 §9.4
        case Cause.MEMBERS_ONLY:
            codes, affiliation = (322,), "none"  # XEP-0045 §10.2.1
        case Cause.DESTROYED:
            destroyed, reason = _destroyed(context, signal), ""  # XEP-0045 §10.9
            affiliation = "none"
        case _:
            assert_never(signal.cause)
    item = Item(by=signal.by_nick, reason=reason, affiliation=affiliation, destroyed=destroyed)
    seen = _viewer(context, room, attendee)
    context.send(occupants.unavailable(context.place, room, attendee, seen, codes, item, status=status))


def show_listed(context: Context, signal: MemberListed) -> None:
    """Tell moderators of a new affiliation of somebody who is not there (XEP-0045 §9.3)."""
    room = signal.conversation
    attendee = room.listeners.get(context.session)
    if attendee is None or attendee.role < Role.MODERATOR:
        return
    place = context.place
    real = real_address(place, signal.actor)
    if not real or affiliation_name(signal.role) == affiliation_name(signal.old_role):
        return
    item = f"<item affiliation='{affiliation_name(signal.role)}' jid='{escape_attribute(real)}' role='none'/>"
    context.send(
        f"<message to='{escape_attribute(str(context.jid))}'{sender(place, room, '')}>"
        f"<x xmlns='{USER}'>{item}</x></message>".encode()
    )


def show_configured(context: Context, signal: RoomConfigured) -> None:
    """Tell that the configuration is another one (XEP-0045 §10.2.1); ban masks are no part of it here."""
    if signal.masks:
        return
    to = escape_attribute(str(context.jid))
    context.send(
        f"<message to='{to}'{sender(context.place, signal.conversation, '')} type='groupchat'>"
        f"<x xmlns='{USER}'><status code='104'/></x></message>".encode()
    )
    if signal.avatar:
        cards.show(context, signal.conversation)


def _destroyed(context: Context, signal: Departed) -> str:
    alternate = f" jid='{escape_attribute(signal.alternate)}'" if signal.alternate else ""
    reason = f"<reason>{escape_text(signal.reason)}</reason>" if signal.reason else ""
    return f"<destroy{alternate}>{reason}</destroy>"


def _send_available(
    context: Context, room: Conversation, attendee: Attendee, item: Item = occupants.PLAIN
) -> None:
    seen = _viewer(context, room, attendee)
    context.send(occupants.available(context.place, room, attendee, seen, (), item))


def _viewer(context: Context, room: Conversation, attendee: Attendee) -> occupants.Viewer:
    own = room.listeners.get(context.session)
    role = Role.NONE if own is None else own.role
    return occupants.viewer(room, str(context.jid), role, is_self=attendee.actor is context.actor)
