"""Conversations: their numbers, members, state, and who attends them now."""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import TYPE_CHECKING, Final

import msgspec

from sabir.core.model.actor import Account, Actor
from sabir.core.model.ids import ActorId, ConversationId
from sabir.core.names import skeleton

if TYPE_CHECKING:
    from sabir.core.ports import Session


# Most conversations are not rooms, and most rooms have none.
_NO_NICKS: Final[dict[ActorId, str]] = {}
_NOBODY: Final[dict[str, ActorId]] = {}
_NO_HATS: Final[dict[str, Hat]] = {}
_BARE: Final[dict[ActorId, tuple[str, ...]]] = {}


class ConversationKind(Enum):
    """Two people, or a room."""

    DIRECT = "direct"
    ROOM = "room"


class Authority(Enum):
    """Who alone decides order, state and membership (DATAMODEL 1.1)."""

    HOSTED = "hosted"
    MATRIX = "matrix"
    REMOTE = "remote"
    FEEDS = "feeds"


class Role(IntEnum):
    """What an actor may do in a room; a higher one includes the lower ones."""

    BANNED = -1
    NONE = 0
    """Not a member: may join if the room is open, and then counts as `MEMBER` or, where moderated,
    `VISITOR`.
    """
    VISITOR = 1
    """May read, not speak, where the room is moderated."""
    MEMBER = 2
    MODERATOR = 3
    ADMIN = 4
    OWNER = 5


class Membership(Enum):
    """How an actor stands to a room, apart from the role."""

    JOIN = "join"
    INVITE = "invite"
    KNOCK = "knock"
    LEAVE = "leave"
    BAN = "ban"


class Visibility(Enum):
    """What a member may read of the time before joining."""

    SHARED = "shared"
    JOINED = "joined"


class Whispers(Enum):
    """Who may send private messages in a room."""

    ANYONE = "anyone"
    PARTICIPANTS = "participants"
    """Those with voice."""
    MODERATORS = "moderators"
    NOBODY = "nobody"


class RoomConfig(msgspec.Struct, frozen=True):
    """What an owner can set. Each protocol shows these under its own names (MUC form, IRC modes)."""

    title: str = ""
    description: str = ""
    listed: bool = True
    """Shown in directories (MUC `muc#roomconfig_publicroom`, IRC not `+s`)."""
    persistent: bool = True
    members_only: bool = False
    """Only members may join (MUC members-only, IRC `+i`)."""
    moderated: bool = False
    """Only those with voice may speak (MUC moderated, IRC `+m`)."""
    key: str = ""
    """Password needed to join (MUC password, IRC `+k`); empty for none."""
    max_attendees: int = 0
    """0 for no limit of the room's own (IRC `+l`)."""
    topic_locked: bool = False
    """Only moderators may set the topic (IRC `+t`)."""
    invites_by_members: bool = False
    """Members, not only moderators, may invite into a members-only room."""
    anonymous: bool = True
    """Only moderators see the accounts behind nicks (MUC semi-anonymous); IRC names are account names
    anyway.
    """
    whispers: Whispers = Whispers.ANYONE
    language: str = ""
    """What is spoken there, as a tag (RFC 5646); empty if nobody has said."""
    max_history: int = 250
    """Messages that somebody who joins is shown unasked or asked, at most; the archive has them all."""
    slow_mode_s: int = 0
    """Seconds between two messages of one person below an admin; 0 for no such rule."""


class Hat(msgspec.Struct, frozen=True):
    """A title that people may be given in a room, on top of their role and without any power."""

    uri: str
    title: str
    hue: str = ""
    """The angle of its colour, from 0 to 360, as text; empty for none."""


class Topic(msgspec.Struct, frozen=True):
    """The subject of a room, and who set it when."""

    text: str
    actor_id: int
    nick: str
    at_ms: int
    event_id: bytes = b""


class BanMask(msgspec.Struct, frozen=True):
    """A pattern of addresses that may not join or speak; accounts are banned by their role instead."""

    pattern: str
    by: str
    at_ms: int


class Member:
    """An actor's lasting relation to a conversation. Those who only attend have none."""

    def __init__(self, actor: Actor, role: Role, membership: Membership, nick: str, durable: bool) -> None:
        self.actor = actor
        self.role = role
        self.membership = membership
        self.nick = nick
        self.durable = durable
        self.reason = ""
        """Why the actor was banned, as the moderator put it."""
        self.since = 0
        """Position of the entry by which the actor joined for good; 0 for one who has not."""


