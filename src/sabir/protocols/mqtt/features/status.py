"""The topics under `$SYS`: how the broker is, for whoever subscribes to them (MQTT 5.0 §4.7.2)."""

from __future__ import annotations

from typing import Final

from sabir.protocols.mqtt.codec.message import Message
from sabir.protocols.mqtt.features.broker import Broker

_MS_PER_S: Final = 1000
PREFIX: Final = "$SYS/broker/"


class Status:
    """Publishes the topics every `mqtt.status_interval_s`."""

    def __init__(self, broker: Broker, version: str, started_ms: int) -> None:
        self._broker: Final = broker
        self._version: Final = version
        self._started_ms: Final = started_ms
        self._shown: Final[dict[str, str]] = {}

    def start(self) -> None:
        """Publish now, and from now on."""
        interval_s = self._broker.config.status_interval_s
        if interval_s:
            self._publish()
            self._broker.services.scheduler.later(interval_s * _MS_PER_S, self.start)

    def _publish(self) -> None:
        for name, value in self._facts().items():
            if self._shown.get(name) != value:
                self._shown[name] = value
                self._broker.publish(Message(PREFIX + name, value.encode(), 0, True), None)

    def _facts(self) -> dict[str, str]:
        broker = self._broker
        uptime_s = (broker.services.clock.now_ms() - self._started_ms) // _MS_PER_S
        return {
            "version": f"sabir {self._version}",
            "uptime": f"{uptime_s} seconds",
            "clients/connected": str(broker.connected),
            "clients/total": str(len(broker.sessions)),
            "clients/disconnected": str(len(broker.sessions) - broker.connected),
            "messages/received": str(broker.counters.messages_in),
            "messages/sent": str(broker.counters.messages_out),
            "publish/messages/dropped": str(broker.dues.dropped),
            "retained messages/count": str(broker.retained.count),
            "subscriptions/count": str(broker.subscriptions.count),
        }
