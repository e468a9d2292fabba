"""What a session is told besides log entries: best effort, never stored (DATAMODEL 1.2)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from sabir.core.model.actor import Account, Actor
from sabir.core.model.conversation import Attendee, Conversation, Role
from sabir.core.model.presence import Presence
from sabir.core.model.pubsub import Node, NodeEvent
from sabir.core.model.roster import Contact


class Cause(Enum):
    """Why somebody is no longer in a room."""

    PARTED = "parted"
    """Left on purpose: the end of membership for protocols that have it (IRC PART)."""
    QUIT = "quit"
    """Attendance ended: disconnected, or an XMPP unavailable presence."""
    KICKED = "kicked"
    BANNED = "banned"
    MEMBERS_ONLY = "members only"
    """The room became members-only."""
    REVOKED = "membership revoked"
    """Membership ended in a members-only room."""
    DESTROYED = "destroyed"


class TypingState(Enum):
    """XEP-0085 and IRCv3 typing, in one set."""

    ACTIVE = "active"
    COMPOSING = "composing"
    PAUSED = "paused"
    INACTIVE = "inactive"
    GONE = "gone"


class ReceiptKind(Enum):
    """How far a message got at the other side."""

    DELIVERED = "delivered"
    READ = "read"


@dataclass(frozen=True, slots=True)
class Attended:
    """An actor is in the room now (also a further session of one who was: `first` is false then)."""

    conversation: Conversation
    attendee: Attendee
    first: bool


@dataclass(frozen=True, slots=True)
class AttendeeChanged:
    """Presence, nick or role of an attendee changed. `old_nick` and `old_role` say what was."""

    conversation: Conversation
    attendee: Attendee
    old_nick: str
    old_role: Role
    by_nick: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Departed:
    """An actor has left the room with all sessions; `attendee` is as it was."""

    conversation: Conversation
    attendee: Attendee
    cause: Cause
    by_nick: str = ""
    reason: str = ""
    alternate: str = ""


@dataclass(frozen=True, slots=True)
class MemberListed:
    """The membership of an actor who does not attend changed; for moderators' sessions."""

    conversation: Conversation
    actor: Actor
    role: Role
    old_role: Role
    by_nick: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class MembershipAsked:
    """`actor` wants to be a member, and to be called `nick`; for admins' sessions."""

    conversation: Conversation
    actor: Actor
    nick: str


@dataclass(frozen=True, slots=True)
class Reported:
    """Somebody in the room has reported `reported`; for moderators' sessions."""

    conversation: Conversation
    reported: str
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class RoomConfigured:
    """The configuration or the ban masks of a room changed; `native` is the log entry's."""

    conversation: Conversation
    by_nick: str
    masks: tuple[tuple[str, bool], ...] = ()
    """(pattern, added) where ban masks changed."""
    avatar: bool = False
    """The picture changed."""


@dataclass(frozen=True, slots=True)
class Invited:
    """`by` asks the session's account into a room."""

    conversation: Conversation
    by: Actor
    reason: str
    key: str = ""


@dataclass(frozen=True, slots=True)
class PresenceChanged:
    """A session of a watched actor changed its presence, or sent it to us directly."""

    actor: Actor
    resource: str
    presence: Presence


@dataclass(frozen=True, slots=True)
class ContactChanged:
    """An item of one's own contact list changed (`removed`: it is gone)."""

    contact: Contact
    removed: bool = False


@dataclass(frozen=True, slots=True)
class SubscriptionAsked:
    """`contact.actor` asks to see one's presence."""

    contact: Contact


@dataclass(frozen=True, slots=True)
class SubscriptionAnswered:
    """`actor` granted (`granted`) or revoked what one may see (`own` false).

    Or no longer watches us (`own` true).
    """

    actor: Actor
    granted: bool
    own: bool = False


@dataclass(frozen=True, slots=True)
class BlockListChanged:
    """One's own block list changed; `actors` were blocked or unblocked (empty and unblocked: all of them)."""

    names: tuple[str, ...]
    blocked: bool


@dataclass(frozen=True, slots=True)
class Typing:
    """`actor` is typing, or stopped. In rooms `nick` is the one shown. `native`: that protocol's own form."""

    conversation: Conversation
    actor: Actor
    nick: str
    state: TypingState
    resource: str = ""
    to_resource: str = ""
    protocol: str = ""
    native: bytes = b""


@dataclass(frozen=True, slots=True)
class Receipt:
    """A reader tells a writer how far a message got."""

    conversation: Conversation
    actor: Actor
    nick: str
    kind: ReceiptKind
    event_id: bytes
    native_id: bytes
    """The id that the writer gave the message, where known."""
    resource: str = ""
    to_resource: str = ""
    protocol: str = ""
    native: bytes = b""


@dataclass(frozen=True, slots=True)
class ReadMarked:
    """One's own read marker moved, on another device, by that device's `protocol`."""

    conversation: Conversation
    position: int
    event_id: bytes
    at_ms: int
    protocol: str = ""


@dataclass(frozen=True, slots=True)
class Relayed:
    """Bytes of the session's own protocol from one of its peers, which the core does not interpret.

    `nick` and `conversation` are set where it came from a participant of a room (MUC private messages).
    """

    protocol: str
    payload: bytes
    actor: Actor
    resource: str = ""
    conversation: Conversation | None = None
    nick: str = ""


@dataclass(frozen=True, slots=True)
class Whispered:
    """A private message between two participants of a room.

    Text for other protocols, `native` for its own.
    """

    conversation: Conversation
    actor: Actor
    nick: str
    to_nick: str
    text: str
    protocol: str
    native: bytes


@dataclass(frozen=True, slots=True)
class AccountChanged:
    """The password of the session's account was changed: log in again."""

    account: Account


@dataclass(frozen=True, slots=True)
class Announced:
    """The operator says something to everybody who is connected."""

    text: str
    """May have several lines."""
    subject: str = ""


@dataclass(frozen=True, slots=True)
class NodeChanged:
    """Something happened at a pubsub node that the session may read; whether it is interested is its own to know.

    `items` are (id, payload); `resource` names the device that published them, if known. `wanted`: it has subscribed to
    the node itself. `last`: no news, but what was published last, at `at_ms`. `cache` keeps what was rendered for
    other receivers.
    """

    node: Node
    what: NodeEvent
    items: tuple[tuple[str, bytes], ...] = ()
    resource: str = ""
    wanted: bool = False
    last: bool = False
    at_ms: int = 0
    cache: dict[str, bytes] = field(default_factory=dict)


Signal = (
    Attended
    | AttendeeChanged
    | Departed
    | MemberListed
    | MembershipAsked
    | Reported
    | RoomConfigured
    | Invited
    | PresenceChanged
    | ContactChanged
    | SubscriptionAsked
    | SubscriptionAnswered
    | BlockListChanged
    | Typing
    | Receipt
    | ReadMarked
    | Relayed
    | Whispered
    | AccountChanged
    | Announced
    | NodeChanged
)
