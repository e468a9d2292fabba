"""Topics that are rooms: subscribing or publishing to one joins the room, as JOIN does on IRC."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sabir.core.errors import Refusal
from sabir.core.model.conversation import Conversation
from sabir.core.model.signals import Cause
from sabir.core.policy import mask_of
from sabir.core.ports import Session
from sabir.core.services import Services
from sabir.core.services.rooms import Joined

Then = Callable[[Conversation], None]
Refused = Callable[[Refusal], None]


class Attending:
    """The rooms of one connection."""

    def __init__(self, services: Services, owner: Session) -> None:
        self._services: Final = services
        self._owner: Final = owner
        self._rooms: Final[dict[str, Conversation]] = {}
        """By name."""

    def enter(self, room: str, then: Then, refused: Refused, *, key: str = "") -> None:
        """Attend a room, if that is still to be done; `key` is its password."""
        known = self._rooms.get(room)
        if known is not None and self._owner in known.listeners:  # and was not put out
            then(known)
            return

        def joined(outcome: Joined) -> None:
            self._rooms[room] = outcome.conversation
            then(outcome.conversation)

        self._services.rooms.join(
            self._owner,
            room,
            self._owner.actor.name,
            joined,
            refused,
            key=key,
            address=mask_of(self._owner.actor, self._services.domain),
        )

    def leave(self, room: str, then: Callable[[], None] | None = None) -> None:
        """Leave a room, if the client is there."""
        conversation = self._rooms.pop(room, None)
        if conversation is None:
            if then is not None:
                then()
            return
        self._services.rooms.leave(
            self._owner,
            conversation,
            Cause.PARTED,
            "",
            lambda attendee, gone: None if then is None else then(),
            lambda refusal: None if then is None else then(),
        )

    def leave_all_but(self, rooms: list[str]) -> None:
        """Leave the rooms that no filter is about any more."""
        for room in [room for room in self._rooms if room not in rooms]:
            self.leave(room)
