"""What is not a message, as JSON objects: comings and goings, receipts, typing, topics, who is where."""

from __future__ import annotations

from typing import Final, TypeVar, assert_never

import msgspec

from sabir.core.model.conversation import Conversation, Role
from sabir.core.model.presence import Availability, Presence
from sabir.core.model.signals import (
    AccountChanged,
    Announced,
    Attended,
    AttendeeChanged,
    BlockListChanged,
    Cause,
    ContactChanged,
    Departed,
    Invited,
    MemberListed,
    MembershipAsked,
    NodeChanged,
    PresenceChanged,
    ReadMarked,
    Receipt,
    ReceiptKind,
    Relayed,
    Reported,
    RoomConfigured,
    Signal,
    SubscriptionAnswered,
    SubscriptionAsked,
    Typing,
    TypingState,
    Whispered,
)
from sabir.protocols.mqtt.codec.message import Message
from sabir.protocols.mqtt.translate.said import JSON, Said, SaidError
from sabir.protocols.mqtt.types import properties as ids
from sabir.protocols.mqtt.types.properties import Properties

MAX_STATUS_BYTES: Final = 1024
"""Of the text that goes with a presence."""
ROLES: Final = {role.name.lower(): role for role in Role}

_SHOWS: Final = {
    "online": Availability.ONLINE,
    "chat": Availability.CHATTY,
    "away": Availability.AWAY,
    "xa": Availability.EXTENDED_AWAY,
    "dnd": Availability.BUSY,
    "offline": Availability.OFFLINE,
}
_NAMES: Final = {availability: name for name, availability in _SHOWS.items()}


