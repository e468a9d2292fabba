"""Nicks, channels and masks: what they may look like and when two are the same.

`CASEMAPPING=ascii` (Modern IRC §casemapping): only A-Z and a-z are equal.
"""

import re
from typing import Final

CHANNEL_TYPES: Final = "#"
MAX_NICK: Final = 64
MAX_CHANNEL: Final = 64

_UPPER: Final = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
# Modern IRC §clients
_NICK: Final = re.compile(r"[A-Za-z\[\]\\`_^{|}][A-Za-z0-9\[\]\\`_^{|}.-]*")
# Modern IRC §channels: no space, comma or BELL; ":" and masks would read ambiguously in MODE and WHO.
_CHANNEL: Final = re.compile(r"#[^\s\x00-\x20,:*?@!#][^\s\x00-\x20,:*?@!]*")


def fold(name: str) -> str:
    """Return the form of `name` by which names are compared."""
    return name.lower() if name.isascii() else name.translate(_UPPER)


def is_nick(name: str) -> bool:
    """Whether `name` may be a nick here."""
    return len(name) <= MAX_NICK and _NICK.fullmatch(name) is not None


def is_channel(name: str) -> bool:
    """Whether `name` may be a channel here."""
    return len(name) <= MAX_CHANNEL and _CHANNEL.fullmatch(name) is not None


def looks_like_channel(target: str) -> bool:
    """Whether `target` is meant to be a channel."""
    return target[:1] in CHANNEL_TYPES and target != ""


def mask_of(pattern: str) -> str:
    """Return a ban mask in full, as MODE +b shows it: `nick!user@host`."""
    if pattern[:1] in "$~":
        return pattern  # an extended ban
    nick, bang, rest = pattern.partition("!")
    if not bang and "@" in nick:
        nick, rest = "*", nick
    user, _, host = rest.partition("@")
    return f"{nick or '*'}!{user or '*'}@{host or '*'}"


def matches(pattern: str, text: str) -> bool:
    """Whether `text` fits `pattern`, in which `*` is any run and `?` any one character.

    Linear in the text for each `*`: a pattern cannot be made to take long.
    """
    pattern, text = fold(pattern), fold(text)
    at = place = 0
    star, mark = -1, 0
    while place < len(text):
        if at < len(pattern) and pattern[at] == "*":
            star, mark = at, place
            at += 1
        elif at < len(pattern) and pattern[at] in ("?", text[place]):
            at += 1
            place += 1
        elif star >= 0:
            mark += 1
            at, place = star + 1, mark
        else:
            return False
    return pattern[at:].strip("*") == ""
