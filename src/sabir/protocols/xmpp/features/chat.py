"""Messages between two accounts (RFC 6121 §5, §8.5), their copies (XEP-0280), receipts and chat states.

An entry of the log goes to receivers as `<message to='` + address + a tail that is rendered once for all of
them and kept in `Event.cache`.
"""

from collections.abc import Callable, Sequence
from typing import Final

from sabir.core.errors import Refusal
from sabir.core.model.actor import Account
from sabir.core.model.conversation import Conversation
from sabir.core.model.event import CORE, MORE, Draft, Event, Kind
from sabir.core.model.presence import Availability
from sabir.core.model.signals import Receipt, ReceiptKind, Relayed, Typing
from sabir.core.ports import Page, Session
from sabir.protocols.xmpp import accept
from sabir.protocols.xmpp.accept import Accepted
from sabir.protocols.xmpp.codec import attribute, child_element
from sabir.protocols.xmpp.errors import SERVICE_UNAVAILABLE, stanza_error_for
from sabir.protocols.xmpp.features import invitations
from sabir.protocols.xmpp.features.context import Context, Names, Place, Ticket
from sabir.protocols.xmpp.features.foreign import foreign
from sabir.protocols.xmpp.features.pubsub import displayed
from sabir.protocols.xmpp.features.stamps import delay, stanza_id
from sabir.protocols.xmpp.jid import Jid
from sabir.protocols.xmpp.translate import event_id_of, stanza_id_of
from sabir.protocols.xmpp.types import Stanza

PROTOCOL: Final = "xmpp"
TO: Final = b"<message to='"
MISSED_PAGE: Final = 100
"""Missed messages read from the log at a time."""

_END: Final = b"</message>"


class Posted:
    """What becomes of a message that was posted: the sender of a refused one is told."""

    __slots__ = ("_context", "_stanza", "_ticket")

    def __init__(self, context: Context, stanza: Stanza, ticket: Ticket) -> None:
        self._context: Context = context
        self._stanza: Stanza = stanza
        self._ticket: Ticket = ticket

    def posted(self, conversation: Conversation, event: Event) -> None:
        """See `Outcome.posted`."""
        self._ticket.finish()
        if conversation.is_note:
            deliver(self._context, conversation, event)

    def refused(self, refusal: Refusal) -> None:
        """See `Outcome.refused`."""
        self._context.refuse(self._stanza, stanza_error_for(refusal))
        self._ticket.finish()


class Reacted(Posted):
    """The same for a set of reactions, which may become several events, or none."""

    __slots__ = ()

    def posted(self, conversation: Conversation, event: Event) -> None:
        """Wait for the whole set."""

    def settled(self, events: list[Event]) -> None:
        """Take the events; see `Messaging.react`."""
        self._ticket.finish()


def take_message(context: Context, stanza: Stanza, to: Jid) -> None:
    """Take a message to a local account; never one of type error."""
    place = context.place
    services = place.services
    other = services.accounts.find(to.local)
    if other is None or stanza.type == b"groupchat":
        context.refuse(stanza, SERVICE_UNAVAILABLE)  # RFC 6121 §8.5.1, §8.5.2.1.1
        return
    sender = b" from='" + context.address + b"'"
    accepted = accept.accept(stanza, sender, context.language, place.domain)
    if accepted.assist is not None:
        displayed.assist(context, to, child_element(stanza, accepted.assist))
    resource = to.resource
    if resource and services.devices.named(other, resource) is None:
        resource = ""  # RFC 6121 §8.5.3.2.1: as if it had been sent to the bare address
    if stanza.type == b"headline":
        _relay(context, stanza, accepted, other, to)
        return
    if accepted.invites:
        # A post follows in the log's queue; what is relayed has to wait, so that the invited can enter at once.
        then = context.begin().finish if accepted.what == accept.RELAY else _ignore
        invitations.admit(context, stanza, other, then)
    submit(
        context,
        stanza,
        accepted,
        services.messaging.open_direct(context.account, other),
        resource,
        lambda: _relay(context, stanza, accepted, other, to),
    )


