"""What owners do with their nodes (XEP-0060 §8)."""

from collections.abc import Sequence
from typing import Final

from sabir.core.model.actor import Actor
from sabir.core.model.pubsub import (
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
from sabir.protocols.xmpp.errors import BAD_REQUEST, FORBIDDEN, NOT_ACCEPTABLE, Refused
from sabir.protocols.xmpp.features.context import Context, Iq
from sabir.protocols.xmpp.features.pubsub import options
from sabir.protocols.xmpp.features.pubsub.names import (
    NAMESPACE,
    OWNER,
    address_of,
    checked,
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


def create(context: Context, iq: Iq, element: Element) -> None:
    """Make a node, maybe configured (XEP-0060 §8.1)."""
    owner = _own(context, iq)
    name = checked(element.get("node") or context.place.services.log.new_id().hex())
    configure_ = iq.payload.find("configure")
    fields: dict[str, object] = {}
    if configure_ is not None and configure_.elements():
        fields = options.read(configure_, options.CONFIG, context.place) or {}
    config = NodeConfig(**fields)  # type: ignore[arg-type]  # checked by what read them
    answer = f"<pubsub xmlns='{NAMESPACE}'><create{attribute('node', name)}/></pubsub>"
    run(context, iq, owner, [CreateNode(name, config)], answer)


def default(context: Context, iq: Iq, element: Element) -> None:
    """Say how a new node is configured (XEP-0060 §8.3)."""
    form = options.write(NodeConfig())
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
    run(context, iq, owner, [ConfigureNode(name, fields)])


def delete(context: Context, iq: Iq, element: Element) -> None:
    """Remove a node (XEP-0060 §8.4)."""
    run(context, iq, _own(context, iq), [DeleteNode(name_of(element))])


def purge(context: Context, iq: Iq, element: Element) -> None:
    """Remove the items of a node (XEP-0060 §8.5)."""
    owner, name = _own(context, iq), name_of(element)
    node = context.place.services.pubsub.node(owner, name)
    if node is not None and not node.config.persist:
        raise Refused(unsupported("persistent-items"))  # XEP-0060 §8.5.3.3
    run(context, iq, owner, [PurgeNode(name)])


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
    listed = {context.actor.name: "owner"}
    for key, known in node.subscribers.items():
        if known.affiliation is not Affiliation.NONE:
            listed[key] = known.affiliation.value
    parts = [
        f"<affiliation{attribute('jid', address_of(context.place, key))} affiliation='{value}'/>"
        for key, value in listed.items()
    ]
    _list(context, iq, node, "affiliations", parts)


def set_subscriptions(context: Context, iq: Iq, element: Element) -> None:
    """End or make subscriptions of others (XEP-0060 §8.8.2)."""
    owner, name = _own(context, iq), name_of(element)
    edits: list[Edit] = []
    for child in _changed(element, "subscription"):
        wanted = child.get("subscription")
        if wanted not in ("none", "subscribed"):
            raise Refused(NOT_ACCEPTABLE)
        subject = key_of(context.place, subject_of(context, child))
        edits.append(EndSubscription(name, subject, wanted == "subscribed"))
    run(context, iq, owner, edits)


def set_affiliations(context: Context, iq: Iq, element: Element) -> None:
    """List people as members or outcasts of a node, or no longer (XEP-0060 §8.9.2)."""
    owner, name = _own(context, iq), name_of(element)
    edits: list[Edit] = []
    for child in _changed(element, "affiliation"):
        wanted = child.get("affiliation")
        subject = subject_of(context, child).bare
        if wanted not in ("none", "member", "outcast") or subject == context.jid.bare:
            raise Refused(NOT_ACCEPTABLE)  # XEP-0163 §2.2: one publisher, who is the owner and remains it
        affiliation = Affiliation.NONE if wanted == "none" else Affiliation(wanted)
        edits.append(Affiliate(name, key_of(context.place, subject), affiliation))
    run(context, iq, owner, edits)


def _changed(element: Element, name: str) -> Sequence[Element]:
    children = element.find_all(name)
    if not children or len(children) > MAX_CHANGED:
        raise Refused(BAD_REQUEST)
    return children


def _own(context: Context, iq: Iq) -> Actor:
    owner = owner_of(context, iq)
    if owner is not context.actor:
        raise Refused(FORBIDDEN)  # XEP-0060 §8.2.3.2, §8.8.1.3.2, §8.9.1.3
    return owner


def _own_node(context: Context, iq: Iq, element: Element) -> Node:
    return known_node(context, _own(context, iq), name_of(element))


def _list(context: Context, iq: Iq, node: Node, name: str, parts: list[str]) -> None:
    listed = f"<{name}{attribute('node', node.name)}>{''.join(parts)}</{name}>"
    context.reply(iq.stanza, f"<pubsub xmlns='{OWNER}'>{listed}</pubsub>")
