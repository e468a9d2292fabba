"""The pubsub service, `pubsub.<domain>` (XEP-0060): nodes that belong to whoever made them."""

from typing import Final

from sabir.protocols.xmpp.errors import SERVICE_UNAVAILABLE, Refused
from sabir.protocols.xmpp.features import anonymous, ping, version
from sabir.protocols.xmpp.features.context import Context, Iq, IqHandler, Place
from sabir.protocols.xmpp.features.pubsub import discovering, requests
from sabir.protocols.xmpp.features.pubsub.names import NAMESPACE, OWNER, PROTOCOL

_INFO: Final = "http://jabber.org/protocol/disco#info"
_ITEMS: Final = "http://jabber.org/protocol/disco#items"
_OF_ACCOUNTS: Final = (
    "access-presence",
    "access-roster",
    "auto-create",
    "auto-subscribe",
    "filtered-notifications",
)
FEATURES: Final = (
    _INFO,
    _ITEMS,
    ping.NAMESPACE,
    version.NAMESPACE,
    *[each for each in discovering.FEATURES if each.partition("#")[2] not in _OF_ACCOUNTS],
)


def open_at(place: Place) -> None:
    """Let the core know whose nodes those of the service are."""
    if place.pubsub_domain:
        services = place.services
        services.pubsub.service = services.accounts.remote(PROTOCOL, place.pubsub_domain)


def take_iq(context: Context, iq: Iq) -> None:
    """Answer for the service, after whatever the client sent before.

    Raises:
        Refused: it does not do that.
    """
    handler = _HANDLERS.get((iq.payload.namespace, iq.payload.name, iq.is_set))
    if handler is None or iq.to is None or iq.to.local or iq.to.resource:
        raise Refused(SERVICE_UNAVAILABLE)
    if iq.is_set:
        anonymous.check_own(context.actor)
        handler(context, iq)
        return

    def effect() -> None:
        try:
            handler(context, iq)
        except Refused as refused:
            context.refuse(iq.stanza, refused.error)

    context.run(effect)


def _info(context: Context, iq: Iq) -> None:
    node = iq.payload.get("node")
    if node:
        discovering.info(context, iq, node)
        return
    listed = "".join([f"<feature var='{feature}'/>" for feature in FEATURES])
    identity = "<identity category='pubsub' type='service' name='Publications'/>"
    context.reply(iq.stanza, f"<query xmlns='{_INFO}'>{identity}{listed}</query>")


def _items(context: Context, iq: Iq) -> None:
    node = iq.payload.get("node")
    if node:
        discovering.items(context, iq, node)
        return
    context.reply(iq.stanza, f"<query xmlns='{_ITEMS}'>{discovering.nodes(context, iq)}</query>")


_HANDLERS: Final[dict[tuple[str, str, bool], IqHandler]] = {
    (_INFO, "query", False): _info,
    (_ITEMS, "query", False): _items,
    (ping.NAMESPACE, "ping", False): ping.ping,
    (version.NAMESPACE, "query", False): version.version,
    (NAMESPACE, "pubsub", False): requests.get,
    (NAMESPACE, "pubsub", True): requests.set_,
    (OWNER, "pubsub", False): requests.get,
    (OWNER, "pubsub", True): requests.set_,
}
