"""What a connection's machine reports to its session."""

from dataclasses import dataclass, field

from sabir.protocols.irc.types.line import Line


@dataclass(frozen=True)
class RegistrationAsked:
    """NICK and USER are there and negotiation is over: the session decides. Asked again after a refusal."""

    nick: str
    username: str
    realname: str
    password: str = field(repr=False)
    """Of PASS, empty if there was none."""


@dataclass(frozen=True)
class SaslBegun:
    """AUTHENTICATE with the name of a mechanism that was offered."""

    mechanism: str


@dataclass(frozen=True)
class SaslAnswered:
    """A whole response, out of its base64 chunks."""

    data: bytes


@dataclass(frozen=True)
class SaslAborted:
    """The client gave up, or went on without waiting; it has been told."""


class Commanded:
    """A command of a registered client that is not the machine's own affair.

    A plain class, as one is made per message.
    """

    def __init__(self, line: Line, label: str) -> None:
        self.line = line
        self.label = label

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Commanded) and self.line == other.line and self.label == other.label

    def __hash__(self) -> int:
        return hash((self.line, self.label))

    def __repr__(self) -> str:
        return f"Commanded({self.line!r}, {self.label!r})"


@dataclass(frozen=True)
class Composed:
    """A whole `draft/multiline` batch. Each piece is a text and whether it continues the one before."""

    command: str
    target: str
    tags: dict[str, str]
    pieces: tuple[tuple[str, bool], ...]
    label: str


@dataclass(frozen=True)
class Ended:
    """The connection is over: flush what is left and close. `reason` is what the others are told."""

    reason: str


Report = RegistrationAsked | SaslBegun | SaslAnswered | SaslAborted | Commanded | Composed | Ended
