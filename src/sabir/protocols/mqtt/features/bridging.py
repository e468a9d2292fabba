"""Our session towards another broker: which topics pass, under which names (docs/protocols/mqtt.md). Compiled by mypyc.

It is a session like those of clients, kept for as long as the settings name it: what waits for the other broker waits
in its queue, on disk. Its subscriptions have No Local, so that what comes from the other broker does not go back.
"""

from __future__ import annotations

from typing import Final

from sabir.protocols.mqtt.codec.message import Form, Message
from sabir.protocols.mqtt.config import BridgeConfig
from sabir.protocols.mqtt.features.sessions import BRIDGES, NEVER, ClientSession, Dues
from sabir.protocols.mqtt.features.topics import covers, is_filter, overlap
from sabir.protocols.mqtt.machine import Sending
from sabir.protocols.mqtt.translate.topics import is_chat
from sabir.protocols.mqtt.types.packets import Filter

_NO_IDS: Final[tuple[int, ...]] = ()


class Way:
    """One table of `topics`."""

    def __init__(self, name: str, qos: int, local: str, remote: str) -> None:
        self.qos: Final = qos
        self.local: Final = local
        self.remote: Final = remote
        self.local_filter: Final = local + name
        self.remote_filter: Final = remote + name


class Mapping:
    """What a bridge shares."""

    def __init__(self, config: BridgeConfig) -> None:
        """Read the settings.

        Raises:
            ValueError: says what cannot be shared.
        """
        self.name: Final = config.name
        self.inwards: Final = _ways(config, "in")
        self.outwards: Final = _ways(config, "out")
        for way in (*self.inwards, *self.outwards):
            for name in (way.local_filter, way.remote_filter):
                if not is_filter(name) or name.startswith("$share/") or is_chat(way.local_filter):
                    raise ValueError(f"bridges: {name} cannot be shared")
        if config.version == "3.1.1":
            for way in self.inwards:
                if any(overlap(way.remote_filter, other.remote_filter) for other in self.outwards):
                    # Without No Local the other broker would send us what it has from us.
                    raise ValueError("bridges: topics pass in both directions in version 5.0 only")

    def filters(self) -> list[Filter]:
        """Return what we subscribe to here."""
        return [
            Filter(way.local_filter, way.qos, no_local=True, retain_as_published=True, retain_handling=1)
            for way in self.outwards
        ]

    def wanted(self) -> list[Filter]:
        """Return what we subscribe to at the other broker."""
        return [
            Filter(way.remote_filter, way.qos, no_local=True, retain_as_published=True, retain_handling=1)
            for way in self.inwards
        ]

    def there(self, topic: str) -> str:
        """Return what a topic of ours is called at the other broker; empty if it does not go there."""
        for way in self.outwards:
            if covers(way.local_filter, topic):
                return way.remote + topic[len(way.local) :]
        return ""

    def here(self, topic: str) -> str:
        """Return what a topic of the other broker is called here; empty if we do not want it."""
        for way in self.inwards:
            if covers(way.remote_filter, topic):
                return way.local + topic[len(way.remote) :]
        return ""


class BridgeSession(ClientSession):
    """See the module's text."""

    def __init__(self, dues: Dues, mapping: Mapping) -> None:
        super().__init__(dues, None, mapping.name, BRIDGES)
        self.mapping: Final = mapping
        self.retains = True
        """The other broker keeps retained messages."""
        self.expiry_s = NEVER

    def send_plain(self, message: Message) -> bool:
        """See `ClientSession.send_plain`: here each message has another name."""
        return False

    def forget_peer(self) -> None:
        """Begin anew with a broker that has forgotten us ([MQTT-3.2.2-5])."""
        for sending in self.outflow.forget_peer():
            self.settle(sending)
        self.inflow.received.clear()

    def _form(self, sending: Sending) -> Form:
        message = sending.message
        made = Message(
            self.mapping.there(message.topic) or message.topic,
            message.payload,
            message.qos,
            message.retain,
            message.properties,
            message.expires_ms,
        )
        now_ms = self._dues.clock.now_ms() if message.expires_ms else 0
        return made.special(self.version, sending.qos, sending.retain and self.retains, _NO_IDS, now_ms)


def _ways(config: BridgeConfig, direction: str) -> list[Way]:
    return [
        Way(topic.filter, topic.qos, topic.local, topic.remote)
        for topic in config.topics
        if topic.direction in (direction, "both")
    ]
