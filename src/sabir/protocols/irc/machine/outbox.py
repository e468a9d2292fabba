"""What waits to be written, and the forms of a server's lines."""

from typing import Final

from sabir.protocols.irc.codec.lines import clip, without_breaks

_UNKNOWN_NICK: Final = "*"


class Outbox:
    """Collects the lines for one client until `drain`."""

    def __init__(self, server: str) -> None:
        self.server = server
        self.nick = _UNKNOWN_NICK
        self._lines: list[bytes] = []

    def send_line(self, text: str, tags: str = "") -> None:
        """Send one line, cut to its limit; `tags` is formatted already, without "@"."""
        text = clip(without_breaks(text))
        if tags:
            text = f"@{tags} {text}"
        self._lines.append(text.encode(errors="replace") + b"\r\n")

    def drain(self) -> bytes:
        """Return what is to be written, once."""
        if not self._lines:
            return b""
        data = self._lines[0] if len(self._lines) == 1 else b"".join(self._lines)
        self._lines = []
        return data

    def numeric(self, number: str, params: str, text: str | None = None) -> str:
        """Return a numeric reply for this client; `params` are words, `text` is the last parameter."""
        line = f":{self.server} {number} {self.nick}"
        if params:
            line += f" {params}"
        return line if text is None else f"{line} :{text}"
