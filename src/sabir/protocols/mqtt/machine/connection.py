"""One connection (MQTT 5.0 §3.1, §4.13): bytes in, packets out. Compiled by mypyc."""

from __future__ import annotations

from typing import Final

from sabir.protocols.mqtt.codec.decoder import Decoder, Names
from sabir.protocols.mqtt.codec.encoder import encode
from sabir.protocols.mqtt.errors import MqttSyntaxError
from sabir.protocols.mqtt.machine.outbox import Outbox
from sabir.protocols.mqtt.types import packets as p
from sabir.protocols.mqtt.types import properties as ids
from sabir.protocols.mqtt.types.properties import NONE, Properties
from sabir.protocols.mqtt.types.reasons import Reason, return_code

MAX_ALIASED: Final = 131_072
"""Characters of the topics that the aliases of a connection stand for, all together."""

_MS_PER_S: Final = 1000
_FROM_CLIENTS: Final = frozenset(
    (
        p.CONNECT,
        p.PUBLISH,
        p.PUBACK,
        p.PUBREC,
        p.PUBREL,
        p.PUBCOMP,
        p.SUBSCRIBE,
        p.UNSUBSCRIBE,
        p.PINGREQ,
        p.DISCONNECT,
        p.AUTH,
    )
)


class Limits:
    """What a client may do before it is stopped."""

    def __init__(
        self,
        *,
        max_packet_bytes: int,
        connect_timeout_ms: int,
        topic_alias_maximum: int,
    ) -> None:
        self.max_packet_bytes: Final = max_packet_bytes
        self.connect_timeout_ms: Final = connect_timeout_ms
        self.topic_alias_maximum: Final = topic_alias_maximum


class Broken(p.Packet):
    """Stands in the place of a packet that is malformed or not allowed, after those before it."""

    def __init__(self, reason: Reason, what: str) -> None:
        super().__init__(0, NONE)
        self.reason: Final = reason
        self.what: Final = what


