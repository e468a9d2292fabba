"""What a person sees: chats, messages, and what changes about them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, IntEnum


class Kind(Enum):
    """Whom a chat is with."""

    PERSON = "person"
    ROOM = "room"


class Encryption(Enum):
    """How a message was kept from the servers on its way."""

    NONE = "none"
    OMEMO = "omemo"
    OMEMO_LEGACY = "omemo-legacy"


class Standing(IntEnum):
    """How far a message of ours has come; the greater, the further."""

    FAILED = 0
    WAITING = 1
    SENT = 2
    RECEIVED = 3
    READ = 4


class Link(Enum):
    """The state of the connection."""

    OFFLINE = "offline"
    CONNECTING = "connecting"
    ONLINE = "online"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Chat:
    """A conversation in the list; `jid` is the bare address of the person or the room."""

    jid: str
    kind: Kind
    name: str
    nick: str = ""
    encryption: Encryption = Encryption.NONE
    unread: int = 0
    last: str = ""
    last_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it stands now, after its corrections.

    Attributes:
        number: Its place in the archive of this device.
        origin_id: The id that its sender gave it: what a correction and a receipt name (XEP-0308, XEP-0184).
        stanza_id: The id that the room, or our server, gave it (XEP-0359); empty until it is known.
        reactions: By emoji, who reacted so.
        reply_to: The number of the message that this one answers, if it is here.
        device: Which device of the sender encrypted it, and whether we trust it, in words; empty for plain messages.
    """

    number: int
    chat: str
    sender: str
    mine: bool
    time: datetime
    text: str
    origin_id: str
    stanza_id: str = ""
    standing: Standing = Standing.SENT
    encryption: Encryption = Encryption.NONE
    corrected: bool = False
    retracted: bool = False
    reply_to: int | None = None
    url: str = ""
    device: str = ""
    reactions: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class LinkChanged:
    """The connection is in another state; `why` is for people."""

    link: Link
    why: str = ""


@dataclass(frozen=True, slots=True)
class ChatChanged:
    """The chat's line in the list is another one: its name, how much is unread, how it is encrypted."""

    jid: str


@dataclass(frozen=True, slots=True)
class MessageChanged:
    """A message came, or changed; `fresh` if it came just now and from somebody else."""

    message: Message
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class PresenceChanged:
    """Somebody came, went or is away; `show` is as RFC 6121 §4.7.2.1 has it, `online` or `offline`."""

    jid: str
    show: str


@dataclass(frozen=True, slots=True)
class Typing:
    """Somebody writes, or no longer does (XEP-0085)."""

    chat: str
    who: str
    writing: bool


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to tell the person, that is no message."""

    text: str
    serious: bool = False


Change = LinkChanged | ChatChanged | MessageChanged | PresenceChanged | Typing | Notice
