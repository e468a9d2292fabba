"""Which function answers which request to a pubsub service."""

from collections.abc import Callable
from typing import Final

from sabir.protocols.xmpp.errors import BAD_REQUEST, FEATURE_NOT_IMPLEMENTED, Refused, StanzaError
from sabir.protocols.xmpp.features.context import Context, Iq
from sabir.protocols.xmpp.features.pubsub import bookmarks, owning, publishing, reading, subscribing
from sabir.protocols.xmpp.features.pubsub.names import NAMESPACE, OWNER, owner_of, unsupported
from sabir.wire.xml import Element

Handler = Callable[[Context, Iq, Element], None]

_GET: Final[dict[tuple[str, str], Handler]] = {
    (NAMESPACE, "items"): reading.items,
    (NAMESPACE, "subscriptions"): reading.subscriptions,
    (NAMESPACE, "affiliations"): reading.affiliations,
    (OWNER, "default"): owning.default,
    (OWNER, "configure"): owning.configuration,
    (OWNER, "subscriptions"): owning.subscriptions,
    (OWNER, "affiliations"): owning.affiliations,
}
_SET: Final[dict[tuple[str, str], Handler]] = {
    (NAMESPACE, "publish"): publishing.publish,
    (NAMESPACE, "retract"): publishing.retract,
    (NAMESPACE, "create"): owning.create,
    (NAMESPACE, "subscribe"): subscribing.subscribe,
    (NAMESPACE, "unsubscribe"): subscribing.unsubscribe,
    (OWNER, "configure"): owning.configure,
    (OWNER, "delete"): owning.delete,
    (OWNER, "purge"): owning.purge,
    (OWNER, "subscriptions"): owning.set_subscriptions,
    (OWNER, "affiliations"): owning.set_affiliations,
}
_LEFT_OUT: Final[dict[str, StanzaError]] = {
    "options": unsupported("subscription-options"),  # XEP-0060 §6.3.4.6
    "default": unsupported("retrieve-default-sub"),  # XEP-0060 §6.4.3
}


def get(context: Context, iq: Iq) -> None:
    """Answer a get."""
    _answer(context, iq, _GET)


def set_(context: Context, iq: Iq) -> None:
    """Answer a set."""
    _answer(context, iq, _SET)


def _answer(context: Context, iq: Iq, handlers: dict[tuple[str, str], Handler]) -> None:
    children = iq.payload.elements()
    if not children:
        raise Refused(BAD_REQUEST)
    # What else a request has beside its first element (publish-options, configure) is read by its handler.
    handler = handlers.get((iq.payload.namespace, children[0].name))
    if children[0].get("node") == bookmarks.OLD and owner_of(context, iq) is context.actor:
        handler = bookmarks.REQUESTS.get((children[0].name, iq.is_set), handler)
    if handler is None or children[0].namespace != iq.payload.namespace:
        raise Refused(_LEFT_OUT.get(children[0].name, FEATURE_NOT_IMPLEMENTED))
    handler(context, iq, children[0])
