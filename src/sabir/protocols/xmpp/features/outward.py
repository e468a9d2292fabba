"""What clients send to other servers and to components (RFC 6120 §10.4): messages, presence, requests.

Direct messages are entries of the log, like all others, and wait in the store until the other server has confirmed
them. What belongs to rooms elsewhere, presence and requests pass through; what cannot be sent comes back.
"""

from typing import Final

from sabir.core.model.actor import Actor
from sabir.protocols.xmpp import accept
from sabir.protocols.xmpp.codec import attribute, child_element
from sabir.protocols.xmpp.errors import BAD_REQUEST, Refused, stanza_error_for
from sabir.protocols.xmpp.features import anonymous, chat, presence
from sabir.protocols.xmpp.features.context import Context
from sabir.protocols.xmpp.features.pubsub import displayed
from sabir.protocols.xmpp.jid import Jid
from sabir.protocols.xmpp.types import Stanza

MAX_DIRECTED: Final = 500
"""Addresses that one client may send directed presence to at a time."""
_DISPLAYED: Final = displayed.NODE.encode()
_MUC: Final = b"http://jabber.org/protocol/muc"


def take_message(context: Context, stanza: Stanza, to: Jid) -> None:
    """Take a message to somebody, or something, elsewhere."""
    anonymous.check_own(context.actor)
    refusal = context.place.abroad.refusal(to.domain)
    if refusal is not None:
        context.refuse(stanza, refusal)
        return
    room = str(to.bare) in context.visited
    if not to.local or room or stanza.type in (b"groupchat", b"error", b"headline"):
        # DATAMODEL 1.2: the traffic of rooms elsewhere is theirs to keep.
        if any(child[1] == _DISPLAYED for child in stanza.children):
            context.run(lambda: _pass_marker(context, stanza, to))  # XEP-0490 §7: it must not leave
        else:
            context.run(lambda: _pass(context, stanza, to))
        return
    sender = b" from='" + context.address + b"'"
    accepted = accept.accept(stanza, sender, context.language, context.place.domain)
    if accepted.assist is not None:
        displayed.assist(context, to, child_element(stanza, accepted.assist))
    if accepted.what == accept.RELAY:
        context.run(lambda: _send(context, stanza, to, b"<message" + accepted.native))
        return
    services = context.place.services
    peer = services.accounts.remote(chat.PROTOCOL, str(to.bare))
    conversation = services.directory.foreign(context.account, peer)
    if conversation is None:
        too_many = services.strangers.may_begin(context.account)
        if too_many is not None:
            raise Refused(stanza_error_for(too_many))
        conversation = services.messaging.open_foreign(context.account, peer)
    relayed = b"<message" + accepted.native
    chat.submit(
        context,
        stanza,
        accepted,
        conversation,
        to.resource,
        lambda: context.run(lambda: _send(context, stanza, to, relayed)),
    )


def take_iq(context: Context, stanza: Stanza, to: Jid) -> None:
    """Take a request or an answer to somewhere else."""
    anonymous.check_own(context.actor)
    refusal = context.place.abroad.refusal(to.domain)
    if refusal is not None:
        context.refuse(stanza, refusal)
        return
    context.run(lambda: _pass(context, stanza, to))


def take_presence(context: Context, stanza: Stanza, to: Jid) -> None:
    """Take a directed presence, a probe, or a step of a subscription, to somebody elsewhere."""
    anonymous.check_own(context.actor)
    refusal = context.place.abroad.refusal(to.domain)
    if refusal is not None:
        context.refuse(stanza, refusal)
    elif stanza.type in presence.SUBSCRIPTIONS:
        if not to.local and stanza.type == b"subscribe" and to.resource:
            raise Refused(BAD_REQUEST)
        presence.step(context, stanza, _actor(context, to))
    elif stanza.type in (b"", b"unavailable"):
        context.run(lambda: _direct(context, stanza, to))
    elif stanza.type in (b"probe", b"error"):
        context.run(lambda: _pass(context, stanza, to))


def _direct(context: Context, stanza: Stanza, to: Jid) -> None:
    key = str(to)
    room = str(to.bare)
    if stanza.type == b"unavailable":
        context.directed.pop(key, None)
        context.visited.pop(room, None)
    else:
        if key not in context.directed and len(context.directed) >= MAX_DIRECTED:
            raise Refused(BAD_REQUEST)
        if any(child[0] == b"x" and child[1] == _MUC for child in stanza.children):
            context.visited[room] = None
        if room in context.visited:
            for other in [each for each in context.directed if each.partition("/")[0] == room]:
                del context.directed[other]  # another nick in the same room
        context.directed[key] = None
    _pass(context, stanza, to)


def _pass_marker(context: Context, stanza: Stanza, to: Jid) -> None:
    sender = b" from='" + context.address + b"'"
    accepted = accept.accept(stanza, sender, context.language, context.place.domain)
    if accepted.assist is not None:
        displayed.assist(context, to, child_element(stanza, accepted.assist))
    _send(context, stanza, to, b"<message" + accepted.native)


def _pass(context: Context, stanza: Stanza, to: Jid) -> None:
    """Send a stanza on as it came, from the client's full address."""
    language = context.language
    if language and stanza.attributes.find(b" xml:lang=") < 0 and stanza.name != b"iq":
        language = b" xml:lang='" + language + b"'"  # RFC 6120 §8.1.5: the stream's language goes along
    else:
        language = b""
    sender = b" from='" + context.address + b"'"
    rest = stanza.attributes + language + stanza.data[stanza.head : stanza.end]
    _send(context, stanza, to, b"<" + stanza.name + sender + rest)


def _send(context: Context, stanza: Stanza, to: Jid, payload: bytes) -> None:
    """Send what lacks only its receiver; if it cannot be sent, the client is told."""
    name, _, rest = payload.partition(b" ")
    whole = name + attribute("to", str(to)).encode() + b" " + rest
    place = context.place
    place.abroad.send(place.domain, to.domain, whole, lambda error: context.refuse(stanza, error))


def _actor(context: Context, to: Jid) -> Actor:
    return context.place.services.accounts.remote(chat.PROTOCOL, str(to.bare))
