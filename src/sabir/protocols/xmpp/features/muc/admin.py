"""Lists of roles and affiliations, and changes to them (XEP-0045 §8.2-8.5, §9.1-9.8, §10.3-10.8)."""

from collections.abc import Callable
from typing import Final

from sabir.core import policy
from sabir.core.errors import Refusal
from sabir.core.model.actor import Actor
from sabir.core.model.conversation import Attendee, Conversation, Role
from sabir.protocols.xmpp.errors import BAD_REQUEST, FORBIDDEN, ITEM_NOT_FOUND, NOT_ALLOWED, Refused
from sabir.protocols.xmpp.features.context import Context, Iq, Place, Ticket
from sabir.protocols.xmpp.features.muc.names import (
    ADMIN,
    account_name_of,
    affiliation_name,
    affiliation_of,
    full_address,
    real_address,
    refused,
    role_name,
    sees_addresses,
)
from sabir.protocols.xmpp.jid import jid_of
from sabir.wire.xml import Element, escape_attribute, escape_text

MOST_ITEMS: Final = 200
"""Changes in one request at most."""

_AFFILIATIONS: Final = {
    "owner": Role.OWNER,
    "admin": Role.ADMIN,
    "member": Role.MEMBER,
    "none": Role.NONE,
    "outcast": Role.BANNED,
}
_ROLES: Final = ("moderator", "participant", "visitor", "none")

Change = Callable[[Callable[[], None], Callable[[Refusal], None]], None]
"""Queues a change with what is to be called with its outcome."""


class _Answer:
    """Answers one request when the last of its changes is durable or refused; the first refusal counts."""

    __slots__ = ("_context", "_iq", "_left", "_refusal", "_ticket")

    def __init__(self, context: Context, iq: Iq, ticket: Ticket, count: int) -> None:
        self._context = context
        self._iq = iq
        self._ticket = ticket
        self._left = count
        self._refusal: Refusal | None = None

    def done(self) -> None:
        self._left -= 1
        if self._left:
            return
        if self._refusal is not None:
            refused(self._context, self._iq.stanza, self._ticket)(self._refusal)
            return
        self._context.reply(self._iq.stanza)
        self._ticket.finish()

    def refused(self, refusal: Refusal) -> None:
        self._refusal = self._refusal or refusal
        self.done()


def take(context: Context, iq: Iq, room: Conversation) -> None:
    """Answer a request about roles and affiliations."""
    items = iq.payload.find_all("item")
    if not items or len(items) > MOST_ITEMS:
        raise Refused(BAD_REQUEST)
    if iq.is_set:
        _change(context, iq, room, items)
    else:
        _list(context, iq, room, items[0])


def _list(context: Context, iq: Iq, room: Conversation, item: Element) -> None:
    affiliation, role = item.get("affiliation"), item.get("role")
    own = policy.effective_role(room, context.actor)
    if affiliation in _AFFILIATIONS and role is None and affiliation != "none":
        _check_may_list(context, room, own, affiliation)
        listed = _affiliated(context.place, room, affiliation)
    elif role in _ROLES and affiliation is None and role != "none":
        if own < Role.MODERATOR or context.actor.id not in room.attendees:
            raise Refused(FORBIDDEN)  # XEP-0045 §8.5
        listed = _in_role(context.place, room, role)
    else:
        raise Refused(BAD_REQUEST)
    context.reply(iq.stanza, f"<query xmlns='{ADMIN}'>{''.join(listed)}</query>")


def _check_may_list(context: Context, room: Conversation, own: Role, affiliation: str) -> None:
    """XEP-0045 §7.11, §9.2: members see each other where addresses are no secret, bans are for moderators."""
    inside = policy.is_member(room, context.actor) or context.actor.id in room.attendees
    if own >= Role.MODERATOR and inside:
        return
    if affiliation == "outcast" or not inside or not sees_addresses(room, own):
        raise Refused(FORBIDDEN)


def _affiliated(place: Place, room: Conversation, affiliation: str) -> list[str]:
    listed: list[str] = []
    for member in room.members.values():
        address = real_address(place, member.actor)
        if affiliation_of(room, member.actor) != affiliation or not address:
            continue
        attributes = f" affiliation='{affiliation}' jid='{escape_attribute(address)}'"
        attendee = room.attendees.get(member.actor.id)
        nick = room.registered.get(member.actor.id) or (member.nick if attendee is None else attendee.nick)
        if nick and affiliation != "outcast":
            attributes += f" nick='{escape_attribute(nick)}'"  # XEP-0045 §17.4 rule 6
        reason = f"<reason>{escape_text(member.reason)}</reason>" if member.reason else ""
        listed.append(f"<item{attributes}>{reason}</item>" if reason else f"<item{attributes}/>")
    return listed


