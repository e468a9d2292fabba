"""Service discovery (XEP-0030) of the server and of accounts; rooms answer for themselves."""

from typing import Final

from sabir.protocols.xmpp.codec import attribute
from sabir.protocols.xmpp.errors import SERVICE_UNAVAILABLE, Refused
from sabir.protocols.xmpp.features import certificates, extdisco, forms, mam, people, upload
from sabir.protocols.xmpp.features.commands import requests as commands
from sabir.protocols.xmpp.features.commands.execution import NAMESPACE as COMMANDS
from sabir.protocols.xmpp.features.context import Context, Iq
from sabir.protocols.xmpp.features.forms import Field
from sabir.protocols.xmpp.features.pubsub import avatars, bookmarks, discovering, displayed

INFO: Final = "http://jabber.org/protocol/disco#info"
SERVER_INFO: Final = "http://jabber.org/network/serverinfo"
ITEMS: Final = "http://jabber.org/protocol/disco#items"

SERVER: Final[tuple[str, ...]] = (
    COMMANDS,
    INFO,
    ITEMS,
    "jabber:iq:last",
    "jabber:iq:register",
    "jabber:iq:search",
    "jabber:iq:version",
    "msgoffline",
    "urn:xmpp:blocking",
    "urn:xmpp:carbons:2",
    "urn:xmpp:carbons:rules:0",
    "urn:xmpp:extdisco:2",
    "urn:xmpp:ping",
    "urn:xmpp:reporting:1",
    "urn:xmpp:saslcert:1",
    "urn:xmpp:sid:0",
    "urn:xmpp:time",
    "vcard-temp",
)
"""What the server answers."""
ACCOUNT: Final[tuple[str, ...]] = (
    INFO,
    ITEMS,
    "jabber:iq:private",
    "jabber:iq:last",
    "jabber:iq:roster",
    "urn:xmpp:mam:2",
    "urn:xmpp:mam:2#extended",
    "urn:xmpp:ping",
    "urn:xmpp:push:0",
    "urn:xmpp:sid:0",
    "vcard-temp",
    *discovering.FEATURES,
    *bookmarks.FEATURES,
    avatars.FEATURE,
    displayed.FEATURE,
)
"""What an account answers."""


def info(context: Context, iq: Iq) -> None:
    """Say what the server, or an account, is and can."""
    node = iq.payload.get("node")
    if node:
        if not _is_server(context, iq):
            discovering.info(context, iq, node)
            return
        told = commands.info(context, node, commands.COMMANDS)
        context.reply(iq.stanza, f"<query xmlns='{INFO}'{attribute('node', node)}>{told}</query>")
        return
    extra = ""
    if _is_server(context, iq):
        features = SERVER
        identity = "<identity category='server' type='im' name='Sabir'/>"
        extra = _contacts(context)
        config = context.place.config
        missing = {
            "jabber:iq:register": config.registration,
            certificates.NAMESPACE: config.client_certificates,
            extdisco.NAMESPACE: bool(config.services),
            people.NAMESPACE: config.user_search,
        }
        features = tuple(feature for feature in SERVER if missing.get(feature, True))
        if config.user_search:
            identity += "<identity category='directory' type='user' name='People'/>"
    else:
        _check_account(context, iq)
        identity = "<identity category='account' type='registered'/>" + discovering.IDENTITY
        features = ACCOUNT
        if context.place.services.search.is_on:
            features += (mam.FULLTEXT,)
    listed = "".join([f"<feature var='{feature}'/>" for feature in features])
    context.reply(iq.stanza, f"<query xmlns='{INFO}'>{identity}{listed}{extra}</query>")


def items(context: Context, iq: Iq) -> None:
    """List the services of the server, the nodes of an account, or the items of one."""
    listed = ""
    node = iq.payload.get("node")
    if node == COMMANDS and _is_server(context, iq):
        listed = commands.items(context, context.place.domain, commands.COMMANDS)
    elif _is_server(context, iq):
        place = context.place
        listed = f"<item{attribute('jid', place.rooms_domain)} name='Rooms'/>"
        if place.waker is not None:
            listed += f"<item{attribute('jid', place.push_domain)} name='Push'/>"
        listed += upload.item(place)
        if place.pubsub_domain:
            listed += f"<item{attribute('jid', place.pubsub_domain)} name='Publications'/>"
        listed += "".join([f"<item{attribute('jid', domain)}/>" for domain in place.abroad.services()])
    elif node:
        discovering.items(context, iq, node)
        return
    else:
        listed = discovering.nodes(context, iq)
    shown = attribute("node", node) if node else ""
    context.reply(iq.stanza, f"<query xmlns='{ITEMS}'{shown}>{listed}</query>")


def _contacts(context: Context) -> str:
    """Return the addresses of those who are responsible (XEP-0157 §3)."""
    fields = [
        Field(f"{role}-addresses", addresses, "list-multi")
        for role, addresses in context.place.contacts.items()
    ]
    return forms.write("result", SERVER_INFO, fields) if fields else ""


def _is_server(context: Context, iq: Iq) -> bool:
    return iq.to is not None and not iq.to.local and iq.to.domain == context.place.domain


def _check_account(context: Context, iq: Iq) -> None:
    """XEP-0030 §8: accounts of others show themselves to those only who may see their presence."""
    if iq.to is None or iq.to.bare == context.jid.bare:
        return
    account = context.place.services.accounts.find(iq.to.local)
    if account is None:
        raise Refused(SERVICE_UNAVAILABLE)
    if not context.place.services.presences.shows(account, context.actor):
        raise Refused(SERVICE_UNAVAILABLE)
