"""SASL on an XMPP stream (RFC 6120 §6): the exchange of one connection, attempt by attempt."""

import base64
import binascii
from typing import Final, assert_never

from sabir.wire.sasl.types import Challenge, Failure, Reason, ServerMechanism, Step, Success
from sabir.wire.xml import Element, escape_text

NAMESPACE: Final = "urn:ietf:params:xml:ns:xmpp-sasl"


class Exchange:
    """One attempt to log in."""

    __slots__ = ("_mechanism",)

    def __init__(self, mechanism: ServerMechanism) -> None:
        self._mechanism: ServerMechanism = mechanism

    def start(self, text: str) -> Step:
        """Begin with the content of `<auth/>`."""
        if not text:
            return self._mechanism.start(None)
        data = decode(text)
        return Failure(Reason.INVALID_ENCODING) if data is None else self._mechanism.start(data)

    def respond(self, text: str) -> Step:
        """Go on with the content of `<response/>`."""
        data = decode(text)
        return Failure(Reason.INVALID_ENCODING) if data is None else self._mechanism.respond(data)


def decode(text: str) -> bytes | None:
    """Return the bytes that the base64 `text` stands for, None if it is none; `=` is the empty message."""
    if text in ("", "="):
        return b""  # RFC 6120 §6.4.2: a single equals sign is a response of no bytes
    try:
        return base64.b64decode(text.encode(), validate=True)
    except (binascii.Error, ValueError):
        return None


def encode_step(step: Challenge | Success) -> bytes:
    """Return `<challenge/>` or `<success/>`."""
    name = "challenge" if isinstance(step, Challenge) else "success"
    if not step.data:
        return f"<{name} xmlns='{NAMESPACE}'/>".encode()
    return f"<{name} xmlns='{NAMESPACE}'>{base64.b64encode(step.data).decode()}</{name}>".encode()


def encode_failure(condition: str, text: str = "") -> bytes:
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
        case _:
            assert_never(reason)


def mechanism_of(auth: Element) -> str:
    """Return the name of the mechanism that `<auth/>` asks for, cut to a sane length."""
    return (auth.get("mechanism") or "")[:40]
