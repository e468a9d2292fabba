"""Nodes in service discovery (XEP-0060 §5.1 to §5.5, XEP-0163 §6)."""

from typing import Final

from sabir.core.model.actor import Actor
from sabir.core.model.pubsub import Node
from sabir.protocols.xmpp.codec import attribute
from sabir.protocols.xmpp.errors import SERVICE_UNAVAILABLE, Refused
from sabir.protocols.xmpp.features.context import Context, Iq
from sabir.protocols.xmpp.features.pubsub import options
from sabir.protocols.xmpp.features.pubsub.names import (
    NAMESPACE,
    address_of,
    is_service,
    owner_of,
    readable_node,
)
from sabir.protocols.xmpp.features.pubsub.reading import MOST_ITEMS

_SUPPORTED: Final = (
    "access-open",
    "access-presence",
    "access-roster",
    "access-whitelist",
    "auto-create",
    "auto-subscribe",
    "config-node",
    "config-node-max",
    "create-and-configure",
    "create-nodes",
    "delete-items",
    "delete-nodes",
    "filtered-notifications",
    "instant-nodes",
    "item-ids",
    "last-published",
    "manage-subscriptions",
    "member-affiliation",
    "meta-data",
    "modify-affiliations",
    "multi-items",
    "outcast-affiliation",
    "persistent-items",
    "publish",
    "publish-options",
    "publisher-affiliation",
    "purge-nodes",
    "retract-items",
    "retrieve-affiliations",
    "retrieve-default",
    "retrieve-items",
    "retrieve-subscriptions",
    "rsm",
    "subscribe",
)
FEATURES: Final[tuple[str, ...]] = (
    NAMESPACE,
    *(f"{NAMESPACE}#{feature}" for feature in _SUPPORTED),
)
"""What the nodes of an account can do (XEP-0060 §10)."""
MOST_NODES: Final = 500
"""Of the service, in one answer."""
IDENTITY: Final = "<identity category='pubsub' type='pep'/>"


def info(context: Context, iq: Iq, name: str) -> None:
    """Say what a node is (XEP-0060 §5.3, §5.4)."""
    node = readable_node(context, owner_of(context, iq), name)
    found = f"<identity category='pubsub' type='leaf'/><feature var='{NAMESPACE}'/>"
    _answer(context, iq, found + options.meta_data(node.config))


def items(context: Context, iq: Iq, name: str) -> None:
    """List the items of a node (XEP-0060 §5.5)."""
    owner = owner_of(context, iq)
    node = readable_node(context, owner, name)
    jid = _jid(context, owner)
    _answer(
        context,
        iq,
        "".join([f"<item{jid}{attribute('name', id_)}/>" for id_ in list(node.items)[:MOST_ITEMS]]),
    )


def nodes(context: Context, iq: Iq) -> str:
    """Return the nodes of an account that the client may read (XEP-0060 §5.2, XEP-0163 §6.2).

    Raises:
        Refused: if there are none, to those who may not know of the account (XEP-0030 §8).
    """
    owner = owner_of(context, iq)
    services = context.place.services
    readable = [
        node for node in services.pubsub.nodes(owner) if services.pubsub.may_read(node, context.actor)
    ]
    if is_service(context, owner):
        return "".join([_node(node, _jid(context, owner)) for node in readable[:MOST_NODES]])
    account = None if owner.account_id is None else services.directory.accounts.get(owner.account_id)
    if not readable and (account is None or not services.presences.shows(account, context.actor)):
        raise Refused(SERVICE_UNAVAILABLE)
    return "".join([_node(node, _jid(context, owner)) for node in readable])


def _node(node: Node, jid: str) -> str:
    title = attribute("name", node.config.title) if node.config.title else ""
    return f"<item{jid}{attribute('node', node.name)}{title}/>"


def _jid(context: Context, owner: Actor) -> str:
    return attribute("jid", address_of(context.place, owner.name))


def _answer(context: Context, iq: Iq, listed: str) -> None:
    start = f"<query xmlns='{iq.payload.namespace}'{attribute('node', iq.payload.get('node') or '')}>"
    context.reply(iq.stanza, f"{start}{listed}</query>")
