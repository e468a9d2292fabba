"""The archive of a room (XEP-0313 §6.1.2)."""

from sabir.core.errors import Refusal
from sabir.core.model.conversation import Conversation, Role
from sabir.core.model.event import Event, Kind
from sabir.core.ports import Page, PageQuery
from sabir.protocols.xmpp.errors import (
    FEATURE_NOT_IMPLEMENTED,
    FORBIDDEN,
    ITEM_NOT_FOUND,
    Refused,
    stanza_error_for,
)
from sabir.protocols.xmpp.features import mam
from sabir.protocols.xmpp.features.context import Context, Iq
from sabir.protocols.xmpp.features.foreign import message_id_of
from sabir.protocols.xmpp.features.mam import Archive, Query
from sabir.protocols.xmpp.features.muc.names import (
    USER,
    affiliation_of,
    real_address,
    role_name,
    room_address,
    sees_addresses,
    sender,
)
from sabir.protocols.xmpp.features.muc.rendering import author_id, message_of, tombstone_of
from sabir.protocols.xmpp.translate import event_id_of
from sabir.wire.xml import escape_attribute

KINDS = mam.KINDS | {int(Kind.TOPIC)}


def form(context: Context, iq: Iq, room: Conversation) -> None:
    """Say which fields a query may have."""
    mam.form(context, iq)


def query(context: Context, iq: Iq, room: Conversation) -> None:
    """Answer a query of a room's archive, for those who might enter the room."""
    services = context.place.services
    history = services.history
    asked = Query(iq.payload, searchable=services.search.is_on)
    _check(history.may_read(room, context.actor))
    if asked.with_ is not None:
        raise Refused(FEATURE_NOT_IMPLEMENTED)  # XEP-0313 §4.1.1: who is behind a nick may be a secret

    def find(id_: str) -> Event:
        event = history.find(event_id_of(id_))
        if event is None or not history.may_see(room, context.actor, event):
            raise Refused(ITEM_NOT_FOUND)
        return event

    shows = _shows_addresses(context, room)
    address = room_address(context.place, room)
    archive = Archive(
        context, iq, asked, address, lambda event, by: _message(context, room, event, by, shows)
    )
    if asked.ids is not None:
        archive.send(mam.single(history, [find(id_) for id_ in asked.ids]))
    elif asked.text:
        bounds = asked.bounds(find, KINDS)
        _check(services.search.page(room, context.actor, asked.text, bounds, archive.send))
    else:
        _check(history.page(room, context.actor, asked.bounds(find, KINDS), archive.send))


def metadata(context: Context, iq: Iq, room: Conversation) -> None:
    """Say where a room's archive begins and ends."""
    history = context.place.services.history

    def with_first(first: Page) -> None:
        newest = PageQuery(limit=1, newest=True, kinds=KINDS)
        history.page(
            room,
            context.actor,
            newest,
            lambda last: context.reply(iq.stanza, mam.encode_metadata(first, last)),
        )

    _check(history.page(room, context.actor, PageQuery(limit=1, kinds=KINDS), with_first))


def _check(refusal: Refusal | None) -> None:
    if refusal is Refusal.RATE_LIMITED:
        raise Refused(stanza_error_for(refusal))
    if refusal is not None:
        raise Refused(FORBIDDEN)  # XEP-0313 §8.1


def _shows_addresses(context: Context, room: Conversation) -> bool:
    attendee = room.attendees.get(context.actor.id)
    role = room.role_of(context.actor.id) if attendee is None else attendee.role
    return sees_addresses(room, role) and (attendee is not None or role >= Role.MEMBER)


def _message(
    context: Context, room: Conversation, event: Event, retraction: Event | None, shows: bool
) -> bytes:
    place = context.place
    extra = ""
    if shows:
        actor = place.services.directory.actor(event.actor_id)
        address = real_address(place, actor)
        if address:
            attendee = room.attendees.get(actor.id)
            role = "none" if attendee is None else role_name(attendee.role)
            extra = (
                f"<x xmlns='{USER}'><item affiliation='{affiliation_of(room, actor)}'"
                f" jid='{escape_attribute(address)}' role='{role}'/></x>"
            )
    start = "<message xmlns='jabber:client'"
    if event.erased:
        origin = sender(place, room, event.nick) + f" id='{escape_attribute(message_id_of(event))}'"
        inside = tombstone_of(place, room, event, retraction) + author_id(place, room, event) + extra
        return f"{start}{origin} type='groupchat'>{inside}</message>".encode()
    return start.encode() + message_of(place, room, event, extra)
