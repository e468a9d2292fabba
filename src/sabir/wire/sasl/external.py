"""The server's side of EXTERNAL (RFC 4422 Appendix A): the client has proven who it is by other means."""

from collections.abc import Callable
from typing import Final

from sabir.wire.sasl.messages import MAX_NAME_BYTES
from sabir.wire.sasl.types import Challenge, Failure, Reason, Step, Success

NAME: Final = "EXTERNAL"


class ExternalServer:
    """EXTERNAL: one message, whom the client wants to act as.

    `who` is given that, empty if the client leaves it to us, and returns the name that has been proven, or None.
    """

    def __init__(self, who: Callable[[str], str | None]) -> None:
        self._who = who

    def start(self, initial: bytes | None) -> Step:
        """Ask for the message, or take it."""
        return Challenge(b"") if initial is None else self.respond(initial)

    def respond(self, data: bytes) -> Step:
        """Take the identity that the client asks for."""
        if len(data) > MAX_NAME_BYTES or b"\0" in data:
            return Failure(Reason.MALFORMED)
        try:
            authzid = data.decode()
        except UnicodeDecodeError:
            return Failure(Reason.INVALID_ENCODING)
        authcid = self._who(authzid)
        return Failure(Reason.NOT_AUTHORIZED) if authcid is None else Success(b"", authcid, authzid)
