"""Requests to the service, to rooms and to occupants (XEP-0045 §17.4)."""

from collections.abc import Callable
from typing import Final

from sabir.core.errors import Refusal
from sabir.core.model.conversation import Attendee, Conversation
from sabir.protocols.xmpp.errors import (
    BAD_REQUEST,
    FEATURE_NOT_IMPLEMENTED,
    ITEM_NOT_FOUND,
    NOT_ACCEPTABLE,
    SERVICE_UNAVAILABLE,
    Refused,
    stanza_error_for,
)
from sabir.protocols.xmpp.features import disco, mam, ping, vcard
from sabir.protocols.xmpp.features.commands import execution
from sabir.protocols.xmpp.features.commands import requests as commands
from sabir.protocols.xmpp.features.context import Context, Iq
from sabir.protocols.xmpp.features.muc import (
    admin,
    archive,
    cards,
    configuring,
    discovering,
    hats,
    moderating,
    registering,
)
from sabir.protocols.xmpp.features.muc.names import ADMIN, OWNER, find_room, sender
from sabir.protocols.xmpp.jid import Jid
from sabir.protocols.xmpp.types import Stanza

RoomHandler = Callable[[Context, Iq, Conversation], None]


def _command(context: Context, iq: Iq, room: Conversation) -> None:
    commands.answer(context, iq, hats.commands(room))


_ROOM: Final[dict[tuple[str, str], tuple[RoomHandler | None, RoomHandler | None]]] = {
    (disco.INFO, "query"): (discovering.room_info, None),
    (disco.ITEMS, "query"): (discovering.room_items, None),
    (ADMIN, "query"): (admin.take, admin.take),
    (OWNER, "query"): (configuring.take, configuring.take),
    (moderating.NAMESPACE, "moderate"): (None, moderating.moderate),
    (cards.NAMESPACE, "vCard"): (cards.get, cards.set_),
    (execution.NAMESPACE, "command"): (None, _command),
    (registering.REGISTER, "query"): (registering.get, registering.set_),
    (moderating.FASTEN, "apply-to"): (None, moderating.fasten),
    (mam.NAMESPACE, "query"): (archive.form, archive.query),
    (mam.NAMESPACE, "metadata"): (archive.metadata, None),
}
"""What answers a get and a set of each payload to a room."""


def take(context: Context, iq: Iq) -> None:
    """Answer a request to an address of the service, after whatever the client sent before it."""
    context.run(lambda: _take(context, iq))


def _take(context: Context, iq: Iq) -> None:
    to = iq.to
    try:
        if to is None or not to.local:
            _to_service(context, iq)
            return
        room = find_room(context, to.local)
        if to.resource:
            _to_occupant(context, iq, room, to.resource)
        elif room is None:
            raise Refused(ITEM_NOT_FOUND)
        else:
            _to_room(context, iq, room)
    except Refused as error:
        context.refuse(iq.stanza, error.error)


def _to_service(context: Context, iq: Iq) -> None:
    match iq.payload.namespace, iq.payload.name, iq.is_set:
        case disco.INFO, "query", False:
            discovering.service_info(context, iq)
        case disco.ITEMS, "query", False:
            discovering.service_items(context, iq)
        case ping.NAMESPACE, "ping", False:
            ping.ping(context, iq)
        case _:
            raise Refused(SERVICE_UNAVAILABLE)


def _to_room(context: Context, iq: Iq, room: Conversation) -> None:
    handlers = _ROOM.get((iq.payload.namespace, iq.payload.name))
    if handlers is None:
        raise Refused(SERVICE_UNAVAILABLE)
    handler = handlers[1] if iq.is_set else handlers[0]
    if handler is None:
        raise Refused(FEATURE_NOT_IMPLEMENTED)
    handler(context, iq, room)


def _to_occupant(context: Context, iq: Iq, room: Conversation | None, nick: str) -> None:
    own = None if room is None else room.listeners.get(context.session)
    is_ping = iq.payload.namespace == ping.NAMESPACE
    if room is None or own is None:
        # XEP-0410 §3.3: so a client learns that it is out; XEP-0045 §6.6: others have no business there.
        disclosing = iq.payload.namespace in (disco.INFO, disco.ITEMS)
        raise Refused(BAD_REQUEST if disclosing else NOT_ACCEPTABLE)
    target = context.place.services.rooms.attendee(room, nick)
    if target is None:
        raise Refused(ITEM_NOT_FOUND)
    if is_ping and target is own:
        context.reply(iq.stanza)  # XEP-0410 §3.3
    elif iq.payload.namespace == vcard.NAMESPACE and not iq.is_set and target.actor.account_id is not None:
        # XEP-0045 §17.4 rule 3: the person's card, without the address.
        jid = Jid(target.actor.name, context.place.domain)
        vcard.get(context, Iq(iq.stanza, jid, iq.payload, iq.is_set))
    else:
        refusal = _relay(context, iq.stanza, room, own, target)
        if refusal is not None:
            raise Refused(stanza_error_for(refusal))


def take_answer(context: Context, stanza: Stanza, to: Jid) -> None:
    """Pass an answer on to the occupant who asked; nobody is told if that fails."""
    context.run(lambda: _answer(context, stanza, to))


def _answer(context: Context, stanza: Stanza, to: Jid) -> None:
    services = context.place.services
    room = services.rooms.find(to.local) if to.local else None
    own = None if room is None else room.listeners.get(context.session)
    if room is None or own is None or stanza.name != b"iq":
        return
    target = services.rooms.attendee(room, to.resource)
    if target is not None:
        _relay(context, stanza, room, own, target)


def _relay(
    context: Context, stanza: Stanza, room: Conversation, own: Attendee, target: Attendee
) -> Refusal | None:
    origin = sender(context.place, room, own.nick).encode()
    rest = stanza.attributes + stanza.data[stanza.head : stanza.end]
    payload = b"<" + stanza.name + origin + rest
    return context.place.services.relays.to_attendee(context.session, room, target, payload)
