"""The server's side of ANONYMOUS (RFC 4505): nobody proves anything, and gets a name for once."""

from collections.abc import Callable
from typing import Final

from sabir.wire.sasl.types import Challenge, Failure, Reason, Step, Success

NAME: Final = "ANONYMOUS"
MAX_TRACE_BYTES: Final = 1_020
"""255 characters (RFC 4505 §2)."""


class AnonymousServer:
    """ANONYMOUS: one message, the trace, of which nothing is kept.

    `come` returns the name that the client is given, or None if nobody may come now.
    """

    def __init__(self, come: Callable[[], str | None]) -> None:
        self._come = come

    def start(self, initial: bytes | None) -> Step:
        """Ask for the message, or take it."""
        return Challenge(b"") if initial is None else self.respond(initial)

    def respond(self, data: bytes) -> Step:
        """Take the trace, whatever it is."""
        if len(data) > MAX_TRACE_BYTES:
            return Failure(Reason.MALFORMED)
        name = self._come()
        return Failure(Reason.UNAVAILABLE) if name is None else Success(b"", name, "")
