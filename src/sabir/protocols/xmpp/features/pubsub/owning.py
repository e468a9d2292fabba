"""What owners do with their nodes (XEP-0060 §8)."""

from collections.abc import Sequence
from typing import Final

import msgspec

from sabir.core.model.actor import Actor
from sabir.core.model.pubsub import (
    AT_SERVICE,
    Access,
    Affiliate,
    Affiliation,
    ConfigureNode,
    CreateNode,
    DeleteNode,
    Edit,
    EndSubscription,
    Node,
    NodeConfig,
    PurgeNode,
)
from sabir.protocols.xmpp.codec import attribute
from sabir.protocols.xmpp.config import NodeMakers
from sabir.protocols.xmpp.errors import BAD_REQUEST, FORBIDDEN, NOT_ACCEPTABLE, NOT_ALLOWED, Refused
from sabir.protocols.xmpp.features.context import Context, Iq
from sabir.protocols.xmpp.features.pubsub import options
from sabir.protocols.xmpp.features.pubsub.names import (
    NAMESPACE,
    OWNER,
    address_of,
    checked,
    is_service,
    key_of,
    known_node,
    name_of,
    owner_of,
    subject_of,
    unsupported,
)
from sabir.protocols.xmpp.features.pubsub.publishing import run
from sabir.wire.xml import Element

MAX_CHANGED: Final = 100
"""Subscriptions or affiliations changed by one request."""

_OF_ACCOUNT: Final = ("none", "member", "outcast", "publisher")
_AT_SERVICE: Final = (*_OF_ACCOUNT, "owner")


def create(context: Context, iq: Iq, element: Element) -> None:
    """Make a node, maybe configured (XEP-0060 §8.1)."""
    owner = _maker(context, iq)
    name = checked(element.get("node") or context.place.services.log.new_id().hex())
    configure_ = iq.payload.find("configure")
    fields: dict[str, object] = {}
    if configure_ is not None and configure_.elements():
        fields = options.read(configure_, options.CONFIG, context.place) or {}
    config = msgspec.structs.replace(_default(context, owner), **fields)
    _check_access(context, owner, fields)
    answer = f"<pubsub xmlns='{NAMESPACE}'><create{attribute('node', name)}/></pubsub>"
    run(context, iq, owner, [CreateNode(name, config)], answer)


def default(context: Context, iq: Iq, element: Element) -> None:
    """Say how a new node is configured (XEP-0060 §8.3)."""
    form = options.write(_default(context, owner_of(context, iq)))
    context.reply(iq.stanza, f"<pubsub xmlns='{OWNER}'><default>{form}</default></pubsub>")


def configuration(context: Context, iq: Iq, element: Element) -> None:
    """Show the configuration of a node (XEP-0060 §8.2.1)."""
    node = _own_node(context, iq, element)
    form = options.write(node.config)
    shown = f"<configure{attribute('node', node.name)}>{form}</configure>"
    context.reply(iq.stanza, f"<pubsub xmlns='{OWNER}'>{shown}</pubsub>")


def configure(context: Context, iq: Iq, element: Element) -> None:
    """Change the configuration of a node (XEP-0060 §8.2.4)."""
    owner, name = _own(context, iq), name_of(element)
    fields = options.read(element, options.CONFIG, context.place)
    if fields is None:
        context.run(lambda: context.reply(iq.stanza))
        return
    _check_access(context, owner, fields)
    _administer(context, iq, owner, [ConfigureNode(name, fields)])


def delete(context: Context, iq: Iq, element: Element) -> None:
    """Remove a node (XEP-0060 §8.4)."""
    _administer(context, iq, _own(context, iq), [DeleteNode(name_of(element))])


def purge(context: Context, iq: Iq, element: Element) -> None:
    """Remove the items of a node (XEP-0060 §8.5)."""
    owner, name = _own(context, iq), name_of(element)
    node = context.place.services.pubsub.node(owner, name)
    if node is not None and not node.config.persist:
        raise Refused(unsupported("persistent-items"))  # XEP-0060 §8.5.3.3
    _administer(context, iq, owner, [PurgeNode(name)])


def subscriptions(context: Context, iq: Iq, element: Element) -> None:
    """List who has subscribed to a node (XEP-0060 §8.8.1)."""
    node = _own_node(context, iq, element)
    parts = [
        f"<subscription{attribute('jid', address_of(context.place, key))} subscription='subscribed'/>"
        for key, known in node.subscribers.items()
        if known.subscribed
    ]
    _list(context, iq, node, "subscriptions", parts)


