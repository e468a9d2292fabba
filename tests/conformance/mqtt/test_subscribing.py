"""SUBSCRIBE and UNSUBSCRIBE, retained messages, sessions, wills."""

from __future__ import annotations

import pytest
from tests.support.mqtt import V5, V311, Net, Peer, numbers

from sabir.protocols.mqtt.codec.message import Message
from sabir.protocols.mqtt.config import MqttConfig
from sabir.protocols.mqtt.features.retained import Retained
from sabir.protocols.mqtt.features.topics import contains, covers
from sabir.protocols.mqtt.types import packets as p
from sabir.protocols.mqtt.types.properties import NONE, Properties
from sabir.protocols.mqtt.types.reasons import Reason

BOTH = pytest.mark.parametrize("version", [V311, V5])


@pytest.fixture
def net() -> Net:
    return Net()


def payloads(peer: Peer) -> list[bytes]:
    return [each.payload for each in peer.messages()]


def with_id(number: int) -> Properties:
    made = Properties()
    made.subscription_ids.append(number)
    return made


@pytest.mark.spec("MQTT 5.0 §4.7")
@pytest.mark.spec("MQTT 3.1.1 §4.7")
@pytest.mark.parametrize(
    ("name", "topic", "matches"),
    [
        ("a/b", "a/b", True),
        ("a/b", "a/B", False),  # [MQTT-4.7.3-4]
        ("a/b", "/a/b", False),
        ("a/#", "a", True),
        ("a/#", "a/b/c", True),
        ("a/#", "ab", False),
        ("#", "a/b", True),
        ("+", "a", True),
        ("+", "/a", False),
        ("+/+", "/a", True),
        ("/+", "/a", True),
        ("a/+/c", "a/b/c", True),
        ("a/+/c", "a//c", True),
        ("a/+", "a", False),
        ("a/+", "a/", True),
        ("+/b/#", "a/b", True),
        ("#", "$SYS/x", False),  # [MQTT-4.7.2-1]
        ("+/x", "$SYS/x", False),
        ("$SYS/#", "$SYS/x", True),
        ("a/$b", "a/$b", True),
        ("a/+", "a/$b", True),
    ],
)
def test_filters_match_topics(net: Net, name: str, topic: str, matches: bool) -> None:

    peer = net.connect("a")
    peer.subscribe(name)
    peer.took()
    message, shelf = Message(topic, b"x", 0, True), Retained(1000, 1000)
    shelf.put(message)

    net.broker.publish(message, None)

    assert len(payloads(peer)) == matches
    assert covers(name, topic) == matches
    assert (shelf.matching(name) == [message]) == matches


@pytest.mark.parametrize(
    ("wide", "narrow", "whole"),
    [
        ("#", "a/+", True),
        ("a/#", "a", True),
        ("a/#", "a/+/b", True),
        ("a/+", "a/b", True),
        ("a/+", "a/+", True),
        ("a/b", "a/+", False),
        ("a/+", "a/#", False),
        ("a/b", "#", False),
        ("a", "a/b", False),
    ],
)
def test_a_filter_may_contain_another(wide: str, narrow: str, whole: bool) -> None:
    assert contains(wide, narrow) == whole


@BOTH
@pytest.mark.spec("MQTT 5.0 §3.8")
@pytest.mark.spec("MQTT 5.0 §3.9")
@pytest.mark.spec("MQTT 3.1.1 §3.8")
def test_suback_has_a_reason_for_each_filter_in_order(net: Net, version: int) -> None:
    peer = net.connect("a", version)
    wanted = [p.Filter("a", 2), p.Filter("a/#/b", 1), p.Filter("b+", 0), p.Filter("c", 1), p.Filter("", 0)]

    answer = peer.one(p.Answers, peer.send(p.Subscribe(77, wanted)))

    bad = Reason.TOPIC_FILTER_INVALID if version == V5 else 0x80
    # [MQTT-3.8.4-1], [MQTT-3.8.4-6]
    assert (answer.kind, answer.packet_id, answer.reasons) == (p.SUBACK, 77, [2, bad, bad, 1, bad])


