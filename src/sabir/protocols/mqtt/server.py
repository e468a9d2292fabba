"""The MQTT front end: its listeners, its place on the http listeners, and what its connections share."""

from collections.abc import Callable, Sequence
from typing import Final

from sabir.gateway.contract import Counters, Door, Environment
from sabir.gateway.web import Offer, Socket
from sabir.net.connection import Connection, Handler
from sabir.net.dialer import Call
from sabir.net.listener import Tls
from sabir.protocols.mqtt.config import BridgeConfig, MqttConfig
from sabir.protocols.mqtt.features.broker import Broker
from sabir.protocols.mqtt.features.restoring import restore
from sabir.protocols.mqtt.features.shelf import Shelf
from sabir.protocols.mqtt.features.status import Status
from sabir.protocols.mqtt.machine import Limits
from sabir.protocols.mqtt.session import Bridge, MqttSession, Place
from sabir.protocols.mqtt.translate.content import MqttTranslator
from sabir.protocols.mqtt.translate.said import PROTOCOL

PATH: Final = "/mqtt"
_MS: Final = 1000


class MqttFrontEnd:
    """See `gateway.contract.FrontEnd`."""

    protocol: Final = PROTOCOL

    def __init__(self, config: MqttConfig, environment: Environment) -> None:
        self.counters = Counters(PROTOCOL)
        self._config: Final = config
        limits = Limits(
            max_packet_bytes=config.max_packet_bytes,
            connect_timeout_ms=config.connect_timeout_s * _MS,
            topic_alias_maximum=config.topic_alias_maximum,
        )
        rows = environment.services.queues.take()
        self.broker: Final = Broker(config, environment.services, self.counters, Shelf(rows))
        restore(self.broker, rows)
        self._place: Final = Place(
            self.broker,
            limits,
            environment.logins,
            environment.secret,
            environment.domain,
            plain_logins=environment.plain_logins,
        )
        environment.services.contents.register(PROTOCOL, MqttTranslator(environment.services.people))
        Status(self.broker, environment.version, environment.started_ms).start()

    def start_bridges(self, dial: Callable[[BridgeConfig], Callable[[Call], None]]) -> None:
        """Call the other brokers of the settings.

        Args:
            dial: returns what calls at the address of one.
        """
        for config in self._config.bridges:
            Bridge(self._place, config, dial(config)).start()

    def doors(self) -> Sequence[Door]:
        """See `FrontEnd.doors`."""
        return (
            Door(name="mqtt", port=1883, tls=Tls.NONE),
            Door(name="mqtt-tls", port=8883, tls=Tls.DIRECT, alpn=("mqtt",)),
        )

    def offers(self) -> Sequence[Offer]:
        """Return the WebSocket (MQTT 5.0 §6)."""
        return (
            Socket(
                path=PATH,
                protocol="mqtt",  # [MQTT-6.0.0-4]
                front_end=self,
                connect=self._connect,
                is_text=False,  # [MQTT-6.0.0-1]
                max_message_bytes=self._config.max_packet_bytes,
            ),
        )

    def connect(self, connection: Connection, door: Door) -> Handler:
        """See `FrontEnd.connect`."""
        return self._connect(connection)

    def _connect(self, connection: Connection) -> Handler:
        return MqttSession(self._place, connection)


def front_end(config: MqttConfig, environment: Environment) -> MqttFrontEnd:
    """Return the MQTT front end over the services of `environment`."""
    return MqttFrontEnd(config, environment)
