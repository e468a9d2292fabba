"""The server's side of HT-SHA-256-*: a login by a token, in one message (draft-schmaus-kitten-sasl-ht-09)."""

import hmac
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from sabir.wire.sasl.messages import MAX_NAME_BYTES
from sabir.wire.sasl.saslprep import saslprep
from sabir.wire.sasl.types import MAX_MESSAGE_BYTES, Failure, Reason, Step, Success

BINDING_OF: Final = {
    "HT-SHA-256-EXPR": "tls-exporter",
    "HT-SHA-256-UNIQ": "tls-unique",
    "HT-SHA-256-ENDP": "tls-server-end-point",
    "HT-SHA-256-NONE": "",
}
"""The mechanisms, strongest first, with the channel binding that each needs."""


class TokenUse:
    """One token that may be used, and whether its time is over."""

    __slots__ = ("has_expired", "secret")

    def __init__(self, secret: bytes, *, has_expired: bool) -> None:
        self.secret = secret
        self.has_expired = has_expired


def token_mechanisms(bindings: Mapping[str, bytes]) -> list[str]:
    """Return the mechanisms that a connection with these channel bindings can offer."""
    return [name for name, binding in BINDING_OF.items() if not binding or binding in bindings]


class TokenServer:
    """The server's side of one of `BINDING_OF`.

    `lookup` returns the tokens of a prepared user name that are good for this mechanism; `used` is told the index
    of the one that was.
    """

    def __init__(
        self,
        name: str,
        lookup: Callable[[str], Sequence[TokenUse]],
        used: Callable[[int], None],
        bindings: Mapping[str, bytes],
    ) -> None:
        binding = BINDING_OF[name]
        self._lookup = lookup
        self._used = used
        self._binding = bindings[binding] if binding else b""
        self._is_over = False

    def start(self, initial: bytes | None) -> Step:
        """Take the only message: the client goes first."""
        return Failure(Reason.MALFORMED) if initial is None else self.respond(initial)

    def respond(self, data: bytes) -> Step:
        """Check `authcid NUL HMAC(token, "Initiator" || channel binding)`."""
        name, separator, proof = data.partition(b"\0")
        if self._is_over or not separator or not name or len(data) > MAX_MESSAGE_BYTES:
            return Failure(Reason.MALFORMED)
        self._is_over = True
        try:
            authcid = saslprep(name.decode()) if len(name) <= MAX_NAME_BYTES else ""
        except ValueError:  # UnicodeDecodeError is one
            return Failure(Reason.INVALID_USERNAME)
        found = -1
        tokens = self._lookup(authcid)
        for index, token in enumerate(tokens):
            if hmac.compare_digest(self._digest(token.secret, b"Initiator"), proof):
                found = index
        if found < 0:
            return Failure(Reason.NOT_AUTHORIZED)
        if tokens[found].has_expired:
            return Failure(Reason.EXPIRED)
        self._used(found)
        return Success(self._digest(tokens[found].secret, b"Responder"), authcid, "")

    def _digest(self, secret: bytes, role: bytes) -> bytes:
        return hmac.digest(secret, role + self._binding, "sha256")
