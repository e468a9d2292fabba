"""The two flows of a session (MQTT 5.0 §4.1, §4.3, §4.4, §4.9). Compiled by mypyc."""

from __future__ import annotations

from collections import deque
from typing import Final

from sabir.protocols.mqtt.codec.message import Message

MAX_PACKET_ID: Final = 65_535
MAX_INFLIGHT_BYTES: Final = 16_777_216
"""No more is sent to a client that has not acknowledged this much."""


class Sending:
    """A message on its way to one client."""

    def __init__(
        self, message: Message, qos: int, retain: bool, subscription_ids: tuple[int, ...], share: str = ""
    ) -> None:
        self.message: Final = message
        self.qos: Final = qos
        self.retain: Final = retain
        self.subscription_ids: Final = subscription_ids
        self.share: Final = share
        """The shared subscription that chose this client; empty for its own."""
        self.packet_id = 0
        """0 until it was sent for the first time."""
        self.is_released = False
        """QoS 2: the client has it, and owes a PUBCOMP."""
        self.row = 0
        """Its number in the stored queue; 0 = it is in memory only."""


class Stock:
    """What is kept for the clients of one account together, or for all of them."""

    def __init__(self, everybody: Stock | None = None) -> None:
        self.everybody: Final = everybody
        """That of all; None = it is this one."""
        self.queued_bytes = 0
        """Messages of QoS 1 and 2 on their way, and all that wait."""
        self.filter_bytes = 0
        self.sessions = 0
        """Those that outlive their connection."""

    def hold(self, size_bytes: int) -> None:
        """Note that a message is on its way to one of the clients, or less than nothing: that it is not any more."""
        self.queued_bytes += size_bytes
        if self.everybody is not None:
            self.everybody.queued_bytes += size_bytes

    def keep(self, sessions: int) -> None:
        """Note how many sessions more are to be kept."""
        self.sessions += sessions
        if self.everybody is not None:
            self.everybody.sessions += sessions


_NONE: Final[deque[Sending]] = deque()
"""Stands for the queue of the many for whom nothing waits: an empty one takes three quarters of a KiB."""


class Outflow:
    """What goes to the client."""

    def __init__(self, stock: Stock) -> None:
        self.stock: Final = stock
        self.receive_maximum = MAX_PACKET_ID
        self.inflight: Final[dict[int, Sending]] = {}
        """Sent and not acknowledged, in the order of sending ([MQTT-4.6.0-1])."""
        self.waiting: deque[Sending] = _NONE
        self.waiting_bytes = 0
        self.inflight_bytes = 0
        self._kept: Final[dict[int, None]] = {}  # identifiers of those that wait to be sent again
        self._last_id = 0

    def push(self, sending: Sending) -> None:
        """Put a message at the end of those that wait."""
        if self.waiting is _NONE:
            self.waiting = deque()
        self.waiting.append(sending)
        size = sending.message.size
        self.waiting_bytes += size
        self.stock.hold(size)

    def pop(self) -> Sending:
        """Take the first that waits; the caller has seen that there is one."""
        sending = self.waiting.popleft()
        size = sending.message.size
        self.waiting_bytes -= size
        self.stock.hold(-size)
        return sending

    def may_send(self, sending: Sending | None = None) -> bool:
        """Whether the client takes one more at QoS 1 or 2 ([MQTT-3.3.4-9])."""
        if len(self.inflight) >= self.receive_maximum or self.inflight_bytes > MAX_INFLIGHT_BYTES:
            return False
        return sending is None or not sending.row or _id_of(sending.row) not in self.inflight

    def number(self, sending: Sending) -> None:
        """Give `sending` a packet identifier, unless it has one ([MQTT-2.2.1-4], [MQTT-4.4.0-1])."""
        if sending.packet_id:
            self._kept.pop(sending.packet_id, None)
        elif sending.row:
            sending.packet_id = _id_of(sending.row)
        else:
            number = self._last_id
            while True:
                number = number + 1 if number < MAX_PACKET_ID else 1
                if number not in self.inflight and number not in self._kept:
                    break
            self._last_id = sending.packet_id = number
        self.inflight[sending.packet_id] = sending
        size = sending.message.size
        self.inflight_bytes += size
        self.stock.hold(size)

    def restore(self, sending: Sending) -> None:
        """Put a stored message at the end of those that wait; it may have been sent before."""
        sending.packet_id = _id_of(sending.row)
        self._kept[sending.packet_id] = None
        self.push(sending)

    def rewind(self) -> list[int]:
        """Prepare for a new connection: what was sent waits to be sent again, before all else.

        Returns the packet identifiers of QoS 2 that are to be released again ([MQTT-4.4.0-1]).
        """
        released = []
        again = []
        for packet_id, sending in self.inflight.items():
            if sending.is_released:
                released.append(packet_id)
            else:
                again.append(sending)
        for sending in again:
            del self.inflight[sending.packet_id]
            self.inflight_bytes -= sending.message.size
            self.waiting_bytes += sending.message.size
            self._kept[sending.packet_id] = None
        if again and self.waiting is _NONE:
            self.waiting = deque()
        for sending in reversed(again):
            self.waiting.appendleft(sending)
        return released

    def forget_peer(self) -> list[Sending]:
        """Send nothing again under its old number: the other side remembers none. To be called after `rewind`.

        Returns what it had, and has forgotten only that it owes a PUBCOMP.
        """
        self._kept.clear()
        for sending in self.waiting:
            sending.packet_id = 0
        done = list(self.inflight.values())
        for sending in done:
            self.acknowledged(sending.packet_id)
        return done

    def acknowledged(self, packet_id: int) -> Sending | None:
        """Take note of PUBACK, PUBCOMP, or a PUBREC that refuses; None: nothing of that number was sent."""
        sending = self.inflight.pop(packet_id, None)
        if sending is not None:
            size = sending.message.size
            self.inflight_bytes -= size
            self.stock.hold(-size)
        return sending

    def clear(self) -> list[Sending]:
        """Forget everything; return it in its order."""
        left = [*self.inflight.values(), *self.waiting]
        self.inflight.clear()
        self._kept.clear()
        self.waiting = _NONE
        self.stock.hold(-self.waiting_bytes - self.inflight_bytes)
        self.waiting_bytes = self.inflight_bytes = 0
        return left


def _id_of(row: int) -> int:
    """Return the packet identifier of the message with that number in a stored queue."""
    return (row - 1) % MAX_PACKET_ID + 1


class Inflow:
    """What comes from the client at QoS 2: the identifiers that it has not released yet."""

    def __init__(self) -> None:
        self.received: Final[dict[int, None]] = {}