@BOTH
@pytest.mark.spec("MQTT 5.0 §3.10")
@pytest.mark.spec("MQTT 5.0 §3.11")
@pytest.mark.spec("MQTT 3.1.1 §3.11")
def test_after_unsuback_nothing_more_comes(net: Net, version: int) -> None:
    peer = net.connect("a", version)
    peer.subscribe("a")

    answer = peer.one(p.Answers, peer.send(p.Unsubscribe(9, ["a", "b"])))

    assert (answer.kind, answer.packet_id) == (p.UNSUBACK, 9)  # [MQTT-3.10.4-4]
    assert answer.reasons == ([0, Reason.NO_SUBSCRIPTION_EXISTED] if version == V5 else [])
    peer.publish("a")
    assert peer.messages() == []  # [MQTT-3.10.4-2]


@BOTH
@pytest.mark.spec("MQTT 5.0 §3.3.4")
def test_overlapping_subscriptions_give_one_message_at_the_highest_quality(net: Net, version: int) -> None:
    peer = net.connect("a", version)
    peer.send(p.Subscribe(1, [p.Filter("a/#", 0), p.Filter("a/+", 2), p.Filter("a/b", 1)]))

    net.connect("w").publish("a/b", b"", 2)

    assert [each.qos for each in peer.messages()] == [2]  # [MQTT-3.3.4-2]


@pytest.mark.spec("MQTT 5.0 §3.8")
def test_the_same_filter_replaces_the_one_before(net: Net) -> None:
    peer = net.connect("a")
    peer.subscribe("a", 0)
    peer.subscribe("a", 1)  # [MQTT-3.8.4-3]

    net.connect("w").publish("a", b"", 2)

    assert [each.qos for each in peer.messages()] == [1]


@pytest.mark.spec("MQTT 5.0 §3.8")
def test_subscription_identifiers_come_with_the_messages(net: Net) -> None:
    peer = net.connect("a")
    peer.send(p.Subscribe(1, [p.Filter("a/#")], with_id(5)))
    peer.send(p.Subscribe(2, [p.Filter("a/b")], with_id(268_435_455)))

    net.connect("w").publish("a/b")
    net.connect("v").publish("a/c")

    # [MQTT-3.3.4-3], [MQTT-3.3.4-4], [MQTT-3.3.4-5]
    assert [sorted(each.properties.subscription_ids) for each in peer.messages()] == [[5, 268_435_455], [5]]


def test_a_client_sends_no_subscription_identifier(net: Net) -> None:
    peer = net.connect("a")

    answers = peer.publish("a", properties=with_id(5))  # [MQTT-3.3.4-6]

    assert peer.one(p.Disconnect, answers).reason == Reason.PROTOCOL_ERROR


@pytest.mark.spec("MQTT 5.0 §3.8")
def test_one_is_not_sent_ones_own_messages_with_no_local(net: Net) -> None:
    peer, other = net.connect("a"), net.connect("b")
    peer.subscribe("a/+", 1, no_local=True)
    peer.publish("a/b", b"own")
    other.publish("a/b", b"other")
    assert payloads(peer) == [b"other"]  # [MQTT-3.8.3-3]

    peer.subscribe("#", 0)
    answers = peer.publish("a/b", b"own", 1)
    got = [(each.payload, each.qos) for each in answers if isinstance(each, p.Publish)]
    assert got == [(b"own", 0)]  # by the other filter


@pytest.mark.spec("MQTT 5.0 §3.3.1")
def test_retain_is_shown_as_published_only_to_who_asks_for_it(net: Net) -> None:
    plain, curious, writer = net.connect("a"), net.connect("b"), net.connect("w")
    plain.subscribe("t")
    curious.subscribe("t", retain_as_published=True)

    for retain in (True, False):
        writer.publish("t", retain=retain)

    assert [each.retain for each in plain.messages()] == [False, False]  # [MQTT-3.3.1-12]
    assert [each.retain for each in curious.messages()] == [True, False]  # [MQTT-3.3.1-13]


@BOTH
@pytest.mark.spec("MQTT 5.0 §3.3.1")
@pytest.mark.spec("MQTT 3.1.1 §3.3.1")
def test_the_last_retained_message_of_each_topic_is_for_later_subscribers(net: Net, version: int) -> None:
    writer = net.connect("w")
    for topic, payload in (("a/1", b"old"), ("a/1", b"new"), ("a/2", b"two"), ("b", b"no"), ("a/3", b"gone")):
        writer.publish(topic, payload, 1, retain=True)
    writer.publish("a/3", b"", retain=True)  # [MQTT-3.3.1-6], [MQTT-3.3.1-7]
    writer.publish("a/1", b"passing")  # [MQTT-3.3.1-8]: does not replace it

    peer = net.connect("r", version)
    answers = peer.subscribe("a/#", 1)

    assert isinstance(answers[0], p.Answers)
    got = [
        (each.topic, each.payload, each.qos, each.retain) for each in answers if isinstance(each, p.Publish)
    ]
    assert sorted(got) == [("a/1", b"new", 1, True), ("a/2", b"two", 1, True)]


