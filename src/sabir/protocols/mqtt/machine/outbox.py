"""What one side of a connection has to send. Compiled by mypyc."""

from __future__ import annotations

from sabir.protocols.mqtt.types import packets as p


class Outbox:
    """What both sides of a connection have in common."""

    def __init__(self) -> None:
        self.over = ""
        """Why the connection ends; empty while it goes on."""
        self._out = bytearray()

    @property
    def version(self) -> int:
        """The version that both speak."""
        return p.V5

    def drain(self) -> bytes:
        """Return what is to be sent."""
        if not self._out:
            return b""
        data = bytes(self._out)
        self._out = bytearray()
        return data

    def send_ack(self, kind: int, packet_id: int, reason: int = 0) -> None:
        """Send PUBACK, PUBREC, PUBREL or PUBCOMP."""
        out = self._out
        out.append(kind << 4 | (2 if kind == p.PUBREL else 0))
        if reason and self.version == p.V5:
            out.append(3)
            out.append(packet_id >> 8)
            out.append(packet_id & 0xFF)
            out.append(reason)
        else:
            out.append(2)
            out.append(packet_id >> 8)
            out.append(packet_id & 0xFF)
