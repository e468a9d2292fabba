"""Subscribing to a node oneself (XEP-0060 §6.1, §6.2); contacts need not (XEP-0163 §4.1)."""

from typing import Final

from sabir.core.model.pubsub import SendLast, Subscribe
from sabir.protocols.xmpp.codec import attribute
from sabir.protocols.xmpp.errors import FORBIDDEN, ErrorType, Refused, pubsub_error
from sabir.protocols.xmpp.features.context import Context, Iq
from sabir.protocols.xmpp.features.pubsub.names import (
    NAMESPACE,
    name_of,
    owner_of,
    refused_by,
)
from sabir.protocols.xmpp.features.pubsub.notifying import show_last
from sabir.protocols.xmpp.jid import Jid, JidSyntaxError, parse_jid
from sabir.wire.xml import Element

_INVALID_JID: Final = pubsub_error(ErrorType.MODIFY, "bad-request", "invalid-jid")
_JID_REQUIRED: Final = pubsub_error(ErrorType.MODIFY, "bad-request", "jid-required")


def subscribe(context: Context, iq: Iq, element: Element) -> None:
    """Get what is published on a node, whatever the client's capabilities say."""
    owner, name = owner_of(context, iq), name_of(element)
    jid = _jid(element)
    if jid.bare != context.jid.bare:
        raise Refused(_INVALID_JID)  # XEP-0060 §6.1.3.1
    ticket = context.begin()
    pubsub = context.place.services.pubsub

    def done() -> None:
        subscription = f"{attribute('node', name)}{attribute('jid', str(jid))} subscription='subscribed'"
        context.reply(iq.stanza, f"<pubsub xmlns='{NAMESPACE}'><subscription{subscription}/></pubsub>")
        node = pubsub.node(owner, name)
        if node is not None and node.config.send_last is not SendLast.NEVER:
            show_last(context, pubsub.last_item(node, context.actor))  # XEP-0060 §6.1.7
        ticket.finish()

    edit = Subscribe(name, jid.resource)
    pubsub.edit(context.actor, owner, [edit], done, refused_by(context, iq, ticket, owner, name))


def unsubscribe(context: Context, iq: Iq, element: Element) -> None:
    """End a subscription."""
    owner, name = owner_of(context, iq), name_of(element)
    jid = _jid(element)
    if jid.bare != context.jid.bare:
        raise Refused(FORBIDDEN)  # XEP-0060 §6.2.3.3
    ticket = context.begin()

    def done() -> None:
        context.reply(iq.stanza)
        ticket.finish()

    edit = Subscribe(name, jid.resource, on=False)
    refused = refused_by(context, iq, ticket, owner, name)
    context.place.services.pubsub.edit(context.actor, owner, [edit], done, refused)


def _jid(element: Element) -> Jid:
    text = element.get("jid")
    if not text:
        raise Refused(_JID_REQUIRED)
    try:
        return parse_jid(text)
    except JidSyntaxError:
        raise Refused(_INVALID_JID) from None
