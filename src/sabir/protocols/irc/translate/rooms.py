"""Roles and the configuration of a room as channel modes, and state entries as lines (PROTOCOLS 3.2)."""

from dataclasses import dataclass
from typing import Final

import msgspec

from sabir.core.model.conversation import Conversation, Role, RoomConfig
from sabir.core.model.event import Event
from sabir.core.model.state import StateEntry, TopicChanged, decode_state

LETTERS: Final[dict[Role, str]] = {
    Role.OWNER: "q",
    Role.ADMIN: "a",
    Role.MODERATOR: "o",
    Role.MEMBER: "v",
}
ROLES: Final[dict[str, Role]] = {letter: role for role, letter in LETTERS.items()}
SIGNS: Final[dict[str, str]] = {"q": "~", "a": "&", "o": "@", "v": "+"}
"""PREFIX=(qaov)~&@+"""


@dataclass(frozen=True, slots=True)
class Mode:
    """One change of a channel mode; `argument` is empty where the mode has none."""

    is_set: bool
    letter: str
    argument: str = ""


def letter_of(conversation: Conversation, actor_id: int, role: Role) -> str:
    """Return the membership mode that shows an attendee's effective role; empty for none.

    A voice is shown to those who were given one, not to everybody in a room that is not moderated.
    """
    if role is Role.MEMBER:
        member = conversation.members.get(actor_id)  # type: ignore[call-overload]  # rows hold plain ints
        return "v" if member is not None and member.role is Role.MEMBER else ""
    return LETTERS.get(role, "")


def modes_of(config: RoomConfig, *, shows_key: bool) -> list[Mode]:
    """Return the modes that are set by a room's configuration; +n always: nobody speaks from outside."""
    modes = [Mode(True, "n")]
    if config.topic_locked:
        modes.append(Mode(True, "t"))
    if config.members_only:
        modes.append(Mode(True, "i"))
    if config.moderated:
        modes.append(Mode(True, "m"))
    if not config.listed:
        modes.append(Mode(True, "s"))
    if config.key:
        modes.append(Mode(True, "k", config.key if shows_key else "*"))
    if config.max_attendees:
        modes.append(Mode(True, "l", str(config.max_attendees)))
    return modes


def difference(old: RoomConfig, new: RoomConfig) -> list[Mode]:
    """Return the mode changes between two configurations."""
    before = {mode.letter: mode for mode in modes_of(old, shows_key=True)}
    after = {mode.letter: mode for mode in modes_of(new, shows_key=True)}
    gone = [Mode(False, letter, old.key if letter == "k" else "") for letter in before if letter not in after]
    return gone + [mode for letter, mode in after.items() if before.get(letter) != mode]


def configured(config: RoomConfig, mode: Mode) -> RoomConfig | None:
    """Return `config` with one mode changed, or None if `mode` is no part of it."""
    match mode.letter:
        case "i":
            return msgspec.structs.replace(config, members_only=mode.is_set)
        case "m":
            return msgspec.structs.replace(config, moderated=mode.is_set)
        case "t":
            return msgspec.structs.replace(config, topic_locked=mode.is_set)
        case "s":
            return msgspec.structs.replace(config, listed=not mode.is_set)
        case "k":
            return msgspec.structs.replace(config, key=mode.argument if mode.is_set else "")
        case "l":
            limit = int(mode.argument) if mode.is_set and mode.argument.isdecimal() else 0
            return msgspec.structs.replace(config, max_attendees=min(limit, 1_000_000))
        case "n":
            return config
        case _:
            return None


def written(modes: list[Mode]) -> str:
    """Return modes as the parameters of MODE: `+nk-t key`."""
    letters: list[str] = []
    sign = ""
    for mode in modes:
        wanted = "+" if mode.is_set else "-"
        letters.append(mode.letter if wanted == sign else wanted + mode.letter)
        sign = wanted
    return " ".join(["".join(letters), *[mode.argument for mode in modes if mode.argument]])


def state_of(event: Event) -> StateEntry | None:
    """Return what an entry of the core says, or None if it is damaged."""
    try:
        return decode_state(event.native)
    except msgspec.MsgspecError:
        return None


def topic_text(event: Event) -> str:
    """Return the topic that an entry sets, in one line."""
    entry = state_of(event)
    return entry.text.replace("\r", "").replace("\n", " ") if isinstance(entry, TopicChanged) else ""
