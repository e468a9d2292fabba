"""PUBLISH at every quality of service, in both directions."""

from __future__ import annotations

import pytest
from tests.support.mqtt import V5, V311, Net, Peer, numbers

from sabir.protocols.mqtt.config import MqttConfig
from sabir.protocols.mqtt.types import packets as p
from sabir.protocols.mqtt.types import properties as ids
from sabir.protocols.mqtt.types.properties import Properties
from sabir.protocols.mqtt.types.reasons import Reason

BOTH = pytest.mark.parametrize("version", [V311, V5])


@pytest.fixture
def net() -> Net:
    return Net()


def kept(net: Net, client_id: str = "r", *, version: int = V5, clean_start: bool = False) -> Peer:
    """A client whose session is kept."""
    return net.connect(client_id, version, clean_start=clean_start, properties=numbers(session_expiry=1000))


@BOTH
@pytest.mark.spec("MQTT 5.0 §3.3")
@pytest.mark.spec("MQTT 5.0 §4.3")
@pytest.mark.spec("MQTT 3.1.1 §4.3")
@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("granted", [0, 1, 2])
@pytest.mark.spec("MQTT 5.0 §3.5")
def test_a_message_arrives_at_the_lower_of_both_qualities(
    net: Net, version: int, qos: int, granted: int
) -> None:
    reader, writer = net.connect("r", version), net.connect("w", V5)
    reader.subscribe("a/+", granted)

    answers = writer.publish("a/b", b"hello", qos, packet_id=7)

    assert [(each.kind, each.packet_id) for each in answers if isinstance(each, p.Ack)] == (
        [[], [(p.PUBACK, 7)], [(p.PUBREC, 7)]][qos]
    )
    got = reader.one(p.Publish)
    assert (got.topic, got.payload, got.qos, got.dup, got.retain) == (
        "a/b",
        b"hello",
        min(qos, granted),
        False,
        False,
    )
    assert (got.packet_id > 0) == (got.qos > 0)


@BOTH
@pytest.mark.spec("MQTT 5.0 §3.5")
@pytest.mark.spec("MQTT 5.0 §3.6")
@pytest.mark.spec("MQTT 5.0 §3.7")
def test_a_message_of_qos_2_is_published_once_however_often_it_comes(net: Net, version: int) -> None:
    reader, writer = net.connect("r"), net.connect("w", version)
    reader.subscribe("t", 2)

    for dup in (False, True):
        answers = writer.send(p.Publish("t", b"once", 2, dup=dup, packet_id=9))
        assert writer.one(p.Ack, answers).kind == p.PUBREC
    assert len(reader.messages()) == 1  # [MQTT-4.3.3-10]
    assert writer.one(p.Ack, writer.send(p.Ack(p.PUBREL, 9))).kind == p.PUBCOMP  # [MQTT-4.3.3-11]
    writer.send(p.Publish("t", b"another", 2, packet_id=9))
    assert [each.payload for each in reader.messages()] == [b"another"]  # [MQTT-4.3.3-12]


@pytest.mark.spec("MQTT 5.0 §3.7")
def test_what_is_released_without_having_been_sent_is_told_so(net: Net) -> None:
    peer = net.connect("a")

    assert peer.one(p.Ack, peer.send(p.Ack(p.PUBREL, 3))).reason == Reason.PACKET_ID_NOT_FOUND
    answer = peer.one(p.Ack, peer.send(p.Ack(p.PUBREC, 3)))
    assert (answer.kind, answer.reason) == (p.PUBREL, Reason.PACKET_ID_NOT_FOUND)


