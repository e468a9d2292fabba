"""Messages to rooms and occupants (XEP-0045 §7.4, §7.5, §7.8, §8.1), and what they become."""

from typing import Final

from sabir.core.errors import Refusal
from sabir.core.model.conversation import Conversation
from sabir.core.model.event import Draft, Event
from sabir.core.model.signals import Receipt, ReceiptKind, Relayed, Typing, Whispered
from sabir.protocols.xmpp.accept import (
    DISPLAYED,
    EVENT,
    REACTIONS,
    RELAY,
    SUBJECT,
    TYPING,
    Accepted,
    accept,
)
from sabir.protocols.xmpp.codec import child_element, element_of
from sabir.protocols.xmpp.errors import BAD_REQUEST, ITEM_NOT_FOUND, Refused, slow_mode, stanza_error_for
from sabir.protocols.xmpp.features.context import Context, Ticket
from sabir.protocols.xmpp.features.muc import inviting
from sabir.protocols.xmpp.features.muc.names import USER, find_room, occupant_id, refused, sender
from sabir.protocols.xmpp.features.pubsub import displayed
from sabir.protocols.xmpp.jid import Jid
from sabir.protocols.xmpp.translate import event_id_of, stanza_id_of
from sabir.protocols.xmpp.types import Stanza
from sabir.wire.xml import escape_text

PROTOCOL: Final = "xmpp"
_END: Final = b"</message"


class Posting:
    """What becomes of a post: the sender gets the reflection in its place among all messages (XEP-0045 §7.4)."""

    __slots__ = ("_context", "_room", "_stanza", "_ticket")

    def __init__(self, context: Context, room: Conversation, stanza: Stanza, ticket: Ticket) -> None:
        self._context = context
        self._room = room
        self._stanza = stanza
        self._ticket = ticket

    def posted(self, conversation: Conversation, event: Event) -> None:
        """See `Outcome.posted`."""
        self._context.session.deliver(conversation, event)
        self._ticket.finish()

    def refused(self, refusal: Refusal) -> None:
        """See `Outcome.refused`."""
        if refusal is Refusal.SLOW_MODE:
            self._context.refuse(self._stanza, slow_mode(self._room.config.slow_mode_s))
            self._ticket.finish()
            return
        refused(self._context, self._stanza, self._ticket)(refusal)


class Reacting:
    """What becomes of a set of reactions, which is one entry per difference; the sender sees it once."""

    __slots__ = ("_context", "_stanza", "_ticket")

    def __init__(self, context: Context, stanza: Stanza, ticket: Ticket) -> None:
        self._context = context
        self._stanza = stanza
        self._ticket = ticket

    def posted(self, conversation: Conversation, event: Event) -> None:
        """See `Outcome.posted`."""
        self._context.session.deliver(conversation, event)  # shows the last of them only

    def refused(self, refusal: Refusal) -> None:
        """See `Outcome.refused`."""
        refused(self._context, self._stanza, self._ticket)(refusal)

    def settled(self, events: list[Event]) -> None:
        """Take the end of it (see `Messaging.react`)."""
        self._ticket.finish()


def take(context: Context, stanza: Stanza, to: Jid) -> None:
    """Take a message to a room or to an occupant."""
    room = find_room(context, to.local)
    if room is not None:
        _take(context, stanza, to, room)
    else:
        # The room may be made by what the client has sent before this.
        context.run(lambda: _take_late(context, stanza, to))


def _take_late(context: Context, stanza: Stanza, to: Jid) -> None:
    room = find_room(context, to.local)
    if room is None:
        context.refuse(stanza, ITEM_NOT_FOUND)  # XEP-0045 §17.2 rule 3
        return
    try:
        _take(context, stanza, to, room)
    except Refused as refusal:
        context.refuse(stanza, refusal.error)


def _take(context: Context, stanza: Stanza, to: Jid, room: Conversation) -> None:
    if to.resource:
        if stanza.type == b"groupchat":
            context.refuse(stanza, BAD_REQUEST)  # XEP-0045 §7.5
        else:
            context.run(lambda: _whisper(context, stanza, to, room))
    elif stanza.type == b"groupchat":
        _say(context, stanza, to, room)
    else:
        inviting.take(context, stanza, room)


def _say(context: Context, stanza: Stanza, to: Jid, room: Conversation) -> None:
    accepted = accept(stanza, b"", context.language, context.place.domain)
    if accepted.assist is not None:
        displayed.assist(context, to, child_element(stanza, accepted.assist))
    services = context.place.services
    what = accepted.what
    if what == EVENT:
        posting = Posting(context, room, stanza, context.begin())
        services.messaging.post(context.session, room, draft_of(context, room, accepted), posting)
    elif what == REACTIONS:
        reacting = Reacting(context, stanza, context.begin())
        draft = draft_of(context, room, accepted)
        emojis = accepted.emojis
        services.messaging.react(context.session, room, draft, emojis, reacting, reacting.settled)
    elif what == SUBJECT:
        ticket = context.begin()
        text = element_of(stanza).child_text("subject") or ""
        services.moderation.set_topic(
            context.session, room, text, ticket.finish, refused(context, stanza, ticket)
        )
    else:
        context.run(lambda: _signal(context, stanza, room, accepted))


