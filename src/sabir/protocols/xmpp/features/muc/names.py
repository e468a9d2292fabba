"""The names of XEP-0045: addresses of rooms and occupants, and roles and affiliations for those of the core."""

from collections.abc import Callable
from typing import Final, assert_never

from sabir.core import policy
from sabir.core.errors import Refusal
from sabir.core.model.actor import Actor, ActorKind
from sabir.core.model.conversation import Attendee, Conversation, Role
from sabir.protocols.xmpp.features.context import Context, Place, Ticket
from sabir.protocols.xmpp.jid import JidSyntaxError, parse_jid
from sabir.protocols.xmpp.types import Stanza
from sabir.wire.xml import escape_attribute

MUC: Final = "http://jabber.org/protocol/muc"
USER: Final = "http://jabber.org/protocol/muc#user"
ADMIN: Final = "http://jabber.org/protocol/muc#admin"
OWNER: Final = "http://jabber.org/protocol/muc#owner"
OCCUPANT_ID: Final = "urn:xmpp:occupant-id:0"
DELAY: Final = "urn:xmpp:delay"
STANZA_ID: Final = "urn:xmpp:sid:0"


def find_room(context: Context, name: str) -> Conversation | None:
    """Return the room of that name.

    One that is hidden and for members only is not there for others. Whoever has the address of one that is open
    may enter it, and so may ask what it is.
    """
    room = context.place.services.rooms.find(name) if name else None
    if room is not None and room.config.members_only and not policy.is_visible(room, context.actor):
        return None
    return room


def room_address(place: Place, room: Conversation) -> str:
    """Return the bare address of a room."""
    return room.name + "@" + place.rooms_domain


def occupant_address(place: Place, room: Conversation, nick: str) -> str:
    """Return the address of whoever is called `nick` in a room."""
    return room.name + "@" + place.rooms_domain + "/" + nick


def sender(place: Place, room: Conversation, nick: str) -> str:
    """Return ` from='...'` of an occupant, or of the room itself if `nick` is empty."""
    address = occupant_address(place, room, nick) if nick else room_address(place, room)
    return " from='" + escape_attribute(address) + "'"


def real_address(place: Place, actor: Actor) -> str:
    """Return the bare address of a person outside of rooms, empty for one who has none."""
    return "" if actor.kind is ActorKind.GUEST else place.address_of(actor)


def full_address(place: Place, attendee: Attendee) -> str:
    """Return the full address of one of the devices by which somebody attends a room.

    XEP-0045 §17.3 rule 10: never the bare one.
    """
    bare = real_address(place, attendee.actor)
    if not bare:
        return ""
    for session in attendee.sessions:
        if session.protocol == "xmpp":
            return bare + "/" + session.resource
    for session in attendee.sessions:
        return bare + "/" + (session.resource or session.protocol)
    return bare


def account_name_of(place: Place, address: str) -> str | None:
    """Return the name of the local account with that address; None if it is not an address of ours."""
    try:
        jid = parse_jid(address)
    except JidSyntaxError:
        return None
    return jid.local if jid.domain == place.domain and jid.local else None


def occupant_id(attendee_id: str) -> str:
    """Return the element that says who somebody is, whatever the nick (XEP-0421 §3)."""
    return f"<occupant-id xmlns='{OCCUPANT_ID}' id='{attendee_id}'/>"


def role_name(role: Role) -> str:
    """Return the role (XEP-0045 §5.1) of an occupant whose effective role is `role`."""
    match role:
        case Role.OWNER | Role.ADMIN | Role.MODERATOR:
            return "moderator"
        case Role.MEMBER:
            return "participant"
        case Role.VISITOR:
            return "visitor"
        case Role.NONE | Role.BANNED:
            return "none"
        case _:
            assert_never(role)


def affiliation_name(role: Role) -> str:
    """Return the affiliation (XEP-0045 §5.2) of somebody whose stored role is `role`."""
    match role:
        case Role.OWNER:
            return "owner"
        case Role.ADMIN:
            return "admin"
        case Role.MODERATOR | Role.MEMBER:
            return "member"
        case Role.VISITOR | Role.NONE:
            return "none"
        case Role.BANNED:
            return "outcast"
        case _:
            assert_never(role)


def affiliation_of(room: Conversation, actor: Actor) -> str:
    """Return the affiliation of `actor`: who is let into a members-only room is a member, invited or joined."""
    name = affiliation_name(room.role_of(actor.id))
    if name == "none" and room.config.members_only and policy.is_member(room, actor):
        return "member"
    return name


def sees_addresses(room: Conversation, role: Role) -> bool:
    """Return whether an occupant of that role sees the addresses behind nicks (XEP-0045 §4.2)."""
    return not room.config.anonymous or role >= Role.MODERATOR


def refused(context: Context, stanza: Stanza, ticket: Ticket) -> Callable[[Refusal], None]:
    """Return what to call with a refusal: it is worded as rooms word it, and the ticket is finished.

    XEP-0045 §7.5, §9: who is not there, or is nobody, is an item not found.
    """
    answer = context.refused_by(stanza, ticket)

    def take(refusal: Refusal) -> None:
        absent = refusal in (Refusal.ACTOR_ABSENT, Refusal.ACTOR_UNKNOWN)
        answer(Refusal.TARGET_UNKNOWN if absent else refusal)

    return take
