"""Bytes to messages and back (RFC 6455 §5). Compiled by mypyc.

However small the pieces are in which a message arrives, its bytes are joined a bounded number of times.
"""

from typing import Final

from sabir.wire.websocket.errors import FrameError

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

NORMAL: Final = 1000
GOING_AWAY: Final = 1001
PROTOCOL_ERROR: Final = 1002
UNSUPPORTED_DATA: Final = 1003
NO_STATUS: Final = 1005
"""Not sent: stands for a close frame without a code."""
INVALID_DATA: Final = 1007
TOO_BIG: Final = 1009
INTERNAL_ERROR: Final = 1011

MAX_CONTROL_BYTES: Final = 125

_FIN: Final = 0x80
_RESERVED: Final = 0x70
_OPCODE: Final = 0x0F
_MASKED: Final = 0x80
_LENGTH: Final = 0x7F
_LENGTH_16: Final = 126
_LENGTH_64: Final = 127
_KEY_BYTES: Final = 4


class Message:
    """A complete message, or a control frame: a message of its own."""

    __slots__ = ("opcode", "payload")

    def __init__(self, opcode: int, payload: bytes) -> None:
        self.opcode: int = opcode
        self.payload: bytes = payload


class Decoder:
    """Cuts what arrives on one connection into messages. After an error it must not be asked again."""

    __slots__ = (
        "_at",
        "_buffer",
        "_fragments",
        "_fragments_bytes",
        "_have",
        "_masked",
        "_need",
        "_opcode",
        "_pieces",
        "max_bytes",
    )

    def __init__(self, max_bytes: int, masked: bool = True) -> None:
        """Decode one direction of a connection.

        Args:
            max_bytes: the longest message that is accepted from now on.
            masked: it is what a client sends.
        """
        self.max_bytes: int = max_bytes
        self._masked: bool = masked
        self._buffer: bytes = b""
        self._at: int = 0
        self._pieces: list[bytes] = []  # of a frame that is not complete
        self._have: int = 0
        self._need: int = 0
        self._opcode: int = CONTINUATION  # of the message whose fragments are being collected
        self._fragments: list[bytes] = []
        self._fragments_bytes: int = 0

    def feed(self, data: bytes) -> None:
        """Take bytes that have arrived; `next` gives what they complete."""
        if self._pieces:
            self._pieces.append(data)
            self._have += len(data)
            if self._have < self._need:
                return
            data = b"".join(self._pieces)
            self._pieces.clear()
        elif self._at < len(self._buffer):
            data = self._buffer[self._at :] + data
        self._buffer = data
        self._at = 0

    def next(self) -> Message | None:
        """Return the next message, or None if more bytes are needed.

        Raises:
            FrameError: if the connection has to end because of what has arrived.
        """
        while not self._pieces:
            data = self._buffer
            at = self._at
            have = len(data) - at
            if have == 0:
                self._buffer = b""
                self._at = 0
                return None
            if have < 2:
                self._wait(2)
                break
            first = data[at]
            second = data[at + 1]
            opcode = first & _OPCODE
            self._check_head(first, second, opcode)
            size = second & _LENGTH
            start = at + 2
            if size >= _LENGTH_16:
                width = 2 if size == _LENGTH_16 else 8
                if have < 2 + width:
                    self._wait(2 + width)
                    break
                size = int.from_bytes(data[start : start + width], "big")
                start += width
                # RFC 6455 §5.2: the length is written in the fewest bytes; the highest bit of 64 is 0.
                if size < _LENGTH_16 or (width == 8 and (size <= 0xFFFF or size >> 63)):
                    raise FrameError(PROTOCOL_ERROR, "the length is not written as it should be")
            if size + self._fragments_bytes > self.max_bytes and opcode < CLOSE:
                raise FrameError(TOO_BIG, "the message is too long")
            if self._masked:
                start += _KEY_BYTES
            end = start + size
            if end > len(data):
                self._wait(end - at)
                break
            payload = data[start:end]
            if self._masked:
                payload = masked(payload, data[start - _KEY_BYTES : start])
            self._at = end
            message = self._message(opcode, payload, first & _FIN != 0)
            if message is not None:
                return message
        return None

    def _check_head(self, first: int, second: int, opcode: int) -> None:
        if first & _RESERVED:
            raise FrameError(PROTOCOL_ERROR, "a reserved bit is set")  # RFC 6455 §5.2: no extension is in use
        if opcode > PONG or BINARY < opcode < CLOSE:
            raise FrameError(PROTOCOL_ERROR, "the opcode is unknown")  # RFC 6455 §5.2
        if (second & _MASKED != 0) != self._masked:
            raise FrameError(PROTOCOL_ERROR, "frames of clients, and only these, are masked")  # RFC 6455 §5.1
        if opcode >= CLOSE and (not first & _FIN or second & _LENGTH > MAX_CONTROL_BYTES):
            raise FrameError(PROTOCOL_ERROR, "a control frame is one short frame")  # RFC 6455 §5.5
        if opcode < CLOSE and (opcode == CONTINUATION) != (self._opcode != CONTINUATION):
            raise FrameError(PROTOCOL_ERROR, "fragments in the wrong order")  # RFC 6455 §5.4

    def _message(self, opcode: int, payload: bytes, is_last: bool) -> Message | None:
        if opcode >= CLOSE:
            return Message(opcode, payload)
        if opcode == CONTINUATION or not is_last:
            if opcode != CONTINUATION:
                self._opcode = opcode
            if payload:
                self._fragments.append(payload)
                self._fragments_bytes += len(payload)
            if not is_last:
                return None
            opcode = self._opcode
            payload = b"".join(self._fragments)
            self._fragments.clear()
            self._fragments_bytes = 0
            self._opcode = CONTINUATION
        if opcode == TEXT:
            check_text(payload)
        return Message(opcode, payload)

    def _wait(self, need: int) -> None:
        """Keep what there is of a frame until `need` bytes of it are there."""
        piece = self._buffer[self._at :]
        self._pieces.append(piece)
        self._have = len(piece)
        self._need = need
        self._buffer = b""
        self._at = 0


