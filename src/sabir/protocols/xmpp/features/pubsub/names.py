"""What the modules of pubsub share: namespaces, limits, whose nodes are meant, and how it says no."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from sabir.core.errors import Refusal
from sabir.core.model.actor import Actor
from sabir.core.model.pubsub import Access, Affiliation, Node, SendLast
from sabir.protocols.xmpp.codec import attribute
from sabir.protocols.xmpp.errors import (
    BAD_REQUEST,
    FEATURE_NOT_IMPLEMENTED,
    FORBIDDEN,
    ITEM_NOT_FOUND,
    NOT_ACCEPTABLE,
    PUBSUB_ERRORS,
    SERVICE_UNAVAILABLE,
    ErrorType,
    Refused,
    StanzaError,
    pubsub_error,
)
from sabir.protocols.xmpp.features.context import Context, Iq, Place, Ticket
from sabir.protocols.xmpp.jid import Jid, JidSyntaxError, parse_jid
from sabir.wire.xml import Element

PROTOCOL: Final = "xmpp"
NAMESPACE: Final = "http://jabber.org/protocol/pubsub"
OWNER: Final = NAMESPACE + "#owner"
EVENT: Final = NAMESPACE + "#event"
MAX_NAME_BYTES: Final = 1_023
"""Of the name of a node or an item: both may be a resource (XEP-0060 §4.6.1, RFC 7622 §3.1)."""

PRIVATE_LIST: Final[dict[str, object]] = {
    "access": Access.WHITELIST,
    "persist": True,
    "max_items": 0,
    "send_last": SendLast.NEVER,
}
"""How a node is made that keeps a list for its owner alone (XEP-0402 §3.3, XEP-0490 §4.2)."""
TOO_BIG: Final = pubsub_error(
    ErrorType.MODIFY, "not-acceptable", "payload-too-big", "The item is larger than this server takes."
)
NODE_REQUIRED: Final = pubsub_error(ErrorType.MODIFY, "bad-request", "nodeid-required")
ITEM_REQUIRED: Final = pubsub_error(ErrorType.MODIFY, "bad-request", "item-required")
_NAME_TOO_LONG: Final = replace(NOT_ACCEPTABLE, text="The name of a node or an item may have 1,023 bytes.")


def owner_of(context: Context, iq: Iq) -> Actor:
    """Return whose nodes a request is about: an account's, or those of the service.

    Raises:
        Refused: that account does not exist, or has blocked the client's (XEP-0191 §3).
    """
    if iq.to is None or iq.to.bare == context.jid.bare:
        return context.actor
    services = context.place.services
    service = services.pubsub.service
    if service is not None and iq.to == Jid("", context.place.pubsub_domain):
        return service
    account = services.accounts.find(iq.to.local)
    if account is None or services.presences.hides(account.actor, context.actor):
        raise Refused(SERVICE_UNAVAILABLE)
    return account.actor


def name_of(element: Element) -> str:
    """Return the name of the node that a request is about.

    Raises:
        Refused: if there is none, or one that no node has.
    """
    name = element.get("node")
    if not name:
        raise Refused(NODE_REQUIRED)
    return checked(name)


def checked(name: str) -> str:
    """Return the name of a node or an item.

    Raises:
        Refused: if it is too long.
    """
    if len(name.encode()) > MAX_NAME_BYTES:
        raise Refused(_NAME_TOO_LONG)
    return name


def is_service(context: Context, owner: Actor) -> bool:
    """Return whether `owner` is the pubsub service."""
    return owner is context.place.services.pubsub.service


def known_node(context: Context, owner: Actor, name: str) -> Node:
    """Return a node.

    Raises:
        Refused: if there is none of that name.
    """
    node = context.place.services.pubsub.node(owner, name)
    if node is None:
        raise Refused(ITEM_NOT_FOUND)
    return node


def readable_node(context: Context, owner: Actor, name: str) -> Node:
    """Return a node that the client may read.

    Raises:
        Refused: if there is none of that name, or it is closed to the client.
    """
    node = known_node(context, owner, name)
    if not context.place.services.pubsub.may_read(node, context.actor):
        raise Refused(closed(node, context.actor))
    return node


def closed(node: Node, reader: Actor) -> StanzaError:
    """Return why somebody may not read a node."""
    if node.affiliation(reader.name) is Affiliation.OUTCAST:
        return FORBIDDEN  # XEP-0060 §6.1.3.8, §6.5.9.10
    if node.config.access is Access.PRESENCE:
        # XEP-0060 §6.1.3.2, §6.5.9.6
        return pubsub_error(ErrorType.AUTH, "not-authorized", "presence-subscription-required")
    if node.config.access is Access.ROSTER:
        # XEP-0060 §6.1.3.3, §6.5.9.7
        return pubsub_error(ErrorType.AUTH, "not-authorized", "not-in-roster-group")
    return pubsub_error(ErrorType.CANCEL, "not-allowed", "closed-node")  # XEP-0060 §6.1.3.4, §6.5.9.8


def unsupported(feature: str) -> StanzaError:
    """Return the error for what this server leaves out (XEP-0060 §6.3.4.6 and others)."""
    extra = f"<unsupported xmlns='{PUBSUB_ERRORS}'{attribute('feature', feature)}/>"
    return replace(FEATURE_NOT_IMPLEMENTED, extra=extra)


def refused_by(
    context: Context, iq: Iq, ticket: Ticket, owner: Actor, name: str
) -> Callable[[Refusal], None]:
    """Return what to call with a refusal of the core, in the words of pubsub."""
    tell = context.refused_by(iq.stanza, ticket)

    def refused(refusal: Refusal) -> None:
        error: StanzaError | None = None
        if refusal is Refusal.TOO_LARGE:
            error = TOO_BIG  # XEP-0060 §7.1.3.5
        elif refusal is Refusal.NODE_CLOSED:
            node = context.place.services.pubsub.node(owner, name)
            error = None if node is None else closed(node, context.actor)
        if error is None:
            tell(refusal)
        else:
            context.refuse(iq.stanza, error)
            ticket.finish()

    return refused


def address_of(place: Place, name: str) -> str:
    """Return the address of whom the core knows by `name` (see `core.model.pubsub.Node`)."""
    bare, slash, resource = name.partition("/")
    if "." not in bare and "@" not in bare:
        bare = f"{bare}@{place.domain}"
    return bare + slash + resource


def subject_of(context: Context, element: Element) -> Jid:
    """Return whom an element names.

    Raises:
        Refused: if it names nobody.
    """
    try:
        jid = parse_jid(element.get("jid") or "")
    except JidSyntaxError:
        raise Refused(BAD_REQUEST) from None
    place = context.place
    if jid.domain == place.domain and (not jid.local or place.services.accounts.find(jid.local) is None):
        raise Refused(ITEM_NOT_FOUND)
    return jid


def key_of(place: Place, jid: Jid) -> str:
    """Return how the core knows an address; the opposite of `address_of`."""
    bare = jid.local if jid.domain == place.domain else str(jid.bare)
    return f"{bare}/{jid.resource}" if jid.resource else bare