def submit(
    context: Context,
    stanza: Stanza,
    accepted: Accepted,
    conversation: Conversation,
    resource: str,
    relay: Callable[[], None],
) -> None:
    """Put a message into its direct conversation, show it as a signal, or `relay` what is not kept."""
    what = accepted.what
    if what == accept.EVENT or what == accept.SUBJECT:
        _post(context, stanza, accepted, conversation, resource)
    elif what == accept.REACTIONS:
        _react(context, stanza, accepted, conversation, resource, relay)
    elif what == accept.RELAY:
        relay()
    else:
        _signal(context, accepted, conversation, resource)


def _post(
    context: Context, stanza: Stanza, accepted: Accepted, conversation: Conversation, resource: str
) -> None:
    draft = Draft(
        PROTOCOL,
        accepted.native,
        kind=accepted.kind,
        flags=accepted.flags,
        native_id=accepted.native_id,
        resource=context.jid.resource,
        to_resource=resource,
        # Another server that was cut off before we confirmed sends again.
        may_repeat=conversation.peer is context.actor,
    )
    if accepted.target:
        # A reply may be to either side's message; what changes a message is about one's own.
        is_reply = accepted.kind == Kind.MESSAGE
        named = find_named(context, conversation, accepted.target) if is_reply else None
        draft.target_id = named.event_id if named else _event_of(context, conversation, accepted.target)
        draft.target_native = b"" if draft.target_id else accepted.target
    context.place.services.messaging.post(
        context.session, conversation, draft, Posted(context, stanza, context.begin())
    )


def _event_of(context: Context, conversation: Conversation, id_: bytes) -> bytes:
    """Return the event whose id of ours `id_` is: how clients name what came from other protocols."""
    event_id = event_id_of(id_.decode("ascii", "replace"))
    event = context.place.services.history.find(event_id) if event_id else None
    return event_id if event is not None and event.conversation_id == conversation.id else b""


def find_named(context: Context, conversation: Conversation, id_: bytes) -> Event | None:
    """Return the message of either side that a client calls `id_`."""
    history = context.place.services.history
    event_id = event_id_of(id_.decode("ascii", "replace"))
    found = history.find(event_id) if event_id else None
    for author in (conversation.other_than(context.actor.id), context.actor):
        if found is None:
            found = history.find_native(PROTOCOL, author, id_)
        if found is not None and found.conversation_id != conversation.id:
            found = None
    return found


def _react(
    context: Context,
    stanza: Stanza,
    accepted: Accepted,
    conversation: Conversation,
    resource: str,
    relay: Callable[[], None],
) -> None:
    target = find_named(context, conversation, accepted.target)
    if target is None:
        # A message from before our log: its readers may know it, we cannot keep what is said about it.
        relay()
        return
    draft = Draft(
        PROTOCOL,
        accepted.native,
        kind=int(Kind.REACTION),
        flags=0,
        target_id=target.event_id,
        resource=context.jid.resource,
        to_resource=resource,
    )
    token = Reacted(context, stanza, context.begin())
    messaging = context.place.services.messaging
    messaging.react(context.session, conversation, draft, accepted.emojis, token, token.settled)


def _signal(context: Context, accepted: Accepted, conversation: Conversation, resource: str) -> None:
    if accepted.what == accept.TYPING:
        typing = context.place.services.reads.typing
        context.run(
            lambda: typing(
                context.session, conversation, accepted.state, to_resource=resource, native=accepted.native
            )
        )
    else:
        context.run(lambda: _receipt(context, accepted, conversation, resource))


def _receipt(context: Context, accepted: Accepted, conversation: Conversation, resource: str) -> None:
    reads = context.place.services.reads
    kind = ReceiptKind.READ if accepted.what == accept.DISPLAYED else ReceiptKind.DELIVERED
    event = find_named(context, conversation, accepted.target)
    if event is not None and kind is ReceiptKind.READ:
        reads.mark(context.session, conversation, event)
    reads.receive(
        context.session,
        conversation,
        event,
        kind,
        native_id=accepted.target,
        to_resource=resource,
        native=accepted.native,
    )


