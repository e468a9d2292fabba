"""The block list (XEP-0191)."""

from typing import Final

from sabir.core.model.signals import BlockListChanged
from sabir.protocols.xmpp.codec import attribute
from sabir.protocols.xmpp.errors import BAD_REQUEST, Refused
from sabir.protocols.xmpp.features import reporting
from sabir.protocols.xmpp.features.context import Context, Iq
from sabir.protocols.xmpp.jid import JidSyntaxError, parse_jid

NAMESPACE: Final = "urn:xmpp:blocking"


def get(context: Context, iq: Iq) -> None:
    """Give the list; from now on the client is told of changes (XEP-0191 §3.1)."""
    context.blocklist = True
    names = context.place.services.roster.blocked(context.account)
    context.reply(iq.stanza, f"<blocklist xmlns='{NAMESPACE}'>{_items(context, names)}</blocklist>")


def block(context: Context, iq: Iq) -> None:
    """Block addresses (XEP-0191 §3.2)."""
    names = _names(context, iq)
    if not names:
        raise Refused(BAD_REQUEST)
    reported = reporting.read(context, iq.payload)
    ticket = context.begin()
    for each in reported:
        reporting.file(context, each)

    def done() -> None:
        context.reply(iq.stanza)
        ticket.finish()

    context.place.services.roster.block(context.account, names, done, context.refused_by(iq.stanza, ticket))


def unblock(context: Context, iq: Iq) -> None:
    """Unblock addresses, or all of them (XEP-0191 §3.3, §3.4)."""
    ticket = context.begin()

    def done() -> None:
        context.reply(iq.stanza)
        ticket.finish()

    context.place.services.roster.unblock(
        context.account, _names(context, iq), done, context.refused_by(iq.stanza, ticket)
    )


def show(context: Context, signal: BlockListChanged) -> None:
    """Tell a client that asked for the list of a change."""
    if context.blocklist:
        name = "block" if signal.blocked else "unblock"
        context.push(f"<{name} xmlns='{NAMESPACE}'>{_items(context, signal.names)}</{name}>")


def _names(context: Context, iq: Iq) -> list[str]:
    """Return what the core knows the addresses by: the name of a local account, else the whole address."""
    names: list[str] = []
    for item in iq.payload.find_all("item"):
        try:
            jid = parse_jid(item.get("jid") or "")
        except JidSyntaxError:
            raise Refused(BAD_REQUEST) from None
        local = jid.local and jid.domain == context.place.domain and not jid.resource
        names.append(jid.local if local else str(jid))
    return names


def _items(context: Context, names: "list[str] | tuple[str, ...]") -> str:
    domain = context.place.domain
    addresses = [
        name if "@" in name or "." in name or name == domain else f"{name}@{domain}" for name in names
    ]
    return "".join([f"<item{attribute('jid', address)}/>" for address in addresses])
