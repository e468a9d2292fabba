"""Bytes to packets and back."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.protocols.mqtt.codec.decoder import MAX_CONNECT_BYTES, MAX_LEVELS, Decoder, Names
from sabir.protocols.mqtt.codec.encoder import encode
from sabir.protocols.mqtt.codec.fields import MAX_VARIABLE, Fields, put_variable
from sabir.protocols.mqtt.codec.properties import MAX_PROPERTIES
from sabir.protocols.mqtt.errors import MqttSyntaxError
from sabir.protocols.mqtt.types import packets as p
from sabir.protocols.mqtt.types import properties as ids
from sabir.protocols.mqtt.types.properties import NONE, Properties
from sabir.protocols.mqtt.types.reasons import Reason

BIG = 268_435_455

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=20)
topics = st.text(
    st.characters(exclude_characters="\0#+/", exclude_categories=("Cs",)), min_size=1, max_size=20
)
payloads = st.binary(max_size=200)
versions = st.sampled_from((p.V311, p.V5))
packet_ids = st.integers(1, 65_535)
users = st.lists(st.tuples(texts, texts), max_size=3)


@st.composite
def message_properties(draw: st.DrawFn) -> Properties:
    made = Properties()
    if draw(st.booleans()):
        made.numbers[ids.PAYLOAD_FORMAT] = draw(st.integers(0, 1))
        made.numbers[ids.MESSAGE_EXPIRY] = draw(st.integers(0, 2**32 - 1))
        made.texts[ids.CONTENT_TYPE] = draw(texts)
        made.data[ids.CORRELATION_DATA] = draw(payloads)
    made.users.extend(draw(users))
    return made if made.users or made.numbers else NONE


@st.composite
def answer_properties(draw: st.DrawFn) -> Properties:
    made = Properties()
    made.texts[ids.REASON_STRING] = draw(texts)
    made.users.extend(draw(users))
    return draw(st.sampled_from((made, NONE)))


@st.composite
def packets(draw: st.DrawFn, version: int) -> p.Packet:
    properties = draw(message_properties()) if version == p.V5 else NONE
    answered = draw(answer_properties()) if version == p.V5 else NONE
    reason = 0x87 if answered is not NONE else 0
    number = draw(packet_ids)
    kind = draw(st.integers(1, 14 + (version == p.V5)))
    if kind == p.CONNECT:
        will = p.Will(draw(topics), draw(payloads), draw(st.integers(0, 2)), draw(st.booleans()), properties)
        return p.Connect(
            version,
            draw(texts),
            clean_start=draw(st.booleans()),
            keep_alive_s=draw(st.integers(0, 65_535)),
            will=draw(st.sampled_from((None, will))),
            username=draw(texts),
            password=draw(st.one_of(st.none(), payloads)),
        )
    if kind == p.CONNACK:
        return p.Connack(draw(st.booleans()), draw(st.integers(0, 255)), answered)
    if kind == p.PUBLISH:
        qos = draw(st.integers(0, 2))
        return p.Publish(
            draw(topics),
            draw(payloads),
            qos,
            draw(st.booleans()),
            qos > 0 and draw(st.booleans()),
            number if qos else 0,
            properties,
        )
    if kind in (p.PUBREL, p.PUBCOMP):
        return p.Ack(kind, number, 0x92 if answered is not NONE else 0, answered)
    if kind in (p.PUBACK, p.PUBREC):
        return p.Ack(kind, number, reason, answered)
    if kind == p.SUBSCRIBE:
        full = version == p.V5
        wanted = st.builds(
            p.Filter,
            texts,
            st.integers(0, 2),
            st.booleans() if full else st.just(False),
            st.booleans() if full else st.just(False),
            st.integers(0, 2 if full else 0),
        )
        return p.Subscribe(number, draw(st.lists(wanted, min_size=1, max_size=3)))
    if kind == p.UNSUBSCRIBE:
        return p.Unsubscribe(number, draw(st.lists(texts, min_size=1, max_size=3)))
    if kind in (p.SUBACK, p.UNSUBACK):
        has_reasons = version == p.V5 or kind == p.SUBACK
        reasons = draw(st.lists(st.integers(0, 255), min_size=1, max_size=3)) if has_reasons else []
        return p.Answers(kind, number, reasons, answered)
    if kind in (p.PINGREQ, p.PINGRESP):
        return p.Ping(kind)
    if kind == p.DISCONNECT:
        return p.Disconnect(reason, answered)
    return p.Auth(0x18, answered)


def shown(packet: p.Packet) -> object:
    """Everything that a packet says, comparable."""
    fields = {}
    for name, value in vars(packet).items():
        if name == "frame":
            continue
        if name == "filters":
            value = [each if isinstance(each, str) else (each.name, each.options) for each in value]
        fields[name] = shown(value) if isinstance(value, p.Packet) else value
    return type(packet).__name__, fields


def read(data: bytes, version: int = p.V5, limit: int = BIG) -> p.Packet | None:
    decoder = Decoder(limit, Names(), version)
    decoder.feed(data)
    return decoder.next()


@given(st.data(), versions)
def test_a_packet_is_read_as_it_was_written(data: st.DataObject, version: int) -> None:
    packet = data.draw(packets(version))

    found = read(encode(packet, version), version)

    assert found is not None
    assert shown(found) == shown(packet)


@given(st.data(), versions, st.integers(1, 9))
def test_packets_survive_any_chunking(data: st.DataObject, version: int, size: int) -> None:
    sent = data.draw(st.lists(packets(version).filter(lambda each: each.kind != p.CONNECT), max_size=4))
    stream = b"".join(encode(each, version) for each in sent)
    decoder, heard = Decoder(BIG, Names(), version), []

    for at in range(0, len(stream), size):
        decoder.feed(stream[at : at + size])
        while (packet := decoder.next()) is not None:
            heard.append(packet)

    assert [shown(each) for each in heard] == [shown(each) for each in sent]


@given(st.one_of(st.none(), st.integers(1, 15)), st.binary(max_size=60), versions)
def test_whatever_comes_is_packets_or_a_syntax_error(kind: int | None, data: bytes, version: int) -> None:
    if kind is not None:  # something that looks like a packet
        flags = 2 if kind in (6, 8, 10) else 0
        data = bytes((kind << 4 | flags, len(data))) + data
    decoder = Decoder(BIG, Names(), version)
    decoder.feed(data)

    with contextlib.suppress(MqttSyntaxError):
        while decoder.next() is not None:
            pass


@given(st.data(), versions, st.integers(0, 200), st.integers(0, 255))
def test_a_packet_with_a_wrong_octet_is_a_packet_or_a_syntax_error(
    data: st.DataObject, version: int, at: int, octet: int
) -> None:
    stream = bytearray(encode(data.draw(packets(version)), version))
    stream[at % len(stream)] = octet
    decoder = Decoder(BIG, Names(), version)
    decoder.feed(bytes(stream))

    with contextlib.suppress(MqttSyntaxError):
        while decoder.next() is not None:
            pass


@given(st.integers(0, MAX_VARIABLE))
@pytest.mark.spec("MQTT 5.0 §1.5")
def test_a_variable_byte_integer_is_as_short_as_it_can_be(value: int) -> None:
    out = bytearray()
    put_variable(out, value)

    assert Fields(bytes(out), 0, len(out)).variable() == value
    assert len(out) == (1 if value < 128 else 2 if value < 16_384 else 3 if value < 2_097_152 else 4)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x00\x00", Reason.MALFORMED_PACKET),  # type 0
        (b"\xf1\x00", Reason.MALFORMED_PACKET),  # [MQTT-2.1.3-1]
        (b"\x80\x00", Reason.MALFORMED_PACKET),  # SUBSCRIBE without its flag, [MQTT-3.8.1-1]
        (b"\x60\x02\x00\x01", Reason.MALFORMED_PACKET),  # PUBREL, [MQTT-3.6.1-1]
        (b"\x30\xff\xff\xff\xff\x01", Reason.MALFORMED_PACKET),
        (b"\x30\x80\x00", Reason.MALFORMED_PACKET),  # [MQTT-1.5.5-1]
        (b"\x36\x05\x00\x01a\x00\x01", Reason.MALFORMED_PACKET),  # QoS 3, [MQTT-3.3.1-4]
        (b"\x38\x04\x00\x01a\x00", Reason.MALFORMED_PACKET),  # DUP at QoS 0, [MQTT-3.3.1-2]
        (b"\x32\x06\x00\x01a\x00\x00\x00", Reason.PROTOCOL_ERROR),  # packet id 0, [MQTT-2.2.1-3]
        (b"\x30\x04\x00\x01#\x00", Reason.TOPIC_NAME_INVALID),  # [MQTT-3.3.2-2]
        (b"\x30\x04\x00\x01\x00\x00", Reason.MALFORMED_PACKET),  # U+0000, [MQTT-1.5.4-2]
        (b"\x30\x06\x00\x03\xed\xa0\x80\x00", Reason.MALFORMED_PACKET),  # a surrogate, [MQTT-1.5.4-1]
        (b"\x30\x05\x00\x02\xc0\xaf\x00", Reason.MALFORMED_PACKET),  # an overlong form
        (b"\x30\x04\x00\x09a\x00", Reason.MALFORMED_PACKET),
        (b"\x30\x06\x00\x01a\x02\x7f\x00", Reason.MALFORMED_PACKET),  # no such property
        (b"\x30\x06\x00\x01a\x02\x24\x01", Reason.PROTOCOL_ERROR),  # not one of PUBLISH
        (b"\x30\x08\x00\x01a\x04\x01\x00\x01\x00", Reason.PROTOCOL_ERROR),  # twice
        (b"\x30\x06\x00\x01a\x02\x01\x02", Reason.PROTOCOL_ERROR),  # neither 0 nor 1
        (b"\x30\x06\x00\x01a\x02\x0b\x00", Reason.PROTOCOL_ERROR),  # subscription id 0
        (b"\x30\x06\x00\x01a\x09\x01\x00", Reason.MALFORMED_PACKET),
        (b"\x82\x03\x00\x01\x00", Reason.PROTOCOL_ERROR),  # no filter, [MQTT-3.8.3-2]
        (b"\x82\x07\x00\x01\x00\x00\x01a\x03", Reason.MALFORMED_PACKET),
        (b"\x82\x07\x00\x01\x00\x00\x01a\xc0", Reason.MALFORMED_PACKET),  # [MQTT-3.8.3-5]
        (b"\x82\x07\x00\x01\x00\x00\x01a\x30", Reason.PROTOCOL_ERROR),
        (b"\xa2\x03\x00\x01\x00", Reason.PROTOCOL_ERROR),  # [MQTT-3.10.3-2]
        (b"\xc0\x01\x00", Reason.MALFORMED_PACKET),  # PINGREQ with something in it
        (b"\x40\x03\x00\x01\x55", Reason.PROTOCOL_ERROR),  # no such reason code of PUBACK
        (b"\xf0\x01\x55", Reason.PROTOCOL_ERROR),
        (b"\x20\x03\x02\x00\x00", Reason.MALFORMED_PACKET),  # [MQTT-3.2.2-1]
    ],
)
@pytest.mark.spec("MQTT 5.0 §2.1")
@pytest.mark.spec("MQTT 5.0 §2.2")
@pytest.mark.spec("MQTT 5.0 §1.5")
@pytest.mark.spec("MQTT 3.1.1 §1.5")
def test_nonsense_is_refused_with_its_reason_code(data: bytes, reason: Reason) -> None:
    with pytest.raises(MqttSyntaxError) as caught:
        read(data)

    assert caught.value.reason is reason


@pytest.mark.parametrize(
    "body",
    [
        b"\x00\x04MQTT\x04\x01\x00\x00\x00\x00",  # [MQTT-3.1.2-3]
        b"\x00\x04MQTT\x04\x08\x00\x00\x00\x00",  # [MQTT-3.1.2-11]
        b"\x00\x04MQTT\x04\x1c\x00\x00\x00\x00\x00\x01a\x00\x00",  # [MQTT-3.1.2-12]
        b"\x00\x04MQTT\x04\x40\x00\x00\x00\x00\x00\x00",  # [MQTT-3.1.2-22] of 3.1.1
        b"\x00\x04MQTT\x04\x04\x00\x00\x00\x00\x00\x00\x00\x00",  # a will without topic
        b"\x00\x04MQTT\x04\x02\x00\x00\x00\x00extra",
    ],
)
@pytest.mark.spec("MQTT 5.0 §3.1")
@pytest.mark.spec("MQTT 3.1.1 §3.1")
def test_a_connect_with_wrong_flags_is_refused(body: bytes) -> None:
    with pytest.raises(MqttSyntaxError):
        read(bytes((0x10, len(body))) + body, 0)


def test_a_length_that_is_too_long_is_refused_before_the_rest_has_come() -> None:
    with pytest.raises(MqttSyntaxError) as caught:
        read(b"\x30\xff\xff\xff\x7f", p.V5, 1000)
    assert caught.value.reason is Reason.PACKET_TOO_LARGE

    too_long = bytearray(b"\x10")
    put_variable(too_long, MAX_CONNECT_BYTES)
    with pytest.raises(MqttSyntaxError):
        read(bytes(too_long), 0)


def test_a_topic_bomb_and_a_flood_of_properties_are_refused() -> None:
    name = "/" * MAX_LEVELS
    with pytest.raises(MqttSyntaxError) as caught:
        read(encode(p.Publish(name, b""), p.V5))
    assert caught.value.reason is Reason.TOPIC_NAME_INVALID

    properties = Properties()
    properties.users.extend([("", "")] * (MAX_PROPERTIES + 1))
    with pytest.raises(MqttSyntaxError):
        read(encode(p.Publish("a", b"", properties=properties), p.V5))


def test_a_large_packet_that_comes_in_small_pieces_is_put_together_once() -> None:
    data = encode(p.Publish("a", bytes(500_000)), p.V5)
    decoder = Decoder(BIG, Names(), p.V5)
    for at in range(0, len(data), 1000):
        decoder.feed(data[at : at + 1000])
        if at + 1000 < len(data):
            assert decoder.next() is None

    found = decoder.next()

    assert isinstance(found, p.Publish)
    assert len(found.payload) == 500_000


@pytest.mark.spec("MQTT 5.0 §2.2")
def test_user_properties_keep_their_order_and_come_more_than_once() -> None:
    properties = Properties()
    properties.users.extend([("b", "1"), ("a", "2"), ("b", "3")])

    found = read(encode(p.Publish("t", b"", properties=properties), p.V5))

    assert found is not None
    assert found.properties.users == [("b", "1"), ("a", "2"), ("b", "3")]
