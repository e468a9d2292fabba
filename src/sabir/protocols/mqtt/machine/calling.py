"""The client's side of a connection, for bridges (MQTT 5.0 §3.1, §3.12). Compiled by mypyc."""

from __future__ import annotations

from typing import Final

from sabir.protocols.mqtt.codec.decoder import Decoder, Names
from sabir.protocols.mqtt.codec.encoder import encode
from sabir.protocols.mqtt.errors import MqttSyntaxError
from sabir.protocols.mqtt.machine.connection import Broken
from sabir.protocols.mqtt.machine.outbox import Outbox
from sabir.protocols.mqtt.types import packets as p
from sabir.protocols.mqtt.types import properties as ids
from sabir.protocols.mqtt.types.properties import NONE
from sabir.protocols.mqtt.types.reasons import Reason

CONNECT_TIMEOUT_MS: Final = 15_000
_MS_PER_S: Final = 1000
_FROM_SERVERS: Final = frozenset(
    (p.PUBLISH, p.PUBACK, p.PUBREC, p.PUBREL, p.PUBCOMP, p.SUBACK, p.UNSUBACK, p.DISCONNECT)
)


class Caller(Outbox):
    """See the module's text."""

    def __init__(self, version: int, max_packet_bytes: int, names: Names, now_ms: int) -> None:
        super().__init__()
        self.is_connected = False
        """The server has let us in."""
        self.keep_alive_s = 0
        self._version: Final = version
        self._decoder: Final = Decoder(max_packet_bytes, names, version)
        self._sent_ms = now_ms
        self._asked_ms = 0  # when PINGREQ was sent that is not answered yet
        self._is_deaf = False

    @property
    def version(self) -> int:
        """The version that both speak."""
        return self._version

    def connect(self, packet: p.Connect) -> None:
        """Say who we are; what follows is for a server that has answered."""
        self.keep_alive_s = packet.keep_alive_s
        self.send(packet)

    def receive(self, data: bytes, now_ms: int) -> list[p.Packet]:
        """Take bytes; return the packets in them that the session has to see to."""
        heard: list[p.Packet] = []
        if self.over or self._is_deaf:
            return heard
        decoder = self._decoder
        decoder.feed(data)
        try:
            while True:
                packet = decoder.next()
                if packet is None:
                    break
                self._check(packet)
                if packet.kind == p.PINGRESP:
                    self._asked_ms = 0
                else:
                    heard.append(packet)
        except MqttSyntaxError as error:
            self._is_deaf = True
            heard.append(Broken(error.reason, str(error)))
        return heard

    def tick(self, now_ms: int) -> None:
        """Ask whether the server is there, or give it up ([MQTT-3.1.2-20])."""
        deadline_ms = self.next_deadline_ms()
        if not deadline_ms or now_ms < deadline_ms:
            return
        if not self.is_connected:
            self.over = "no CONNACK in time"
        elif self._asked_ms:
            self.over = "no PINGRESP in time"
        else:
            self._asked_ms = self._sent_ms = now_ms
            self._out += b"\xc0\x00"

    def next_deadline_ms(self) -> int:
        """Return when `tick` is due; 0 = never."""
        if self.over:
            return 0
        if not self.is_connected:
            return self._sent_ms + CONNECT_TIMEOUT_MS
        half_ms = self.keep_alive_s * _MS_PER_S // 2
        if not half_ms:
            return 0
        return (self._asked_ms or self._sent_ms) + half_ms

    def send(self, packet: p.Packet) -> None:
        """Send a packet."""
        self._out += encode(packet, self._version)

    def end(self, reason: Reason, what: str) -> None:
        """Say goodbye, in 5.0 with a reason."""
        if not self.over:
            if self.is_connected and (self._version == p.V5 or reason is Reason.SUCCESS):
                self.send(p.Disconnect(reason))
            self.over = what

    def _check(self, packet: p.Packet) -> None:
        if not self.is_connected:
            if packet.kind != p.CONNACK:
                raise MqttSyntaxError(
                    "the first packet is not CONNACK", Reason.PROTOCOL_ERROR
                )  # [MQTT-3.2.0-1]
            assert isinstance(packet, p.Connack)
            self.is_connected = packet.reason == Reason.SUCCESS
            keep_alive_s = packet.properties.number(ids.SERVER_KEEP_ALIVE, -1)
            if keep_alive_s >= 0:
                self.keep_alive_s = keep_alive_s  # [MQTT-3.2.2-21]
        elif packet.kind == p.PUBLISH:
            assert isinstance(packet, p.Publish)
            # [MQTT-3.1.2-26]: we said that we take no topic aliases
            if packet.properties is not NONE and ids.TOPIC_ALIAS in packet.properties.numbers:
                raise MqttSyntaxError("a topic alias, of which there are none", Reason.TOPIC_ALIAS_INVALID)
            if not packet.topic:
                raise MqttSyntaxError("no topic", Reason.PROTOCOL_ERROR)
        elif packet.kind != p.PINGRESP and packet.kind not in _FROM_SERVERS:
            raise MqttSyntaxError("only a client sends this", Reason.PROTOCOL_ERROR)
