"""Presence (RFC 6121 §3, §4): availability, subscriptions, directed presence, probes."""

from collections.abc import Callable
from typing import Final

from sabir.core.model.actor import Account, Actor
from sabir.core.model.presence import OFFLINE, Availability, Presence
from sabir.core.model.roster import Contact
from sabir.core.model.signals import PresenceChanged, SubscriptionAnswered, SubscriptionAsked
from sabir.protocols.xmpp.codec import attribute, element_of
from sabir.protocols.xmpp.errors import (
    BAD_REQUEST,
    Refused,
)
from sabir.protocols.xmpp.features import anonymous, caps_hash, chat, onboarding
from sabir.protocols.xmpp.features.caps_hash import Claim
from sabir.protocols.xmpp.features.context import Context
from sabir.protocols.xmpp.features.pubsub import avatars
from sabir.protocols.xmpp.jid import Jid, parse_jid
from sabir.protocols.xmpp.types import Stanza
from sabir.wire.xml import Element, escape_text

SHOWN: Final = {
    "": Availability.ONLINE,
    "chat": Availability.CHATTY,
    "away": Availability.AWAY,
    "xa": Availability.EXTENDED_AWAY,
    "dnd": Availability.BUSY,
}
_SHOW: Final = {availability: show for show, availability in SHOWN.items() if show}
SUBSCRIPTIONS: Final = (b"subscribe", b"subscribed", b"unsubscribe", b"unsubscribed")
MAX_REQUEST_BYTES: Final = 4_096
"""The largest request that is kept as it came; of a larger one, only who asks."""
_STRIPPED: Final = frozenset(
    ("urn:xmpp:delay", "urn:xmpp:occupant-id:0", "http://jabber.org/protocol/muc#user")
)
"""Namespaces that only servers put into a presence: XEP-0203 §4, XEP-0421 §3, XEP-0045 §16.6.2."""


def take_presence(context: Context, stanza: Stanza, to: Jid | None) -> None:
    """Take a presence to everyone (`to` None), to a local account or to the server."""
    type_ = stanza.type
    if to is None or (to.bare == context.jid.bare and type_ in (b"", b"unavailable")):
        if type_ in (b"", b"unavailable"):
            presence = read(stanza, avatars.hash_of(context.place, context.actor))
            claim = caps_hash.read(element_of(stanza)) if presence.is_available else None
            context.run(lambda: _broadcast(context, presence, claim))
        else:
            context.refuse(stanza, BAD_REQUEST)
        return
    other = context.place.services.accounts.find(to.local) if to.local else None
    if type_ in SUBSCRIPTIONS:
        _subscribe(context, stanza, other)
    elif other is not None and type_ in (b"", b"unavailable"):
        presence = read(stanza, avatars.hash_of(context.place, context.actor))
        account = other
        context.run(lambda: _direct(context, account, to, presence))
    elif other is not None and type_ == b"probe":
        account = other
        context.run(lambda: _probe(context, account))


def read(stanza: Stanza, picture: str) -> Presence:
    """Return what a client says of itself, sanitised; `picture` is the hash of the person's picture, if any.

    Raises:
        Refused: if its priority or show is none.
    """
    element = element_of(stanza)
    children = [
        child for child in element.children if isinstance(child, str) or child.namespace not in _STRIPPED
    ]
    mark = avatars.mark(element.find("x", avatars.UPDATE), picture) if stanza.type == b"" else None
    if mark is not None:
        children = [
            child for child in children if isinstance(child, str) or child.namespace != avatars.UPDATE
        ]
        children.append(mark)
    attributes = {key: value for key, value in element.attributes.items() if key not in ("to", "from", "id")}
    native = Element("presence", element.namespace, attributes, children).to_bytes(element.namespace)
    if stanza.type == b"unavailable":
        return Presence(Availability.OFFLINE, element.child_text("status") or "", 0, chat.PROTOCOL, native)
    availability = SHOWN.get((element.child_text("show") or "").strip())
    if availability is None:
        raise Refused(BAD_REQUEST)  # RFC 6121 §4.7.2.1
    try:
        priority = int(element.child_text("priority") or "0")
    except ValueError:
        raise Refused(BAD_REQUEST) from None
    if not -128 <= priority <= 127:
        raise Refused(BAD_REQUEST)  # RFC 6121 §4.7.2.3
    return Presence(availability, element.child_text("status") or "", priority, chat.PROTOCOL, native)


def _broadcast(context: Context, presence: Presence, claim: Claim | None) -> None:
    before = context.session.presence
    services = context.place.services
    services.presences.change(context.session, presence)
    if not presence.is_available:
        leave_directed(context, presence)
    elif not before.is_available:
        # RFC 6121 §3.1.3: requests are shown at each login until they are answered.
        for contact in services.roster.requests(context.account):
            show_request(context, contact)
    if presence.is_available:
        context.place.capabilities.note(context, claim, arrived=not before.is_available)
    if presence.is_available and presence.priority >= 0 and not chat_was_open(before):
        chat.offer_missed(context)  # RFC 6121 §8.5.2.2.1


def chat_was_open(presence: Presence) -> bool:
    """Return whether a device with this presence was given messages to the bare address."""
    return presence.is_available and presence.priority >= 0


def _direct(context: Context, other: Account, to: Jid, presence: Presence) -> None:
    context.place.services.presences.direct(context.session, other, to.resource, presence)
    if presence.is_available:
        context.directed[str(to)] = None
    else:
        context.directed.pop(str(to), None)


