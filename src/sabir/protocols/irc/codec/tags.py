"""Message tags (IRCv3 message-tags): parsing, escaping, and the line's part before the source."""

import re
from typing import Final

_ESCAPED: Final = {":": ";", "s": " ", "\\": "\\", "r": "\r", "n": "\n"}
_UNSAFE: Final = re.compile(r"[;\s\\]")
_SEQUENCE: Final = re.compile(r"\\(.?)", re.DOTALL)


def parse_tags(text: str) -> dict[str, str]:
    """Return the tags of `text` (without "@"); a tag without value has the empty one."""
    tags: dict[str, str] = {}
    for part in text.split(";"):
        key, _, value = part.partition("=")
        if key:
            tags[key] = unescape(value) if "\\" in value else value  # the last of one name wins
    return tags


def format_tags(tags: dict[str, str]) -> str:
    """Return tags as they stand in a line, without "@"."""
    return ";".join([f"{key}={escape(value)}" if value else key for key, value in tags.items()])


def escape(value: str) -> str:
    """Return `value` as it may stand in a line."""
    if _UNSAFE.search(value) is None:
        return value
    value = value.replace("\\", "\\\\").replace(";", "\\:").replace(" ", "\\s")
    return value.replace("\r", "\\r").replace("\n", "\\n")


def unescape(value: str) -> str:
    """Undo `escape`; a backslash before any other character, or at the end, is dropped."""
    return _SEQUENCE.sub(lambda found: _ESCAPED.get(found.group(1), found.group(1)), value)