@pytest.mark.spec("MQTT 5.0 §3.8.3")
@pytest.mark.parametrize(("handling", "counts"), [(0, (1, 1)), (1, (1, 0)), (2, (0, 0))])
def test_retain_handling(net: Net, handling: int, counts: tuple[int, int]) -> None:
    net.connect("w").publish("t", b"kept", retain=True)
    peer = net.connect("a")

    found = tuple(len(peer.subscribe("t", retain_handling=handling)) - 1 for _ in range(2))

    assert found == counts  # [MQTT-3.3.1-9], [MQTT-3.3.1-10], [MQTT-3.3.1-11]


def test_a_retained_message_expires(net: Net) -> None:
    net.connect("w").publish("t", b"kept", retain=True, properties=numbers(message_expiry=5))
    net.pass_time(6)

    assert len(net.connect("a").subscribe("t")) == 1


def test_retained_messages_have_a_quota() -> None:
    net = Net(MqttConfig(anonymous=True, max_retained_bytes=2000))
    writer, old = net.connect("w"), net.connect("o", V311)
    writer.publish("a", bytes(1000), 1, retain=True)

    assert writer.one(p.Ack, writer.publish("b", bytes(1000), 1, retain=True)).reason == Reason.QUOTA_EXCEEDED
    old.publish("b", bytes(1000), 1, retain=True)
    assert old.is_out  # 3.1.1 has no word for it
    assert writer.one(p.Ack, writer.publish("a", bytes(1500), 1, retain=True)).reason < 0x80


def test_many_levels_of_a_topic_count_against_the_quota_too() -> None:
    net = Net(MqttConfig(anonymous=True, max_retained_bytes=20_000))
    writer = net.connect("w")
    deep = "/".join(["x"] * 100)

    assert writer.one(p.Ack, writer.publish(deep, b"1", 1, retain=True)).reason == Reason.QUOTA_EXCEEDED


# Shared subscriptions


@pytest.mark.spec("MQTT 5.0 §4.8")
def test_a_shared_subscription_gives_each_message_to_one_of_its_clients(net: Net) -> None:
    workers = [net.connect(f"w{n}") for n in range(3)]
    for worker in workers:
        worker.subscribe("$share/g/jobs/+", 1)
    everybody = net.connect("e")
    everybody.subscribe("jobs/#")
    writer = net.connect("w")

    for number in range(9):
        writer.publish("jobs/1", bytes((number,)), 1)

    shares = [payloads(worker) for worker in workers]
    assert [len(share) for share in shares] == [3, 3, 3]
    assert sorted(each for share in shares for each in share) == [bytes((n,)) for n in range(9)]
    assert len(payloads(everybody)) == 9


@pytest.mark.spec("MQTT 5.0 §4.8")
@pytest.mark.parametrize(
    "name", ["$share", "$share/", "$share/g", "$share/g/", "$share//t", "$share/+/t", "$share/g#/t"]
)
def test_a_malformed_share_is_refused(net: Net, name: str) -> None:
    peer = net.connect("a")

    answer = peer.one(p.Answers, peer.subscribe(name))  # [MQTT-4.8.2-1], [MQTT-4.8.2-2]

    assert answer.reasons == ([0] if name == "$share" else [Reason.TOPIC_FILTER_INVALID])


def test_no_local_on_a_share_is_a_protocol_error(net: Net) -> None:
    peer = net.connect("a")

    answers = peer.subscribe("$share/g/t", no_local=True)  # [MQTT-3.8.3-4]

    assert peer.one(p.Disconnect, answers).reason == Reason.PROTOCOL_ERROR


