"""What a person sees in any client, in words that belong to no protocol.

Other messages are named by their text: a driver resolves its protocol's ids to the message that its own
client showed, so that an id that leads nowhere is seen as a failure.
"""

from dataclasses import dataclass
from typing import Final, NewType, TypeAlias

Where = NewType("Where", str)
"""`lobby` is a room, `@bob` the direct conversation with bob."""


GONE: Final = ""


@dataclass(frozen=True, slots=True)
class Said:
    """A message, perhaps an answer to another one."""

    author: str
    text: str
    reply_to: str = ""
    emote: bool = False
    notice: bool = False
    mentions: tuple[str, ...] = ()
    thread: str = ""
    file: str = ""
    """The URL of a file that it shares."""


@dataclass(frozen=True, slots=True)
class Corrected:
    """`target` now reads `text`."""

    author: str
    target: str
    text: str


@dataclass(frozen=True, slots=True)
class Retracted:
    """`target` was taken back; it is `GONE` to a client that comes too late to have seen it."""

    author: str
    target: str


@dataclass(frozen=True, slots=True)
class Reacted:
    """A reaction was put on `target`."""

    author: str
    target: str
    emoji: str


@dataclass(frozen=True, slots=True)
class Unreacted:
    """A reaction was removed from `target`."""

    author: str
    target: str
    emoji: str


@dataclass(frozen=True, slots=True)
class Typing:
    """Somebody is typing."""

    author: str


@dataclass(frozen=True, slots=True)
class Read:
    """`reader` has read everything up to `target`."""

    reader: str
    target: str


@dataclass(frozen=True, slots=True)
class TopicIs:
    """The topic of the room was set."""

    author: str
    text: str


@dataclass(frozen=True, slots=True)
class Joined:
    """Somebody came in."""

    name: str


@dataclass(frozen=True, slots=True)
class Left:
    """Somebody left of their own will."""

    name: str


@dataclass(frozen=True, slots=True)
class Kicked:
    """Somebody was put out, and may come back."""

    name: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Banned:
    """Somebody may not come back."""

    name: str
    by: str


@dataclass(frozen=True, slots=True)
class Invited:
    """One is asked to come in."""

    by: str


@dataclass(frozen=True, slots=True)
class InPieces:
    """Only expected, never seen: messages in a row by `author` that together read `text`."""

    author: str
    text: str


Observation: TypeAlias = (
    Said
    | Corrected
    | Retracted
    | Reacted
    | Unreacted
    | Typing
    | Read
    | TopicIs
    | Joined
    | Left
    | Kicked
    | Banned
    | Invited
)


def direct(name: str) -> Where:
    """Return the direct conversation with `name`."""
    return Where(f"@{name}")


def fits(seen: list[Observation], expected: tuple[Observation | InPieces, ...]) -> bool:
    """Say whether exactly this was seen, in this order."""
    rest = list(seen)
    for one in expected:
        if not isinstance(one, InPieces):
            if not rest or rest.pop(0) != one:
                return False
            continue
        joined = ""
        while joined != one.text:
            piece = rest.pop(0) if rest else None
            if not isinstance(piece, Said) or piece.author != one.author:
                return False
            joined += piece.text
    return not rest