def masked(payload: bytes, key: bytes) -> bytes:
    """Return `payload` masked, or unmasked, with `key` (RFC 6455 §5.3)."""
    size = len(payload)
    whole = key * (size // _KEY_BYTES) + key[: size % _KEY_BYTES]
    number = int.from_bytes(payload, "little") ^ int.from_bytes(whole, "little")
    return number.to_bytes(size, "little")


def check_text(payload: bytes) -> None:
    """Check that `payload` is UTF-8.

    Raises:
        FrameError: it is not.
    """
    try:
        payload.decode()
    except UnicodeDecodeError:
        raise FrameError(INVALID_DATA, "the text is not UTF-8") from None  # RFC 6455 §8.1


def read_close(payload: bytes) -> int:
    """Return the code of a close frame, `NO_STATUS` if it has none.

    Raises:
        FrameError: the payload is not one of a close frame.
    """
    if not payload:
        return NO_STATUS
    code = int.from_bytes(payload[:2], "big")
    # RFC 6455 §7.4: codes that are not defined, or never sent; 3000 to 4999 are for libraries and programs.
    if len(payload) < 2 or not (1000 <= code <= 1014 or 3000 <= code <= 4999) or 1004 <= code <= 1006:
        raise FrameError(PROTOCOL_ERROR, "the code is not one to close with")
    check_text(payload[2:])
    return code


def frame_head(opcode: int, size: int) -> bytes:
    """Return what a server sends before the `size` bytes of a message."""
    if size < _LENGTH_16:
        return bytes((_FIN | opcode, size))
    if size <= 0xFFFF:
        return bytes((_FIN | opcode, _LENGTH_16, size >> 8, size & 0xFF))
    return bytes((_FIN | opcode, _LENGTH_64)) + size.to_bytes(8, "big")


def encode(opcode: int, payload: bytes) -> bytes:
    """Return a message of a server, in one frame."""
    return frame_head(opcode, len(payload)) + payload


def encode_masked(opcode: int, payload: bytes, key: bytes, *, is_last: bool = True) -> bytes:
    """Return a frame of a client; `key` is four random bytes (RFC 6455 §5.3)."""
    head = bytearray(frame_head(opcode, len(payload)))
    head[1] |= _MASKED
    if not is_last:
        head[0] &= ~_FIN & 0xFF
    return bytes(head) + key + masked(payload, key)


def encode_close(code: int, what: str = "") -> bytes:
    """Return a close frame; `NO_STATUS` = without a code."""
    payload = b"" if code == NO_STATUS else code.to_bytes(2, "big") + what.encode()[: MAX_CONTROL_BYTES - 2]
    return encode(CLOSE, payload)
