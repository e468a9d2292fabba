"""Telling clients what was published (XEP-0060 §7.1.2, XEP-0163 §4)."""

from collections.abc import Iterable
from typing import Final, assert_never

from sabir.core.model.changes import ItemRow
from sabir.core.model.pubsub import Node, NodeEvent
from sabir.core.model.signals import NodeChanged
from sabir.protocols.xmpp.codec import attribute
from sabir.protocols.xmpp.features.context import Context, Place
from sabir.protocols.xmpp.features.pubsub import options
from sabir.protocols.xmpp.features.pubsub.names import EVENT, address_of
from sabir.protocols.xmpp.features.stamps import delay
from sabir.wire.xml import escape_attribute

_TO: Final = b"<message to='"
_CACHED: Final = "xmpp"
_CACHED_NAMED: Final = "xmpp, with the device"
_ADDRESSES: Final = "http://jabber.org/protocol/address"


def show(context: Context, signal: NodeChanged) -> None:
    """Tell a client what happened at a node; the bytes are shared with the other readers."""
    context.send_parts(_TO, context.address, _tail_of(context.place, signal))


def message(place: Place, signal: NodeChanged, to: str) -> bytes:
    """Return the message that tells an address what happened at a node."""
    return _TO + escape_attribute(to).encode() + _tail_of(place, signal)


def _tail_of(place: Place, signal: NodeChanged) -> bytes:
    # XEP-0163 §4.3.1: the device that published is for those who see the presence, not for any subscriber
    resource = "" if signal.wanted else signal.resource
    key = _CACHED_NAMED if resource else _CACHED
    tail = signal.cache.get(key)
    if tail is None:
        tail = signal.cache[key] = _tail(place, signal, resource)
    return tail


def show_last(context: Context, items: Iterable[tuple[Node, ItemRow]]) -> None:
    """Show a client what was published last on some nodes (XEP-0163 §4.3.4)."""
    for node, item in items:
        published = ((item.item_id, item.payload),)
        context.session.signal(
            NodeChanged(node, NodeEvent.PUBLISHED, published, wanted=True, last=True, at_ms=item.at_ms)
        )


def _tail(place: Place, signal: NodeChanged, resource: str) -> bytes:
    node, config = signal.node, signal.node.config
    sender = address_of(place, node.owner.name)
    type_ = " type='headline'" if config.headline else ""
    id_ = place.services.log.new_id().hex()
    start = f"'{attribute('from', sender)}{type_} id='{id_}'><event xmlns='{EVENT}'>{_event(signal)}</event>"
    if resource:
        device = attribute("jid", f"{sender}/{resource}")
        start += f"<addresses xmlns='{_ADDRESSES}'><address type='replyto'{device}/></addresses>"
    late = delay(place.domain, signal.at_ms) if signal.last else b""
    return start.encode() + late + b"</message>"


def _event(signal: NodeChanged) -> str:
    node = signal.node
    name = attribute("node", node.name)
    match signal.what:
        case NodeEvent.PUBLISHED:
            # XEP-0060 §7.1.2.2: without payload where the node is configured so
            items = [
                f"<item{attribute('id', id_)}>{payload.decode() if node.config.payloads else ''}</item>"
                for id_, payload in signal.items
                if payload or node.config.persist
            ]
            return f"<items{name}>{''.join(items)}</items>"
        case NodeEvent.RETRACTED:
            retracted = [f"<retract{attribute('id', id_)}/>" for id_, _ in signal.items]
            return f"<items{name}>{''.join(retracted)}</items>"
        case NodeEvent.PURGED:
            return f"<purge{name}/>"
        case NodeEvent.DELETED:
            return f"<delete{name}/>"
        case NodeEvent.CONFIGURED:
            form = options.write(node.config, kind="result") if node.config.payloads else ""
            return f"<configuration{name}>{form}</configuration>"
        case _:
            assert_never(signal.what)
