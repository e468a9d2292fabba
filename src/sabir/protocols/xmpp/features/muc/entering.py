"""Entering a room (XEP-0045 §7.2): presences, one's own presence, history, subject, and then what happens."""

from typing import Final

from sabir.core import policy
from sabir.core.model.conversation import Attendee, Conversation, Role
from sabir.core.model.event import MORE, Event, Kind
from sabir.core.ports import Page, PageQuery
from sabir.core.services.rooms import Joined
from sabir.protocols.xmpp.features.context import Context, Ticket
from sabir.protocols.xmpp.features.muc import cards, occupants, registering
from sabir.protocols.xmpp.features.muc.names import MUC, sender
from sabir.protocols.xmpp.features.muc.rendering import delay, message_of
from sabir.protocols.xmpp.features.muc.roomconfig import MOST_HISTORY
from sabir.protocols.xmpp.jid import Jid
from sabir.protocols.xmpp.translate.native import milliseconds_of
from sabir.protocols.xmpp.types import Stanza
from sabir.wire.xml import Element, escape_attribute, escape_text

DEFAULT_HISTORY: Final = 20

_HISTORY_KINDS: Final = frozenset((int(Kind.MESSAGE), int(Kind.EDIT), int(Kind.REACTION), int(Kind.CALL)))


class Wanted:
    """How much history a client wants (XEP-0045 §7.2.14)."""

    __slots__ = ("chars", "since_ms", "stanzas")

    def __init__(self, history: Element | None, now_ms: int) -> None:
        self.stanzas: int = DEFAULT_HISTORY
        self.chars: int = -1
        self.since_ms: int = 0
        if history is None:
            return
        chars, stanzas = _number(history, "maxchars"), _number(history, "maxstanzas")
        seconds = _number(history, "seconds")
        since = milliseconds_of(history.get("since") or "")
        if stanzas is not None or chars is not None or seconds is not None or since is not None:
            self.stanzas = MOST_HISTORY
        if stanzas is not None:
            self.stanzas = min(stanzas, MOST_HISTORY)
        if chars is not None:
            self.chars = chars
        if seconds is not None:
            self.since_ms = now_ms - seconds * 1000
        if since is not None:
            self.since_ms = max(self.since_ms, since)

    @property
    def is_nothing(self) -> bool:
        """Whether no history is wanted at all."""
        return self.stanzas == 0 or self.chars == 0


def enter(context: Context, stanza: Stanza, to: Jid, muc: Element) -> None:
    """Take a request to enter a room; from one who is there already it asks for everything anew.

    XEP-0045 §17.3 rule 3.
    """
    ticket = context.begin()
    services = context.place.services
    wanted = Wanted(muc.find("history"), services.clock.now_ms())
    shown = occupants.shown_of(context.place, context.actor, stanza)

    def entered(joined: Joined) -> None:
        _welcome(context, joined, to.resource, wanted)
        ticket.finish()

    services.rooms.join(
        context.session,
        to.local,
        to.resource,
        entered,
        context.refused_by(stanza, ticket),
        key=muc.child_text("password", MUC) or "",
        presence=shown,
        address=policy.mask_of(context.actor, context.place.domain),  # another nick evades no ban
    )


def _welcome(context: Context, joined: Joined, nick: str, wanted: Wanted) -> None:
    place, room, own = context.place, joined.conversation, joined.attendee
    address = str(context.jid)
    seen = occupants.viewer(room, address, own.role, is_self=False)
    big = place.services.rooms.is_big(room)
    for attendee in list(room.attendees.values()):
        # DATAMODEL 1.12: who enters a big room is shown its moderators; the rest is in the lists.
        if attendee is not own and attendee.sessions and (not big or attendee.role >= Role.MODERATOR):
            context.send(occupants.available(place, room, attendee, seen))
    codes = [170]  # XEP-0045 §7.2.12: what is said is kept, and who may enter may read it
    if not room.config.anonymous:
        codes.insert(0, 100)  # XEP-0045 §7.2.3
    if joined.created:
        codes.append(201)  # XEP-0045 §10.1.1
    if own.nick != nick:
        codes.append(210)  # XEP-0045 §7.2.2: one person has one nick, whatever the second device asked for
    mine = occupants.viewer(room, address, own.role, is_self=True)
    context.send(occupants.available(place, room, own, mine, codes))
    if room.avatar:
        cards.show(context, room)
    most = min(wanted.stanzas, room.config.max_history)
    if wanted.is_nothing or most == 0 or room.head_position == 0:
        _send_subject(context, room)
        registering.show_waiting(context, room)
        return
    context.joining[room.id] = []
    query = PageQuery(
        before_seq=place.services.delivery.head_seq + 1,
        start_ms=wanted.since_ms,
        limit=most,
        newest=True,
        kinds=_HISTORY_KINDS,
    )
    refusal = place.services.history.page(
        room, context.actor, query, lambda page: _send_history(context, room, page, wanted)
    )
    if refusal is not None:
        _catch_up(context, room)


def _send_history(context: Context, room: Conversation, page: Page, wanted: Wanted) -> None:
    if room.id not in context.joining:
        return  # the client has left meanwhile
    place = context.place
    to = f"<message to='{escape_attribute(str(context.jid))}'".encode()
    messages = [
        to + message_of(place, room, event, delay(place, room, event.at_ms))
        for event in page.events
        if not event.erased and not event.flags & MORE
    ]
    if wanted.chars >= 0:
        # XEP-0045 §7.2.14: the characters of the complete stanzas, counted from the newest.
        left, first = wanted.chars, len(messages)
        while first > 0 and left >= len(messages[first - 1]):
            first -= 1
            left -= len(messages[first])
        del messages[:first]
    for message in messages:
        context.send(message)
    _catch_up(context, room)


def _catch_up(context: Context, room: Conversation) -> None:
    """Send the subject, then what was said while the history was read (XEP-0045 §7.1)."""
    waiting: list[Event] = context.joining.pop(room.id, [])
    _send_subject(context, room)
    registering.show_waiting(context, room)
    for event in waiting:
        context.session.deliver(room, event)


def _send_subject(context: Context, room: Conversation) -> None:
    """XEP-0045 §7.2.15: the subject ends the history, even if there is none."""
    place, topic = context.place, room.topic
    to = f"<message to='{escape_attribute(str(context.jid))}'"
    if topic is None or not topic.text:
        context.send(f"{to}{sender(place, room, '')} type='groupchat'><subject/></message>".encode())
        return
    context.send(
        f"{to}{sender(place, room, topic.nick)} type='groupchat'><subject>{escape_text(topic.text)}</subject>"
        f"{delay(place, room, topic.at_ms)}</message>".encode()
    )


def _number(element: Element, name: str) -> int | None:
    text = element.get(name)
    if text is None or not text.isascii() or not text.isdecimal() or len(text) > 10:
        return None
    return int(text)


def left(context: Context, ticket: Ticket, room: Conversation, attendee: Attendee, status: str) -> None:
    """Tell a client that it has left (XEP-0045 §7.14)."""
    context.joining.pop(room.id, None)
    own = occupants.viewer(room, str(context.jid), attendee.role, is_self=True)
    context.send(occupants.unavailable(context.place, room, attendee, own, status=status))
    ticket.finish()