@BOTH
@pytest.mark.spec("MQTT 5.0 §4.4")
@pytest.mark.spec("MQTT 3.1.1 §4.4")
def test_what_was_not_acknowledged_is_sent_again_first_and_in_order(net: Net, version: int) -> None:
    reader = kept(net, version=version)
    reader.subscribe("t", 2)
    writer = net.connect("w")
    for number, qos in enumerate((1, 2, 2), 1):
        writer.publish("t", bytes((number,)), qos, packet_id=number)
    first = reader.messages()
    reader.send(p.Ack(p.PUBREC, first[1].packet_id))
    reader.close()
    writer.publish("t", b"new", 1, packet_id=9)

    again = kept(net, version=version)

    assert again.connack.session_present
    assert [type(each) for each in again.after] == [p.Ack, p.Publish, p.Publish, p.Publish]
    assert isinstance(again.after[0], p.Ack)
    assert (again.after[0].kind, again.after[0].packet_id) == (p.PUBREL, first[1].packet_id)
    sent = [each for each in again.after if isinstance(each, p.Publish)]
    # [MQTT-3.3.1-1], [MQTT-4.4.0-1], [MQTT-4.6.0-1]
    assert [(each.payload, each.dup) for each in sent] == [(b"\1", True), (b"\3", True), (b"new", False)]
    assert [each.packet_id for each in sent[:2]] == [first[0].packet_id, first[2].packet_id]


@BOTH
@pytest.mark.spec("MQTT 5.0 §2.2")
def test_a_message_refused_or_completed_frees_its_identifier(net: Net, version: int) -> None:
    reader, writer = net.connect("r", version), net.connect("w")
    reader.subscribe("t", 2)
    writer.publish("t", b"1", 2)
    first = reader.one(p.Publish)

    answer = reader.one(p.Ack, reader.send(p.Ack(p.PUBREC, first.packet_id)))
    assert answer.kind == p.PUBREL
    assert reader.send(p.Ack(p.PUBCOMP, first.packet_id)) == []

    writer.publish("t", b"2", 2, packet_id=2)
    second = reader.one(p.Publish)
    if version == V5:
        assert reader.send(p.Ack(p.PUBREC, second.packet_id, 0x80)) == []  # MQTT 5.0 §4.3.3: that is the end


@pytest.mark.spec("MQTT 5.0 §4.9")
def test_no_more_than_receive_maximum_is_sent_before_it_is_acknowledged(net: Net) -> None:
    reader = net.connect("r", properties=numbers(receive_maximum=2))
    reader.subscribe("t", 2)
    writer = net.connect("w")
    for number in range(1, 6):
        writer.publish("t", bytes((number,)), 1 + number % 2, packet_id=number)

    first = reader.messages()
    assert len(first) == 2  # [MQTT-3.3.4-9]
    writer.publish("t", b"zero")
    assert [each.qos for each in reader.messages()] == [0]  # QoS 0 is not held back
    for each in first:
        if each.qos == 2:
            assert len(reader.send(p.Ack(p.PUBREC, each.packet_id))) == 1  # PUBREL: still under way
            more = reader.send(p.Ack(p.PUBCOMP, each.packet_id))
        else:
            more = reader.send(p.Ack(p.PUBACK, each.packet_id))
        assert len(more) == 1
    assert reader.messages() == []


@pytest.mark.spec("MQTT 5.0 §4.9")
def test_a_client_that_exceeds_receive_maximum_is_out() -> None:
    net = Net(MqttConfig(anonymous=True, receive_maximum=2))
    peer = net.connect("a")

    for number in (1, 2):
        peer.publish("t", b"", 2, packet_id=number)
    answers = peer.publish("t", b"", 2, packet_id=3)

    assert peer.one(p.Disconnect, answers).reason == Reason.RECEIVE_MAXIMUM_EXCEEDED


@pytest.mark.spec("MQTT 5.0 §3.4")
def test_it_is_said_that_nobody_wanted_a_message(net: Net) -> None:
    peer = net.connect("a")

    assert peer.one(p.Ack, peer.publish("t", b"", 1)).reason == Reason.NO_MATCHING_SUBSCRIBERS
    peer.subscribe("t")
    assert [each.reason for each in peer.publish("t", b"", 1) if isinstance(each, p.Ack)] == [0]


@pytest.mark.spec("MQTT 5.0 §3.3.2")
def test_what_concerns_subscribers_goes_on_to_them_unchanged(net: Net) -> None:
    reader, old, writer = net.connect("r"), net.connect("o", V311), net.connect("w")
    reader.subscribe("t", 1)
    old.subscribe("t", 1)
    properties = Properties()
    properties.numbers[ids.PAYLOAD_FORMAT] = 1
    properties.texts[ids.CONTENT_TYPE] = "text/plain"
    properties.texts[ids.RESPONSE_TOPIC] = "answers/w"
    properties.data[ids.CORRELATION_DATA] = b"\0\1"
    properties.users.extend([("b", "1"), ("a", "2"), ("b", "3")])

    writer.publish("t", b"ask", 1, properties=properties)

    # [MQTT-3.3.2-4], [MQTT-3.3.2-15] to [MQTT-3.3.2-20]
    assert reader.one(p.Publish).properties == properties
    assert old.one(p.Publish).payload == b"ask"


