"""PUBACK, PUBREC, PUBREL and PUBCOMP of one client (MQTT 5.0 §4.3). Compiled by mypyc."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sabir.core.errors import Refusal
from sabir.core.model.changes import Change
from sabir.gateway.contract import Turnstile
from sabir.protocols.mqtt.features.broker import Broker
from sabir.protocols.mqtt.features.sessions import ClientSession
from sabir.protocols.mqtt.features.shelf import received
from sabir.protocols.mqtt.machine import Outbox
from sabir.protocols.mqtt.types import packets as p
from sabir.protocols.mqtt.types.reasons import FAILED, Reason


class Acknowledging:
    """What a client has, and what it is told that we have."""

    def __init__(
        self,
        broker: Broker,
        outbox: Outbox,
        turnstile: Turnstile,
        flush: Callable[[], None],
        failed: Callable[[Refusal], None],
    ) -> None:
        """Serve one connection.

        Args:
            broker: what all connections share.
            outbox: where answers go.
            turnstile: that of the connection; the caller passes it.
            flush: sends what the machine has.
            failed: called when something could not be written.
        """
        self._broker: Final = broker
        self._outbox: Final = outbox
        self._turnstile: Final = turnstile
        self._flush: Final = flush
        self._failed: Final = failed

    def hear(self, session: ClientSession, packet: p.Ack) -> None:
        """Take a packet of the client."""
        kind = packet.kind
        outbox = self._outbox
        packet_id = packet.packet_id
        if kind == p.PUBREL:
            is_known = packet_id in session.inflow.received
            session.inflow.received.pop(packet_id, None)  # [MQTT-4.3.3-11]
            if is_known and session.row:
                # Or the next message under this identifier would pass for this one after a restart.
                self.write_then(p.PUBCOMP, packet_id, [received(session, packet_id, gone=True)])
            else:
                outbox.send_ack(p.PUBCOMP, packet_id, 0 if is_known else Reason.PACKET_ID_NOT_FOUND)
            return
        if kind == p.PUBREC and packet.reason < FAILED:
            sending = session.received(packet_id)
            if sending is not None and sending.row:
                # Or the message would be sent again after a restart, to a client that has forgotten it.
                self.write_then(p.PUBREL, packet_id, [self._broker.shelf.waiting(session, sending)])
            else:
                reason = 0 if sending is not None else Reason.PACKET_ID_NOT_FOUND
                outbox.send_ack(p.PUBREL, packet_id, reason)
            return
        session.acknowledged(packet_id)
        if session.outflow.waiting:
            session.pump()

    def write_then(self, kind: int, packet_id: int, rows: list[Change]) -> None:
        """Acknowledge once `rows` are on disk."""

        def then() -> None:
            self._turnstile.leave()
            self._outbox.send_ack(kind, packet_id)
            self._flush()

        self._turnstile.enter()
        self._broker.services.queues.store(lambda: rows, then, self._failed)
