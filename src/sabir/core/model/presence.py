"""How available somebody is (PROTOCOLS 3.2, presence map)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Availability(IntEnum):
    """Several devices: the highest wins."""

    OFFLINE = 0
    EXTENDED_AWAY = 1
    AWAY = 2
    BUSY = 3
    ONLINE = 4
    CHATTY = 5


@dataclass(frozen=True, slots=True)
class Presence:
    """The presence of one session. `native` is its protocol's own form, sanitised, or empty."""

    availability: Availability = Availability.OFFLINE
    status: str = ""
    priority: int = 0
    protocol: str = ""
    native: bytes = b""

    @property
    def is_available(self) -> bool:
        """Whether the session is there at all."""
        return self.availability is not Availability.OFFLINE


OFFLINE = Presence()
