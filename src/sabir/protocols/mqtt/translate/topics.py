"""The topics that are rooms: `chat/v1/r/<room>/<what>`."""

from typing import Final

PREFIX: Final = "chat/v1/"
TEXT: Final = "text"
"""A message is its text."""
MSG: Final = "msg"
"""A message is a JSON object."""

_ROOMS: Final = f"{PREFIX}r/"
_WHATS: Final = (TEXT, MSG)


def is_chat(name: str) -> bool:
    """Whether a topic, or the filter of a subscription, is about chat: no part of the broker's own space."""
    return name.startswith(PREFIX)


def topic_of(room: str, what: str) -> str:
    """Return the topic of a room."""
    return f"{_ROOMS}{room}/{what}"


def room_of(topic: str) -> tuple[str, str] | None:
    """Return the room and what of it a topic is; None if there is no such topic."""
    if not topic.startswith(_ROOMS):
        return None
    room, _, what = topic[len(_ROOMS) :].partition("/")
    return (room, what) if room and what in _WHATS else None


def wanted_of(name: str) -> tuple[str, tuple[str, ...]] | None:
    """Return the room and what of it a filter asks for; None if it is about no room in particular."""
    if not name.startswith(_ROOMS):
        return None
    room, _, what = name[len(_ROOMS) :].partition("/")
    if not room or "+" in room or "#" in room:
        return None
    if what in ("+", "#"):
        return room, _WHATS
    return (room, (what,)) if what in _WHATS else None
