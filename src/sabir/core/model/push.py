"""Waking a device that is not connected: what its service is told, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sabir.core.model.actor import Account
    from sabir.core.model.conversation import Conversation
    from sabir.core.model.event import Event


class PushOutcome(Enum):
    """What the service of a device said."""

    TAKEN = "taken"
    LATER = "later"
    """It could not be reached, or wants to be asked later."""
    GONE = "gone"
    """It does not know the device any more."""


@dataclass(frozen=True, slots=True)
class PushNotice:
    """Why a device is woken. What of it the service may see is the gateway's to decide."""

    account: Account
    conversation: Conversation
    event: Event
    """The latest of them."""
    count: int
    """How many messages came since the device was last awake."""
    text: str
    """What the latest says; empty where it is encrypted or not for others to see."""
    urgent: bool
    """Whether somebody waits: a message to this person, a call."""
