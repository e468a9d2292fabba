"""What rooms and nicks may be called, and which names are taken for one another."""

from __future__ import annotations

import unicodedata
from typing import Final

MAX_NAME: Final = 64
MAX_NICK: Final = 64

_FIRST_MARK_ABOVE_OR_BELOW: Final = 200
"""Canonical combining classes from here on are of accents; below are vowels and the like, which make other words."""
_UNSEEN: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""What is printed as nothing, or as a space, though it is a letter or a mark (Unicode: default ignorable)."""

# Small letters that are printed as a Latin one is: the part of Unicode's table of confusables (UTS #39) that people
# use to pose as others. All of it would change with every version of Unicode.
_LOOKALIKES: Final = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u04bb\u0501\u051b\u051d\u0475"  # Cyrillic
    "\u03bf\u03bd\u03b1\u03c1\u03b9\u03f2\u03f3"  # Greek
    "\u0131\u0251\u0261",  # Latin: dotless i, alpha, script g
    "aeopcyxijshdqwvovapicjiag",
)


def fold(name: str) -> str:
    """Return the form under which names of rooms and nicks are looked up: without regard to case."""
    return name.casefold()


def skeleton(nick: str) -> str:
    """Return what is left of a nick if one does not look closely: no two people in a room may share it.

    Case, compatibility forms (ａｄａ, 𝐚𝐝𝐚), accents and what is not seen at all make no difference, nor does it make
    one whether a letter is Latin or the Cyrillic or Greek one that is printed the same.
    """
    if nick.isascii():
        return nick.casefold()
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", nick).casefold())
    return "".join([char for char in plain if not _is_overlooked(char)]).translate(_LOOKALIKES)


def is_nick(nick: str) -> bool:
    """Return whether somebody may be shown under this nick."""
    return 0 < len(nick) <= MAX_NICK and nick.isprintable() and nick == nick.strip() and bool(skeleton(nick))


def is_room_name(name: str) -> bool:
    """Return whether a new room may be called so.

    Valid as a JID localpart and, behind `#`, as an IRC channel. What compatibility mappings change (RFC 3491)
    would be another room to those who name it by an address.
    """
    if not 0 < len(name) <= MAX_NAME or not name.isprintable():
        return False
    if unicodedata.normalize("NFKC", fold(name)) != fold(name):
        return False
    return not any(char in " ,:\"&'/<>@#\\" for char in name)


def _is_overlooked(char: str) -> bool:
    if char.isascii():
        return False
    if unicodedata.combining(char) >= _FIRST_MARK_ABOVE_OR_BELOW or char in _UNSEEN:
        return True
    return (
        unicodedata.category(char) in ("Cc", "Cf", "Me")
        or "\ufe00" <= char <= "\ufe0f"
        or char > "\U000e00ff"
    )
