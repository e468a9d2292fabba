"""Whatever clients send, a session answers or closes, the broker stands, and others are served."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.mqtt import V5, V311, Net, Peer

from sabir.protocols.mqtt.codec.encoder import encode
from sabir.protocols.mqtt.types import packets as p
from sabir.protocols.mqtt.types import properties as ids
from sabir.protocols.mqtt.types.properties import NONE, Properties

TOPICS = st.sampled_from(
    ("a", "a/b", "$SYS/x", "", "chat/v1/r/lobby/text", "chat/v1/r/lobby/msg", "chat/v1/x", "/", "a//b")
)
FILTERS = st.sampled_from(
    ("#", "a/+", "+/b", "a/#/b", "$share/g/a", "$share/g/#", "$SYS/#", "chat/v1/r/lobby/+", "chat/v1/#", "")
)
PAYLOADS = st.sampled_from((b"", b"x", b"\xff\0", b'{"text":"x"}', b"{", bytes(300)))
SMALL_IDS = st.integers(1, 3)


@st.composite
def properties(draw: st.DrawFn) -> Properties:
    made = Properties()
    for identifier, most in ((ids.MESSAGE_EXPIRY, 3), (ids.TOPIC_ALIAS, 3)):
        if draw(st.booleans()):
            made.numbers[identifier] = draw(st.integers(0, most))
    return made if made.numbers else NONE


PACKETS = st.one_of(
    st.builds(
        lambda topic, payload, qos, retain, number, more: p.Publish(
            topic, payload, qos, retain, False, number if qos else 0, more
        ),
        TOPICS,
        PAYLOADS,
        st.integers(0, 2),
        st.booleans(),
        SMALL_IDS,
        properties(),
    ),
    st.builds(p.Ack, st.integers(p.PUBACK, p.PUBCOMP), SMALL_IDS, st.just(0)),
    st.builds(
        p.Subscribe,
        SMALL_IDS,
        st.lists(
            st.builds(p.Filter, FILTERS, st.integers(0, 2), st.booleans(), st.booleans(), st.integers(0, 2)),
            min_size=1,
            max_size=3,
        ),
    ),
    st.builds(p.Unsubscribe, SMALL_IDS, st.lists(FILTERS, min_size=1, max_size=3)),
    st.builds(p.Ping, st.just(p.PINGREQ)),
    st.builds(p.Disconnect, st.sampled_from((0, 4))),
    st.builds(p.Auth, st.sampled_from((0x18, 0x19))),
    st.builds(p.Connect, st.just(V5), st.just("again")),
)


def play(net: Net, version: int, stream: list[bytes], *, clean_start: bool) -> None:
    kept = Properties()
    kept.numbers[ids.SESSION_EXPIRY] = 60
    peer: Peer = net.connect("fuzz", version, clean_start=clean_start, login="ada", properties=kept)
    for data in stream:
        if not peer.is_out:
            peer.session.receive(data)
            net.run()
    peer.close()


def is_served(net: Net) -> bool:
    bob = net.connect("calm", login="bob")
    bob.subscribe("calm/#", 2)
    answers = bob.publish("calm/t", b"still here", 1)
    return [each.payload for each in answers if isinstance(each, p.Publish)] == [b"still here"]


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from((V311, V5)),
    st.lists(st.lists(PACKETS, min_size=1, max_size=8), max_size=3),
    st.booleans(),
)
def test_no_order_of_packets_is_a_fault(version: int, lives: list[list[p.Packet]], clean_start: bool) -> None:
    net = Net()

    for packets in lives:
        play(net, version, [encode(packet, version) for packet in packets], clean_start=clean_start)
        net.pass_time(2)

    assert is_served(net)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from((V311, V5)),
    st.lists(PACKETS, min_size=1, max_size=4),
    st.integers(0, 999),
    st.integers(0, 255),
)
def test_no_wrong_octet_is_a_fault(version: int, packets: list[p.Packet], at: int, octet: int) -> None:
    net = Net()
    data = bytearray(b"".join(encode(packet, version) for packet in packets))
    data[at % len(data)] = octet

    play(net, version, [bytes(data[:7]), bytes(data[7:])], clean_start=True)

    assert is_served(net)