class Machine(Outbox):
    """See the package's text."""

    def __init__(self, limits: Limits, names: Names, now_ms: int) -> None:
        super().__init__()
        self.is_connected = False
        """The client was let in."""
        self.keep_alive_s = 0
        self.maximum_packet_size = 0
        """The longest packet that the client takes; 0 = any."""
        self._limits: Final = limits
        self._decoder: Final = Decoder(limits.max_packet_bytes, names)
        self._heard_ms = now_ms
        self._aliases: dict[int, str] | None = None
        self._aliased = 0  # characters of them
        self._is_begun = False  # there was a CONNECT
        self._is_deaf = False  # what comes cannot be understood any more
        self._is_blind = False  # the client wants no reason strings

    @property
    def version(self) -> int:
        """The version that the client speaks; 0 until it has said so."""
        return self._decoder.version

    # The verbs of a machine

    def receive(self, data: bytes, now_ms: int) -> list[p.Packet]:
        """Take bytes; return the packets in them that the session has to see to."""
        heard: list[p.Packet] = []
        if self.over or self._is_deaf:
            return heard
        self._heard_ms = now_ms
        decoder = self._decoder
        decoder.feed(data)
        try:
            while True:
                packet = decoder.next()
                if packet is None:
                    break
                self._check(packet)
                if packet.kind == p.PINGREQ:
                    self._out += b"\xd0\x00"  # [MQTT-3.12.4-1]
                    continue
                heard.append(packet)
                if packet.kind == p.DISCONNECT:
                    break  # [MQTT-3.14.4-1]: nothing comes after it
        except MqttSyntaxError as error:
            self._is_deaf = True
            heard.append(Broken(error.reason, str(error)))
        return heard

    def tick(self, now_ms: int) -> None:
        """End the connection if the client was silent for too long."""
        deadline_ms = self.next_deadline_ms()
        if self.over or not deadline_ms or now_ms < deadline_ms:
            return
        if self.is_connected:
            # [MQTT-3.1.2-22], [MQTT-3.1.2-24] of 3.1.1
            self.send_disconnect(
                Reason.KEEP_ALIVE_TIMEOUT, "nothing was heard for one and a half times Keep Alive"
            )
        else:
            self.over = "no CONNECT in time"

    def next_deadline_ms(self) -> int:
        """Return when `tick` is due; 0 = never."""
        if self.over:
            return 0
        if not self.is_connected:
            return self._heard_ms + self._limits.connect_timeout_ms
        if self.keep_alive_s:
            return self._heard_ms + self.keep_alive_s * _MS_PER_S * 3 // 2
        return 0

    # What the session sends

    def send(self, packet: p.Packet) -> None:
        """Send a packet, unless the client says that it is too long for it."""
        data = encode(packet, self.version)
        limit = self.maximum_packet_size
        if limit and len(data) > limit and packet.properties is not NONE:
            # [MQTT-3.2.2-19] and its like: what explains is left out first
            packet.properties = _needed(packet.properties)
            data = encode(packet, self.version)
        if not limit or len(data) <= limit:  # [MQTT-3.1.2-24]
            self._out += data

    def send_refusal(self, kind: int, packet_id: int, reason: int, what: str) -> None:
        """Send a PUBACK or PUBREC that says why something was not done (MQTT 5.0 §3.4.2.2.2)."""
        if self.version == p.V5 and what:
            self.send(p.Ack(kind, packet_id, reason, self._explained(what, None)))
        else:
            self.send_ack(kind, packet_id, reason)

    def accept(self, session_present: bool, properties: Properties) -> None:
        """Send the CONNACK that lets the client in."""
        self.is_connected = True
        self.send(p.Connack(session_present, Reason.SUCCESS, properties))

    def refuse(self, reason: Reason, what: str, properties: Properties | None = None) -> None:
        """Send the CONNACK that does not, and end the connection ([MQTT-3.2.2-7])."""
        code = int(reason) if self.version == p.V5 else return_code(reason)
        self.send(p.Connack(False, code, self._explained(what, properties)))
        self.over = what

    def send_disconnect(self, reason: Reason, what: str, properties: Properties | None = None) -> None:
        """End the connection, and in 5.0 say why."""
        if self.over:
            return
        if self.version == p.V5 and self.is_connected:  # [MQTT-3.14.0-1]
            self.send(p.Disconnect(reason, self._explained(what, properties)))
        self.over = what

    def begin(self, connect: p.Connect, keep_alive_s: int) -> None:
        """Take note of what the client wants of this connection."""
        properties = connect.properties
        self.keep_alive_s = keep_alive_s
        self.maximum_packet_size = properties.number(ids.MAXIMUM_PACKET_SIZE, 0)
        self._is_blind = properties.number(ids.REQUEST_PROBLEM_INFO, 1) == 0

    # Checks

    def _check(self, packet: p.Packet) -> None:
        kind = packet.kind
        if self._is_begun and kind == p.PUBLISH:
            assert isinstance(packet, p.Publish)
            if packet.properties is not NONE:
                self._check_publish(packet)
            elif not packet.topic:
                # [MQTT-4.7.3-1]
                raise MqttSyntaxError("neither topic nor alias", Reason.PROTOCOL_ERROR)
            return
        if kind not in _FROM_CLIENTS:
            raise MqttSyntaxError("only a server sends this", Reason.PROTOCOL_ERROR)
        if not self._is_begun:
            if kind != p.CONNECT:
                raise MqttSyntaxError(
                    "the first packet is not CONNECT", Reason.PROTOCOL_ERROR
                )  # [MQTT-3.1.0-1]
            self._is_begun = True
        elif kind == p.CONNECT:
            raise MqttSyntaxError("a second CONNECT", Reason.PROTOCOL_ERROR)  # [MQTT-3.1.0-2]

    def _check_publish(self, packet: p.Publish) -> None:
        properties = packet.properties
        if properties.subscription_ids:
            # [MQTT-3.3.4-6]
            raise MqttSyntaxError("a client sends no subscription identifier", Reason.PROTOCOL_ERROR)
        response = properties.texts.get(ids.RESPONSE_TOPIC, "")
        if "#" in response or "+" in response:
            raise MqttSyntaxError(
                "a response topic has a wildcard in it", Reason.PROTOCOL_ERROR
            )  # [MQTT-3.3.2-14]
        alias = properties.numbers.get(ids.TOPIC_ALIAS, -1)
        if alias < 0:
            if not packet.topic:
                raise MqttSyntaxError("neither topic nor alias", Reason.PROTOCOL_ERROR)
            return
        if alias == 0 or alias > self._limits.topic_alias_maximum:
            # [MQTT-3.3.2-8], [MQTT-3.3.2-9]
            raise MqttSyntaxError("no such topic alias", Reason.TOPIC_ALIAS_INVALID)
        known = self._aliases
        if known is None:
            known = self._aliases = {}
        if packet.topic:
            self._aliased += len(packet.topic) - len(known.get(alias, ""))
            if self._aliased > MAX_ALIASED:
                raise MqttSyntaxError("the topics that have aliases are too long", Reason.QUOTA_EXCEEDED)
            known[alias] = packet.topic
        elif alias in known:
            packet.topic = known[alias]
        else:
            raise MqttSyntaxError("the topic alias was not given a topic", Reason.PROTOCOL_ERROR)

    def fail(self, reason: Reason, what: str) -> None:
        """End the connection after nonsense, in the way that its state allows."""
        if self.is_connected:
            self.send_disconnect(reason, what)  # [MQTT-4.13.1-1]
        elif self.version and (self.version == p.V5 or reason is Reason.UNSUPPORTED_PROTOCOL_VERSION):
            self.refuse(
                reason, what
            )  # [MQTT-3.1.4-1], [MQTT-3.1.2-2]; what is not MQTT at all is not answered
        self.over = self.over or what

    def _explained(self, what: str, properties: Properties | None) -> Properties:
        made = properties or Properties()
        if what and not self._is_blind:  # [MQTT-3.1.2-29]
            made.texts[ids.REASON_STRING] = what
        return made


def _needed(properties: Properties) -> Properties:
    """Return properties without those that only explain."""
    made = Properties()
    made.numbers.update(properties.numbers)
    made.data.update(properties.data)
    made.texts.update(properties.texts)
    made.texts.pop(ids.REASON_STRING, None)
    return made
