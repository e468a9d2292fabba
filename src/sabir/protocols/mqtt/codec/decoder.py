"""Bytes to packets (MQTT 5.0 §2, §3). Compiled by mypyc: PUBLISH is read here for every message.

Whatever the bytes, `next` returns packets or raises `MqttSyntaxError`; after that the decoder is not used again.
"""

from __future__ import annotations

from typing import Final

from sabir.protocols.mqtt.codec.fields import Fields, text_of
from sabir.protocols.mqtt.codec.properties import WILL, read_properties
from sabir.protocols.mqtt.errors import MqttSyntaxError
from sabir.protocols.mqtt.types import packets as p
from sabir.protocols.mqtt.types.properties import NONE, Properties
from sabir.protocols.mqtt.types.reasons import Reason

MAX_NAMES: Final = 10_000
"""Topics whose text is remembered, by the bytes they came in."""

MAX_NAME_BYTES: Final = 512
"""Longer ones are read each time."""

MAX_LEVELS: Final = 128
"""Topics with more levels are refused: matching them costs time and depth."""

MAX_CONNECT_BYTES: Final = 131_072
"""Longest first packet: whoever sends it is not known yet."""

_FLAGS: Final = (-1, 0, 0, -1, 0, 0, 2, 0, 2, 0, 2, 0, 0, 0, 0, 0)
"""[MQTT-2.1.3-1]: what must stand in the lower half of the first octet, by type; -1 = anything."""

_ACK_REASONS: Final[dict[int, frozenset[int]]] = {
    p.PUBACK: frozenset((0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99)),
    p.PUBREC: frozenset((0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99)),
    p.PUBREL: frozenset((0x00, 0x92)),
    p.PUBCOMP: frozenset((0x00, 0x92)),
}


class Names:
    """Texts of topics by their bytes: shared by the connections, so that equal topics are one object."""

    def __init__(self) -> None:
        self.known: dict[bytes, str] = {}

    def of(self, data: bytes) -> str:
        """Return the text of a topic name. Raises `MqttSyntaxError`."""
        name = self.known.get(data)
        if name is None:
            name = text_of(data)
            # [MQTT-3.3.2-2]
            if "#" in name or "+" in name:
                raise MqttSyntaxError("a topic name has a wildcard in it", Reason.TOPIC_NAME_INVALID)
            if name.count("/") >= MAX_LEVELS:
                raise MqttSyntaxError("a topic name has too many levels", Reason.TOPIC_NAME_INVALID)
            if len(data) <= MAX_NAME_BYTES:
                if len(self.known) >= MAX_NAMES:
                    self.known = {}
                self.known[data] = name
        return name