def _in_role(place: Place, room: Conversation, role: str) -> list[str]:
    listed: list[str] = []
    for attendee in room.attendees.values():
        if role_name(attendee.role) != role:
            continue
        attributes = f" nick='{escape_attribute(attendee.nick)}' role='{role}'"
        attributes += f" affiliation='{affiliation_of(room, attendee.actor)}'"
        address = full_address(place, attendee)
        if address:
            attributes += f" jid='{escape_attribute(address)}'"
        listed.append(f"<item{attributes}/>")
    return listed


def _change(context: Context, iq: Iq, room: Conversation, items: list[Element]) -> None:
    """Check all items before the first of them takes effect."""
    changes: list[Change] = []
    for item in items:
        affiliation, role = item.get("affiliation"), item.get("role")
        if (affiliation is None) == (role is None):
            raise Refused(BAD_REQUEST)  # XEP-0045 §17.4 rule 4
        reason = item.child_text("reason") or ""
        if affiliation is not None:
            change = _affiliation_change(context, room, item, affiliation, reason)
        else:
            change = _role_change(context, room, item, role or "", reason)
        if change is not None:
            changes.append(change)
    if not changes:
        _check_may_change(context, room)
    carry_out(context, iq, changes)


def carry_out(context: Context, iq: Iq, changes: list[Change]) -> None:
    """Queue changes in their order, and answer the request when all have their outcome."""
    if not changes:
        context.reply(iq.stanza)
        return
    answer = _Answer(context, iq, context.begin(), len(changes))
    for change in changes:
        change(answer.done, answer.refused)


def _check_may_change(context: Context, room: Conversation) -> None:
    if policy.effective_role(room, context.actor) < Role.MODERATOR:
        raise Refused(FORBIDDEN)


def _affiliation_change(
    context: Context, room: Conversation, item: Element, affiliation: str, reason: str
) -> Change | None:
    role = _AFFILIATIONS.get(affiliation)
    if role is None:
        raise Refused(BAD_REQUEST)
    actor = _actor_of(context, room, item)
    if affiliation_name(room.role_of(actor.id)) == affiliation and affiliation == "member":
        return None  # who is a moderator is a member
    return role_change(context, room, actor, role, reason)


def _actor_of(context: Context, room: Conversation, item: Element) -> Actor:
    services, address, nick = context.place.services, item.get("jid"), item.get("nick")
    if address is not None:
        name = account_name_of(context.place, address)
        account = None if name is None else services.accounts.find(name)
        if account is not None:
            return account.actor
        if name is None:
            return _actor_elsewhere(context, address)
    elif nick is not None:
        attendee = services.rooms.attendee(room, nick)
        if attendee is not None:
            return attendee.actor
    raise Refused(ITEM_NOT_FOUND)


def _actor_elsewhere(context: Context, address: str) -> Actor:
    jid = jid_of(address)
    if jid is None or not jid.local or context.place.is_ours(jid.domain):
        raise Refused(ITEM_NOT_FOUND)
    return context.place.services.accounts.remote("xmpp", str(jid.bare))


def _role_change(
    context: Context, room: Conversation, item: Element, role: str, reason: str
) -> Change | None:
    nick = item.get("nick")
    if nick is None or role not in _ROLES:
        raise Refused(BAD_REQUEST)  # XEP-0045 §17.4 rule 5
    services = context.place.services
    attendee = services.rooms.attendee(room, nick)
    if attendee is None:
        raise Refused(ITEM_NOT_FOUND)
    target = attendee.actor
    if role == "none":
        return lambda then, no: services.moderation.kick(context.session, room, target, reason, then, no)
    if role != "moderator" and attendee.role >= Role.ADMIN:
        raise Refused(NOT_ALLOWED)  # XEP-0045 §8.4, §9.7: admins and owners keep what they have
    wanted = _stored_role(room, attendee, role)
    return None if wanted is None else role_change(context, room, target, wanted, reason)


def _stored_role(room: Conversation, attendee: Attendee, role: str) -> Role | None:
    """Return the role to store so that the occupant has this one, None if it has it already.

    The core keeps one role per person: a moderator of XMPP is a member, and stays one when that ends.
    """
    if role_name(attendee.role) == role:
        return None
    if role == "moderator":
        return Role.MODERATOR
    if role == "visitor":
        return Role.VISITOR
    was_muted = room.role_of(attendee.actor.id) is Role.VISITOR
    return Role.NONE if was_muted and not room.config.moderated else Role.MEMBER


def role_change(context: Context, room: Conversation, actor: Actor, role: Role, reason: str = "") -> Change:
    """Return the change that gives `actor` a stored role."""
    moderation = context.place.services.moderation
    return lambda then, no: moderation.set_role(context.session, room, actor, role, reason, then, no)