@pytest.mark.spec("MQTT 5.0 §4.8")
def test_what_a_client_of_a_share_did_not_acknowledge_goes_to_another_when_it_is_gone_for_good(
    net: Net,
) -> None:
    first, second, writer = net.connect("1"), net.connect("2"), net.connect("w")
    first.subscribe("$share/g/t", 2)
    for number, qos in ((1, 1), (2, 2)):
        writer.publish("t", bytes((number,)), qos, packet_id=number)
    assert len(first.messages()) == 2
    second.subscribe("$share/g/t", 2)

    first.close()

    assert payloads(second) == [b"\1"]  # [MQTT-4.8.2-5]: not at QoS 2


@pytest.mark.spec("MQTT 5.0 §4.8")
def test_a_share_passes_over_who_cannot_take_more_and_gives_no_retained_messages(net: Net) -> None:
    writer = net.connect("w")
    writer.publish("t", b"kept", 1, retain=True)
    busy, free = net.connect("1", properties=numbers(receive_maximum=1)), net.connect("2")
    for worker in (busy, free):
        assert len(worker.subscribe("$share/g/t", 1)) == 1

    for number in range(1, 7):
        writer.publish("t", bytes((number,)), 1, packet_id=number)

    assert len(payloads(busy)) == 1
    assert len(payloads(free)) == 5
    busy.send(p.Unsubscribe(1, ["$share/g/t"]))
    writer.publish("t", b"last", 1)
    assert payloads(free) == [b"last"]


# Sessions


@BOTH
@pytest.mark.spec("MQTT 5.0 §4.1")
@pytest.mark.spec("MQTT 5.0 §3.1.2")
@pytest.mark.spec("MQTT 3.1.1 §3.1.2")
def test_a_session_that_is_kept_gets_what_was_published_meanwhile(net: Net, version: int) -> None:
    def come() -> Peer:
        return net.connect("r", version, clean_start=False, properties=numbers(session_expiry=60))

    reader, writer = come(), net.connect("w")
    assert not reader.connack.session_present  # [MQTT-3.2.2-3]
    reader.subscribe("t", 1)
    reader.send(p.Disconnect())
    for qos in (0, 1, 2):
        writer.publish("t", bytes((qos,)), qos)

    again = come()

    assert again.connack.session_present  # [MQTT-3.2.2-2]
    assert [each.payload for each in again.after if isinstance(each, p.Publish)] == [b"\1", b"\2"]
    clean = net.connect("r", version, clean_start=True)
    assert not clean.connack.session_present  # [MQTT-3.1.2-4], [MQTT-3.1.2-6] of 3.1.1
    writer.publish("t", b"", 1)
    assert clean.messages() == []


@pytest.mark.spec("MQTT 5.0 §3.1.2")
def test_a_session_expires(net: Net) -> None:
    for wait_s, is_there in ((59, True), (61, False)):
        peer = net.connect("r", clean_start=False, properties=numbers(session_expiry=60))
        peer.close()
        net.pass_time(wait_s)
        again = net.connect("r", clean_start=False, properties=numbers(session_expiry=60))
        assert again.connack.session_present == is_there
        again.close()


def test_the_expiry_may_be_changed_at_the_end(net: Net) -> None:
    peer = net.connect("r", properties=numbers(session_expiry=60))

    peer.send(p.Disconnect(0, numbers(session_expiry=0)))

    assert not net.connect("r", clean_start=False).connack.session_present


def test_beyond_a_number_no_session_is_kept() -> None:
    net = Net(MqttConfig(anonymous=True, max_sessions=1))
    net.connect("a", properties=numbers(session_expiry=60))

    late = net.connect("b", properties=numbers(session_expiry=60))

    assert late.connack.properties.number(0x11, -1) == 0


def test_a_client_has_so_many_filters_and_no_more() -> None:
    net = Net(MqttConfig(anonymous=True, max_subscriptions=1))
    peer = net.connect("a")

    wanted = [p.Filter("a"), p.Filter("b"), p.Filter("a")]

    assert peer.one(p.Answers, peer.send(p.Subscribe(1, wanted))).reasons == [0, Reason.QUOTA_EXCEEDED, 0]


# Wills


def will(payload: bytes = b"gone", *, retain: bool = False, properties: Properties = NONE) -> p.Will:
    return p.Will("wills/a", payload, 1, retain, properties)


