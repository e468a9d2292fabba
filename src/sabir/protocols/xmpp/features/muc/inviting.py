"""Messages to the room itself: mediated invitations (XEP-0045 §7.8.2), their refusal, requests for voice."""

from typing import Final

from sabir.core.errors import Refusal
from sabir.core.model.actor import Actor
from sabir.core.model.conversation import Conversation, Role
from sabir.core.model.signals import Invited
from sabir.protocols.xmpp.codec import element_of
from sabir.protocols.xmpp.errors import BAD_REQUEST, ITEM_NOT_FOUND, stanza_error_for
from sabir.protocols.xmpp.features import forms
from sabir.protocols.xmpp.features.context import Context, Place
from sabir.protocols.xmpp.features.muc import registering
from sabir.protocols.xmpp.features.muc.names import (
    USER,
    account_name_of,
    real_address,
    refused,
    room_address,
    sender,
)
from sabir.protocols.xmpp.jid import jid_of
from sabir.protocols.xmpp.types import Stanza
from sabir.wire.xml import Element, escape_attribute, escape_text

CONFERENCE: Final = "jabber:x:conference"
REQUEST: Final = "http://jabber.org/protocol/muc#request"


def take(context: Context, stanza: Stanza, room: Conversation) -> None:
    """Take a message to the room that is not for its occupants."""
    message = element_of(stanza)
    user = message.find("x", USER)
    invite = None if user is None else user.find("invite")
    decline = None if user is None else user.find("decline")
    form = forms.submitted(message)
    if invite is not None:
        _invite(context, stanza, room, invite)
    elif decline is not None:
        context.run(lambda: _decline(context, stanza, room, decline))
    elif form is not None:
        fields = forms.read(form)  # a refusal is the stanza's
        if forms.first(fields, forms.FORM_TYPE) == REQUEST:
            context.run(lambda: _voice(context, stanza, room, fields))
        elif forms.first(fields, forms.FORM_TYPE) == registering.FORM_TYPE:
            context.run(lambda: registering.answer(context, stanza, room, fields))
        else:
            context.refuse(stanza, BAD_REQUEST)
    else:
        context.refuse(stanza, BAD_REQUEST)  # XEP-0045 §17.2 rule 1: rooms take messages of type groupchat


def _invite(context: Context, stanza: Stanza, room: Conversation, invite: Element) -> None:
    name = account_name_of(context.place, invite.get("to") or "")
    account = None if name is None else context.place.services.accounts.find(name)
    reason = invite.child_text("reason") or ""
    target = account.actor if account is not None else _elsewhere(context, invite.get("to") or "")
    if target is None:
        context.refuse(stanza, ITEM_NOT_FOUND)  # XEP-0045 §7.8.2
        return
    ticket = context.begin()

    def done() -> None:
        if account is None:
            place = context.place
            signal = Invited(room, context.actor, reason, room.config.key)
            message = _invitation(place, signal, target.name)
            place.abroad.send(place.rooms_domain, target.name.rpartition("@")[2], message)
        ticket.finish()

    context.place.services.invitations.invite(
        context.session, room, target, reason, done, refused(context, stanza, ticket)
    )


def _elsewhere(context: Context, address: str) -> Actor | None:
    """Return whom an address of another server stands for, None if it is none that can be reached."""
    jid, place = jid_of(address), context.place
    if jid is None or not jid.local or place.is_ours(jid.domain) or place.abroad.refusal(jid.domain):
        return None
    return place.services.accounts.remote("xmpp", str(jid.bare))


def show(context: Context, signal: Invited) -> None:
    """Show an invitation, in the form of the room and in the one of XEP-0249 that every client knows."""
    context.send(_invitation(context.place, signal, str(context.jid)))


def _invitation(place: Place, signal: Invited, to: str) -> bytes:
    room = signal.conversation
    by = escape_attribute(real_address(place, signal.by) or signal.by.name)
    reason = f"<reason>{escape_text(signal.reason)}</reason>" if signal.reason else ""
    password = f"<password>{escape_text(signal.key)}</password>" if signal.key else ""
    attributes = f" jid='{escape_attribute(room_address(place, room))}'"
    if signal.reason:
        attributes += f" reason='{escape_attribute(signal.reason)}'"
    if signal.key:
        attributes += f" password='{escape_attribute(signal.key)}'"
    return (
        f"<message to='{escape_attribute(to)}'{sender(place, room, '')}>"
        f"<x xmlns='{USER}'><invite from='{by}'>{reason}</invite>{password}</x>"
        f"<x xmlns='{CONFERENCE}'{attributes}/></message>"
    ).encode()


def _decline(context: Context, stanza: Stanza, room: Conversation, decline: Element) -> None:
    place = context.place
    name = account_name_of(place, decline.get("to") or "")
    account = None if name is None else place.services.accounts.find(name)
    if account is None:
        context.refuse(stanza, ITEM_NOT_FOUND)
        return
    reason = decline.child_text("reason")
    inside = f"<reason>{escape_text(reason)}</reason>" if reason else ""
    by = escape_attribute(real_address(place, context.actor))
    place.services.relays.to_account(
        context.session,
        account,
        f"<message{sender(place, room, '')}><x xmlns='{USER}'><decline from='{by}'>{inside}</decline></x>"
        "</message>".encode(),
    )


def _voice(context: Context, stanza: Stanza, room: Conversation, fields: dict[str, list[str]]) -> None:
    """Take a request for voice (XEP-0045 §7.13), or a moderator's answer to one (§8.6)."""
    own = room.listeners.get(context.session)
    if own is None:
        context.refuse(stanza, stanza_error_for(Refusal.NOT_ATTENDING))
        return
    services = context.place.services
    allow = forms.first(fields, "muc#request_allow")
    if allow is None:
        if own.role is Role.VISITOR:
            refusal = services.registration.ask_for_voice(context.session, room)
            if refusal is not None:
                context.refuse(stanza, stanza_error_for(refusal))
            else:
                _ask_for_voice(context, room)
        return
    nick = forms.first(fields, "muc#roomnick") or ""
    target = services.rooms.attendee(room, nick)
    if target is None:
        context.refuse(stanza, ITEM_NOT_FOUND)
    elif forms.is_true(allow) and target.role is Role.VISITOR:
        ticket = context.begin()
        services.moderation.set_role(
            context.session,
            room,
            target.actor,
            Role.MEMBER,
            "",
            ticket.finish,
            refused(context, stanza, ticket),
        )


def _ask_for_voice(context: Context, room: Conversation) -> None:
    place = context.place
    own = room.listeners[context.session]
    form = forms.write(
        "form",
        REQUEST,
        (
            forms.choice("muc#role", "participant", "Requested role", (("participant", "Participant"),)),
            forms.text("muc#jid", str(context.jid), "User", "jid-single"),
            forms.text("muc#roomnick", own.nick, "Nickname"),
            forms.boolean("muc#request_allow", False, "Grant voice to this person?"),
        ),
        "Voice request",
        "Somebody asks to speak in this room.",
    )
    payload = f"<message{sender(place, room, '')}>{form}</message>".encode()
    for attendee in list(room.attendees.values()):
        if attendee.role >= Role.MODERATOR:
            place.services.relays.to_attendee(context.session, room, attendee, payload)
