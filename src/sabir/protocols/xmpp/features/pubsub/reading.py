"""What readers ask: items, and what they are to a service (XEP-0060 §5.6, §5.7, §6.5)."""

from collections.abc import Sequence
from typing import Final

from sabir.core.model.changes import ItemRow
from sabir.core.model.pubsub import Affiliation, Node
from sabir.protocols.xmpp.codec import attribute
from sabir.protocols.xmpp.errors import BAD_REQUEST, ITEM_NOT_FOUND, Refused
from sabir.protocols.xmpp.features import rsm
from sabir.protocols.xmpp.features.context import Context, Iq
from sabir.protocols.xmpp.features.pubsub.names import (
    NAMESPACE,
    address_of,
    name_of,
    owner_of,
    readable_node,
)
from sabir.wire.xml import Element

MOST_ITEMS: Final = 500
"""In one answer; `<set/>` says how to get the rest."""
MOST_BYTES: Final = 1 << 20


def items(context: Context, iq: Iq, element: Element) -> None:
    """Give items of a node: all, the last so many, a page, or those named."""
    owner = owner_of(context, iq)
    node = readable_node(context, owner, name_of(element))
    named = [item.get("id") or "" for item in element.find_all("item")]
    page = ""
    rows: Sequence[ItemRow]
    if named:
        rows = _fitting(context.place.services.pubsub.items(node, named[:MOST_ITEMS]))
        if not rows:
            raise Refused(ITEM_NOT_FOUND)  # XEP-0060 §6.5.9.12
    else:
        rows, page = _page(context, iq, node, element)
    start = f"<pubsub xmlns='{NAMESPACE}'><items{attribute('node', node.name)}>"
    context.reply(iq.stanza, f"{start}{''.join([_item(row) for row in rows])}</items>{page}</pubsub>")


def _page(context: Context, iq: Iq, node: Node, element: Element) -> tuple[Sequence[ItemRow], str]:
    ids = list(node.items)
    wanted = element.get("max_items")
    if wanted is not None:
        # XEP-0060 §6.5.7: the most recent ones
        if not wanted.isascii() or not wanted.isdecimal() or not 0 < len(wanted) <= 10:
            raise Refused(BAD_REQUEST)
        ids = ids[max(0, len(ids) - int(wanted)) :]
    asked = iq.payload.find("set", rsm.NAMESPACE) is not None
    chosen, page = rsm.page_of(ids, str, rsm.read(iq.payload, MOST_ITEMS, MOST_ITEMS))
    rows = context.place.services.pubsub.items(node, chosen)
    fitting = _fitting(rows)
    if len(fitting) < len(rows):
        page = rsm.write(fitting[0].item_id, fitting[-1].item_id, count=len(ids))
    elif len(chosen) == len(ids) and not asked:
        page = ""  # XEP-0060 §6.5.4: it is there where something is missing
    return fitting, page


def _fitting(rows: Sequence[ItemRow]) -> Sequence[ItemRow]:
    """Return as many items as one answer may hold, at least one."""
    size_bytes = 0
    for at, row in enumerate(rows):
        size_bytes += len(row.payload)
        if size_bytes > MOST_BYTES and at:
            return rows[:at]
    return rows


def _item(row: ItemRow) -> str:
    return f"<item{attribute('id', row.item_id)}>{row.payload.decode()}</item>"


def subscriptions(context: Context, iq: Iq, element: Element) -> None:
    """Say to which nodes the client's account has subscribed (XEP-0060 §5.6)."""
    parts: list[str] = []
    for node in _asked(context, iq, element):
        for key, known in node.subscribers.items():
            if known.subscribed and key.partition("/")[0] == context.actor.name:
                jid = attribute("jid", address_of(context.place, key))
                parts.append(f"<subscription{attribute('node', node.name)}{jid} subscription='subscribed'/>")
    _answer(context, iq, element, "subscriptions", parts)


def affiliations(context: Context, iq: Iq, element: Element) -> None:
    """Say what the client's account is to the nodes (XEP-0060 §5.7)."""
    parts: list[str] = []
    for node in _asked(context, iq, element):
        known = node.affiliation(context.actor.name)
        name = "owner" if node.owner is context.actor else known.value
        if name and known is not Affiliation.OUTCAST:
            parts.append(f"<affiliation{attribute('node', node.name)} affiliation='{name}'/>")
    _answer(context, iq, element, "affiliations", parts)


def _asked(context: Context, iq: Iq, element: Element) -> Sequence[Node]:
    owner = owner_of(context, iq)
    name = element.get("node")
    nodes = context.place.services.pubsub.nodes(owner)
    return [node for node in nodes if name is None or node.name == name]


def _answer(context: Context, iq: Iq, element: Element, name: str, parts: list[str]) -> None:
    node = element.get("node")
    start = f"<{name}{attribute('node', node) if node else ''}>"
    context.reply(iq.stanza, f"<pubsub xmlns='{NAMESPACE}'>{start}{''.join(parts)}</{name}></pubsub>")
