"""Bookmarks of rooms, one list behind three ways to it.

Kept are the items of XEP-0402. What older clients read and write as one document, in a node or as private XML
(XEP-0048), is made from these items, and taken apart into them (XEP-0402 §5.3); only its web addresses are kept
beside.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from sabir.core.model.actor import Account, Actor
from sabir.core.model.changes import ItemRow
from sabir.core.model.pubsub import Access, Edit, Node, NodeConfig, NodeEvent, Publish, Retract
from sabir.core.model.signals import NodeChanged
from sabir.protocols.xmpp.codec import attribute
from sabir.protocols.xmpp.errors import BAD_REQUEST, CONFLICT, ITEM_NOT_FOUND, NOT_ACCEPTABLE, Refused
from sabir.protocols.xmpp.features import forms
from sabir.protocols.xmpp.features.context import Context, Iq, Place
from sabir.protocols.xmpp.features.pubsub import options
from sabir.protocols.xmpp.features.pubsub.names import NAMESPACE, PRIVATE_LIST
from sabir.protocols.xmpp.features.pubsub.publishing import DIFFERS, run
from sabir.protocols.xmpp.jid import JidSyntaxError, parse_jid
from sabir.wire.xml import Element, parse

NODE: Final = "urn:xmpp:bookmarks:1"
OLD: Final = "storage:bookmarks"
FEATURES: Final[tuple[str, ...]] = (NODE + "#compat", NODE + "#compat-pep")
MAX_BOOKMARKS: Final = 1_000
MAX_ADDRESSES_BYTES: Final = 16_384
"""Of the web addresses in a document."""

_ID: Final = "current"
_OLD_CONFIG: Final = NodeConfig(access=Access.WHITELIST)
_TEXTS: Final = ("nick", "password")


def document(place: Place, owner: Account) -> str:
    """Return all bookmarks as the document of XEP-0048."""
    rooms = "".join([_as_old(row) for row in _rows(place, owner.actor)])
    addresses = place.services.devices.data(owner, OLD)
    return f"<storage xmlns='{OLD}'>{rooms}{addresses.decode() if addresses else ''}</storage>"


def converted(storage: Element) -> list[Edit]:
    """Return what publishes the rooms of a document of XEP-0048 for an account that has none yet."""
    return [Publish(NODE, id_, room.to_bytes(), PRIVATE_LIST) for id_, room in _as_new(storage, {}).items()]


def write(context: Context, iq: Iq, storage: Element, answer: str = "") -> None:
    """Take a document apart: what changed is published, what is gone taken back (XEP-0402 §5.3.2)."""

    def effect() -> None:
        try:
            _write(context, iq, storage, answer)
        except Refused as refused:
            context.refuse(iq.stanza, refused.error)

    context.run(effect)  # after what the client has published before


def _write(context: Context, iq: Iq, storage: Element, answer: str) -> None:
    services = context.place.services
    before = {row.item_id: _parsed(row) for row in _rows(context.place, context.actor)}
    wanted = _as_new(storage, before)
    fields = {} if services.pubsub.node(context.actor, NODE) is not None else PRIVATE_LIST
    edits: list[Edit] = [
        Publish(NODE, id_, room.to_bytes(), fields) for id_, room in wanted.items() if before.get(id_) != room
    ]
    edits += [Retract(NODE, id_, notify=True) for id_ in before if id_ not in wanted]
    addresses = "".join([url.serialise(OLD) for url in storage.find_all("url")]).encode()
    if len(addresses) > MAX_ADDRESSES_BYTES:
        raise Refused(NOT_ACCEPTABLE)
    ticket = context.begin()

    def done() -> None:
        if edits:
            run(context, iq, context.actor, edits, answer)
        else:
            context.reply(iq.stanza, answer)
        ticket.finish()

    services.devices.set_data(context.account, OLD, addresses, done, context.refused_by(iq.stanza, ticket))


def _as_new(storage: Element, before: dict[str, Element]) -> dict[str, Element]:
    """Return the items that a document stands for; what it cannot say stays as it was."""
    items: dict[str, Element] = {}
    for old in storage.find_all("conference"):
        try:
            id_ = str(parse_jid(old.get("jid") or "").bare)
        except JidSyntaxError:
            raise Refused(BAD_REQUEST) from None
        known = before.get(id_)
        room = Element("conference", NODE)
        name, autojoin = old.get("name"), old.get("autojoin") or "false"
        if name is not None:
            room.attributes["name"] = name
        room.attributes["autojoin"] = "true" if forms.is_true(autojoin) else "false"
        for text in _TEXTS:
            value = old.child_text(text)
            if value:
                room.add(text, text=value)
        kept = [] if known is None else [each for each in known.elements() if each.name not in _TEXTS]
        room.children += kept
        items.setdefault(id_, room)
    if len(items) > MAX_BOOKMARKS:
        raise Refused(NOT_ACCEPTABLE)
    return items


def _as_old(row: ItemRow) -> str:
    room = _parsed(row)
    attributes = {"jid": row.item_id}
    for name in ("name", "autojoin"):
        value = room.get(name)
        if value is not None:
            attributes[name] = value
    old = Element("conference", OLD, attributes)
    for text in _TEXTS:
        value = room.child_text(text)
        if value:
            old.add(text, text=value)
    return old.serialise(OLD)


def _rows(place: Place, owner: Actor) -> Sequence[ItemRow]:
    pubsub = place.services.pubsub
    node = pubsub.node(owner, NODE)
    rows = [] if node is None else pubsub.items(node, list(node.items))
    return [row for row in rows if _parsed(row).name == "conference"]


def _parsed(row: ItemRow) -> Element:
    return parse(row.payload or b"<nothing/>")


# The document as a node


def items(context: Context, iq: Iq, element: Element) -> None:
    """Give the document as the only item of its node (XEP-0048 §3.3)."""
    named = [item.get("id") for item in element.find_all("item")]
    if named and _ID not in named:
        raise Refused(ITEM_NOT_FOUND)
    item = f"<item id='{_ID}'>{document(context.place, context.account)}</item>"
    found = f"<items{attribute('node', OLD)}>{item}</items>"
    context.reply(iq.stanza, f"<pubsub xmlns='{NAMESPACE}'>{found}</pubsub>")


def publish(context: Context, iq: Iq, element: Element) -> None:
    """Take a document that is published on its node (XEP-0048 §3.1)."""
    items = element.find_all("item")
    storage = items[0].find("storage", OLD) if len(items) == 1 else None
    if storage is None:
        raise Refused(BAD_REQUEST)
    wanted = iq.payload.find("publish-options")
    if wanted is not None:
        fields = options.read(wanted, options.OPTIONS, context.place) or {}
        if fields.get("access", Access.WHITELIST) is not Access.WHITELIST or not fields.get("persist", True):
            raise Refused(DIFFERS)
    answer = f"<publish{attribute('node', OLD)}><item id='{_ID}'/></publish>"
    write(context, iq, storage, f"<pubsub xmlns='{NAMESPACE}'>{answer}</pubsub>")


def create(context: Context, iq: Iq, element: Element) -> None:
    """Refuse to make the node: it is there."""
    raise Refused(CONFLICT)


REQUESTS: Final[dict[tuple[str, bool], Callable[[Context, Iq, Element], None]]] = {
    ("items", False): items,
    ("publish", True): publish,
    ("create", True): create,
}
"""What answers requests about the old node, by name and whether they are sets."""


def last(place: Place, owner: Account) -> Iterator[tuple[Node, ItemRow]]:
    """Yield the document as the last item of its node, if there are bookmarks."""
    rows = _rows(place, owner.actor)
    if rows:
        payload = document(place, owner).encode()
        at_ms = max(row.at_ms for row in rows)
        yield _node(owner.actor), ItemRow(node_id=0, item_id=_ID, publisher=0, payload=payload, at_ms=at_ms)


def _node(owner: Actor) -> Node:
    return Node(0, owner, OLD, _OLD_CONFIG)


def observer(place: Place) -> Callable[[Actor, Actor, Sequence[Edit]], None]:
    """Return what tells the devices of an account that look at the document when the items behind it change."""

    def observe(owner: Actor, by: Actor, edits: Sequence[Edit]) -> None:
        if not any(edit.name == NODE for edit in edits) or owner.account_id is None:
            return
        account = place.services.directory.accounts[owner.account_id]
        shown = ((_ID, document(place, account).encode()),)
        told = NodeChanged(_node(owner), NodeEvent.PUBLISHED, shown)
        for session in place.services.devices.of(account):
            if session.presence.is_available:
                session.signal(told)

    return observe
