"""What is full concerns those who would fill it further, and nobody else; nothing acknowledged is dropped."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.mqtt import V5, V311, Net, Peer, numbers

from sabir.protocols.mqtt.config import MqttConfig
from sabir.protocols.mqtt.types import packets as p
from sabir.protocols.mqtt.types.properties import Properties
from sabir.protocols.mqtt.types.reasons import Reason

BOTH = pytest.mark.parametrize("version", [V311, V5])
MANY_S = 1000


def kept(net: Net, client_id: str = "k", login: str = "") -> Peer:
    return net.connect(client_id, clean_start=False, properties=numbers(session_expiry=MANY_S), login=login)


def away(net: Net, client_id: str, topic: str, login: str = "") -> None:
    """A client that has subscribed, and is gone."""
    peer = kept(net, client_id, login)
    peer.subscribe(topic, 1)
    peer.close()


def payloads(packets: list[p.Packet]) -> list[bytes]:
    return [packet.payload for packet in packets if isinstance(packet, p.Publish)]


def reason(writer: Peer, topic: str, number: int, size: int = 1000) -> int:
    return writer.one(p.Ack, writer.publish(topic, bytes(size), 1, packet_id=number)).reason


@BOTH
@pytest.mark.spec("MQTT 5.0 §4.9")
def test_a_full_session_concerns_only_those_who_publish_for_it(version: int) -> None:
    net = Net(MqttConfig(anonymous=True, max_queue_bytes=2000))
    away(net, "full", "to/full")
    away(net, "fine", "to/fine")
    first, second = net.connect("w1"), net.connect("w2", version)
    for number in (1, 2):
        first.publish("to/full", bytes(1000), 1, packet_id=number)

    assert reason(first, "to/full", 3) == Reason.QUOTA_EXCEEDED
    assert second.one(p.Ack, second.publish("to/fine", b"x", 1)).reason == 0
    assert reason(second, "nobody", 2) in (0, Reason.NO_MATCHING_SUBSCRIBERS)


def test_a_full_session_gets_all_that_was_acknowledged_and_then_more() -> None:
    net = Net(MqttConfig(anonymous=True, max_queue_bytes=4000))
    away(net, "k", "t")
    writer = net.connect("w")
    answers = [reason(writer, "t", number) for number in range(1, 9)]
    acknowledged = answers.index(Reason.QUOTA_EXCEEDED)
    assert set(answers[acknowledged:]) == {Reason.QUOTA_EXCEEDED}

    again = kept(net)

    assert len(payloads([*again.after, *again.took()])) == acknowledged
    assert reason(writer, "t", 10) == 0


def test_who_waits_is_not_woken_before_there_is_room_to_spare() -> None:
    net = Net(MqttConfig(anonymous=True, max_queue_bytes=16_000))
    reader = kept(net)
    reader.subscribe("t", 1)
    reader.wire.lagging = True
    writer = net.connect("w", V311)
    for number in range(1, 30):
        writer.publish("t", bytes(1000), 1, packet_id=number)
    assert not writer.wire.reading

    reader.wire.lagging = False
    reader.session.catch_up()
    net.run()

    assert writer.wire.reading
    assert [ack.packet_id for ack in writer.took() if isinstance(ack, p.Ack)][-1] == 29


def test_a_publisher_whose_own_session_is_full_is_not_left_waiting_for_itself() -> None:
    net = Net(MqttConfig(anonymous=True, max_queue_bytes=2000))
    peer = net.connect("k", V311, clean_start=False)
    peer.subscribe("t", 1)
    peer.wire.lagging = True

    for number in range(1, 5):
        peer.publish("t", bytes(1000), 1, packet_id=number)

    assert peer.is_out


def test_a_publisher_waits_for_a_minute_at_most() -> None:
    net = Net(MqttConfig(anonymous=True, max_queue_bytes=2000))
    away(net, "k", "t")
    writer = net.connect("w", V311)
    for number in range(1, 5):
        writer.publish("t", bytes(1000), 1, packet_id=number)
    until_ms = writer.session.next_deadline_ms()
    assert until_ms > 0

    writer.session.tick(until_ms - 1)
    assert not writer.is_out
    writer.session.tick(until_ms)

    assert writer.is_out  # what it had no PUBACK for it sends again


def test_a_shared_subscription_gives_a_message_to_a_client_that_has_room() -> None:
    net = Net(MqttConfig(anonymous=True, max_queue_bytes=2000))
    away(net, "full", "own")
    away(net, "full", "$share/g/t")
    writer = net.connect("w")
    for number in (1, 2):
        writer.publish("own", bytes(1000), 1, packet_id=number)
    assert reason(writer, "t", 3) == Reason.QUOTA_EXCEEDED

    away(net, "fine", "$share/g/t")

    assert [reason(writer, "t", number, 100) for number in range(4, 8)] == [0] * 4
    fine = kept(net, "fine")
    assert len(payloads([*fine.after, *fine.took()])) == 4


def test_the_clients_of_an_account_share_what_may_wait_for_them() -> None:
    net = Net(MqttConfig(anonymous=True, max_account_queue_bytes=5000))
    for name in ("a", "b"):
        away(net, name, f"to/{name}", login="ada")
    away(net, "c", "to/c", login="bob")
    live = kept(net, "live", login="ada")
    live.subscribe("to/live", 1)
    writer = net.connect("w")

    answers = [reason(writer, f"to/{'ab'[number % 2]}", number) for number in range(1, 9)]

    assert 0 in answers
    assert answers[-1] == Reason.QUOTA_EXCEEDED
    assert reason(writer, "to/c", 20) == 0  # another account
    assert reason(writer, "to/live", 21) == 0  # takes what it is sent


def test_all_clients_together_have_a_bound_too() -> None:
    net = Net(MqttConfig(anonymous=True, max_queues_bytes=5000))
    for name in ("ada", "bob"):
        away(net, name, f"to/{name}", login=name)
    writer = net.connect("w")

    answers = [reason(writer, f"to/{('ada', 'bob')[number % 2]}", number) for number in range(1, 9)]

    assert answers[0] == 0
    assert set(answers[-2:]) == {Reason.QUOTA_EXCEEDED}


def test_what_is_counted_is_counted_no_more_when_it_is_gone() -> None:
    net = Net()
    peer = kept(net, login="ada")
    peer.subscribe("a/#", 1)
    peer.subscribe("$share/g/b", 2)
    net.connect("w").publish("a/b", bytes(1000), 1)
    peer.close()
    net.connect("w").publish("a/b", bytes(1000), 1, retain=True)
    stock = net.broker.quotas.stock(net.account("ada").id)
    assert (stock.sessions, stock.queued_bytes > 2000, stock.filter_bytes > 700) == (1, True, True)

    net.pass_time(MANY_S + 1)

    assert (stock.sessions, stock.queued_bytes, stock.filter_bytes) == (0, 0, 0)
    everybody = net.broker.quotas.everybody
    assert (everybody.sessions, everybody.queued_bytes) == (0, 0)


@BOTH
def test_sessions_that_are_kept_have_a_limit_for_each_account(version: int) -> None:
    net = Net(MqttConfig(anonymous=True, max_account_sessions=2))
    for name in ("a", "b"):
        away(net, name, "t", login="ada")
    assert kept(net, "a", login="ada").connack.session_present
    assert net.connect("c", version, login="ada").connack.reason == 0  # ends with its connection

    peer = net.open(version)
    wants = numbers(session_expiry=60) if version == V5 else Properties()
    packet = p.Connect(
        version, "d", clean_start=False, username="ada", password=b"correct horse", properties=wants
    )
    answer = peer.one(p.Connack, peer.send(packet))

    if version == V5:  # MQTT 5.0 §3.2.2.3.2
        assert (answer.reason, answer.properties.numbers[0x11]) == (0, 0)
    else:
        assert answer.reason == 3
    net.account("bob")
    assert kept(net, "a", login="bob").connack.properties.numbers.get(0x11) is None


def test_filters_have_a_limit_for_each_account() -> None:
    net = Net(MqttConfig(anonymous=True, max_account_filter_bytes=2000))
    first, second = net.connect("a", login="ada"), net.connect("b", login="ada")
    deep = "/".join("xxxx")

    answers = [first.one(p.Answers, first.subscribe(deep)), second.one(p.Answers, second.subscribe(deep))]

    assert [answer.reasons[0] for answer in answers] == [0, Reason.QUOTA_EXCEEDED]
    assert first.one(p.Answers, first.subscribe(deep)).reasons == [0]  # the same again
    first.close()
    assert second.one(p.Answers, second.subscribe(deep)).reasons == [0]


def test_retained_messages_have_a_quota_for_each_account() -> None:
    net = Net(MqttConfig(anonymous=True, max_account_retained_bytes=2000))
    ada, bob = net.connect("a", login="ada"), net.connect("b", login="bob")
    ada.publish("a", bytes(1000), 1, retain=True)

    answers = [peer.one(p.Ack, peer.publish("b", bytes(1000), 1, retain=True)).reason for peer in (ada, bob)]

    assert answers[0] == Reason.QUOTA_EXCEEDED
    assert answers[1] < 0x80
    assert ada.one(p.Ack, ada.publish("a", b"", 1, retain=True)).reason < 0x80
    assert ada.one(p.Ack, ada.publish("c", bytes(1000), 1, retain=True)).reason < 0x80


@pytest.mark.spec("MQTT 3.1.1 §3.3.1")
def test_a_retained_message_at_qos_0_without_room_is_sent_but_not_kept(tmp_path: Path) -> None:
    net = Net(MqttConfig(anonymous=True, max_retained_bytes=2000), folder=tmp_path)
    reader, writer = net.connect("r"), net.connect("w")
    reader.subscribe("#")
    reader.took()
    writer.publish("a", bytes(1000), retain=True)
    writer.publish("b", b"old", retain=True)

    writer.publish("b", bytes(1500), retain=True)

    assert [len(each.payload) for each in reader.messages()] == [1000, 3, 1500]
    late = net.connect("l")
    # [MQTT-3.3.1-7] of 3.1.1: the one before is discarded
    assert [len(each) for each in payloads(late.subscribe("#"))] == [1000]
    assert net.opened is not None
    net.opened.close()


def test_properties_count_too() -> None:
    net = Net(MqttConfig(anonymous=True, max_retained_bytes=5000))
    writer = net.connect("w")
    many = Properties()
    many.users.extend([("", "")] * 100)

    answer = writer.one(p.Ack, writer.publish("a", b"x", 1, retain=True, properties=many))

    assert answer.reason == Reason.QUOTA_EXCEEDED


def test_topic_aliases_stand_for_so_much_text_and_no_more() -> None:
    net = Net()
    peer = net.connect("a")
    for alias in (1, 2):
        peer.publish(f"{alias}" + "x" * 60_000, properties=numbers(topic_alias=alias))
    peer.publish("short", properties=numbers(topic_alias=1))
    peer.publish("z" * 60_000, properties=numbers(topic_alias=3))
    assert not peer.is_out

    answers = peer.publish("z" * 60_000, properties=numbers(topic_alias=4))

    assert peer.one(p.Disconnect, answers).reason == Reason.QUOTA_EXCEEDED


def test_a_client_that_acknowledges_nothing_is_not_sent_more_than_it_should_have_under_way() -> None:
    net = Net()
    reader, writer = kept(net), net.connect("w")
    reader.subscribe("t", 1)
    reader.took()
    big = bytes(900_000)

    for number in range(1, 31):
        writer.publish("t", big, 1, packet_id=number)

    sent = reader.messages()
    assert len(sent) == 19  # 16 MiB
    for each in sent:
        reader.send(p.Ack(p.PUBACK, each.packet_id))
    assert len(sent) + len(payloads(reader.took())) <= 30
    assert net.broker.quotas.everybody.queued_bytes < 12 * len(big)
