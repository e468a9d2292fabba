"""Wills of sessions that are kept: a server that is killed publishes them when it is back, once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.mqtt import V5, V311, Net, Peer, numbers

from sabir.protocols.mqtt.features.shelf import packed, unpacked
from sabir.protocols.mqtt.types import packets as p
from sabir.protocols.mqtt.types import properties as ids
from sabir.protocols.mqtt.types.properties import NONE, Properties
from sabir.protocols.mqtt.types.reasons import Reason

pytestmark = pytest.mark.spec("MQTT 5.0 §3.1.3")

BOTH = pytest.mark.parametrize("version", [V311, V5])
Restart = Callable[[Net], Net]


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Net]:
    net = Net(folder=tmp_path / "data")
    listen(net)
    yield net
    assert net.opened is not None
    net.opened.close()


@pytest.fixture
def restart(tmp_path: Path) -> Iterator[Restart]:
    """Returns the server that follows one that was killed."""
    made: list[Net] = []

    def again(net: Net) -> Net:
        made.append(net.killed(tmp_path / f"life {len(made)}", net.services.clock.now_ms()))
        return made[-1]

    yield again
    for net in made:
        assert net.opened is not None
        net.opened.close()


def listen(net: Net) -> list[bytes]:
    """A client whose session is kept comes, takes what is there, and goes."""
    peer = net.connect("heir", clean_start=False, properties=numbers(session_expiry=100_000))
    peer.subscribe("wills/#", 1)
    got = [each for each in [*peer.after, *peer.took()] if isinstance(each, p.Publish)]
    peer.send(*(p.Ack(p.PUBACK, each.packet_id) for each in got))
    peer.close()
    return [each.payload for each in got]


def will(payload: bytes = b"gone", *, qos: int = 1, retain: bool = False, delay_s: int = 0) -> p.Will:
    return p.Will("wills/a", payload, qos, retain, numbers(will_delay=delay_s) if delay_s else NONE)


def come(net: Net, left: p.Will | None, version: int = V5, expiry_s: int = 1000) -> Peer:
    return net.connect(
        "a", version, clean_start=False, will=left, properties=numbers(session_expiry=expiry_s)
    )


@BOTH
def test_a_will_is_published_after_the_server_was_killed(net: Net, restart: Restart, version: int) -> None:
    come(net, will(), version)  # [MQTT-3.1.2-8]

    after = restart(net)
    after.pass_time(1)
    later = restart(after)
    later.pass_time(1)

    assert listen(later) == [b"gone"]
    assert listen(restart(later)) == []


def test_the_delay_counts_from_when_the_client_was_gone(net: Net, restart: Restart) -> None:
    come(net, will(delay_s=100)).close()
    net.pass_time(60)

    after = restart(net)
    after.pass_time(30)
    assert listen(after) == []
    later = restart(after)
    later.pass_time(30)

    assert listen(later) == [b"gone"]


def test_the_delay_of_a_client_that_was_connected_begins_once(net: Net, restart: Restart) -> None:
    come(net, will(delay_s=100))

    first = restart(net)
    first.pass_time(60)
    second = restart(first)
    second.pass_time(60)

    assert listen(second) == [b"gone"]


def test_who_comes_back_in_time_takes_its_will_back(net: Net, restart: Restart) -> None:
    come(net, will(delay_s=100)).close()

    after = restart(net)
    again = come(after, None)  # [MQTT-3.1.3-9]
    assert again.connack.session_present
    after.pass_time(200)
    assert listen(after) == []
    again.close()
    later = restart(after)
    later.pass_time(200)

    assert listen(later) == []


def test_the_end_of_the_session_comes_before_the_delay(net: Net, restart: Restart) -> None:
    come(net, will(delay_s=500), expiry_s=50).close()

    after = restart(net)
    after.pass_time(60)

    assert listen(after) == [b"gone"]
    assert listen(restart(after)) == []


@pytest.mark.parametrize("reason", [Reason.SUCCESS, Reason.DISCONNECT_WITH_WILL])
def test_goodbyes_are_remembered(net: Net, restart: Restart, reason: Reason) -> None:
    come(net, will()).send(p.Disconnect(reason))  # [MQTT-3.14.4-3]

    after = restart(net)
    after.pass_time(1)

    assert listen(after) == ([b"gone"] if reason else [])
    assert listen(restart(after)) == []


def test_a_will_is_retained_if_it_says_so(net: Net, restart: Restart) -> None:
    come(net, will(retain=True))  # [MQTT-3.1.2-15]

    after = restart(net)
    after.pass_time(1)

    late = restart(after).connect("late")
    assert [each.payload for each in late.subscribe("wills/a") if isinstance(each, p.Publish)] == [b"gone"]


def test_a_session_that_was_to_end_with_its_connection_ends_with_its_will(net: Net, restart: Restart) -> None:
    come(net, None).close()
    come(net, will(), expiry_s=0)  # the session is in the store still

    after = restart(net)
    after.pass_time(1)

    assert listen(after) == [b"gone"]
    assert not come(after, None).connack.session_present


def test_a_deleted_account_leaves_no_will(net: Net) -> None:
    peer = net.connect("b", will=will(delay_s=50), login="ada", properties=numbers(session_expiry=1000))
    peer.close()
    net.services.accounts.delete(net.account("ada"), lambda: None, lambda refusal: None)
    net.run()
    net.pass_time(100)

    assert listen(net) == []


def test_a_will_survives_packing() -> None:
    properties = Properties()
    properties.numbers.update({ids.WILL_DELAY: 5, ids.MESSAGE_EXPIRY: 7, ids.PAYLOAD_FORMAT: 1})
    properties.texts[ids.RESPONSE_TOPIC] = "r"
    properties.users.extend([("b", "1"), ("a", "2"), ("b", "3")])

    for qos in (0, 1, 2):
        again = unpacked(packed(p.Will("t/ü", b"\0x", qos, True, properties)))
        found = (again.topic, again.payload, again.qos, again.retain, again.properties)
        assert found == ("t/ü", b"\0x", qos, True, properties)