def leave_directed(context: Context, presence: Presence) -> None:
    """Tell those who got a directed presence that the client is gone (RFC 6121 §4.6.3)."""
    services = context.place.services
    for address in context.directed:
        if not context.place.is_ours(parse_jid(address).domain):
            _leave_abroad(context, address)
            continue
        local, _, rest = address.partition("@")
        account = services.accounts.find(local)
        if account is not None:
            services.presences.direct(context.session, account, rest.partition("/")[2], presence)
    context.directed.clear()


def _leave_abroad(context: Context, address: str) -> None:
    sender = f"<presence{attribute('from', str(context.jid))}{attribute('to', address)} type='unavailable'/>"
    place = context.place
    place.abroad.send(place.domain, parse_jid(address).domain, sender.encode())


def _probe(context: Context, other: Account) -> None:
    presences = context.place.services.presences
    if not presences.watches(context.account, other.actor):
        # RFC 6121 §4.3.2.1: whoever may not know is told that there is no subscription.
        context.send(_presence(f"{other.name}@{context.place.domain}", context, "unsubscribed"))
    elif not presences.probe(context.session, other.actor):
        context.send(_presence(f"{other.name}@{context.place.domain}", context, "unavailable"))


def _subscribe(context: Context, stanza: Stanza, other: Account | None) -> None:
    """Ask, grant, refuse or end a subscription (RFC 6121 §3)."""
    if other is None or other is context.account:
        if stanza.type == b"subscribe" and other is None and stanza.to is not None:
            sender = stanza.to.decode().partition("/")[0]
            context.send(_presence(sender, context, "unsubscribed"))  # RFC 6121 §3.1.3: no such account
        return
    step(context, stanza, other.actor)


def step(context: Context, stanza: Stanza, actor: Actor) -> None:
    """Take a step of a subscription towards `actor`, who may be of another server."""
    anonymous.check_own(context.actor)
    roster = context.place.services.roster
    ticket = context.begin()
    done: Callable[[], None] = ticket.finish
    refused = context.refused_by(stanza, ticket)
    if stanza.type == b"subscribe":
        onboarding.subscribe(
            context.place,
            stanza,
            context.actor,
            actor,
            lambda: roster.ask(context.account, actor, request_of(stanza, context.jid.bare), done, refused),
        )
    elif stanza.type == b"subscribed":
        roster.approve(context.account, actor, done, refused)
    elif stanza.type == b"unsubscribe":
        roster.unask(context.account, actor, done, refused)
    else:
        roster.revoke(context.account, actor, done, refused)


def request_of(stanza: Stanza, sender: Jid) -> bytes:
    """Return a subscription request as its receiver will see it, but for `to`."""
    element = element_of(stanza)
    attributes = {key: value for key, value in element.attributes.items() if key not in ("to", "from")}
    attributes["from"] = str(sender)
    children = [
        child for child in element.children if isinstance(child, str) or child.namespace not in _STRIPPED
    ]
    request = Element("presence", element.namespace, attributes, children).to_bytes(element.namespace)
    if len(request) <= MAX_REQUEST_BYTES:
        return request
    bare = {"type": "subscribe", "from": str(sender)}
    return Element("presence", element.namespace, bare, []).to_bytes(element.namespace)


# To clients


def show(context: Context, signal: PresenceChanged) -> None:
    """Show that a device of somebody changed its presence."""
    sender = context.place.address_of(signal.actor)
    if signal.resource:
        sender += "/" + signal.resource
    presence = signal.presence
    start = b"<presence" + attribute("from", sender).encode()
    if presence.protocol == chat.PROTOCOL and presence.native:
        rest = presence.native[len(b"<presence") :]
    else:
        rest = synthesise(presence)
    context.send_parts(start + b" to='", context.address, b"'" + rest)


def synthesise(presence: Presence) -> bytes:
    """Return the rest of a presence that came by another protocol (PROTOCOLS 3.2)."""
    status = f"<status>{escape_text(presence.status)}</status>" if presence.status else ""
    if not presence.is_available:
        return f" type='unavailable'>{status}</presence>".encode()
    show_ = _SHOW.get(presence.availability, "")
    return f">{f'<show>{show_}</show>' if show_ else ''}{status}</presence>".encode()


def show_request(context: Context, contact: Contact) -> None:
    """Show that somebody asks to see one's presence."""
    if contact.request.startswith(b"<presence "):
        context.send_parts(b"<presence to='", context.address_bare, b"'" + contact.request[9:])
    else:
        context.send(_presence(context.place.address_of(contact.actor), context, "subscribe"))


def show_answer(context: Context, signal: SubscriptionAnswered | SubscriptionAsked) -> None:
    """Show a step of a subscription; only clients that are interested hear of it (RFC 6121 §3.1.6)."""
    if not context.interested and not context.session.presence.is_available:
        return
    if isinstance(signal, SubscriptionAsked):
        if context.session.presence.is_available:
            show_request(context, signal.contact)
        return
    if signal.own:
        type_ = "subscribe" if signal.granted else "unsubscribe"
    else:
        type_ = "subscribed" if signal.granted else "unsubscribed"
    context.send(_presence(context.place.address_of(signal.actor), context, type_))


def _presence(sender: str, context: Context, type_: str) -> bytes:
    return (
        f"<presence{attribute('from', sender)}{attribute('to', str(context.jid.bare))} type='{type_}'/>"
    ).encode()


def go_offline(context: Context) -> None:
    """Tell everyone that the client is gone, if it was there."""
    context.place.capabilities.forget(context)
    if context.session.presence.is_available:
        context.place.services.presences.change(context.session, OFFLINE)
    leave_directed(context, OFFLINE)