@pytest.mark.spec("MQTT 5.0 §4.10")
def test_a_request_is_answered_on_its_response_topic(net: Net) -> None:
    asker, server = net.connect("asker"), net.connect("server")
    asker.subscribe("answers/asker")
    server.subscribe("questions")
    properties = Properties()
    properties.texts[ids.RESPONSE_TOPIC] = "answers/asker"
    properties.data[ids.CORRELATION_DATA] = b"42"
    asker.publish("questions", b"why?", properties=properties)
    asked = server.one(p.Publish)

    answer = Properties()
    answer.data[ids.CORRELATION_DATA] = asked.properties.data[ids.CORRELATION_DATA]
    server.publish(asked.properties.texts[ids.RESPONSE_TOPIC], b"because", properties=answer)

    got = asker.one(p.Publish)
    assert (got.payload, got.properties.data) == (b"because", {ids.CORRELATION_DATA: b"42"})


def test_a_response_topic_has_no_wildcard(net: Net) -> None:
    peer, properties = net.connect("a"), Properties()
    properties.texts[ids.RESPONSE_TOPIC] = "a/#"

    answers = peer.publish("t", properties=properties)  # [MQTT-3.3.2-14]

    assert peer.one(p.Disconnect, answers).reason == Reason.PROTOCOL_ERROR


@pytest.mark.spec("MQTT 5.0 §3.3.2")
def test_a_message_that_has_expired_is_not_sent_and_one_that_waited_says_what_is_left(net: Net) -> None:
    reader = kept(net)
    reader.subscribe("t", 1)
    reader.close()
    writer = net.connect("w")
    writer.publish("t", b"short", 1, properties=numbers(message_expiry=5))
    writer.publish("t", b"long", 1, properties=numbers(message_expiry=60))

    net.pass_time(10)
    again = kept(net)

    got = [each for each in again.after if isinstance(each, p.Publish)]
    assert [each.payload for each in got] == [b"long"]  # [MQTT-3.3.2-5]
    assert got[0].properties.numbers[ids.MESSAGE_EXPIRY] == 50  # [MQTT-3.3.2-6]


@pytest.mark.spec("MQTT 5.0 §3.3.2")
def test_topic_aliases_of_a_client(net: Net) -> None:
    reader, writer = net.connect("r"), net.connect("w")
    reader.subscribe("#")

    writer.publish("a/long/topic", b"1", properties=numbers(topic_alias=1))
    writer.publish("", b"2", properties=numbers(topic_alias=1))
    writer.publish("another", b"3", properties=numbers(topic_alias=1))
    writer.publish("", b"4", properties=numbers(topic_alias=1))

    got = reader.messages()
    assert [(each.topic, each.payload) for each in got] == [
        ("a/long/topic", b"1"),
        ("a/long/topic", b"2"),
        ("another", b"3"),
        ("another", b"4"),
    ]
    assert all(not each.properties.numbers for each in got)  # an alias is of one connection


@pytest.mark.parametrize("alias", [0, 101])
def test_a_topic_alias_beyond_the_maximum_ends_the_connection(net: Net, alias: int) -> None:
    peer = net.connect("a")

    answers = peer.publish("t", properties=numbers(topic_alias=alias))  # [MQTT-3.3.2-8], [MQTT-3.3.2-9]

    assert peer.one(p.Disconnect, answers).reason == Reason.TOPIC_ALIAS_INVALID


def test_neither_topic_nor_a_known_alias_ends_the_connection(net: Net) -> None:
    for properties in (numbers(topic_alias=5), Properties()):
        peer = net.connect("a")
        answers = peer.publish("", properties=properties)
        assert peer.one(p.Disconnect, answers).reason == Reason.PROTOCOL_ERROR


