"""What a session that is kept missed on chat topics: it comes from the log, once, in order."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.support.mqtt import V5, V311, Net, Peer, numbers

from sabir.core.model.conversation import Role
from sabir.protocols.mqtt.types import packets as p

BOTH = pytest.mark.parametrize("version", [V311, V5])
ROOM, ADA = "chat/v1/r/lobby", "chat/v1/u/ada"


@pytest.fixture
def net() -> Net:
    return Net()


def come(net: Net, version: int = V5) -> Peer:
    """Connect ada's device, whose session is kept; what came with CONNACK is in `after`."""
    return net.connect(
        "device", version, clean_start=False, login="ada", properties=numbers(session_expiry=1000)
    )


def texts(packets: list[p.Packet]) -> list[str]:
    return [each.payload.decode() for each in packets if isinstance(each, p.Publish)]


def acknowledge(peer: Peer, packets: list[p.Packet]) -> list[p.Packet]:
    """Acknowledge what came, and return what comes then."""
    return peer.send(
        *[p.Ack(p.PUBACK, each.packet_id) for each in packets if isinstance(each, p.Publish) and each.qos]
    )


def everything(peer: Peer, first: list[p.Packet]) -> list[str]:
    """Acknowledge until nothing more comes, and return all texts."""
    found: list[str] = []
    packets = first
    while texts(packets):
        found += texts(packets)
        packets = acknowledge(peer, packets)
    return found


@BOTH
def test_what_was_said_while_a_client_was_gone_comes_once_and_in_order(net: Net, version: int) -> None:
    bob = net.connect("b", login="bob")
    ada = come(net, version)
    ada.subscribe(f"{ROOM}/text", 1)
    ada.subscribe(f"{ADA}/text", 1)
    bob.publish(f"{ROOM}/text", b"0", 1)
    acknowledge(ada, ada.took())
    ada.close()

    for number in range(1, 5):
        bob.publish(f"{ROOM}/text" if number % 2 else f"{ADA}/text", b"%d" % number, 1)
    ada = come(net, version)
    missed = everything(ada, ada.after)
    bob.publish(f"{ROOM}/text", b"5", 1)
    live = everything(ada, ada.took())
    ada.close()
    again = come(net, version)

    assert (missed, live) == (["1", "2", "3", "4"], ["5"])
    assert everything(again, again.after) == []


def test_what_was_not_acknowledged_comes_again_as_a_duplicate_and_nothing_else_does(net: Net) -> None:
    bob, ada = net.connect("b", login="bob"), come(net)
    ada.subscribe(f"{ROOM}/text", 1)
    for number in range(3):
        bob.publish(f"{ROOM}/text", b"%d" % number, 1)
    first, *_ = ada.took()
    acknowledge(ada, [first])
    ada.close()
    bob.publish(f"{ROOM}/text", b"3", 1)

    ada = come(net)

    shown = [(each.payload, each.dup) for each in ada.after if isinstance(each, p.Publish)]
    assert shown == [(b"1", True), (b"2", True), (b"3", False)]


def test_filters_at_qos_0_and_new_ones_miss_nothing_that_was_theirs(net: Net) -> None:
    bob, ada = net.connect("b", login="bob"), come(net)
    bob.publish("chat/v1/r/other/text", b"long ago", 1)
    ada.subscribe(f"{ROOM}/text", 0)
    ada.subscribe(f"{ROOM}/msg", 1)
    bob.publish(f"{ROOM}/text", b"unacknowledged", 1)
    ada.subscribe("chat/v1/r/other/text", 1)
    ada.close()
    bob.publish(f"{ROOM}/text", b"missed", 1)
    bob.publish("chat/v1/r/other/text", b"here too", 1)

    ada = come(net)

    shown = [each for each in ada.after if isinstance(each, p.Publish)]
    assert [each.topic for each in shown] == [f"{ROOM}/msg"] * 2 + ["chat/v1/r/other/text"]
    assert [json.loads(each.payload)["text"] for each in shown[:2]] == ["unacknowledged", "missed"]
    assert shown[2].payload == b"here too"


def test_many_that_were_missed_come_page_by_page(net: Net) -> None:
    bob, ada = net.connect("b", login="bob"), come(net)
    ada.subscribe(f"{ROOM}/text", 1)
    ada.subscribe("chat/v1/r/other/text", 1)
    ada.close()
    for number in range(300):
        bob.publish(f"chat/v1/r/{'lobby' if number % 3 else 'other'}/text", b"%d" % number)

    ada = come(net)

    assert everything(ada, ada.after) == [str(number) for number in range(300)]


def test_a_client_that_takes_little_reads_from_the_log(net: Net) -> None:
    bob, ada = net.connect("b", login="bob"), come(net)
    ada.subscribe(f"{ROOM}/text", 1)
    ada.session._session.outflow.receive_maximum = 2  # type: ignore[union-attr]  # as its CONNECT could say
    body = b"x" * 20_000
    for number in range(60):
        bob.publish(f"{ROOM}/text", b"%02d" % number + body, 1)
    waiting = ada.session._session.outflow.waiting_bytes  # type: ignore[union-attr]  # it is connected

    shown = everything(ada, ada.took())

    assert waiting < 400_000
    assert [text[:2] for text in shown] == [f"{number:02}" for number in range(60)]
    bob.publish(f"{ROOM}/text", b"live", 1)
    assert everything(ada, ada.took()) == ["live"]


def test_ones_own_words_come_back_once(net: Net) -> None:
    ada, phone = come(net), net.connect("phone", login="ada")
    ada.subscribe(f"{ROOM}/text", 1)
    ada.publish(f"{ROOM}/text", b"mine", 1)
    ada.took()
    ada.close()
    phone.publish(f"{ROOM}/text", b"mine too", 1)

    ada = come(net)

    assert everything(ada, ada.after) == ["mine", "mine too"]  # the first was not acknowledged


def test_who_was_banned_meanwhile_is_shown_nothing(net: Net) -> None:
    bob = net.connect("b", login="bob")
    bob.subscribe(f"{ROOM}/text")
    ada = come(net)
    ada.subscribe(f"{ROOM}/text", 1)
    ada.close()
    room = net.services.rooms.find("lobby")
    assert room is not None
    net.services.moderation.set_role(
        bob.session, room, net.account("ada").actor, Role.BANNED, "", lambda: None, lambda refusal: None
    )
    net.run()
    bob.publish(f"{ROOM}/text", b"among us", 1)

    assert come(net).after == []


@BOTH
def test_after_a_crash_the_client_gets_what_it_has_not_acknowledged(tmp_path: Path, version: int) -> None:
    net = Net(folder=tmp_path / "data")
    bob, ada = net.connect("b", login="bob"), come(net, version)
    ada.subscribe(f"{ROOM}/text", 1)
    for number in range(4):
        bob.publish(f"{ROOM}/text", b"%d" % number, 1)
    acknowledge(ada, ada.took()[:2])
    bob.publish("chat/v1/r/other/text", b"before it was subscribed to", 1)
    ada.subscribe("chat/v1/r/other/text", 1)
    bob.publish("chat/v1/r/other/text", b"4", 1)

    net = net.killed(tmp_path / "copy")
    bob = net.connect("b", login="bob")
    bob.publish(f"{ROOM}/text", b"5", 1)
    ada = come(net, version)

    assert ada.connack.session_present
    assert everything(ada, ada.after) == ["2", "3", "4", "5"]
