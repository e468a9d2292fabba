"""How far one has read, and what one tells writers of that (PROTOCOLS 3.2)."""

from __future__ import annotations

from typing import Final

from sabir.core.errors import Refusal
from sabir.core.model.conversation import Conversation
from sabir.core.model.signals import ReceiptKind
from sabir.protocols.mqtt.codec.message import Message
from sabir.protocols.mqtt.features.talk import Talk
from sabir.protocols.mqtt.translate.said import SaidError
from sabir.protocols.mqtt.translate.told import Marker, Markers, message, read
from sabir.protocols.mqtt.translate.topics import READ, topic_of_user
from sabir.protocols.mqtt.types import packets as p

MAX_MARKERS: Final = 1000
"""In one retained message: those that moved last."""


def mark(talk: Talk, packet: p.Publish) -> None:
    """Move a read marker of one's own. Raises `SaidError`."""
    marker = read(packet.payload, Marker)
    if bool(marker.room) == bool(marker.to) or not marker.id:
        raise SaidError("room, or to, and the id of the message that was read last")
    services = talk.services
    conversation: Conversation | Refusal | None
    conversation = services.rooms.find(marker.room) if marker.room else talk.direct(marker.to, opens=False)
    if conversation is None or isinstance(conversation, Refusal):
        talk.refuse(packet, conversation or Refusal.ROOM_UNKNOWN)
        return
    refusal = services.history.may_read(conversation, talk.account.actor)
    event = None if refusal is not None else talk.event(conversation, marker.id)
    if event is None:
        talk.refuse(packet, refusal or Refusal.TARGET_UNKNOWN)
        return
    found = event

    def then() -> None:
        show(talk, conversation, found.event_id, found.at_ms, is_own=True)
        talk.done(packet)

    talk.turnstile.enter()
    services.reads.mark(talk.owner, conversation, event, then, talk.refused(packet))


def receive(talk: Talk, conversation: Conversation, id_: str, kind: ReceiptKind, packet: p.Publish) -> None:
    """Tell the writer of a message how far it got; the turnstile is entered already."""
    event = talk.event(conversation, id_)
    if event is None:
        talk.refused(packet)(Refusal.TARGET_UNKNOWN)
        return
    talk.services.reads.receive(talk.owner, conversation, event, kind, native_id=event.native_id)
    talk.done(packet)


def show(
    talk: Talk, conversation: Conversation, event_id: bytes, at_ms: int, *, is_own: bool = False
) -> None:
    """Show the client that a marker of its account moved."""
    topic = topic_of_user(talk.name, READ)
    if talk.wishes.of(topic) is not None:
        marker = _marker(talk, conversation, event_id.hex(), at_ms)
        talk.wishes.offer(message(topic, Markers(markers=[marker]), retain=True), is_own=is_own)


def markers(talk: Talk) -> Message:
    """Return the markers of one's own, as a retained message."""
    rows = sorted(talk.services.reads.markers(talk.account), key=lambda row: -row.at_ms)[:MAX_MARKERS]
    found = []
    for row in rows:
        conversation = talk.services.people.conversation(row.conversation_id)
        if conversation is not None:
            found.append(_marker(talk, conversation, "", row.at_ms))
    return message(topic_of_user(talk.name, READ), Markers(markers=found), retain=True)


def _marker(talk: Talk, conversation: Conversation, id_: str, at_ms: int) -> Marker:
    if conversation.is_room:
        return Marker(room=conversation.name, id=id_, ts=at_ms)
    return Marker(to=conversation.other_than(talk.account.actor.id).name, id=id_, ts=at_ms)