@pytest.mark.spec("MQTT 5.0 §3.3.2")
def test_topic_aliases_for_a_client_that_takes_them(net: Net) -> None:
    reader, writer = net.connect("r", properties=numbers(topic_alias_maximum=1)), net.connect("w")
    reader.subscribe("#", 1)

    for topic in ("a", "a", "b", "a"):
        writer.publish(topic, b"", 1)

    got = [(each.topic, each.properties.numbers.get(ids.TOPIC_ALIAS, 0)) for each in reader.messages()]
    assert got == [("a", 1), ("", 1), ("b", 0), ("", 1)]


@pytest.mark.spec("MQTT 5.0 §3.1.2")
def test_a_message_longer_than_a_client_takes_is_not_sent_to_it(net: Net) -> None:
    reader, writer = net.connect("r", properties=numbers(maximum_packet_size=100)), net.connect("w")
    reader.subscribe("t", 1)

    for size in (1000, 10):
        writer.publish("t", bytes(size), 1)

    assert [len(each.payload) for each in reader.messages()] == [10]  # [MQTT-3.1.2-24], [MQTT-3.1.2-25]


@BOTH
@pytest.mark.spec("MQTT 5.0 §4.6")
def test_messages_and_acknowledgements_keep_their_order(net: Net, version: int) -> None:
    reader, writer = net.connect("r"), net.connect("w", version)
    reader.subscribe("t", 1)

    answers = writer.send(*(p.Publish("t", bytes((n,)), 1, packet_id=n) for n in range(1, 20)))

    # [MQTT-4.6.0-2], [MQTT-4.6.0-5]
    assert [each.packet_id for each in answers if isinstance(each, p.Ack)] == list(range(1, 20))
    assert [each.payload for each in reader.messages()] == [bytes((n,)) for n in range(1, 20)]


def test_a_client_that_reads_slowly_gets_everything_later_and_in_order(net: Net) -> None:
    reader, writer = net.connect("r"), net.connect("w")
    reader.subscribe("t", 1)
    reader.wire.lagging = True
    for number in range(1, 6):
        writer.publish("t", bytes((number,)), number % 2, packet_id=number)
    assert reader.messages() == []

    reader.wire.lagging = False
    reader.session.catch_up()

    assert [each.payload for each in reader.messages()] == [bytes((n,)) for n in range(1, 6)]


def test_a_connection_for_which_too_much_waits_ends_and_other_messages_at_qos_0_are_dropped() -> None:
    net = Net(MqttConfig(anonymous=True, max_queue_bytes=2000))
    writer = net.connect("w")
    slow, calm = net.connect("slow"), net.connect("calm")
    slow.subscribe("t", 1)
    calm.subscribe("t", 0)
    slow.wire.lagging = calm.wire.lagging = True

    for number in range(1, 4):
        writer.publish("t", bytes(1000), 1, packet_id=number)

    assert slow.is_out
    assert slow.one(p.Disconnect).reason == Reason.QUOTA_EXCEEDED
    assert not calm.is_out
    calm.wire.lagging = False
    calm.session.catch_up()
    assert len(calm.messages()) == 2


@BOTH
def test_a_full_session_makes_publishers_wait_or_be_told(version: int) -> None:
    net = Net(MqttConfig(anonymous=True, max_queue_bytes=2000))
    writer, reader = net.connect("w", version), kept(net)
    reader.subscribe("t", 1)
    reader.close()
    for number in (1, 2):
        writer.publish("t", bytes(1000), 1, packet_id=number)

    answers = writer.publish("t", bytes(1000), 1, packet_id=3)

    if version == V5:
        assert writer.one(p.Ack, answers).reason == Reason.QUOTA_EXCEEDED
        return
    assert answers == []
    assert not writer.wire.reading
    again = kept(net)
    net.run()
    assert [len(each.payload) for each in [*again.after, *again.took()] if isinstance(each, p.Publish)] == [
        1000
    ] * 3
    assert writer.one(p.Ack).packet_id == 3
    assert writer.wire.reading


def test_topics_of_the_server_cannot_be_published_to(net: Net) -> None:
    reader, writer = net.connect("r"), net.connect("w")
    reader.subscribe("$SYS/#")
    reader.took()

    answers = writer.publish("$SYS/broker/version", b"mine", 1)

    assert writer.one(p.Ack, answers).reason == Reason.NOT_AUTHORIZED
    assert reader.messages() == []