class Decoder:
    """Collects bytes and gives packets."""

    def __init__(self, max_packet_bytes: int, names: Names, version: int = 0) -> None:
        self.version = version
        """0 until CONNECT has said it."""
        self._names: Final = names
        self._max: Final = max_packet_bytes
        self._data = b""
        self._at = 0
        self._more: list[bytes] = []
        self._missing = 0  # octets that must come before there is anything to look at again

    def feed(self, data: bytes) -> None:
        """Take bytes as they come."""
        if self._missing > len(data):
            self._missing -= len(data)
            self._more.append(data)
            return
        self._missing = 0
        if self._more:
            self._more.append(data)
            data = b"".join(self._more)
            self._more = []
        at = self._at
        self._data = data if at >= len(self._data) else self._data[at:] + data
        self._at = 0

    def next(self) -> p.Packet | None:
        """Return the next packet, None if it is not all there. Raises `MqttSyntaxError`."""
        if self._more:
            return None
        data = self._data
        at = self._at
        have = len(data)
        if have - at < 2:
            return None
        first = data[at]
        # [MQTT-2.1.3-1], [MQTT-2.2.2-1] of 3.1.1
        flags = _FLAGS[first >> 4]
        if (flags >= 0 and first & 0x0F != flags) or first < 0x10:
            raise MqttSyntaxError("the fixed header is wrong")
        size = data[at + 1]
        begin = at + 2
        if size > 0x7F:
            size &= 0x7F
            shift = 7
            while True:
                if begin >= have:
                    return None
                octet = data[begin]
                begin += 1
                size |= (octet & 0x7F) << shift
                if octet < 0x80:
                    if octet == 0:
                        raise MqttSyntaxError("a number is longer than it needs to be")
                    break
                shift += 7
                if shift > 21:
                    raise MqttSyntaxError("the remaining length is too long")
        end = begin + size
        # MQTT 5.0 §3.2.2.3.6: what is too long is refused by its length, before it has come
        if end - at > (self._max if self.version else MAX_CONNECT_BYTES):
            raise MqttSyntaxError("the packet is too large", Reason.PACKET_TOO_LARGE)
        if end > have:
            self._missing = end - have
            if at:
                self._data = data[at:]
                self._at = 0
            self._more = [self._data]
            self._data = b""
            return None
        self._at = end
        if first >> 4 == p.PUBLISH:
            return self._publish(data, at, first, begin, end)
        return self._other(first >> 4, Fields(data, begin, end))

    def _publish(self, data: bytes, at: int, first: int, begin: int, end: int) -> p.Publish:
        qos = first >> 1 & 3
        if qos == 3:
            raise MqttSyntaxError("there is no QoS 3")  # [MQTT-3.3.1-4]
        if qos == 0 and first & 8:
            raise MqttSyntaxError("DUP is for QoS 1 and 2 only")  # [MQTT-3.3.1-2]
        if begin + 2 > end:
            raise MqttSyntaxError("the packet ends too early")
        name_at = begin + 2
        name_end = name_at + (data[begin] << 8 | data[begin + 1])
        if name_end > end:
            raise MqttSyntaxError("the packet ends too early")
        topic = self._names.of(data[name_at:name_end])
        payload_at = name_end
        packet_id = 0
        if qos:
            if payload_at + 2 > end:
                raise MqttSyntaxError("the packet ends too early")
            packet_id = data[payload_at] << 8 | data[payload_at + 1]
            payload_at += 2
            if packet_id == 0:
                raise MqttSyntaxError("a packet identifier is zero", Reason.PROTOCOL_ERROR)  # [MQTT-2.2.1-3]
        properties = NONE
        if self.version == p.V5:
            if payload_at < end and data[payload_at] == 0:
                payload_at += 1
            else:
                fields = Fields(data, payload_at, end)
                properties = read_properties(fields, p.PUBLISH)
                payload_at = fields.at
        elif name_at == name_end:
            # [MQTT-4.7.3-1]; in 5.0 an alias may stand for it
            raise MqttSyntaxError("a topic name is empty", Reason.TOPIC_NAME_INVALID)
        # A packet without flags and properties is what a subscriber of the same version is sent at QoS 0.
        frame = data[at:end] if first == 0x30 and properties is NONE and name_at < name_end else b""
        return p.Publish(
            topic, data[payload_at:end], qos, first & 1 != 0, first & 8 != 0, packet_id, properties, frame
        )

    def _other(self, kind: int, fields: Fields) -> p.Packet:
        packet: p.Packet
        if p.PUBACK <= kind <= p.PUBCOMP:
            packet = self._ack(kind, fields)
        elif kind == p.PINGREQ or kind == p.PINGRESP:
            packet = p.Ping(kind)
        elif kind == p.SUBSCRIBE:
            packet = self._subscribe(fields)
        elif kind == p.UNSUBSCRIBE:
            packet = self._unsubscribe(fields)
        elif kind == p.CONNECT:
            packet = self._connect(fields)
        elif kind == p.DISCONNECT:
            packet = self._disconnect(fields)
        elif kind == p.SUBACK or kind == p.UNSUBACK:
            packet = self._answers(kind, fields)
        elif kind == p.CONNACK:
            packet = self._connack(fields)
        else:
            packet = self._auth(fields)
        if fields.at != fields.end:
            raise MqttSyntaxError("the packet is longer than what is in it")
        return packet

    def _properties(self, fields: Fields, kind: int) -> Properties:
        return read_properties(fields, kind) if self.version == p.V5 else NONE

    def _packet_id(self, fields: Fields) -> int:
        number = fields.u16()
        if number == 0:
            raise MqttSyntaxError("a packet identifier is zero", Reason.PROTOCOL_ERROR)  # [MQTT-2.2.1-3]
        return number

    def _ack(self, kind: int, fields: Fields) -> p.Ack:
        packet_id = self._packet_id(fields)
        if self.version != p.V5 or fields.at == fields.end:
            return p.Ack(kind, packet_id)
        reason = fields.byte()
        if reason not in _ACK_REASONS[kind]:
            raise MqttSyntaxError("no such reason code for this packet", Reason.PROTOCOL_ERROR)
        if fields.at == fields.end:
            return p.Ack(kind, packet_id, reason)
        return p.Ack(kind, packet_id, reason, read_properties(fields, kind))

    def _connect(self, fields: Fields) -> p.Connect:
        name = fields.text()
        version = fields.byte()
        # [MQTT-3.1.2-1]: another protocol is not answered, but 3.1, whose name is MQIsdp, is
        if name != "MQTT":
            self.version = p.V311 if name == "MQIsdp" else 0
            raise MqttSyntaxError("this is not MQTT", Reason.UNSUPPORTED_PROTOCOL_VERSION)
        if version not in (p.V311, p.V5):
            self.version = p.V5 if version > p.V5 else p.V311
            raise MqttSyntaxError("versions are 3.1.1 and 5.0", Reason.UNSUPPORTED_PROTOCOL_VERSION)
        self.version = version
        flags = fields.byte()
        if flags & 1:
            raise MqttSyntaxError("a reserved flag of CONNECT is set")  # [MQTT-3.1.2-3]
        keep_alive_s = fields.u16()
        properties = self._properties(fields, p.CONNECT)
        if _is_data_alone(properties):
            raise MqttSyntaxError("authentication data without a method", Reason.PROTOCOL_ERROR)
        client_id = fields.text()
        will = self._will(fields, flags)
        username = fields.text() if flags & 0x80 else None
        if version == p.V311 and flags & 0xC0 == 0x40:
            raise MqttSyntaxError("a password without a user name")  # [MQTT-3.1.2-22] of 3.1.1
        password = fields.binary() if flags & 0x40 else None
        return p.Connect(
            version,
            client_id,
            clean_start=flags & 2 != 0,
            keep_alive_s=keep_alive_s,
            will=will,
            username=username,
            password=password,
            properties=properties,
        )

    def _will(self, fields: Fields, flags: int) -> p.Will | None:
        qos = flags >> 3 & 3
        if not flags & 4:
            if flags & 0x38:
                raise MqttSyntaxError("flags of a will without a will")  # [MQTT-3.1.2-11], [MQTT-3.1.2-13]
            return None
        if qos == 3:
            raise MqttSyntaxError("there is no QoS 3")  # [MQTT-3.1.2-12]
        properties = self._properties(fields, WILL)
        topic = self._names.of(fields.binary())
        if not topic:
            raise MqttSyntaxError("the topic of the will is empty", Reason.TOPIC_NAME_INVALID)
        return p.Will(topic, fields.binary(), qos, flags & 0x20 != 0, properties)

    def _connack(self, fields: Fields) -> p.Connack:
        flags = fields.byte()
        if flags > 1:
            raise MqttSyntaxError("reserved flags of CONNACK are set")  # [MQTT-3.2.2-1]
        reason = fields.byte()
        return p.Connack(flags == 1, reason, self._properties(fields, p.CONNACK))

    def _subscribe(self, fields: Fields) -> p.Subscribe:
        packet_id = self._packet_id(fields)
        properties = self._properties(fields, p.SUBSCRIBE)
        filters = []
        while fields.at < fields.end:
            name = fields.text()
            options = fields.byte()
            if options & 3 == 3 or options & (0xC0 if self.version == p.V5 else 0xFC):
                # [MQTT-3.8.3-5], [MQTT-3-8.3-4] of 3.1.1
                raise MqttSyntaxError("subscription options that there are not")
            handling = options >> 4 & 3
            if handling == 3:
                raise MqttSyntaxError("there is no retain handling 3", Reason.PROTOCOL_ERROR)
            filters.append(p.Filter(name, options & 3, options & 4 != 0, options & 8 != 0, handling))
        if not filters:
            raise MqttSyntaxError("no topic filter", Reason.PROTOCOL_ERROR)  # [MQTT-3.8.3-2]
        return p.Subscribe(packet_id, filters, properties)

    def _unsubscribe(self, fields: Fields) -> p.Unsubscribe:
        packet_id = self._packet_id(fields)
        properties = self._properties(fields, p.UNSUBSCRIBE)
        filters = []
        while fields.at < fields.end:
            filters.append(fields.text())
        if not filters:
            raise MqttSyntaxError("no topic filter", Reason.PROTOCOL_ERROR)  # [MQTT-3.10.3-2]
        return p.Unsubscribe(packet_id, filters, properties)

    def _answers(self, kind: int, fields: Fields) -> p.Answers:
        packet_id = self._packet_id(fields)
        properties = self._properties(fields, kind)
        return p.Answers(kind, packet_id, list(fields.rest()), properties)

    def _disconnect(self, fields: Fields) -> p.Disconnect:
        if self.version != p.V5 or fields.at == fields.end:
            return p.Disconnect()
        reason = fields.byte()
        if fields.at == fields.end:
            return p.Disconnect(reason)
        return p.Disconnect(reason, read_properties(fields, p.DISCONNECT))

    def _auth(self, fields: Fields) -> p.Auth:
        if self.version != p.V5:
            raise MqttSyntaxError("AUTH is of MQTT 5.0", Reason.PROTOCOL_ERROR)
        if fields.at == fields.end:
            return p.Auth(0)
        reason = fields.byte()
        if reason not in (Reason.SUCCESS, Reason.CONTINUE_AUTHENTICATION, Reason.REAUTHENTICATE):
            raise MqttSyntaxError("no such reason code for AUTH", Reason.PROTOCOL_ERROR)
        if fields.at == fields.end:
            return p.Auth(reason)
        return p.Auth(reason, read_properties(fields, p.AUTH))


def _is_data_alone(properties: Properties) -> bool:
    """Whether there is authentication data without a method (MQTT 5.0 §3.1.2.11.10)."""
    return bool(properties.data) and not properties.texts
