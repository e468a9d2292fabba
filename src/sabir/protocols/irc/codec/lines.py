"""Lines: the incremental decoder, and the encoder.

Limits (Modern IRC §message-format, IRCv3 message-tags): 512 bytes with the line end for all but the tags;
4096 bytes of tags from a client, 8191 from a server, with "@" and the space after them.
"""

from typing import Final

from sabir.protocols.irc.codec.tags import format_tags, parse_tags
from sabir.protocols.irc.types.line import Fault, Line, Malformed

MAX_LINE_BYTES: Final = 512
MAX_TEXT_BYTES: Final = MAX_LINE_BYTES - 2
MAX_CLIENT_TAG_BYTES: Final = 4096
MAX_SERVER_TAG_BYTES: Final = 8191

_SPACE: Final = 0x20
_AT: Final = 0x40


class Decoder:
    """Cuts a stream of bytes into lines. It holds at most one line, never more than the limits."""

    def __init__(self, max_tag_bytes: int = MAX_CLIENT_TAG_BYTES) -> None:
        self._max_tag_bytes = max_tag_bytes
        self._rest = b""
        self._discarding = False

    def feed(self, data: bytes) -> list[Line | Malformed]:
        """Return the lines that `data` completes, in order. Raises nothing, whatever the bytes."""
        found: list[Line | Malformed] = []
        if not data:
            return found
        if self._rest:
            data = self._rest + data
            self._rest = b""
        # Modern IRC §compatibility-with-incorrect-software: a lone CR or LF ends a line too.
        pieces = data.splitlines()
        unfinished = b"" if data.endswith((b"\n", b"\r")) else pieces.pop()
        max_tag_bytes = self._max_tag_bytes
        for raw in pieces:
            if self._discarding:
                self._discarding = False
            elif raw:
                found.append(read_line(raw, max_tag_bytes))
        if unfinished:
            self._keep(unfinished, found)
        return found

    def _keep(self, piece: bytes, found: list[Line | Malformed]) -> None:
        """Hold an unfinished line, unless it is too long already: then report it and skip to its end."""
        if self._discarding:
            return
        if _is_too_long(piece, self._max_tag_bytes):
            found.append(Malformed(Fault.TOO_LONG, ""))
            self._discarding = True
            return
        self._rest = piece


def read_line(raw: bytes, max_tag_bytes: int = MAX_CLIENT_TAG_BYTES) -> Line | Malformed:
    """Return the line in `raw` (without its end)."""
    if len(raw) > MAX_TEXT_BYTES and _is_too_long(raw, max_tag_bytes):
        return Malformed(Fault.TOO_LONG, "")
    if 0 in raw:  # as a number: bytes within bytes are looked for at ten times the cost
        return Malformed(Fault.FORBIDDEN_CHARACTER, "")
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        # IRCv3 utf8-only: the refusal names the command
        line = parse_line(raw.decode(errors="replace"))
        return Malformed(Fault.NOT_UTF8, line.command if line is not None and line.command.isascii() else "")
    parsed = parse_line(text)
    return Malformed(Fault.NO_COMMAND, "") if parsed is None else parsed


def _is_too_long(raw: bytes, max_tag_bytes: int) -> bool:
    if raw[0] != _AT:
        return len(raw) > MAX_TEXT_BYTES
    end = raw.find(b" ", 0, max_tag_bytes)
    if end < 0:
        return len(raw) >= max_tag_bytes
    return len(raw) - end - 1 > MAX_TEXT_BYTES


def parse_line(text: str) -> Line | None:
    """Return the parts of a line, or None if it has no command."""
    tags: dict[str, str] = {}
    source = ""
    if text.startswith("@"):
        head, _, text = text.partition(" ")
        tags = parse_tags(head[1:])
        text = text.lstrip(" ")
    if text.startswith(":"):
        source, _, text = text[1:].partition(" ")
        text = text.lstrip(" ")
    head, separator, trailing = text.partition(" :")
    params = head.split(" ")
    if "" in params:
        params = [param for param in params if param]
    if not params:
        return None
    command = params.pop(0).upper()
    if separator:
        params.append(trailing)
    return Line(tags, source, command, params)


def format_line(command: str, params: list[str] | tuple[str, ...], source: str = "") -> str:
    """Return a line as text, without tags and end. Only the last parameter may hold spaces or be empty."""
    words = [f":{source}", command] if source else [command]
    if params:
        words.extend(params[:-1])
        last = params[-1]
        words.append(f":{last}" if not last or " " in last or last[0] == ":" else last)
    return " ".join(words)


def encode(line: Line) -> bytes:
    """Return `line` as it goes on the wire. Characters that would break it are dropped."""
    text = format_line(line.command, [without_breaks(param) for param in line.params], line.source)
    tags = f"@{format_tags(line.tags)} " if line.tags else ""
    return (tags + clip(text) + "\r\n").encode()


def without_breaks(text: str) -> str:
    """Return `text` without the characters that cannot stand in a line (Modern IRC §message-format)."""
    if "\n" in text or "\r" in text or "\0" in text:
        return text.replace("\r", "").replace("\n", " ").replace("\0", "")
    return text


def clip(text: str, limit: int = MAX_TEXT_BYTES) -> str:
    """Return `text` cut to `limit` bytes, never within a character (IRCv3 utf8-only)."""
    if len(text) * 4 <= limit:
        return text
    raw = text.encode(errors="replace")
    if len(raw) <= limit:
        return text
    return raw[:limit].decode(errors="ignore")


def split_text(text: str, limit: int) -> list[str]:
    """Return `text` in pieces of at most `limit` bytes, cut after a space where there is one.

    Joined, the pieces are the text again; the space stays at the end of its piece (`draft/multiline`).
    """
    pieces: list[str] = []
    raw = text.encode(errors="replace")
    while len(raw) > limit:
        end = raw.rfind(b" ", limit // 2, limit) + 1
        if end <= 0:
            end = limit
            while raw[end] & 0xC0 == 0x80:  # within a character
                end -= 1
        pieces.append(raw[:end].decode())
        raw = raw[end:]
    pieces.append(raw.decode())
    return pieces
