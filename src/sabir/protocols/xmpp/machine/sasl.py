"""SASL in the words of RFC 6120 §6, and what both of its profiles share."""

import base64
import binascii
from typing import Final, assert_never

from sabir.wire.sasl.types import Failure, Reason, ServerMechanism, Step
from sabir.wire.xml import escape_text

NAMESPACE: Final = "urn:ietf:params:xml:ns:xmpp-sasl"


class Exchange:
    """One attempt to log in."""

    __slots__ = ("_mechanism",)

    def __init__(self, mechanism: ServerMechanism) -> None:
        self._mechanism: ServerMechanism = mechanism

    def begin(self, text: str | None) -> Step:
        """Begin, with the initial response if there is one."""
        if text is None:
            return self._mechanism.start(None)
        data = decode(text)
        return Failure(Reason.INVALID_ENCODING) if data is None else self._mechanism.start(data)

    def respond(self, text: str) -> Step:
        """Go on with the content of a response."""
        data = decode(text)
        return Failure(Reason.INVALID_ENCODING) if data is None else self._mechanism.respond(data)


def decode(text: str) -> bytes | None:
    """Return the bytes that the base64 `text` stands for, None if it is none."""
    try:
        return base64.b64decode(text.strip().encode(), validate=True)
    except (binascii.Error, ValueError):
        return None


def unpadded(text: str) -> str:
    """Return the base64 that is meant: RFC 6120 §6.4.2: a single equals sign is a message of no bytes."""
    return "" if text == "=" else text


def encode_challenge(data: bytes) -> bytes:
    """Return `<challenge/>`."""
    return _encode("challenge", data)


def encode_success(data: bytes) -> bytes:
    """Return `<success/>`."""
    return _encode("success", data)


def encode_failure(condition: str, text: str) -> bytes:
    """Return `<failure/>` with a condition of RFC 6120 §6.5."""
    words = f"<text xml:lang='en'>{escape_text(text)}</text>" if text else ""
    return f"<failure xmlns='{NAMESPACE}'><{condition}/>{words}</failure>".encode()


def condition_for(reason: Reason) -> tuple[str, str]:
    """Return the condition, and words for it, that tell a client why its login failed (RFC 6120 §6.5)."""
    match reason:
        case Reason.MALFORMED | Reason.EXTENSIONS_NOT_SUPPORTED | Reason.INVALID_USERNAME:
            return "malformed-request", ""
        case Reason.INVALID_ENCODING:
            return "incorrect-encoding", ""
        case Reason.CHANNEL_BINDINGS_DONT_MATCH | Reason.DOWNGRADE:
            return "not-authorized", "The channel binding does not fit: somebody may be in the middle."
        case Reason.CHANNEL_BINDING_NOT_SUPPORTED | Reason.UNSUPPORTED_CHANNEL_BINDING_TYPE:
            return "not-authorized", "This channel binding is not supported here."
        case Reason.NOT_AUTHORIZED:
            return "not-authorized", ""
        case Reason.EXPIRED:
            return "credentials-expired", ""  # RFC 6120 §6.5.3
        case Reason.UNAVAILABLE:
            return "temporary-auth-failure", "Too many people come without an account: try again later."
        case _:
            assert_never(reason)


def _encode(name: str, data: bytes) -> bytes:
    if not data:
        return f"<{name} xmlns='{NAMESPACE}'/>".encode()
    return f"<{name} xmlns='{NAMESPACE}'>{base64.b64encode(data).decode()}</{name}>".encode()
