"""Entries of a room's log as messages to its occupants (XEP-0045 §7.4), live and from the archive."""

from typing import Final

from sabir.core.model.conversation import Conversation
from sabir.core.model.event import CORE, Event, Kind
from sabir.core.model.state import TopicChanged, decode_state
from sabir.protocols.xmpp.features.context import Place
from sabir.protocols.xmpp.features.foreign import foreign, message_id_of
from sabir.protocols.xmpp.features.muc.names import (
    DELAY,
    STANZA_ID,
    occupant_address,
    occupant_id,
    room_address,
    sender,
)
from sabir.protocols.xmpp.translate import element_of_native, stanza_id_of, timestamp, tombstone
from sabir.protocols.xmpp.translate.render import RETRACT
from sabir.wire.xml import escape_attribute, escape_text

MODERATE: Final = "urn:xmpp:message-moderate:1"

_DELETE: Final = int(Kind.DELETE)
_END: Final = b"</message"


def message_of(place: Place, room: Conversation, event: Event, extra: str = "") -> bytes:
    """Return the message that shows `event`, from the attributes after `to` on; `extra` are more children.

    Empty for an entry that occupants are told by presences, or not at all.
    """
    if event.protocol == CORE:
        return _subject(place, room, event, extra) if event.kind == Kind.TOPIC else b""
    moderated = _moderation(place, room, event) if event.kind == _DELETE else ""
    if moderated:
        payload = f" type='groupchat' id='{stanza_id_of(event.event_id)}'>{moderated}"
        return f"{sender(place, room, '')}{payload}{_ids(place, room, event)}{extra}</message>".encode()
    ids = _ids(place, room, event) + author_id(place, room, event) + extra
    if event.protocol == "xmpp":
        # XEP-0045 §7.4: as it was sent, the id included.
        body = event.native[: event.native.rfind(_END)]
        return sender(place, room, event.nick).encode() + body + f"{ids}</message>".encode()
    payload = foreign(place, room, event).payload
    attributes = f" type='groupchat' id='{stanza_id_of(event.event_id)}'"
    return f"{sender(place, room, event.nick)}{attributes}>{payload}{ids}</message>".encode()


def delay(place: Place, room: Conversation, at_ms: int) -> str:
    """Return the element that says when something was said (XEP-0045 §7.2.13, XEP-0203)."""
    origin = escape_attribute(room_address(place, room))
    return f"<delay xmlns='{DELAY}' from='{origin}' stamp='{timestamp(at_ms)}'/>"


def _ids(place: Place, room: Conversation, event: Event) -> str:
    by = escape_attribute(room_address(place, room))
    return f"<stanza-id xmlns='{STANZA_ID}' by='{by}' id='{stanza_id_of(event.event_id)}'/>"


def author_id(place: Place, room: Conversation, event: Event) -> str:
    """Return the element that says who wrote an entry, whatever the nick then and now (XEP-0421 §4)."""
    services = place.services
    attendee = room.attendees.get(event.actor_id)
    if attendee is not None:
        return occupant_id(attendee.occupant_id)
    return occupant_id(services.rooms.occupant_id(room, services.directory.actor(event.actor_id)))


def _subject(place: Place, room: Conversation, event: Event, extra: str) -> bytes:
    entry = decode_state(event.native)
    text = entry.text if isinstance(entry, TopicChanged) else ""
    return (
        f"{sender(place, room, event.nick)} type='groupchat' id='{stanza_id_of(event.event_id)}'>"
        f"<subject>{escape_text(text)}</subject>{_ids(place, room, event)}"
        f"{author_id(place, room, event)}{extra}</message>"
    ).encode()


def _moderation(place: Place, room: Conversation, event: Event) -> str:
    """Return the retraction of somebody else's message, which comes from the room (XEP-0425 §4.1).

    Empty if the author took it back, or if its body is gone.
    """
    target = place.services.history.at(event.target_seq)
    if target is None or target.actor_id == event.actor_id:
        return ""
    id_ = stanza_id_of(target.event_id)
    by = escape_attribute(occupant_address(place, room, event.nick))
    older = (
        f"<apply-to xmlns='urn:xmpp:fasten:0' id='{id_}'><moderated xmlns='urn:xmpp:message-moderate:0' by='{by}'>"
        f"<retract xmlns='urn:xmpp:message-retract:0'/>{_reason(event)}</moderated></apply-to>"
    )
    return f"<retract xmlns='{RETRACT}' id='{id_}'>{_moderated(place, room, event)}</retract>{older}"


def tombstone_of(place: Place, room: Conversation, event: Event, retraction: Event | None) -> str:
    """Return what stands for a message of a room whose body is gone (XEP-0424 §4, XEP-0425 §5)."""
    if retraction is None:
        return tombstone(None)
    if retraction.actor_id == event.actor_id:
        return tombstone(retraction, message_id_of(retraction))
    return tombstone(retraction, stanza_id_of(retraction.event_id), _moderated(place, room, retraction))


def _moderated(place: Place, room: Conversation, event: Event) -> str:
    by = escape_attribute(occupant_address(place, room, event.nick))
    who = f"<moderated xmlns='{MODERATE}' by='{by}'>{author_id(place, room, event)}</moderated>"
    return who + _reason(event)


def _reason(event: Event) -> str:
    if event.protocol != "xmpp" or event.erased:
        return ""
    retract = element_of_native(event.native).find("retract", RETRACT)
    text = None if retract is None else retract.child_text("reason")
    return f"<reason>{escape_text(text)}</reason>" if text else ""