@BOTH
@pytest.mark.spec("MQTT 5.0 §3.1.2")
@pytest.mark.spec("MQTT 3.1.1 §3.1.2")
def test_a_will_is_published_unless_the_client_says_goodbye(net: Net, version: int) -> None:
    reader = net.connect("r")
    reader.subscribe("wills/#", 1)

    net.connect("a", version, will=will()).send(p.Disconnect())
    assert payloads(reader) == []  # [MQTT-3.14.4-3], [MQTT-3.1.2-10]
    net.connect("a", version, will=will(retain=True)).close()
    assert [(each.payload, each.qos) for each in reader.messages()] == [(b"gone", 1)]  # [MQTT-3.1.2-8]
    late = net.connect("l").subscribe("wills/a")
    assert [each.retain for each in late if isinstance(each, p.Publish)] == [True]  # [MQTT-3.1.2-15]


def test_a_client_may_say_goodbye_and_still_have_its_will_published(net: Net) -> None:
    reader = net.connect("r")
    reader.subscribe("wills/#")

    net.connect("a", will=will()).send(p.Disconnect(Reason.DISCONNECT_WITH_WILL))

    assert payloads(reader) == [b"gone"]


@pytest.mark.spec("MQTT 5.0 §3.1.3")
def test_a_will_waits_for_its_delay_or_the_end_of_the_session(net: Net) -> None:
    reader = net.connect("r")
    reader.subscribe("wills/#")
    delayed = will(properties=numbers(will_delay=10))

    net.connect("a", will=delayed, properties=numbers(session_expiry=60)).close()
    net.pass_time(9)
    assert payloads(reader) == []
    net.pass_time(2)
    assert payloads(reader) == [b"gone"]

    net.connect("a", will=delayed, properties=numbers(session_expiry=5)).close()
    net.pass_time(4)
    assert payloads(reader) == []
    net.pass_time(2)
    assert payloads(reader) == [b"gone"]

    net.connect("a", will=delayed, properties=numbers(session_expiry=60)).close()
    net.connect("a", clean_start=False)
    net.pass_time(20)
    assert payloads(reader) == []  # [MQTT-3.1.3-9]


def test_a_will_that_may_not_be_published_is_refused() -> None:
    net = Net(MqttConfig(anonymous=True, acl=("* readwrite a/#",)))
    peer = net.open()

    answers = peer.send(p.Connect(V5, "a", will=will()))

    assert peer.one(p.Connack, answers).reason == Reason.NOT_AUTHORIZED


# Who may do what


def test_the_table_of_rights() -> None:
    rules = (
        "* deny secret/#",
        "ada readwrite #",
        "* read open/+",
        "anonymous write open/%c",
        "bob readwrite home/%u/#",
    )
    net = Net(MqttConfig(anonymous=True, acl=rules))
    ada, bob, guest = net.connect("1", login="ada"), net.connect("2", login="bob"), net.connect("me")

    def subscribed(peer: Peer, name: str) -> int:
        return peer.one(p.Answers, peer.subscribe(name)).reasons[0]

    def published(peer: Peer, topic: str) -> int:
        return next(each.reason for each in peer.publish(topic, b"", 1) if isinstance(each, p.Ack))

    no = Reason.NOT_AUTHORIZED
    assert subscribed(ada, "#") == 0
    assert subscribed(ada, "secret/x") == no
    assert subscribed(bob, "home/bob/#") == 0
    assert subscribed(bob, "home/ada/#") == no
    assert subscribed(bob, "other") == no
    assert subscribed(guest, "#") == 0  # there are topics that it may read
    assert published(ada, "secret/x") == no
    assert published(bob, "home/bob/light") == 0
    assert published(bob, "open/1") == no
    assert published(guest, "open/me") == 0
    assert published(guest, "open/you") == no
    ada.publish("open/1")
    ada.publish("home/1")
    assert {each.topic for each in guest.messages()} == {"open/1"}
    old = net.connect("3", V311)
    old.subscribe("$share/g/open/#", 1)
    ada.publish("home/x", b"", 1)
    assert old.messages() == []


def test_the_status_of_the_broker_is_under_sys(net: Net) -> None:
    peer = net.connect("a")

    answers = peer.subscribe("$SYS/broker/#")

    shown = {each.topic: each.payload for each in answers if isinstance(each, p.Publish)}
    assert shown["$SYS/broker/version"] == b"sabir 1.0"
    net.pass_time(10)
    assert {each.topic: each.payload for each in peer.messages()}["$SYS/broker/clients/connected"] == b"1"
