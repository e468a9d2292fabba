"""The control packets of both versions (MQTT 5.0 §3). Plain classes: one is made per packet."""

from typing import Final

from sabir.protocols.mqtt.types.properties import NONE, Properties

CONNECT: Final = 1
CONNACK: Final = 2
PUBLISH: Final = 3
PUBACK: Final = 4
PUBREC: Final = 5
PUBREL: Final = 6
PUBCOMP: Final = 7
SUBSCRIBE: Final = 8
SUBACK: Final = 9
UNSUBSCRIBE: Final = 10
UNSUBACK: Final = 11
PINGREQ: Final = 12
PINGRESP: Final = 13
DISCONNECT: Final = 14
AUTH: Final = 15

V311: Final = 4
V5: Final = 5


class Packet:
    """Any control packet. `kind` is its type (MQTT 5.0 §2.1.2)."""

    def __init__(self, kind: int, properties: Properties) -> None:
        self.kind: Final = kind
        self.properties = properties


class Will(Packet):
    """What is published for a client that goes without saying goodbye."""

    def __init__(
        self, topic: str, payload: bytes, qos: int, retain: bool, properties: Properties = NONE
    ) -> None:
        super().__init__(PUBLISH, properties)
        self.topic: Final = topic
        self.payload: Final = payload
        self.qos: Final = qos
        self.retain: Final = retain


class Connect(Packet):
    """The first packet of a client."""

    def __init__(
        self,
        version: int,
        client_id: str,
        *,
        clean_start: bool = True,
        keep_alive_s: int = 0,
        will: Will | None = None,
        username: str | None = None,
        password: bytes | None = None,
        properties: Properties = NONE,
    ) -> None:
        super().__init__(CONNECT, properties)
        self.version: Final = version
        self.client_id: Final = client_id
        self.clean_start: Final = clean_start
        self.keep_alive_s: Final = keep_alive_s
        self.will: Final = will
        self.username: Final = username
        self.password: Final = password


class Connack(Packet):
    """The answer to CONNECT. In 3.1.1 `reason` is a return code."""

    def __init__(self, session_present: bool, reason: int, properties: Properties = NONE) -> None:
        super().__init__(CONNACK, properties)
        self.session_present: Final = session_present
        self.reason: Final = reason


class Publish(Packet):
    """An application message on its way. `packet_id` is 0 at QoS 0."""

    def __init__(
        self,
        topic: str,
        payload: bytes,
        qos: int = 0,
        retain: bool = False,
        dup: bool = False,
        packet_id: int = 0,
        properties: Properties = NONE,
        frame: bytes = b"",
    ) -> None:
        super().__init__(PUBLISH, properties)
        self.topic = topic
        self.payload: Final = payload
        self.qos: Final = qos
        self.retain: Final = retain
        self.dup: Final = dup
        self.packet_id: Final = packet_id
        self.frame: Final = frame
        """The whole packet as it came, if a subscriber at QoS 0 would be sent the same."""


class Ack(Packet):
    """PUBACK, PUBREC, PUBREL or PUBCOMP."""

    def __init__(self, kind: int, packet_id: int, reason: int = 0, properties: Properties = NONE) -> None:
        super().__init__(kind, properties)
        self.packet_id: Final = packet_id
        self.reason: Final = reason


class Filter:
    """One topic filter of a SUBSCRIBE, with its options (MQTT 5.0 §3.8.3.1)."""

    def __init__(
        self,
        name: str,
        qos: int = 0,
        no_local: bool = False,
        retain_as_published: bool = False,
        retain_handling: int = 0,
    ) -> None:
        self.name: Final = name
        self.qos: Final = qos
        self.no_local: Final = no_local
        self.retain_as_published: Final = retain_as_published
        self.retain_handling: Final = retain_handling

    @property
    def options(self) -> int:
        """The options as one octet."""
        return (
            self.qos
            | (4 if self.no_local else 0)
            | (8 if self.retain_as_published else 0)
            | self.retain_handling << 4
        )


class Subscribe(Packet):
    """A client wants to be sent messages."""

    def __init__(self, packet_id: int, filters: list[Filter], properties: Properties = NONE) -> None:
        super().__init__(SUBSCRIBE, properties)
        self.packet_id: Final = packet_id
        self.filters: Final = filters


class Unsubscribe(Packet):
    """A client wants to be sent no more of them."""

    def __init__(self, packet_id: int, filters: list[str], properties: Properties = NONE) -> None:
        super().__init__(UNSUBSCRIBE, properties)
        self.packet_id: Final = packet_id
        self.filters: Final = filters


class Answers(Packet):
    """SUBACK or UNSUBACK: a reason code for each filter."""

    def __init__(self, kind: int, packet_id: int, reasons: list[int], properties: Properties = NONE) -> None:
        super().__init__(kind, properties)
        self.packet_id: Final = packet_id
        self.reasons: Final = reasons


class Ping(Packet):
    """PINGREQ or PINGRESP."""

    def __init__(self, kind: int) -> None:
        super().__init__(kind, NONE)


class Disconnect(Packet):
    """The last packet of either side."""

    def __init__(self, reason: int = 0, properties: Properties = NONE) -> None:
        super().__init__(DISCONNECT, properties)
        self.reason: Final = reason


class Auth(Packet):
    """A step of enhanced authentication (MQTT 5.0 §4.12)."""

    def __init__(self, reason: int, properties: Properties = NONE) -> None:
        super().__init__(AUTH, properties)
        self.reason: Final = reason