def _relay(context: Context, stanza: Stanza, accepted: Accepted, other: Account, to: Jid) -> None:
    """Pass on what is not kept."""
    payload = b"<message" + accepted.native
    relay(context, stanza, payload, other, to.resource)


def relay(context: Context, stanza: Stanza, payload: bytes, other: Account, resource: str) -> None:
    """Pass `payload` on, to the device addressed or to all that take messages (RFC 6121 §8.5.2.1.1)."""

    def effect() -> None:
        services = context.place.services
        found = False
        for device in list(services.devices.of(other)):
            if device is context.session or not (
                device.resource == resource if resource else takes_messages(device)
            ):
                continue
            refusal = services.relays.to_device(context.session, other, device.resource, payload)
            found = found or refusal is None
        if not found and any(child[0] == b"body" for child in stanza.children):
            context.refuse(stanza, SERVICE_UNAVAILABLE)

    context.run(effect)


def _ignore() -> None:
    """Nobody waits for it."""


def takes_messages(device: Session) -> bool:
    """Return whether a device wants what is sent to its bare address (RFC 6121 §8.5.2.1.1)."""
    presence = device.presence
    return presence.availability is not Availability.OFFLINE and presence.priority >= 0


# To receivers


def deliver(context: Context, conversation: Conversation, event: Event) -> None:
    """Show an entry of a direct conversation to a client, or a copy of it, or nothing."""
    session = context.session
    if event.actor_id == context.actor.id and not conversation.is_note:
        if context.carbons:
            _send_copy(context, conversation, event, "sent")
        return
    if event.to_resource and event.to_resource != session.resource:
        if context.carbons:
            _send_copy(context, conversation, event, "received")
        return
    if not takes_messages(session) and not event.to_resource:
        return
    tail = event.cache.get("chat")
    if tail is None:
        tail = event.cache["chat"] = _tail(context.place, conversation, event, late=False)
    if tail:
        context.send_event(TO, tail, event.seq)


def deliver_late(context: Context, conversation: Conversation, event: Event) -> None:
    """Show an entry from the log to a client that was away or slow: with its time (XEP-0203)."""
    if event.actor_id == context.actor.id and not conversation.is_note:
        return
    tail = event.cache.get("late")
    if tail is None:
        tail = event.cache["late"] = _tail(context.place, conversation, event, late=True)
    if tail:
        context.send_event(TO, tail, event.seq)


def offer_missed(context: Context) -> None:
    """Show what no device of the account was given (RFC 6121 §8.5.2.2.1), page by page."""
    devices = context.place.services.devices

    def show(page: Page, events: Sequence[Event]) -> None:
        for event in events:
            conversation = devices.conversation_of(event)
            if conversation is not None:
                deliver_late(context, conversation, event)

    devices.show_missed(context.session, MISSED_PAGE, show)


def native_of(place: Names, conversation: Conversation, event: Event) -> bytes:
    """Return what follows `<message` of an entry of a direct conversation, whatever protocol it came by.

    It has no `to`. Empty where XMPP has nothing to show.
    """
    if event.erased or event.protocol == CORE:
        return b""
    if event.protocol == PROTOCOL:
        return event.native
    known = event.cache.get("native")
    if known is None:
        known = event.cache["native"] = _translated(place, conversation, event)
    return known


def _translated(place: Names, conversation: Conversation, event: Event) -> bytes:
    author = place.services.directory.actor(event.actor_id)
    rendered = foreign(place, conversation, event)
    start = (
        attribute("from", place.address_of(author))
        + (" type='headline'" if rendered.headline else " type='chat'")
        + attribute("id", stanza_id_of(event.event_id))
    )
    return f"{start}>{rendered.payload}</message>".encode()


def id_of(event: Event) -> str:
    """Return the `id` under which clients know a message of a direct conversation."""
    if event.protocol == PROTOCOL and event.native_id:
        return event.native_id.decode()
    return stanza_id_of(event.event_id)