class Attendee:
    """An actor who is in a room now, through one session or more: one participant in every roster.

    `sessions` keeps, for each session, the presence that it sends to this room in its own protocol's form
    (b"" for none). `role` is the effective role: that of the member, or the room's default.
    """

    def __init__(self, actor: Actor, nick: str, role: Role, occupant_id: str, joined_ms: int) -> None:
        self.actor = actor
        self.nick = nick
        self.role = role
        self.occupant_id = occupant_id
        self.joined_ms = joined_ms
        self.entered: dict[Session, None] = {}
        """Sessions that have joined, those included whose join still waits for its commit; `sessions` has the
        others.
        """
        self.sessions: dict[Session, bytes] = {}
        self.away = ""
        """The away message, or the empty string when present."""


class Conversation:
    """A direct conversation or a room, with all that must be at hand to check and number a post.

    `listeners` are the sessions that attend the room: exactly those of `attendees`, kept flat for delivery.
    `parties` are the two local accounts of a direct conversation (one, twice or once, for a note to self); with
    somebody of another server it is the local account, and `peer` is the other.
    """

    def __init__(self, id: ConversationId, uuid: bytes, kind: ConversationKind, name: str) -> None:
        self.id = id
        self.uuid = uuid
        self.kind = kind
        self.is_room: bool = kind is ConversationKind.ROOM
        self.name = name
        """Local part of a room's address (`lobby`); empty for a direct conversation."""
        self.authority = Authority.HOSTED
        self.head_position = 0
        self.tail_position = 1
        self.message_no = 0
        self.pts = 0
        self.state_version = 0
        self.generation = 1
        self.encryption = ""
        self.visibility = Visibility.SHARED
        self.destroyed = False
        self.stored = True
        """Whether the store knows it; a direct conversation is stored with its first entry."""
        self.config = RoomConfig()
        self.topic: Topic | None = None
        self.ban_masks: dict[str, BanMask] = {}
        self.parties: tuple[Account, ...] = ()
        self.peer: Actor | None = None
        self.members: dict[ActorId, Member] = {}
        """To be changed by `set_member` only."""
        self.attendees: dict[ActorId, Attendee] = {}
        self.nicks: dict[str, ActorId] = {}
        """Who has a nick, by its `core.names.skeleton`."""
        self.listeners: dict[Session, Attendee] = {}
        self.registered: dict[ActorId, str] = _NO_NICKS
        """The nicks that members have for themselves; to be changed by `set_registered` only."""
        self.reserved: dict[str, ActorId] = _NOBODY
        """Who those are, by the skeleton of the nick."""
        self.avatar = ""
        """The SHA-1 of the room's picture, in hexadecimal; empty if it has none."""
        self.hats: dict[str, Hat] = _NO_HATS
        """By URI. Replaced as a whole, as is `wearers`."""
        self.wearers: dict[ActorId, tuple[str, ...]] = _BARE
        """The URIs of the hats that people wear."""

    def set_registered(self, actor_id: ActorId, nick: str | None) -> None:
        """Let `nick` be for `actor_id` alone; None gives it free."""
        if self.registered is _NO_NICKS:
            self.registered, self.reserved = {}, {}
        before = self.registered.pop(actor_id, None)
        if before is not None:
            self.reserved.pop(skeleton(before), None)
        if nick is not None:
            self.registered[actor_id] = nick
            self.reserved[skeleton(nick)] = actor_id

    def set_member(self, actor: Actor, member: Member | None) -> None:
        """Put in what `actor` is to the conversation, or take it out."""
        actor.rooms_owned -= self._owns(actor.id)
        if member is None:
            self.members.pop(actor.id, None)
        else:
            self.members[actor.id] = member
        actor.rooms_owned += self._owns(actor.id)

    def set_destroyed(self, destroyed: bool) -> None:
        """Let the room end, or take that back."""
        for member in self.members.values():
            member.actor.rooms_owned -= self._owns(member.actor.id)
        self.destroyed = destroyed
        for member in self.members.values():
            member.actor.rooms_owned += self._owns(member.actor.id)

    def _owns(self, actor_id: ActorId) -> int:
        return int(not self.destroyed and self.role_of(actor_id) is Role.OWNER)

    @property
    def is_note(self) -> bool:
        """Whether somebody talks to nobody else."""
        return len(self.parties) == 1 and self.peer is None

    def other_than(self, actor_id: int) -> Actor:
        """Return the other party of a direct conversation; of a note, its only one."""
        if self.peer is not None and self.peer.id != actor_id:
            return self.peer
        first = self.parties[0].actor
        return first if first.id != actor_id else self.parties[-1].actor

    def role_of(self, actor_id: ActorId) -> Role:
        """Return the stored role of an actor, `Role.NONE` for one who is not a member."""
        member = self.members.get(actor_id)
        return Role.NONE if member is None else member.role
