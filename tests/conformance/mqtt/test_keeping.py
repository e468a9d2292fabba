"""What is acknowledged is on the disk: sessions, queues, retained messages, across restarts."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.mqtt import V5, V311, Net, Peer, numbers

from sabir.core.errors import Refusal
from sabir.core.ports import StoreError
from sabir.protocols.mqtt.types import packets as p
from sabir.protocols.mqtt.types import properties as ids
from sabir.protocols.mqtt.types.properties import Properties
from sabir.protocols.mqtt.types.reasons import Reason

BOTH = pytest.mark.parametrize("version", [V311, V5])

Restart = Callable[[Net], Net]


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Net]:
    net = Net(folder=tmp_path / "data")
    yield net
    assert net.opened is not None
    net.opened.close()


@pytest.fixture
def restart(tmp_path: Path) -> Iterator[Restart]:
    """Returns the server that follows one that was killed."""
    made: list[Net] = []

    def again(net: Net) -> Net:
        made.append(net.killed(tmp_path / f"life {len(made)}"))
        return made[-1]

    yield again
    for net in made:
        assert net.opened is not None
        net.opened.close()


def come(net: Net, client_id: str = "r", version: int = V5) -> Peer:
    """A client whose session is kept."""
    return net.connect(client_id, version, clean_start=False, properties=numbers(session_expiry=1000))


def messages(packets: list[p.Packet]) -> list[p.Publish]:
    return [each for each in packets if isinstance(each, p.Publish)]


def rows(net: Net) -> dict[str, int]:
    assert net.opened is not None
    net.run()
    (file,) = [each for each in net.opened.directory.rglob("*.db*") if _is_store(each)]
    with sqlite3.connect(file) as connection:
        names = [
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE name LIKE 'mqtt%'")
        ]
        tables = [name for name in names if "autoindex" not in name and "_client" not in name]
        return {name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables}


def _is_store(file: Path) -> bool:
    if file.suffix not in (".db", ".sqlite"):
        return False
    with sqlite3.connect(file) as connection:
        return bool(connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'mqtt_queue'").fetchone())


@BOTH
@pytest.mark.spec("MQTT 5.0 §4.1")
@pytest.mark.spec("MQTT 3.1.1 §4.1")
def test_a_session_outlives_the_server(net: Net, restart: Restart, version: int) -> None:
    reader, writer = come(net, version=version), net.connect("w")
    properties = Properties()
    properties.users.extend([("b", "1"), ("a", "2")])
    properties.texts[ids.CONTENT_TYPE] = "text/plain"
    reader.send(p.Subscribe(1, [p.Filter("a/#", 2), p.Filter("b", 1)]))
    reader.send(p.Unsubscribe(2, ["b"]))
    reader.close()
    for qos in (0, 1, 2):
        writer.publish("a/b", bytes((qos,)), qos, properties=properties)
    writer.publish("b", b"not this", 1)

    after = restart(net)

    again = come(after, version=version)
    assert again.connack.session_present
    got = messages(again.after)
    assert [(each.topic, each.payload, each.qos) for each in got] == [("a/b", b"\1", 1), ("a/b", b"\2", 2)]
    if version == V5:
        assert got[0].properties == properties
    after.connect("w").publish("a/c", b"live", 1)
    assert [each.payload for each in again.messages()] == [b"live"]


@pytest.mark.spec("MQTT 5.0 §4.3")
def test_qos_1_and_2_are_acknowledged_when_they_are_on_the_disk() -> None:
    net = Net()
    come(net).subscribe("t", 2)
    writer = net.connect("w")
    store = net.world.store
    store.stalled = True

    assert writer.publish("t", b"1", 1, packet_id=1) == []
    assert writer.publish("t", b"2", 2, packet_id=2) == []
    assert writer.publish("other", b"3", 1, packet_id=3) == []  # in its turn: [MQTT-4.6.0-2]
    store.stalled = False
    store.go()
    net.run()

    answers = [each for each in writer.took() if isinstance(each, p.Ack)]
    assert [(each.kind, each.packet_id) for each in answers] == [(p.PUBACK, 1), (p.PUBREC, 2), (p.PUBACK, 3)]


def test_a_plain_topic_costs_no_disk() -> None:
    net = Net()
    reader, writer = net.connect("r"), net.connect("w")
    reader.subscribe("t", 2)
    before = len(net.world.store.batches)

    for qos in (0, 1, 2):
        writer.publish("t", b"x", qos)

    assert len(reader.messages()) == 3
    assert len(net.world.store.batches) == before


@BOTH
def test_what_cannot_be_stored_is_not_acknowledged(version: int) -> None:
    net = Net()
    reader = come(net)
    reader.subscribe("t", 2)
    writer = net.connect("w", version)
    net.world.store.errors += [StoreError("the disk is full")] * 3

    answers = writer.publish("t", b"x", 2, packet_id=1)
    net.pass_time(5)
    answers += writer.took()

    if version == V5:
        assert writer.one(p.Ack, answers).reason == Reason.IMPLEMENTATION_ERROR
        assert writer.session.account is None
        assert net.front_end.counters.refusals == {Refusal.STORAGE_FAILED: 1}
    else:
        assert writer.is_out
    assert reader.messages() == []


@pytest.mark.spec("MQTT 5.0 §4.4")
def test_qos_2_to_a_client_is_not_sent_twice_across_a_restart(net: Net, restart: Restart) -> None:
    reader, writer = come(net), net.connect("w")
    reader.subscribe("t", 2)
    writer.publish("t", b"1", 2, packet_id=1)
    writer.publish("t", b"2", 2, packet_id=2)
    first, second = reader.messages()
    released = reader.one(p.Ack, reader.send(p.Ack(p.PUBREC, first.packet_id)))
    assert released.kind == p.PUBREL

    again = come(restart(net))

    assert [type(each) for each in again.after] == [p.Ack, p.Publish]
    assert isinstance(again.after[0], p.Ack)
    assert (again.after[0].kind, again.after[0].packet_id) == (p.PUBREL, first.packet_id)
    (sent,) = messages(again.after)
    # The same identifier: a client that has it already knows so.
    assert (sent.payload, sent.packet_id, sent.dup) == (b"2", second.packet_id, True)


def test_pubrel_waits_until_the_disk_knows_that_the_client_has_the_message() -> None:
    net = Net()
    reader, writer = come(net), net.connect("w")
    reader.subscribe("t", 2)
    writer.publish("t", b"1", 2)
    sent = reader.one(p.Publish)
    net.world.store.stalled = True

    assert reader.send(p.Ack(p.PUBREC, sent.packet_id)) == []
    net.world.store.stalled = False
    net.world.store.go()
    net.run()

    assert reader.one(p.Ack).kind == p.PUBREL


@pytest.mark.spec("MQTT 5.0 §4.3")
def test_qos_2_from_a_client_is_not_published_twice_across_a_restart(net: Net, restart: Restart) -> None:
    reader, writer = come(net), come(net, "w")
    reader.subscribe("t", 2)
    writer.publish("t", b"once", 2, packet_id=7)
    reader.close()

    after = restart(net)
    writer = come(after, "w")
    assert writer.one(p.Ack, writer.send(p.Publish("t", b"once", 2, dup=True, packet_id=7))).kind == p.PUBREC
    assert writer.one(p.Ack, writer.send(p.Ack(p.PUBREL, 7))).kind == p.PUBCOMP
    last = restart(after)
    writer = come(last, "w")
    writer.publish("t", b"another", 2, packet_id=7)

    assert [each.payload for each in messages(come(last).after)] == [b"once", b"another"]


@pytest.mark.spec("MQTT 5.0 §3.3.1")
def test_retained_messages_outlive_the_server(net: Net, restart: Restart) -> None:
    writer = net.connect("w")
    for topic, payload in (("a", b"old"), ("a", b"new"), ("b", b"gone"), ("c", b"zero")):
        writer.publish(topic, payload, 0 if topic == "c" else 1, retain=True)
    writer.publish("b", b"", retain=True)

    after = restart(net)

    got = messages(after.connect("r").subscribe("+", 1))
    assert sorted((each.topic, each.payload, each.retain) for each in got) == [
        ("a", b"new", True),
        ("c", b"zero", True),
    ]
    assert rows(after)["mqtt_messages"] == 2


def test_a_retained_message_waits_for_a_session_that_is_kept(net: Net, restart: Restart) -> None:
    net.connect("w").publish("t", b"kept", 1, retain=True)
    reader = come(net)
    (sent,) = messages(reader.subscribe("t", 1))

    again = come(restart(net))

    assert [(each.payload, each.retain, each.packet_id) for each in messages(again.after)] == [
        (b"kept", True, sent.packet_id)
    ]


def test_sessions_expire_after_a_restart_as_they_would_have(net: Net, restart: Restart) -> None:
    come(net).close()
    net.pass_time(900)
    after = restart(net)
    assert after.opened is not None

    after.pass_time(990)  # it was started anew, at the time when all began
    assert ("r", True) in [(session.client_id, session.row > 0) for session in after.broker.sessions.values()]
    after.pass_time(1000)

    assert not come(after).connack.session_present


def test_nothing_is_left_of_what_was_acknowledged_and_of_sessions_that_ended(net: Net) -> None:
    reader, writer = come(net), net.connect("w")
    reader.subscribe("t", 2)
    for number in range(1, 5):
        writer.publish("t", b"x", 1 + number % 2, packet_id=number)
    writer.publish("t", b"expired", 1, packet_id=9, properties=numbers(message_expiry=1))
    for each in reader.messages():
        if each.qos == 1:
            reader.send(p.Ack(p.PUBACK, each.packet_id))
        else:
            reader.send(p.Ack(p.PUBREC, each.packet_id))
            reader.send(p.Ack(p.PUBCOMP, each.packet_id))
    assert rows(net) == {
        "mqtt_sessions": 1,
        "mqtt_filters": 1,
        "mqtt_messages": 0,
        "mqtt_queue": 0,
        "mqtt_received": 0,
        "mqtt_retained": 0,
    }

    reader.close()
    writer.publish("t", b"x", 2, packet_id=20)
    assert rows(net)["mqtt_queue"] == 1
    net.connect("r", clean_start=True)

    assert set(rows(net).values()) == {0}


def test_the_sessions_of_an_account_go_with_it(net: Net) -> None:
    net.connect("r", login="ada", properties=numbers(session_expiry=60)).subscribe("t", 1)

    net.services.accounts.delete(net.account("ada"), lambda: None, lambda refusal: None)
    net.run()

    assert set(rows(net).values()) == {0}


def test_a_share_gives_what_a_kept_session_did_not_get_to_another_when_it_ends(
    net: Net, restart: Restart
) -> None:
    first, second, writer = come(net, "1"), come(net, "2"), net.connect("w")
    first.subscribe("$share/g/t", 1)
    writer.publish("t", b"job", 1)
    assert len(first.messages()) == 1
    second.subscribe("$share/g/t", 1)
    second.close()

    after = restart(net)
    net = after
    assert net.connect("1", clean_start=True).connack.session_present is False

    assert [each.payload for each in messages(come(net, "2").after)] == [b"job"]
