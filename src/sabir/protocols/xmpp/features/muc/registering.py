"""Registering with a room (XEP-0045 §7.10): to be a member, with a nick for oneself; and its approval (§9.9)."""

from typing import Final

from sabir.core.errors import Refusal
from sabir.core.model.conversation import Conversation, Member, Membership, Role
from sabir.core.model.signals import MembershipAsked
from sabir.protocols.xmpp.errors import (
    BAD_REQUEST,
    CONFLICT,
    ITEM_NOT_FOUND,
    NOT_ALLOWED,
    ErrorType,
    Refused,
    StanzaError,
)
from sabir.protocols.xmpp.features import forms
from sabir.protocols.xmpp.features.context import Context, Iq
from sabir.protocols.xmpp.features.muc.names import account_name_of, real_address, refused, sender
from sabir.protocols.xmpp.types import Stanza
from sabir.wire.xml import escape_attribute, escape_text

REGISTER: Final = "jabber:iq:register"
FORM_TYPE: Final = "http://jabber.org/protocol/muc#register"

_NICK: Final = "muc#register_roomnick"
_ALLOW: Final = "muc#register_allow"
_JID: Final = "muc#jid"
_NOT_REGISTERED: Final = StanzaError(ErrorType.AUTH, "registration-required")


def get(context: Context, iq: Iq, room: Conversation) -> None:
    """Say under which nick one is registered, or what to fill in."""
    if context.place.services.registration.may_ask(room, context.actor) is not None:
        raise Refused(NOT_ALLOWED)
    nick = room.registered.get(context.actor.id)
    if nick is not None:
        inside = f"<registered/><username>{escape_text(nick)}</username>"
    else:
        wanted = forms.text(_NICK, "", "Nickname")
        wanted.extra = "<required/>"
        inside = forms.write("form", FORM_TYPE, (wanted,), f"Registration with {room.name}")
    context.reply(iq.stanza, f"<query xmlns='{REGISTER}'>{inside}</query>")


def set_(context: Context, iq: Iq, room: Conversation) -> None:
    """Register, ask to be registered where admins have to agree, or end that."""
    if iq.payload.find("remove") is not None:
        _remove(context, iq, room)
        return
    form = forms.submitted(iq.payload)
    if form is not None and form.get("type") == "cancel":
        context.reply(iq.stanza)
        return
    fields = {} if form is None or form.get("type") != "submit" else forms.read(form)
    nick = (forms.first(fields, _NICK) or "").strip()
    if forms.first(fields, forms.FORM_TYPE) not in (None, FORM_TYPE) or not nick:
        raise Refused(BAD_REQUEST)
    ticket = context.begin()
    answer = refused(context, iq.stanza, ticket)

    def done(_: bool) -> None:
        context.reply(iq.stanza)
        ticket.finish()

    def refuse(refusal: Refusal) -> None:
        if refusal in (Refusal.BANNED, Refusal.NICK_IN_USE):
            context.refuse(iq.stanza, NOT_ALLOWED if refusal is Refusal.BANNED else CONFLICT)
            ticket.finish()
        else:
            answer(refusal)

    context.place.services.registration.ask(context.session, room, nick, done, refuse)


def _remove(context: Context, iq: Iq, room: Conversation) -> None:
    ticket = context.begin()
    answer = refused(context, iq.stanza, ticket)

    def done() -> None:
        context.reply(iq.stanza)
        ticket.finish()

    def refuse(refusal: Refusal) -> None:
        if refusal is Refusal.ACTOR_UNKNOWN:
            context.refuse(iq.stanza, _NOT_REGISTERED)  # XEP-0077 §3.2
            ticket.finish()
        else:
            answer(refusal)

    context.place.services.registration.withdraw(context.session, room, done, refuse)


def show(context: Context, signal: MembershipAsked) -> None:
    """Ask an admin whether somebody may be a member (XEP-0045 §9.9)."""
    _show(context, signal.conversation, real_address(context.place, signal.actor), signal.nick)


def show_waiting(context: Context, room: Conversation) -> None:
    """Show an admin who enters what was asked meanwhile."""
    own = room.attendees.get(context.actor.id)
    if own is not None and own.role >= Role.ADMIN:
        for member in context.place.services.registration.waiting(room):
            _show(context, room, real_address(context.place, member.actor), member.nick)


def _show(context: Context, room: Conversation, address: str, nick: str) -> None:
    form = forms.write(
        "form",
        FORM_TYPE,
        (
            forms.text(_JID, address, "User", "jid-single"),
            forms.text(_NICK, nick, "Desired nickname"),
            forms.boolean(_ALLOW, False, "Allow this person to register with the room?"),
        ),
        "Registration request",
        "Somebody asks to be a member of this room.",
    )
    to = escape_attribute(str(context.jid))
    context.send(f"<message to='{to}'{sender(context.place, room, '')}>{form}</message>".encode())


def answer(context: Context, stanza: Stanza, room: Conversation, fields: dict[str, list[str]]) -> None:
    """Take an admin's answer to such a question."""
    allow = forms.first(fields, _ALLOW)
    member = _asking(context, room, fields)
    if allow is None:
        context.refuse(stanza, BAD_REQUEST)
    elif member is None:
        context.refuse(stanza, ITEM_NOT_FOUND)
    else:
        ticket = context.begin()
        context.place.services.registration.answer(
            context.session,
            room,
            member.actor,
            forms.is_true(allow),
            ticket.finish,
            refused(context, stanza, ticket),
        )


def _asking(context: Context, room: Conversation, fields: dict[str, list[str]]) -> Member | None:
    """Return whom a form is about: by the address, or the nick where a client leaves that out."""
    address, nick = forms.first(fields, _JID), forms.first(fields, _NICK)
    name = None if address is None else account_name_of(context.place, address)
    account = None if name is None else context.place.services.directory.account(name)
    if account is not None:
        member = room.members.get(account.actor.id)
        return member if member is not None and member.membership is Membership.KNOCK else None
    waiting = context.place.services.registration.waiting(room)
    return next((member for member in waiting if address is None and member.nick == nick), None)
