"""Names of the core as IRC shows them, and back (PROTOCOLS section 1): a room `x` is `#x`, a nick is a name.

What IRC cannot write is percent-escaped; what it can is the same in both.
"""

import re
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

from sabir.core.model.actor import Actor

_NOT_IN_NAMES: Final = re.compile(r"[\x00-\x20\x7f,:*?@!#&+$%~]")


def channel_of(room: str) -> str:
    """Return the channel that shows the room of this name."""
    return "#" + _escaped(room)


def room_of(channel: str) -> str:
    """Return the name of the room that this channel shows."""
    return unquote(channel[1:])


def nick_of(actor: Actor) -> str:
    """Return the nick of anybody: the account's name, whatever the nick in a room of another protocol."""
    return _escaped(actor.name)


def name_of(nick: str) -> str:
    """Return the name that this nick stands for."""
    return unquote(nick) if "%" in nick else nick


def mask(nick: str, host: str) -> str:
    """Return `nick!user@host`. The user is the nick: there is no ident, and addresses stay private."""
    return f"{nick}!{nick}@{host}"


@lru_cache(maxsize=4096)  # asked for every message: a look-up is a tenth of the search
def _escaped(name: str) -> str:
    return _NOT_IN_NAMES.sub(lambda found: "".join(f"%{byte:02X}" for byte in found.group().encode()), name)
