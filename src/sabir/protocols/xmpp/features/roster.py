"""The contact list (RFC 6121 §2)."""

import hashlib
from typing import Final

from sabir.core.model.actor import Actor
from sabir.core.model.roster import Contact
from sabir.core.model.signals import ContactChanged
from sabir.protocols.xmpp.codec import attribute
from sabir.protocols.xmpp.errors import BAD_REQUEST, FORBIDDEN, ITEM_NOT_FOUND, NOT_ACCEPTABLE, Refused
from sabir.protocols.xmpp.features.context import Context, Iq
from sabir.protocols.xmpp.jid import JidSyntaxError, parse_jid
from sabir.wire.xml import Element, escape_text

NAMESPACE: Final = "jabber:iq:roster"
MAX_NAME_CHARS: Final = 256
MAX_GROUPS: Final = 32


def get(context: Context, iq: Iq) -> None:
    """Give the whole list; from now on the client is told of changes (RFC 6121 §2.2)."""
    _check_own(context, iq)
    context.interested = True
    known = iq.payload.get("ver")
    context.knows_versions = known is not None
    items = _items(context)
    version = _version(items) if context.knows_versions else ""
    if version and known == version:
        context.reply(iq.stanza)  # RFC 6121 §2.6.3: the client has it already
        return
    shown = attribute("ver", version) if version else ""
    context.reply(iq.stanza, f"<query xmlns='{NAMESPACE}'{shown}>{items}</query>")


def set_(context: Context, iq: Iq) -> None:
    """Add, change or remove one contact (RFC 6121 §2.3 to §2.5)."""
    _check_own(context, iq)
    items = iq.payload.elements()
    if len(items) != 1 or items[0].name != "item":
        raise Refused(BAD_REQUEST)  # RFC 6121 §2.1.5
    item = items[0]
    name = item.get("name") or ""
    groups = [group.text() for group in item.find_all("group")]
    if len(set(groups)) != len(groups):
        raise Refused(BAD_REQUEST)  # RFC 6121 §2.3.3
    if len(name) > MAX_NAME_CHARS or len(groups) > MAX_GROUPS:
        raise Refused(NOT_ACCEPTABLE)
    if any(not group or len(group) > MAX_NAME_CHARS for group in groups):
        raise Refused(NOT_ACCEPTABLE)
    actor = _actor(context, item)
    roster = context.place.services.roster
    if item.get("subscription") == "remove" and roster.contact(context.account, actor) is None:
        raise Refused(ITEM_NOT_FOUND)  # RFC 6121 §2.5.3
    ticket = context.begin()

    def done() -> None:
        context.reply(iq.stanza)
        ticket.finish()

    refused = context.refused_by(iq.stanza, ticket)
    if item.get("subscription") == "remove":
        roster.remove(context.account, actor, done, refused)
    else:
        roster.set(context.account, actor, name, groups, done, refused)


def show(context: Context, signal: ContactChanged) -> None:
    """Tell a client that asked for the list of a change (RFC 6121 §2.1.6)."""
    if context.interested:
        contact = signal.contact
        item = _removed(context, contact) if signal.removed else _item(context, contact)
        version = attribute("ver", _version(_items(context))) if context.knows_versions else ""
        context.push(f"<query xmlns='{NAMESPACE}'{version}>{item}</query>")


def address_of(context: Context, actor: Actor) -> str:
    """Return the bare address of a contact."""
    return context.place.address_of(actor)


def _check_own(context: Context, iq: Iq) -> None:
    if iq.to is not None and iq.to.bare != context.jid.bare:
        raise Refused(FORBIDDEN)  # RFC 6121 §2.1.5


def _actor(context: Context, item: Element) -> Actor:
    try:
        jid = parse_jid(item.get("jid") or "").bare
    except JidSyntaxError:
        raise Refused(BAD_REQUEST) from None
    accounts = context.place.services.accounts
    if jid.domain == context.place.domain and jid.local:
        account = accounts.find(jid.local)
        if account is not None:
            return account.actor
    return accounts.remote("xmpp", str(jid))


def _items(context: Context) -> str:
    return "".join(
        [_item(context, contact) for contact in context.place.services.roster.contacts(context.account)]
    )


def _version(items: str) -> str:
    """Return what names a state of the list: nothing has to be stored for it, and equal lists are one version."""
    return hashlib.sha256(items.encode()).hexdigest()[:24]


def _item(context: Context, contact: Contact) -> str:
    if contact.watches:
        subscription = "both" if contact.watched else "to"
    else:
        subscription = "from" if contact.watched else "none"
    attributes = attribute("jid", address_of(context, contact.actor)) + attribute(
        "subscription", subscription
    )
    if contact.name:
        attributes += attribute("name", contact.name)
    if contact.asked:
        attributes += " ask='subscribe'"
    if contact.approved:
        attributes += " approved='true'"
    groups = "".join([f"<group>{escape_text(group)}</group>" for group in contact.groups])
    return f"<item{attributes}>{groups}</item>" if groups else f"<item{attributes}/>"


def _removed(context: Context, contact: Contact) -> str:
    return f"<item{attribute('jid', address_of(context, contact.actor))} subscription='remove'/>"
