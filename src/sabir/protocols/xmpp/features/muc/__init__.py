"""Rooms (XEP-0045): what a client sends to the service `rooms.<domain>`, and what it sees of its rooms.

The session calls these five functions and knows nothing else of rooms.
"""

from sabir.core.model.conversation import Conversation
from sabir.core.model.event import Event
from sabir.core.model.signals import Signal
from sabir.protocols.xmpp.errors import FEATURE_NOT_IMPLEMENTED
from sabir.protocols.xmpp.features.context import Context, Iq, Place
from sabir.protocols.xmpp.jid import Jid
from sabir.protocols.xmpp.types import Stanza


def take_message(context: Context, stanza: Stanza, to: Jid) -> None:
    """Take a message to a room, to an occupant or to the service; never one of type error."""
    context.refuse(stanza, FEATURE_NOT_IMPLEMENTED)


def take_presence(context: Context, stanza: Stanza, to: Jid) -> None:
    """Take a presence to an occupant's address; of any type but error."""
    context.refuse(stanza, FEATURE_NOT_IMPLEMENTED)


def take_iq(context: Context, iq: Iq) -> None:
    """Answer a request to the service, a room or an occupant, disco and MAM included."""
    context.refuse(iq.stanza, FEATURE_NOT_IMPLEMENTED)


def take_answer(context: Context, stanza: Stanza, to: Jid) -> None:
    """Take an IQ result or error, or a message of type error, to an occupant."""


def render(place: Place, conversation: Conversation, event: Event) -> bytes:
    """Return how an entry of a room's log goes to occupants, from the quote after their address on.

    The session sends `<message to='` + address + this, and keeps it in `event.cache` under `muc`; empty where XMPP
    occupants are told by signals instead, or not at all.
    """
    return b""


def show(context: Context, signal: Signal) -> None:
    """Show a signal about a room: comings and goings, typing, whispers, invitations."""