def _signal(context: Context, stanza: Stanza, room: Conversation, accepted: Accepted) -> None:
    """Show the others what is not kept, and the sender too: every message comes back (XEP-0045 §7.4)."""
    services, session, native = context.place.services, context.session, accepted.native
    attendee = room.listeners.get(session)
    if attendee is None:
        context.refuse(stanza, stanza_error_for(Refusal.NOT_ATTENDING))
        return
    what = accepted.what
    if what == RELAY:
        payload = b"<message" + _from_occupant(context, room, attendee.nick, native)
        refusal = services.relays.to_room(session, room, payload)
        if refusal is not None:
            context.refuse(stanza, stanza_error_for(refusal))
            return
    elif what == TYPING:
        services.reads.typing(session, room, accepted.state, native=native)
    else:
        event = named(context, room, accepted.target)
        kind = ReceiptKind.READ if what == DISPLAYED else ReceiptKind.DELIVERED
        if event is not None and kind is ReceiptKind.READ:
            services.reads.mark(session, room, event)
        services.reads.receive(session, room, event, kind, native_id=accepted.target, native=native)
    _send(context, room, attendee.nick, native)


def _whisper(context: Context, stanza: Stanza, to: Jid, room: Conversation) -> None:
    accepted = accept(stanza, b"", context.language, context.place.domain)
    text = element_of(stanza).child_text("body") or ""
    refusal = context.place.services.rooms.whisper(context.session, room, to.resource, text, accepted.native)
    if refusal is Refusal.ACTOR_ABSENT:
        context.refuse(stanza, ITEM_NOT_FOUND)  # XEP-0045 §7.5
    elif refusal is not None:
        context.refuse(stanza, stanza_error_for(refusal))


def draft_of(context: Context, room: Conversation, accepted: Accepted) -> Draft:
    """Return the draft of an accepted message to a room.

    Its target is named by the id that the room gave (XEP-0424 §5.1, XEP-0444 §4.2, XEP-0461 §4.1), or, where that is
    nothing of the room, by the sender's own, as corrections do (XEP-0308 §3).
    """
    draft = Draft(
        PROTOCOL,
        accepted.native,
        kind=accepted.kind,
        flags=accepted.flags,
        native_id=accepted.native_id,
        resource=context.jid.resource,
    )
    if accepted.target:
        event = named(context, room, accepted.target)
        if event is not None:
            draft.target_id = event.event_id
        else:
            draft.target_native = accepted.target
    return draft


def named(context: Context, room: Conversation, id_: bytes) -> Event | None:
    """Return the entry of a room to which the room gave this id."""
    event_id = event_id_of(id_.decode(errors="replace"))
    event = context.place.services.history.find(event_id) if event_id else None
    return None if event is None or event.conversation_id != room.id else event


def show_typing(context: Context, signal: Typing) -> None:
    """Show that an occupant is writing (XEP-0085)."""
    native = signal.native
    if signal.protocol != PROTOCOL:
        state = f"<{signal.state.value} xmlns='http://jabber.org/protocol/chatstates'/>"
        native = f" type='groupchat'>{state}</message>".encode()
    _send(context, signal.conversation, signal.nick, native)


def show_receipt(context: Context, signal: Receipt) -> None:
    """Show how far an occupant has read; those of other protocols tell that to their own devices only."""
    native = signal.native
    if signal.protocol != PROTOCOL:
        if signal.actor is not context.actor:
            return
        # XEP-0333 §4.3: in a room a message is named by the id that the room gave.
        name = stanza_id_of(signal.event_id)
        displayed = f"<displayed xmlns='urn:xmpp:chat-markers:0' id='{name}'/>"
        native = f" type='groupchat'>{displayed}</message>".encode()
    _send(context, signal.conversation, signal.nick, native)


def show_relayed(context: Context, signal: Relayed) -> None:
    """Show a stanza that came through a room and is not kept; it lacks its receiver only."""
    if signal.protocol == PROTOCOL:
        name, _, rest = signal.payload.partition(b" ")
        context.send_parts(name + b" to='", context.address, b"' " + rest)


def show_whisper(context: Context, signal: Whispered) -> None:
    """Show a private message (XEP-0045 §7.5)."""
    native = signal.native
    if signal.protocol != PROTOCOL:
        native = f" type='chat'><body>{escape_text(signal.text)}</body></message>".encode()
    _send(context, signal.conversation, signal.nick, native, f"<x xmlns='{USER}'/>")


def _send(context: Context, room: Conversation, nick: str, native: bytes, mark: str = "") -> None:
    """Send a message of an occupant that has no place in the log."""
    context.send_parts(
        b"<message to='", context.address, b"'" + _from_occupant(context, room, nick, native, mark)
    )


def _from_occupant(context: Context, room: Conversation, nick: str, native: bytes, mark: str = "") -> bytes:
    """Return what follows `<message` of a message of an occupant."""
    attendee = context.place.services.rooms.attendee(room, nick)
    who = "" if attendee is None else occupant_id(attendee.occupant_id)
    end = native.rfind(_END)
    said = native[:end] if end >= 0 else native[:-2] + b">"  # without children: `.../>`
    return sender(context.place, room, nick).encode() + said + f"{mark}{who}</message>".encode()