class Status(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What happened in a room, or to oneself: the object of `status`.

    `status` says what, and the others what belongs to it.
    """

    status: str
    name: str = ""
    by: str = ""
    reason: str = ""
    role: str = ""
    old_name: str = ""
    away: str | None = None
    id: str = ""
    room: str = ""
    key: str = ""
    text: str = ""


class Composing(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The object of `typing`; `state` is one of the words that XMPP has for it."""

    state: TypingState
    sender: str = ""
    to: str = ""


class Shown(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The object of `presence`."""

    show: str
    status: str = ""


class Meta(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The object of `meta`: what a room is about. What is absent from one that is published stays as it is."""

    name: str = ""
    title: str | None = None
    description: str | None = None
    topic: str | None = None
    topic_by: str = ""
    topic_ts: int = 0


class Attendant(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Somebody who is in a room."""

    name: str
    role: str
    away: str = ""


class Members(msgspec.Struct, frozen=True, kw_only=True):
    """The object of `members`: who is in a room; in a big one only those with a role of their own."""

    count: int
    members: list[Attendant]


class Marker(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """How far one has read in a room, or in the conversation with somebody."""

    room: str = ""
    to: str = ""
    id: str = ""
    ts: int = 0
    """When the message was sent that one has read last; milliseconds since 1970."""


class Markers(msgspec.Struct, frozen=True, kw_only=True):
    """The object of `read`: those that moved, or in a retained message all."""

    markers: list[Marker]


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """The object of `mod`: what a moderator wants to be done."""

    action: str
    name: str = ""
    id: str = ""
    role: str = ""
    reason: str = ""


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """The object of `history` that asks."""

    id: str = ""
    """Comes back with the answer."""
    before: str = ""
    after: str = ""
    since: int = 0
    until: int = 0
    limit: int = 50
    search: str = ""


class Answer(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The object of `history` that answers; messages oldest first."""

    id: str = ""
    room: str = ""
    to: str = ""
    complete: bool = False
    """There is nothing more in the direction of reading."""
    messages: list[Said]


Object = TypeVar("Object", Status, Composing, Shown, Meta, Marker, Order, Ask)


def read(payload: bytes, type_: type[Object]) -> Object:
    """Return the object that a client publishes. Raises `SaidError`."""
    try:
        return msgspec.json.decode(payload, type=type_)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise SaidError(f"this is no JSON object as it belongs here: {error}") from error


def typing_of(payload: bytes) -> TypingState:
    """Return what is published on `typing`: the object, or the state alone. Raises `SaidError`."""
    if payload.startswith(b"{"):
        return read(payload, Composing).state
    try:
        return TypingState(payload.decode(errors="replace").strip())
    except ValueError:
        raise SaidError("a state is composing, paused, active, inactive or gone") from None


def presence_of(payload: bytes, protocol: str) -> Presence:
    """Return what is published on `presence`: the object, or the state alone. Raises `SaidError`."""
    if payload.startswith(b"{"):
        shown = read(payload, Shown)
    else:
        shown = Shown(show=payload.decode(errors="replace").strip() or "offline")
    if shown.show not in _SHOWS:
        raise SaidError("a presence is online, chat, away, xa, dnd or offline")
    if len(shown.status.encode()) > MAX_STATUS_BYTES:
        raise SaidError("the text of a presence has at most 1024 octets")
    return Presence(_SHOWS[shown.show], shown.status, protocol=protocol)


def message(topic: str, value: msgspec.Struct, *, retain: bool = False, correlation: bytes = b"") -> Message:
    """Return an object as it is published."""
    properties = Properties()
    properties.numbers[ids.PAYLOAD_FORMAT] = 1
    properties.texts[ids.CONTENT_TYPE] = JSON
    if correlation:
        properties.data[ids.CORRELATION_DATA] = correlation
    return Message(topic, msgspec.json.encode(value), 1, retain, properties)


def shown_of(presence: Presence) -> Shown:
    """Return a presence as it is shown."""
    return Shown(show=_NAMES[presence.availability], status=presence.status)


def meta_of(conversation: Conversation) -> Meta:
    """Return what a room is about."""
    config, topic = conversation.config, conversation.topic
    return Meta(
        name=conversation.name,
        title=config.title or None,
        description=config.description or None,
        topic=None if topic is None else topic.text,
        topic_by="" if topic is None else topic.nick,
        topic_ts=0 if topic is None else topic.at_ms,
    )


def members_of(conversation: Conversation, most: int) -> Members:
    """Return who is in a room; if they are more than `most`, those who have a role of their own."""
    found = list(conversation.attendees.values())
    count = len(found)
    if count > most:
        found = [each for each in found if each.role >= Role.MODERATOR][:most]
    people = [Attendant(name=each.nick, role=each.role.name.lower(), away=each.away) for each in found]
    return Members(count=count, members=people)


def status_in_room(signal: Signal) -> tuple[Conversation, Status] | None:  # one case per signal
    """Return what is said of a signal on the `status` of its room; None = nothing."""
    told: Status | None
    match signal:
        case Attended():
            role = signal.attendee.role.name.lower()
            told = Status(status="joined", name=signal.attendee.nick, role=role) if signal.first else None
        case Departed():
            name = signal.attendee.nick
            told = Status(status=_gone(signal.cause), name=name, by=signal.by_nick, reason=signal.reason)
        case AttendeeChanged():
            told = _changed(signal)
        case MemberListed():
            told = _listed(signal)
        case MembershipAsked():
            told = Status(status="asks", name=signal.nick)
        case Reported():
            told = Status(status="reported", name=signal.reported, reason=signal.reason, text=signal.text)
        case RoomConfigured():
            told = Status(status="configured", by=signal.by_nick)
        case Receipt():
            told = _received(signal) if signal.conversation.is_room else None
        case (
            AccountChanged()
            | Announced()
            | BlockListChanged()
            | ContactChanged()
            | Invited()
            | NodeChanged()
            | PresenceChanged()
            | ReadMarked()
            | Relayed()
            | SubscriptionAnswered()
            | SubscriptionAsked()
            | Typing()
            | Whispered()
        ):
            return None
        case _:
            assert_never(signal)
    return None if told is None else (signal.conversation, told)


def status_of_oneself(signal: Signal) -> Status | None:
    """Return what is said of a signal on one's own `status`; None = nothing."""
    match signal:
        case Invited():
            return Status(
                status="invited",
                room=signal.conversation.name,
                by=signal.by.name,
                reason=signal.reason,
                key=signal.key,
            )
        case Announced():
            return Status(status="announced", text=f"{signal.subject}\n{signal.text}".strip("\n"))
        case Receipt():
            return None if signal.conversation.is_room else _received(signal)
        case _:
            return None  # what happens in rooms, and what has a topic of its own


def _received(signal: Receipt) -> Status | None:
    status = "read" if signal.kind is ReceiptKind.READ else "delivered"
    return Status(status=status, name=signal.nick, id=signal.event_id.hex()) if signal.event_id else None


def _gone(cause: Cause) -> str:
    match cause:
        case Cause.PARTED | Cause.QUIT:
            return "left"
        case Cause.KICKED:
            return "kicked"
        case Cause.BANNED:
            return "banned"
        case Cause.MEMBERS_ONLY | Cause.REVOKED:
            return "removed"
        case Cause.DESTROYED:
            return "closed"
        case _:
            assert_never(cause)


def _changed(signal: AttendeeChanged) -> Status:
    attendee = signal.attendee
    role = attendee.role.name.lower()
    if signal.old_nick != attendee.nick:
        return Status(status="renamed", name=attendee.nick, old_name=signal.old_nick)
    if signal.old_role is not attendee.role:
        return Status(status="role", name=attendee.nick, role=role, by=signal.by_nick, reason=signal.reason)
    return Status(status="presence", name=attendee.nick, away=attendee.away)


def _listed(signal: MemberListed) -> Status:
    name, by, reason = signal.actor.name, signal.by_nick, signal.reason
    if signal.role is Role.BANNED:
        return Status(status="banned", name=name, by=by, reason=reason)
    if signal.old_role is Role.BANNED:
        return Status(status="unbanned", name=name, by=by, reason=reason)
    return Status(status="role", name=name, role=signal.role.name.lower(), by=by, reason=reason)