def _tail(place: Place, conversation: Conversation, event: Event, *, late: bool) -> bytes:
    native = native_of(place, conversation, event)
    if not native or event.flags & MORE:
        return b""
    receiver = conversation.parties[-1]
    if receiver.actor.id == event.actor_id:
        receiver = conversation.parties[0]
    added = stanza_id(f"{receiver.name}@{place.domain}", event.event_id)
    if late:
        added += delay(place.domain, event.at_ms)
    if native.endswith(_END):
        return b"".join((b"'", native[: -len(_END)], added, _END))
    return b"'" + insert(native, added)


def insert(native: bytes, added: bytes) -> bytes:
    """Return a message with `added` as its last children."""
    if native.endswith(_END):
        return native[: -len(_END)] + added + _END
    return native[:-2] + b">" + added + _END


def _send_copy(context: Context, conversation: Conversation, event: Event, direction: str) -> None:
    """Send a copy of what another device sent or got (XEP-0280 §7, §8)."""
    key = "copy" if direction == "sent" else "copied"
    tail = event.cache.get(key)
    if tail is None:
        tail = b""
        native = native_of(context.place, conversation, event)
        if native and not event.flags & MORE and b"<no-copy" not in native:
            me = f"{context.account.name}@{context.place.domain}"
            to = context.place.address_of(conversation.other_than(event.actor_id))
            if event.to_resource:
                to += "/" + event.to_resource
            tail = encode_copy(me, direction, insert(native, stanza_id(me, event.event_id)), to)
        event.cache[key] = tail
    if tail:
        context.send_event(TO, tail, event.seq)


def encode_copy(me: str, direction: str, native: bytes, to: str) -> bytes:
    """Return a copy of a message, from the quote after the receiver's address on (XEP-0280 §7.1)."""
    start = (
        f"'{attribute('from', me)} type='chat'>"
        f"<{direction} xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'>"
        f"<message xmlns='jabber:client'{attribute('to', to)}"
    )
    return start.encode() + native + f"</forwarded></{direction}></message>".encode()


def show_signal(context: Context, signal: Typing | Receipt) -> None:
    """Show a chat state or a receipt of a direct conversation; one's own other device's as a copy."""
    place = context.place
    native = native_of_signal(place, signal)
    if not native:
        return
    if signal.actor is context.actor and not signal.conversation.is_note:
        if context.carbons:
            other = place.address_of(signal.conversation.other_than(context.actor.id))
            copy = encode_copy(str(context.jid.bare), "sent", native, other)
            context.send_parts(TO, context.address, copy)
    elif signal.to_resource:
        if signal.to_resource == context.session.resource:
            context.send_parts(TO, context.address, b"'" + native)
    elif takes_messages(context.session):
        context.send_parts(TO, context.address, b"'" + native)


def native_of_signal(place: Place, signal: Typing | Receipt) -> bytes:
    """Return what follows `<message` of a chat state or receipt, whatever protocol it came by; it has no `to`."""
    if signal.protocol == PROTOCOL:
        return signal.native
    start = attribute("from", place.address_of(signal.actor)) + " type='chat'>"
    if isinstance(signal, Typing):
        payload = f"<{signal.state.value} xmlns='http://jabber.org/protocol/chatstates'/>"
    else:
        event = place.services.history.find(signal.event_id) if signal.event_id else None
        if event is None:
            return b""
        id_ = attribute("id", id_of(event))
        if signal.kind is ReceiptKind.READ:
            payload = f"<displayed xmlns='urn:xmpp:chat-markers:0'{id_}/>"
        else:
            payload = f"<received xmlns='urn:xmpp:receipts'{id_}/>"
    return f"{start}{payload}</message>".encode()


def show_relayed(context: Context, signal: Relayed) -> None:
    """Show what a peer sent that the core does not interpret; it lacks its receiver only."""
    name, _, rest = signal.payload.partition(b" ")
    context.send_parts(name + b" to='", context.address, b"' " + rest)
