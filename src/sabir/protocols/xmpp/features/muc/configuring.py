"""What owners do (XEP-0045 §10): the configuration form, and the end of a room."""

from sabir.core.model.actor import Actor
from sabir.core.model.conversation import Conversation, Role
from sabir.protocols.xmpp.errors import BAD_REQUEST, CONFLICT, FORBIDDEN, NOT_ACCEPTABLE, Refused
from sabir.protocols.xmpp.features import forms
from sabir.protocols.xmpp.features.context import Context, Iq
from sabir.protocols.xmpp.features.muc import admin
from sabir.protocols.xmpp.features.muc.names import OWNER, account_name_of, refused
from sabir.protocols.xmpp.features.muc.roomconfig import ADMINS, FORM_TYPE, OWNERS, config_of, fields_of


def take(context: Context, iq: Iq, room: Conversation) -> None:
    """Answer a request of an owner."""
    if room.role_of(context.actor.id) is not Role.OWNER:
        raise Refused(FORBIDDEN)  # XEP-0045 §10.2
    if not iq.is_set:
        fields = fields_of(context.place, room)
        shown = forms.write("form", FORM_TYPE, fields, f"Configuration of {room.name}")
        context.reply(iq.stanza, f"<query xmlns='{OWNER}'>{shown}</query>")
        return
    destroy = iq.payload.find("destroy")
    form = forms.submitted(iq.payload)
    if destroy is not None:
        ticket = context.begin()

        def destroyed() -> None:
            context.reply(iq.stanza)
            ticket.finish()

        context.place.services.moderation.destroy(
            context.session,
            room,
            destroy.child_text("reason") or "",
            destroy.get("jid") or "",
            destroyed,
            refused(context, iq.stanza, ticket),
        )
    elif form is not None and form.get("type") == "cancel":
        context.reply(iq.stanza)
    elif form is not None and form.get("type") == "submit":
        _configure(context, iq, room, forms.read(form))
    else:
        raise Refused(BAD_REQUEST)


def _configure(context: Context, iq: Iq, room: Conversation, fields: dict[str, list[str]]) -> None:
    """XEP-0045 §10.1.2: an empty form takes the defaults; fields that are not sent stay as they are."""
    if forms.first(fields, forms.FORM_TYPE) not in (None, FORM_TYPE):
        raise Refused(BAD_REQUEST)
    config = config_of(room.config, fields)
    changes = _role_changes(context, room, fields)
    if config != room.config:
        services = context.place.services
        changes.append(
            lambda then, no: services.moderation.configure(context.session, room, config, then, no)
        )
    admin.carry_out(context, iq, changes)


def _role_changes(context: Context, room: Conversation, fields: dict[str, list[str]]) -> list[admin.Change]:
    """Return the changes that make the lists of owners and administrators those of the form.

    New owners come first: there is one at any time.
    """
    wanted: dict[int, tuple[Actor, Role]] = {}
    for name, role in ((ADMINS, Role.ADMIN), (OWNERS, Role.OWNER)):
        if name not in fields:
            continue
        for member in room.members.values():
            if member.role is role:
                wanted.setdefault(member.actor.id, (member.actor, Role.MEMBER))
        for address in fields[name]:
            actor = _person(context, address)
            wanted[actor.id] = (actor, role)
    if OWNERS in fields and not any(role is Role.OWNER for _, role in wanted.values()):
        raise Refused(CONFLICT)  # XEP-0045 §10.4: a room keeps an owner
    changed = [(actor, role) for actor, role in wanted.values() if room.role_of(actor.id) is not role]
    if len(changed) > admin.MOST_ITEMS:
        raise Refused(NOT_ACCEPTABLE)
    changed.sort(key=lambda change: change[1], reverse=True)
    return [admin.role_change(context, room, actor, role) for actor, role in changed]


def _person(context: Context, address: str) -> Actor:
    name = account_name_of(context.place, address)
    account = None if name is None else context.place.services.accounts.find(name)
    if account is None:
        raise Refused(NOT_ACCEPTABLE)
    return account.actor
