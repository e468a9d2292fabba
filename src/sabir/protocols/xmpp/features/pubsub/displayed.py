"""How far a person has read, for all of the person's devices (XEP-0490).

Clients keep it as items of a node, one for each chat; the core keeps it as read markers, which clients of other
protocols move too. What is published moves the marker, and a marker that moved is published; only for accounts
whose clients have made the node.
"""

from collections.abc import Callable
from typing import Final

from sabir.core.errors import Refusal
from sabir.core.model.actor import Account
from sabir.core.model.conversation import Conversation
from sabir.core.model.event import Event
from sabir.core.model.pubsub import Publish
from sabir.protocols.xmpp.features.context import Context, Place
from sabir.protocols.xmpp.features.pubsub.names import PRIVATE_LIST
from sabir.protocols.xmpp.jid import Jid
from sabir.protocols.xmpp.translate import event_id_of, stanza_id_of
from sabir.wire.xml import Element, parse

FEATURE: Final = "urn:xmpp:mds:server-assist:0"
NODE: Final = "urn:xmpp:mds:displayed:0"
_STANZA_ID: Final = "urn:xmpp:sid:0"


def published(context: Context, item_id: str, payload: bytes) -> None:
    """Move the marker of a chat to where an item says; what names no message of that chat moves nothing."""
    place, services = context.place, context.place.services
    event = services.history.find(event_id_of(_said(payload)))
    conversation = None if event is None else services.directory.conversation(event.conversation_id)
    if event is None or conversation is None or services.history.may_read(conversation, context.actor):
        return
    if not services.history.may_see(conversation, context.actor, event):
        return
    if _address(place, context.account, conversation).lower() == item_id.lower():
        services.reads.mark(context.session, conversation, event)


def assist(context: Context, to: Jid, displayed: Element) -> None:
    """Publish what came within a message to the chat (XEP-0490 §4.5.3)."""
    pubsub, actor = context.place.services.pubsub, context.actor
    if actor.account_id is None:
        return
    item_id, payload = str(to.bare), displayed.to_bytes()
    fields = {} if pubsub.node(actor, NODE) is not None else PRIVATE_LIST
    edit = Publish(NODE, item_id, payload, fields)
    pubsub.edit(actor, actor, [edit], lambda: published(context, item_id, payload), _nothing)


def observer(place: Place) -> Callable[[Account, Conversation, Event], None]:
    """Return what publishes a marker that moved."""

    def observe(account: Account, conversation: Conversation, event: Event) -> None:
        pubsub = place.services.pubsub
        node = pubsub.node(account.actor, NODE)
        if node is None:
            return
        item_id, id_ = _address(place, account, conversation), stanza_id_of(event.event_id)
        if any(_said(row.payload) == id_ for row in pubsub.items(node, [item_id])):
            return  # it was this item that moved it
        by = item_id if conversation.is_room else place.address_of(account.actor)
        displayed = Element("displayed", NODE)
        displayed.add("stanza-id", _STANZA_ID, by=by, id=id_)
        edit = Publish(NODE, item_id, displayed.to_bytes())
        pubsub.edit(account.actor, account.actor, [edit], _nothing, _nothing)

    return observe


def _said(payload: bytes) -> str:
    """Return the id that an item names, empty if it names none."""
    element = parse(payload) if payload else None
    named = None if element is None else element.find("stanza-id", _STANZA_ID)
    return "" if named is None else named.get("id") or ""


def _address(place: Place, account: Account, conversation: Conversation) -> str:
    if conversation.is_room:
        return f"{conversation.name}@{place.rooms_domain}"
    return place.address_of(conversation.other_than(account.actor.id))


def _nothing(refusal: Refusal | None = None) -> None:
    """Nobody waits for the outcome."""
