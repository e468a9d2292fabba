"""How an HTTP connection becomes a WebSocket, on the server's side (RFC 6455 §4.2)."""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from typing import Final

from sabir.wire.websocket.errors import HandshakeError

VERSION: Final = "13"

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY_BYTES: Final = 16


def accept_key(key: str) -> str:
    """Return what proves to a client that sent `key` that we speak the protocol (RFC 6455 §4.2.2)."""
    return base64.b64encode(hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()).decode()


def check(method: str, headers: Mapping[str, str]) -> None:
    """Check the request of a client; names of header fields are in lower case.

    Raises:
        HandshakeError: with the answer to give.
    """
    if method != "GET" or "websocket" not in listed(headers.get("upgrade", "").lower()):
        # RFC 9110 §15.5.22: this address is for the other protocol only.
        raise HandshakeError(426, "this is for web sockets", (("Upgrade", "websocket"),))
    if "upgrade" not in listed(headers.get("connection", "").lower()):
        raise HandshakeError(400, "Connection: Upgrade is missing")  # RFC 6455 §4.2.1
    if headers.get("sec-websocket-version") != VERSION:
        # RFC 6455 §4.4: name the version that is spoken here.
        raise HandshakeError(426, "version 13 is spoken here", (("Sec-WebSocket-Version", VERSION),))
    try:
        key = base64.b64decode(headers.get("sec-websocket-key", "").encode("latin-1"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != _KEY_BYTES:
        raise HandshakeError(400, "Sec-WebSocket-Key is missing")  # RFC 6455 §4.2.1


def listed(value: str) -> list[str]:
    """Return the elements of a header field that is a list (RFC 9110 §5.6.1)."""
    return [element.strip() for element in value.split(",") if element.strip()]
