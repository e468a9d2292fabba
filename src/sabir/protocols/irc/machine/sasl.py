"""AUTHENTICATE (IRCv3 sasl-3.1, sasl-3.2): the chunks of an exchange, not what they prove."""

import base64
import binascii
from typing import Final

CHUNK: Final = 400
"""Characters of base64 in a full line; a shorter one, or "+", ends the message."""


class SaslError(Exception):
    """The exchange is refused: with 905 if `is_too_long`, else 904."""

    def __init__(self, is_too_long: bool) -> None:
        super().__init__("SASL message too long" if is_too_long else "SASL message not base64")
        self.is_too_long = is_too_long


class Exchange:
    """One exchange, from the name of its mechanism on."""

    def __init__(self, mechanism: str, max_bytes: int) -> None:
        self.mechanism = mechanism
        self._max_bytes = max_bytes
        self._chunks: list[str] = []

    def add(self, chunk: str) -> bytes | None:
        """Take one AUTHENTICATE; return the message when it is whole. Raises `SaslError`."""
        if len(chunk) > CHUNK or len(chunk) + len(self._chunks) * CHUNK > self._max_bytes:
            raise SaslError(is_too_long=True)
        if chunk != "+":
            self._chunks.append(chunk)
            if len(chunk) == CHUNK:
                return None
        text, self._chunks = "".join(self._chunks), []
        try:
            return base64.b64decode(text.encode("ascii"), validate=True)
        except (UnicodeEncodeError, binascii.Error) as error:
            raise SaslError(is_too_long=False) from error


def chunks(data: bytes) -> list[str]:
    """Return `data` in the base64 pieces that go in AUTHENTICATE lines."""
    text = base64.b64encode(data).decode()
    pieces = [text[at : at + CHUNK] for at in range(0, len(text), CHUNK)]
    if not pieces or len(pieces[-1]) == CHUNK:
        pieces.append("+")
    return pieces
