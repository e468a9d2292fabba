"""What is said in the demo, and how that is compared with what a client heard."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Act(Enum):
    """What a line of the conversation is."""

    TEXT = "text"
    REPLY = "reply"
    CORRECTION = "correction"
    REACTION = "reaction"
    ACTION = "action"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the conversation, the same in every protocol."""

    who: str
    act: Act
    text: str
    """What is said; of a reaction, the emoji."""
    about: str = ""
    """The text of the line that this one replies to, corrects or reacts to."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A line as a client got it."""

    line: Line
    shown: str
    """The text as it came: a client without the feature would show this."""
    form: str
    """The protocol's own words that carried it."""


XMPP_NAME: Final = "ada"
IRC_NAME: Final = "grace"
GUEST_NAME: Final = "you"
ROOM: Final = "harbour"

_AHOY: Final = "Ahoy! Can IRC read me?"
_CLEAR: Final = "Loud and clear."
_BORDER: Final = "I saw no border between us."

SCRIPT: Final = (
    Line(XMPP_NAME, Act.TEXT, _AHOY),
    Line(IRC_NAME, Act.REPLY, _CLEAR, _AHOY),
    Line(XMPP_NAME, Act.REACTION, "🎉", _CLEAR),
    Line(XMPP_NAME, Act.TEXT, "We sail at nine."),
    Line(XMPP_NAME, Act.CORRECTION, "We sail at ten.", "We sail at nine."),
    Line(IRC_NAME, Act.REACTION, "👍", "We sail at ten."),
    Line(IRC_NAME, Act.ACTION, "hoists the sails"),
    Line(XMPP_NAME, Act.ACTION, "casts off"),
    Line(IRC_NAME, Act.TEXT, _BORDER),
    Line(XMPP_NAME, Act.REPLY, "There is none: one room.", _BORDER),
)
