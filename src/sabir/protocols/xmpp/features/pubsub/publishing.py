"""Publishing and taking back (XEP-0060 §7)."""

from collections.abc import Callable, Sequence
from typing import Final

from sabir.core.model.actor import Actor
from sabir.core.model.pubsub import Edit, NodeConfig, Publish, Retract
from sabir.protocols.xmpp.codec import attribute
from sabir.protocols.xmpp.errors import BAD_REQUEST, ErrorType, Refused, pubsub_error
from sabir.protocols.xmpp.features.context import Context, Iq
from sabir.protocols.xmpp.features.pubsub import displayed, options
from sabir.protocols.xmpp.features.pubsub.names import (
    ITEM_REQUIRED,
    NAMESPACE,
    checked,
    name_of,
    owner_of,
    refused_by,
)
from sabir.wire.xml import Element

MAX_RETRACTED: Final = 100
"""Items taken back by one request."""

_MANY: Final = pubsub_error(ErrorType.MODIFY, "bad-request", "max-items-exceeded", "One item at a time.")
_INVALID: Final = pubsub_error(ErrorType.MODIFY, "bad-request", "invalid-payload")
_PAYLOAD_REQUIRED: Final = pubsub_error(ErrorType.MODIFY, "bad-request", "payload-required")
_ITEM_FORBIDDEN: Final = pubsub_error(ErrorType.MODIFY, "bad-request", "item-forbidden")
DIFFERS: Final = pubsub_error(ErrorType.CANCEL, "conflict", "precondition-not-met")


def publish(context: Context, iq: Iq, element: Element) -> None:
    """Publish an item; a node that is not there is made (XEP-0060 §7.1)."""
    owner = owner_of(context, iq)
    name = name_of(element)
    items = element.find_all("item")
    if len(items) > 1:
        raise Refused(_MANY)  # XEP-0060 §7.1.1
    fields = _fields(context, iq)
    item = items[0] if items else None
    given = "" if item is None else checked(item.get("id") or "")
    payload = _payload(context, owner, name, item, fields)
    item_id = given or context.place.services.log.new_id().hex()
    edit = Publish(name, item_id, payload, fields)
    # XEP-0060 §7.1.2: an id that we gave is told; one that the client gave does no harm
    told = f"<item{attribute('id', item_id)}/>" if item is not None else ""
    answer = f"<publish{attribute('node', name)}>{told}</publish>"
    answer = f"<pubsub xmlns='{NAMESPACE}'>{answer}</pubsub>"
    if name == displayed.NODE and owner is context.actor:
        run(context, iq, owner, [edit], answer, lambda: displayed.published(context, item_id, payload))
    else:
        run(context, iq, owner, [edit], answer)


def _fields(context: Context, iq: Iq) -> dict[str, object]:
    element = iq.payload.find("publish-options")
    if element is None:
        return {}
    try:
        fields = options.read(element, options.OPTIONS, context.place)
    except Refused as refused:
        if refused.error is BAD_REQUEST:
            raise
        raise Refused(DIFFERS) from None  # XEP-0060 §7.1.5: what cannot be met is not met
    return fields or {}


def _payload(
    context: Context, owner: Actor, name: str, item: Element | None, fields: dict[str, object]
) -> bytes:
    """Return what is published, as it is kept: XML that says its namespace."""
    node = context.place.services.pubsub.node(owner, name)
    config = NodeConfig() if node is None else node.config
    persist = bool(fields.get("persist", config.persist)) if node is None else config.persist
    wanted = bool(fields.get("payloads", config.payloads)) if node is None else config.payloads
    if item is None:
        if persist or wanted:
            raise Refused(ITEM_REQUIRED)  # XEP-0060 §7.1.3.6
        return b""
    if not persist and not wanted:
        raise Refused(_ITEM_FORBIDDEN)
    payloads = item.elements()
    if len(payloads) > 1 or (payloads and config.type and payloads[0].namespace != config.type):
        raise Refused(_INVALID)
    if not payloads:
        if wanted:
            raise Refused(_PAYLOAD_REQUIRED)
        return b""
    return payloads[0].to_bytes()


def retract(context: Context, iq: Iq, element: Element) -> None:
    """Take items back (XEP-0060 §7.2)."""
    owner = owner_of(context, iq)
    name = name_of(element)
    items = element.find_all("item")
    if not items or any(not item.get("id") for item in items):
        raise Refused(ITEM_REQUIRED)  # XEP-0060 §7.2.3.4
    if len(items) > MAX_RETRACTED:
        raise Refused(_MANY)
    notify = element.get("notify") in ("1", "true")
    run(context, iq, owner, [Retract(name, checked(item.get("id") or ""), notify) for item in items])


def run(
    context: Context,
    iq: Iq,
    owner: Actor,
    edits: Sequence[Edit],
    answer: str = "",
    then: Callable[[], None] | None = None,
    by: Actor | None = None,
) -> None:
    """Edit nodes of `owner`, and answer when it is durable, or why not; `then` is called after a good answer.

    `by` does so, the client's account unless somebody else is named.
    """
    ticket = context.begin()

    def done() -> None:
        context.reply(iq.stanza, answer)
        ticket.finish()
        if then is not None:
            then()

    refused = refused_by(context, iq, ticket, owner, edits[0].name)
    resource = context.jid.resource if owner is context.actor else ""
    context.place.services.pubsub.edit(by or context.actor, owner, edits, done, refused, resource)
