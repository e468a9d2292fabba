"""One line of IRC, and a line that is none."""

from enum import Enum
from typing import Final


class Line:
    """A message (Modern IRC §message-format): tags, source, command in capitals, parameters.

    A plain class: one is made for every line received, and compiled code reads it fast.
    """

    def __init__(self, tags: dict[str, str], source: str, command: str, params: list[str]) -> None:
        self.tags = tags
        self.source = source
        self.command = command
        self.params = params

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Line)
            and self.tags == other.tags
            and self.source == other.source
            and self.command == other.command
            and self.params == other.params
        )

    def __hash__(self) -> int:
        return hash((self.source, self.command, tuple(self.params)))

    def __repr__(self) -> str:
        return f"Line({self.tags!r}, {self.source!r}, {self.command!r}, {self.params!r})"


class Fault(Enum):
    """What is wrong with a line that could not be read."""

    TOO_LONG = "line too long"
    NOT_UTF8 = "not UTF-8"
    FORBIDDEN_CHARACTER = "a NUL"
    NO_COMMAND = "no command"


class Malformed:
    """A line that the codec could not read; the lines around it are not affected."""

    def __init__(self, fault: Fault, command: str) -> None:
        self.fault: Final = fault
        self.command: Final = command
        """The command, where it could be read, else empty."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Malformed) and self.fault is other.fault and self.command == other.command

    def __hash__(self) -> int:
        return hash((self.fault, self.command))

    def __repr__(self) -> str:
        return f"Malformed({self.fault!r}, {self.command!r})"
