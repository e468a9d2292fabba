"""Rooms (XEP-0045): what a client sends to the service `rooms.<domain>`, and what it sees of its rooms.

The session calls these functions and knows nothing else of rooms. `attending` has who comes and goes,
`speaking` what is said, `requests` what is asked; `rendering` writes entries of a room's log.
"""

from typing import assert_never

from sabir.core.model.conversation import Conversation
from sabir.core.model.event import MORE, Event
from sabir.core.model.signals import (
    Attended,
    AttendeeChanged,
    Departed,
    Invited,
    MemberListed,
    MembershipAsked,
    Receipt,
    Relayed,
    Reported,
    RoomConfigured,
    Typing,
    Whispered,
)
from sabir.protocols.xmpp.codec import element_of
from sabir.protocols.xmpp.features import reporting
from sabir.protocols.xmpp.features.context import Context, Iq, Place
from sabir.protocols.xmpp.features.muc import attending, inviting, registering, rendering, requests, speaking
from sabir.protocols.xmpp.jid import Jid
from sabir.protocols.xmpp.types import Stanza

Occurrence = (
    Attended
    | AttendeeChanged
    | Departed
    | Invited
    | MemberListed
    | MembershipAsked
    | Reported
    | RoomConfigured
    | Whispered
)
"""What happens in rooms only."""
RoomSignal = Occurrence | Receipt | Relayed | Typing
"""What happens in rooms and is not in their logs."""


def take_message(context: Context, stanza: Stanza, to: Jid) -> None:
    """Take a message to a room, to an occupant or to the service; never one of type error."""
    speaking.take(context, stanza, to)


def take_presence(context: Context, stanza: Stanza, to: Jid) -> None:
    """Take a presence to an occupant's address; of any type but error."""
    attending.take(context, stanza, to, element_of(stanza))


def take_iq(context: Context, iq: Iq) -> None:
    """Answer a request to the service, a room or an occupant, disco and MAM included."""
    requests.take(context, iq)


def take_answer(context: Context, stanza: Stanza, to: Jid) -> None:
    """Take an IQ result or error, or a message of type error, to an occupant."""
    requests.take_answer(context, stanza, to)


def render(place: Place, conversation: Conversation, event: Event) -> bytes:
    """Return how an entry of a room's log goes to occupants, from the quote after their address on.

    The session sends `<message to='` + address + this, and keeps it in `event.cache` under `muc`; empty where
    XMPP occupants are told by signals instead, or not at all.
    """
    message = b"" if event.flags & MORE else rendering.message_of(place, conversation, event)
    return b"'" + message if message else b""


def show(context: Context, signal: RoomSignal) -> None:
    """Show a signal about a room: comings and goings, typing, whispers, invitations."""
    match signal:
        case Attended():
            attending.show_arrival(context, signal)
        case AttendeeChanged():
            attending.show_change(context, signal)
        case Departed():
            attending.show_departure(context, signal)
        case MemberListed():
            attending.show_listed(context, signal)
        case MembershipAsked():
            registering.show(context, signal)
        case Reported():
            reporting.show(context, signal)
        case RoomConfigured():
            attending.show_configured(context, signal)
        case Invited():
            inviting.show(context, signal)
        case Typing():
            speaking.show_typing(context, signal)
        case Receipt():
            speaking.show_receipt(context, signal)
        case Relayed():
            speaking.show_relayed(context, signal)
        case Whispered():
            speaking.show_whisper(context, signal)
        case _:
            assert_never(signal)
