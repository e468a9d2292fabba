"""The topics that are chat: `chat/v1/r/<room>/<what>` and `chat/v1/u/<user>/<what>`. Compiled by mypyc."""

from typing import Final

PREFIX: Final = "chat/v1/"

TEXT: Final = "text"
"""A message is its text."""
MSG: Final = "msg"
"""A message is a JSON object, or MIMI content by its content type."""
INBOX: Final = "inbox"
"""The same, of direct messages."""
CBOR: Final = "/cbor"
"""Behind `msg` and `inbox`: the messages as MIMI content, to read."""
TYPING: Final = "typing"
STATUS: Final = "status"
META: Final = "meta"
MEMBERS: Final = "members"
HISTORY: Final = "history"
MODERATION: Final = "mod"
PRESENCE: Final = "presence"
READ: Final = "read"
REPLY: Final = "reply"
"""Where answers to a person's requests go; with any levels behind it."""

_ROOMS: Final = f"{PREFIX}r/"
_USERS: Final = f"{PREFIX}u/"
_THREAD: Final = "t/"
_SAID: Final = (TEXT, MSG)
_OF_ROOM: Final = (*_SAID, TYPING, STATUS, META, MEMBERS, HISTORY)
_OF_USER: Final = (INBOX, TEXT, TYPING, STATUS, HISTORY, PRESENCE, READ)
_FORMS_OF_ROOM: Final = (*_OF_ROOM, MSG + CBOR)
_FORMS_OF_USER: Final = (*_OF_USER, INBOX + CBOR)


class Place:
    """A conversation, and what of it a topic or a filter is about."""

    def __init__(self, is_room: bool, name: str, whats: tuple[str, ...], thread: str = "") -> None:
        self.is_room: Final = is_room
        self.name: Final = name
        self.whats: Final = whats
        self.thread: Final = thread

    @property
    def what(self) -> str:
        """What the topic is about; a filter may be about several things."""
        return self.whats[0]

    def topics(self) -> list[str]:
        """Return the topics that a filter stands for."""
        if self.is_room:
            return [topic_of(self.name, what, self.thread) for what in self.whats]
        return [topic_of_user(self.name, what) for what in self.whats]


def is_chat(name: str) -> bool:
    """Whether a topic, or the filter of a subscription, is about chat: no part of the broker's own space."""
    return name.startswith(PREFIX)


def topic_of(room: str, what: str, thread: str = "") -> str:
    """Return the topic of a room, or of a thread in it."""
    return f"{_ROOMS}{room}/{_THREAD}{thread}/{what}" if thread else f"{_ROOMS}{room}/{what}"


def topic_of_user(name: str, what: str) -> str:
    """Return the topic of a person."""
    return f"{_USERS}{name}/{what}"


def place_of(topic: str) -> Place | None:
    """Return what a topic is to somebody who publishes there; None if there is no such topic."""
    place = _split(topic)
    if place is None:
        return None
    allowed: tuple[str, ...] = _OF_USER
    if place.is_room:
        allowed = _SAID if place.thread else (*_OF_ROOM, MODERATION)
    if not place.is_room and _is_reply(place.what) and "+" not in place.what and "#" not in place.what:
        return place
    return place if place.what in allowed else None


def wanted_of(name: str) -> Place | None:
    """Return what a filter asks for; None if it is about nobody in particular, or there is no such thing.

    `+` and `#` at its end stand for everything but the CBOR forms, which are named only.
    """
    place = _split(name)
    if place is None or "+" in place.name or "#" in place.name or "+" in place.thread or "#" in place.thread:
        return None
    whats: tuple[str, ...] = _OF_ROOM if place.is_room else _OF_USER
    forms: tuple[str, ...] = _FORMS_OF_ROOM if place.is_room else _FORMS_OF_USER
    if place.thread:
        whats, forms = _SAID, (*_SAID, MSG + CBOR)
    if not place.is_room and _is_reply(place.what):
        return place
    if place.what in ("+", "#"):
        return Place(place.is_room, place.name, whats, place.thread)
    return place if place.what in forms else None


def _split(topic: str) -> Place | None:
    if topic.startswith(_ROOMS):
        name, _, what = topic[len(_ROOMS) :].partition("/")
        thread = ""
        if what.startswith(_THREAD):
            thread, _, what = what[len(_THREAD) :].partition("/")
            if not thread:
                return None
        return Place(True, name, (what,), thread) if _is_name(name) and what else None
    if topic.startswith(_USERS):
        name, _, what = topic[len(_USERS) :].partition("/")
        return Place(False, name, (what,)) if _is_name(name) and what else None
    return None


def _is_name(name: str) -> bool:
    """Whether a room or a person may be called so in topics, which have one form each."""
    return bool(name) and name == name.casefold()


def _is_reply(what: str) -> bool:
    return what == REPLY or what.startswith(f"{REPLY}/")
