"""The stored form of what an IRC client said: what a receiver would be given, less what is ours.

Lines, separated by LF, which no line of IRC can hold: the tags as they stand in a line (client-only ones, and
`bot`, which we set), the command, then the text. Each further line of a multi-line message is one line, with
a CR before it if it continues the one before (`draft/multiline-concat`).
"""

from typing import Final

Pieces = tuple[tuple[str, bool], ...]
"""The lines of a message; True: it continues the one before."""

_CONCAT: Final = "\r"


class Said:
    """A message, apart from who said it where."""

    def __init__(self, tags: str, command: str, pieces: Pieces) -> None:
        self.tags = tags
        self.command = command
        self.pieces = pieces

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Said) and (self.tags, self.command, self.pieces) == (
            other.tags,
            other.command,
            other.pieces,
        )

    def __hash__(self) -> int:
        return hash((self.tags, self.command, self.pieces))

    def __repr__(self) -> str:
        return f"Said({self.tags!r}, {self.command!r}, {self.pieces!r})"

    def text(self) -> str:
        """Return the whole text (IRCv3 multiline: joined by a line feed, or directly)."""
        if len(self.pieces) == 1:
            return self.pieces[0][0]
        parts: list[str] = []
        for text, concat in self.pieces:
            if parts and not concat:
                parts.append("\n")
            parts.append(text)
        return "".join(parts)


def to_native(said: Said) -> bytes:
    """Return the stored form of `said`."""
    parts = [said.tags, said.command]
    for text, concat in said.pieces:
        parts.append(_CONCAT + text if concat else text)
    return "\n".join(parts).encode()


def from_native(native: bytes) -> Said:
    """Return what `to_native` stored."""
    tags, _, rest = native.decode(errors="replace").partition("\n")
    command, _, text = rest.partition("\n")
    if "\n" not in text:
        return Said(tags, command, ((text, False),))
    pieces = [(line[1:], True) if line.startswith(_CONCAT) else (line, False) for line in text.split("\n")]
    return Said(tags, command, tuple(pieces))
