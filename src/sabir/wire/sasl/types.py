"""What a server mechanism answers, and why an exchange fails."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

MAX_MESSAGE_BYTES = 4096
"""Longest message of an exchange that is looked at, in either direction."""


class Reason(Enum):
    """Why an exchange failed; the values are those of `server-error-value` where RFC 5802 §7 has one."""

    MALFORMED = "malformed-request"
    INVALID_ENCODING = "invalid-encoding"
    INVALID_USERNAME = "invalid-username-encoding"
    EXTENSIONS_NOT_SUPPORTED = "extensions-not-supported"
    CHANNEL_BINDINGS_DONT_MATCH = "channel-bindings-dont-match"
    CHANNEL_BINDING_NOT_SUPPORTED = "channel-binding-not-supported"
    UNSUPPORTED_CHANNEL_BINDING_TYPE = "unsupported-channel-binding-type"
    DOWNGRADE = "server-does-support-channel-binding"
    NOT_AUTHORIZED = "invalid-proof"
    EXPIRED = "credentials-expired"
    """Not one of RFC 5802: a token whose time is over."""
    UNAVAILABLE = "temporary-auth-failure"
    """Not one of RFC 5802: the server does not let anybody in that way now."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """The client has to answer `data`."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Success:
    """The client is `authcid`; `data` is the server's last word (empty if the mechanism has none).

    `authzid` is whom the client wants to act as, empty if itself: the caller checks that it may.
    """

    data: bytes
    authcid: str
    authzid: str


@dataclass(frozen=True, slots=True)
class Failure:
    """The exchange is over; the caller words `reason` its own way."""

    reason: Reason


Step = Challenge | Success | Failure


@dataclass(frozen=True, slots=True)
class ScramVerifier:
    """What is stored instead of a password (RFC 5802 §3): it can check one, but not log in elsewhere."""

    mechanism: str
    """`SCRAM-SHA-1` or `SCRAM-SHA-256`, without `-PLUS`."""

    iterations: int
    salt: bytes
    stored_key: bytes
    server_key: bytes

    def __repr__(self) -> str:
        return f"ScramVerifier({self.mechanism!r})"


Lookup = Callable[[str], ScramVerifier | None]
"""The stored verifier of a prepared user name for one mechanism; None for an unknown or disabled account."""


class ServerMechanism(Protocol):
    """The server's side of one exchange. It answers every call, whatever the bytes, and raises nothing."""

    def start(self, initial: bytes | None) -> Step:
        """Begin, with the initial response if the client sent one."""

    def respond(self, data: bytes) -> Step:
        """Take the client's answer to the last challenge."""


class SaslClientError(Exception):
    """The server's side of an exchange is wrong: malformed, weak, or it does not know the password."""


class ClientMechanism(Protocol):
    """The client's side of one exchange."""

    name: str

    def start(self) -> bytes:
        """Return the initial response."""

    def respond(self, challenge: bytes) -> bytes:
        """Return the answer to `challenge`. Raises `SaslClientError`."""

    def finish(self, data: bytes | None) -> None:
        """Take the data that came with success. Raises `SaslClientError` if the server proved nothing."""
