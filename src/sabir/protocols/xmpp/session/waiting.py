"""What a client is shown when somebody looks at it again (XEP-0352 §4): the latest of each, and no more."""

from typing import Final

from sabir.core.model.event import Event
from sabir.core.model.signals import PresenceChanged, Signal, Typing

MAX_KEPT: Final = 1_000
"""Presences, and people typing, that are kept."""


class Waiting:
    """Presences and typing that wait, the latest of each person."""

    __slots__ = ("_presences", "_typing")

    def __init__(self) -> None:
        self._presences: dict[tuple[int, str], PresenceChanged] = {}
        self._typing: dict[tuple[int, int], Typing] = {}

    def __bool__(self) -> bool:
        return bool(self._presences or self._typing)

    def keep_presence(self, signal: PresenceChanged) -> bool:
        """Keep a presence; return whether that makes too many, so that all should be shown."""
        key = (signal.actor.id, signal.resource)
        self._presences.pop(key, None)
        self._presences[key] = signal
        return len(self._presences) > MAX_KEPT

    def keep_typing(self, signal: Typing) -> None:
        """Keep what somebody does in a conversation; beyond a bound it is forgotten."""
        key = (signal.conversation.id, signal.actor.id)
        self._typing.pop(key, None)
        if len(self._typing) < MAX_KEPT:
            self._typing[key] = signal

    def said(self, event: Event) -> None:
        """Note that somebody has said what they typed."""
        self._typing.pop((event.conversation_id, event.actor_id), None)

    def take(self) -> list[Signal]:
        """Return everything, once."""
        kept: list[Signal] = [*self._presences.values(), *self._typing.values()]
        self._presences, self._typing = {}, {}
        return kept
