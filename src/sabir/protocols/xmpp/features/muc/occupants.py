"""Presences of occupants, as each of the others sees them (XEP-0045 §7.2.2)."""

from collections.abc import Iterable
from typing import Final

from sabir.core.model.actor import Actor
from sabir.core.model.conversation import Attendee, Conversation, Role
from sabir.protocols.xmpp.codec import CLIENT, child_element
from sabir.protocols.xmpp.features.context import Place
from sabir.protocols.xmpp.features.muc import hats
from sabir.protocols.xmpp.features.muc.names import (
    MUC,
    OCCUPANT_ID,
    USER,
    affiliation_of,
    full_address,
    occupant_id,
    role_name,
    sees_addresses,
    sender,
)
from sabir.protocols.xmpp.features.pubsub import avatars
from sabir.protocols.xmpp.types import Stanza
from sabir.wire.xml import Element, escape_attribute, escape_text

# What only the room says: XEP-0045 §17.3 rule 6, XEP-0421 §3.2; and what is for the room alone.
_STRIPPED: Final = frozenset(
    (MUC.encode(), USER.encode(), OCCUPANT_ID.encode(), b"urn:xmpp:hats:0", b"urn:xmpp:delay")
)
_UPDATE: Final = avatars.UPDATE.encode()
_SHOWS: Final = ((b"<show>dnd<", 1), (b"<show>away<", 2), (b"<show>xa<", 3))


class Item:
    """What is said of an occupant beside the presence: who did it and why, a new nick, the end of a room."""

    __slots__ = ("affiliation", "by", "destroyed", "nick", "reason", "role")

    def __init__(
        self,
        *,
        by: str = "",
        reason: str = "",
        nick: str = "",
        role: str = "",
        affiliation: str = "",
        destroyed: str = "",
    ) -> None:
        self.by: str = by
        self.reason: str = reason
        self.nick: str = nick
        """The new one, where it changes."""
        self.role: str = role
        self.affiliation: str = affiliation
        self.destroyed: str = destroyed
        """The `<destroy/>` element."""


PLAIN: Final = Item()


class Viewer:
    """Who is shown a presence: the address it goes to, and what they may see."""

    __slots__ = ("address", "is_self", "sees")

    def __init__(self, address: str, *, is_self: bool, sees: bool) -> None:
        self.address: str = address
        self.is_self: bool = is_self
        self.sees: bool = sees


def viewer(room: Conversation, address: str, role: Role, *, is_self: bool) -> Viewer:
    """Return how somebody of `role` in `room` sees a presence."""
    return Viewer(address, is_self=is_self, sees=is_self or sees_addresses(room, role))


def shown_of(place: Place, actor: Actor, stanza: Stanza) -> bytes:
    """Return what a client shows of itself to a room: the children of its presence that may pass, and the picture."""
    kept: list[bytes] = []
    own: Element | None = None
    for child in stanza.children:
        if child[1] == _UPDATE and own is None:
            own = child_element(stanza, child)
        elif (child[1] or b"") not in _STRIPPED:
            kept.append(stanza.data[child[3] : child[4]])
    mark = avatars.mark(own, avatars.hash_of(place, actor)) or own
    if mark is not None:
        kept.append(mark.to_bytes(CLIENT))
    return b"".join(kept)


def away_of(shown: bytes, status: str) -> str:
    """Return the away message of a presence for protocols that know only that, empty if not away."""
    return (status or "away") if _distance(shown) >= 2 else ""


def available(
    place: Place,
    room: Conversation,
    attendee: Attendee,
    to: Viewer,
    codes: Iterable[int] = (),
    item: Item = PLAIN,
) -> bytes:
    """Return the presence of somebody who is in the room."""
    start = f"<presence to='{escape_attribute(to.address)}'{sender(place, room, attendee.nick)}>"
    role = item.role or role_name(attendee.role)
    user = _user(place, room, attendee, to, codes, item, role)
    worn = hats.worn(room, attendee.actor) if room.wearers else ""
    return start.encode() + _shown(attendee) + f"{user}{worn}</presence>".encode()


def unavailable(
    place: Place,
    room: Conversation,
    attendee: Attendee,
    to: Viewer,
    codes: Iterable[int] = (),
    item: Item = PLAIN,
    *,
    nick: str = "",
    status: str = "",
) -> bytes:
    """Return the presence of somebody who left, or (`item.nick`) is called otherwise now; `nick` is the old one.

    The role is `none` (XEP-0045 §7.14) unless the nick changes.
    """
    origin = sender(place, room, nick or attendee.nick)
    start = f"<presence to='{escape_attribute(to.address)}'{origin} type='unavailable'>"
    shown = f"<status>{escape_text(status)}</status>" if status else ""
    role = role_name(attendee.role) if item.nick else "none"
    return f"{start}{shown}{_user(place, room, attendee, to, codes, item, role)}</presence>".encode()


def _user(
    place: Place,
    room: Conversation,
    attendee: Attendee,
    to: Viewer,
    codes: Iterable[int],
    item: Item,
    role: str,
) -> str:
    affiliation = item.affiliation or affiliation_of(room, attendee.actor)
    attributes = f" affiliation='{affiliation}' role='{role}'"
    if to.sees:
        real = full_address(place, attendee)
        if real:
            attributes += f" jid='{escape_attribute(real)}'"
    if item.nick:
        attributes += f" nick='{escape_attribute(item.nick)}'"
    inside = ""
    if item.by:
        inside = f"<actor nick='{escape_attribute(item.by)}'/>"
    if item.reason:
        inside += f"<reason>{escape_text(item.reason)}</reason>"
    element = f"<item{attributes}>{inside}</item>" if inside else f"<item{attributes}/>"
    own = ((110, *codes) if to.is_self else codes) or ()
    statuses = "".join([f"<status code='{code}'/>" for code in own])
    return f"<x xmlns='{USER}'>{element}{item.destroyed}{statuses}</x>{occupant_id(attendee.occupant_id)}"


def _shown(attendee: Attendee) -> bytes:
    """Return what an occupant shows: the most available of the devices, the latest of equal ones.

    Somebody without a client of XMPP has a presence made of what the core knows.
    """
    best, distance, found = b"", 4, False
    for session, shown in attendee.sessions.items():
        if session.protocol == "xmpp":
            away = _distance(shown)
            if away <= distance:
                best, distance = shown, away
            found = True
    if found or not attendee.away:
        return best
    return f"<show>away</show><status>{escape_text(attendee.away)}</status>".encode()


def _distance(shown: bytes) -> int:
    """Return how far away a presence says that somebody is, 0 for not at all."""
    for mark, distance in _SHOWS:
        if mark in shown:
            return distance
    return 0