def affiliations(context: Context, iq: Iq, element: Element) -> None:
    """List what people are to a node (XEP-0060 §8.9.1)."""
    node = _own_node(context, iq, element)
    listed = {context.actor.name: "owner"} if node.owner is context.actor else {}
    for key, known in node.subscribers.items():
        if known.affiliation is not Affiliation.NONE:
            listed[key] = known.affiliation.value
    parts = [
        f"<affiliation{attribute('jid', address_of(context.place, key))} affiliation='{value}'/>"
        for key, value in listed.items()
    ]
    _list(context, iq, node, "affiliations", parts)


def set_subscriptions(context: Context, iq: Iq, element: Element) -> None:
    """End subscriptions of others (XEP-0060 §8.8.2)."""
    owner, name = _own(context, iq), name_of(element)
    edits: list[Edit] = []
    for child in _changed(element, "subscription"):
        wanted = child.get("subscription")
        if wanted == "subscribed":
            # Departs from XEP-0060 §8.8.2: nobody is sent what they did not ask for, because others want it.
            raise Refused(NOT_ALLOWED)
        if wanted != "none":
            raise Refused(NOT_ACCEPTABLE)
        edits.append(EndSubscription(name, key_of(context.place, subject_of(context, child))))
    _administer(context, iq, owner, edits)


def set_affiliations(context: Context, iq: Iq, element: Element) -> None:
    """List people as something of a node, or no longer (XEP-0060 §8.9.2)."""
    owner, name = _own(context, iq), name_of(element)
    known = _AT_SERVICE if is_service(context, owner) else _OF_ACCOUNT
    edits: list[Edit] = []
    for child in _changed(element, "affiliation"):
        wanted = child.get("affiliation")
        subject = subject_of(context, child).bare
        if wanted not in known or (owner is context.actor and subject == context.jid.bare):
            raise Refused(NOT_ACCEPTABLE)  # XEP-0163 §2.2: the account is the owner and remains it
        affiliation = Affiliation.NONE if wanted == "none" else Affiliation(wanted)
        edits.append(Affiliate(name, key_of(context.place, subject), affiliation))
    _administer(context, iq, owner, edits)


def _changed(element: Element, name: str) -> Sequence[Element]:
    children = element.find_all(name)
    if not children or len(children) > MAX_CHANGED:
        raise Refused(BAD_REQUEST)
    return children


def _own(context: Context, iq: Iq) -> Actor:
    """Return whose nodes the client may administer; at the service that depends on the node."""
    owner = owner_of(context, iq)
    if owner is not context.actor and not is_service(context, owner):
        raise Refused(FORBIDDEN)  # XEP-0060 §8.2.3.2, §8.8.1.3.2, §8.9.1.3
    return owner


def _own_node(context: Context, iq: Iq, element: Element) -> Node:
    node = known_node(context, _own(context, iq), name_of(element))
    if not node.is_owned_by(context.actor) and not context.place.is_operator(context.actor):
        raise Refused(FORBIDDEN)
    return node


def _maker(context: Context, iq: Iq) -> Actor:
    """Return whose nodes the client may make."""
    owner = _own(context, iq)
    only_operators = context.place.config.pubsub_nodes is NodeMakers.OPERATORS
    if owner is not context.actor and only_operators and not context.place.is_operator(context.actor):
        raise Refused(FORBIDDEN)  # XEP-0060 §8.1.1.3
    return owner


def _administer(context: Context, iq: Iq, owner: Actor, edits: Sequence[Edit]) -> None:
    """Edit nodes as an owner does; operators own all of the service."""
    by = owner if context.place.is_operator(context.actor) and is_service(context, owner) else context.actor
    run(context, iq, owner, edits, by=by)


def _default(context: Context, owner: Actor) -> NodeConfig:
    return AT_SERVICE if is_service(context, owner) else NodeConfig()


def _check_access(context: Context, owner: Actor, fields: dict[str, object]) -> None:
    """A service has neither presence nor contacts."""
    if is_service(context, owner) and fields.get("access") in (Access.PRESENCE, Access.ROSTER):
        raise Refused(NOT_ACCEPTABLE)  # XEP-0060 §8.1.3


def _list(context: Context, iq: Iq, node: Node, name: str, parts: list[str]) -> None:
    listed = f"<{name}{attribute('node', node.name)}>{''.join(parts)}</{name}>"
    context.reply(iq.stanza, f"<pubsub xmlns='{OWNER}'>{listed}</pubsub>")
