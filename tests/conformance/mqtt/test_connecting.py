"""CONNECT, CONNACK, keep-alive, the end of a connection."""

from __future__ import annotations

import pytest
from tests.support.mqtt import PASSWORD, V5, V311, Net, numbers

from sabir.core.model.actor import AccountState
from sabir.protocols.mqtt.config import MqttConfig
from sabir.protocols.mqtt.features.login import METHOD
from sabir.protocols.mqtt.types import packets as p
from sabir.protocols.mqtt.types import properties as ids
from sabir.protocols.mqtt.types.properties import Properties
from sabir.protocols.mqtt.types.reasons import Reason
from sabir.wire.sasl.client import client_mechanism

BOTH = pytest.mark.parametrize("version", [V311, V5])


@pytest.fixture
def net() -> Net:
    return Net()


@BOTH
@pytest.mark.spec("MQTT 5.0 §3.1")
@pytest.mark.spec("MQTT 5.0 §3.2")
@pytest.mark.spec("MQTT 3.1.1 §3.1")
def test_the_first_packet_must_be_connect_and_there_is_one_only(net: Net, version: int) -> None:
    early = net.open(version)
    assert early.send(p.Ping(p.PINGREQ)) == []  # [MQTT-3.1.0-1]
    assert early.is_out

    twice = net.connect("a", version)
    answers = twice.send(p.Connect(version, "a"))  # [MQTT-3.1.0-2]
    assert twice.is_out
    if version == V5:
        assert twice.one(p.Disconnect, answers).reason == Reason.PROTOCOL_ERROR


@pytest.mark.spec("MQTT 5.0 §3.1")
@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (b"\x00\x06MQIsdp\x03\x02\x00\x00\x00\x01a", b"\x20\x02\x00\x01"),  # 3.1, [MQTT-3.1.2-2] of 3.1.1
        (b"\x00\x04MQTT\x03\x02\x00\x00\x00\x01a", b"\x20\x02\x00\x01"),
        (b"\x00\x04HTTP\x04\x02\x00\x00\x00\x01a", b""),  # [MQTT-3.1.2-1]
    ],
)
def test_a_version_that_is_not_spoken_is_told_so(net: Net, body: bytes, answer: bytes) -> None:
    peer = net.open()

    peer.session.receive(bytes((0x10, len(body))) + body)

    assert peer.wire.sent == answer
    assert peer.is_out


def test_a_version_to_come_is_refused_as_5_0_does(net: Net) -> None:
    peer = net.open()

    answers = peer.send(b"\x10\x0d\x00\x04MQTT\x06\x02\x00\x00\x00\x00\x00")

    assert peer.one(p.Connack, answers).reason == Reason.UNSUPPORTED_PROTOCOL_VERSION


@pytest.mark.spec("MQTT 5.0 §4.13")
def test_a_malformed_connect_of_5_0_is_answered_by_its_reason(net: Net) -> None:
    peer = net.open()

    answers = peer.send(b"\x10\x0d\x00\x04MQTT\x05\x03\x00\x00\x00\x00\x00")  # [MQTT-3.1.2-3], [MQTT-3.1.4-1]

    assert peer.one(p.Connack, answers).reason == Reason.MALFORMED_PACKET
    assert peer.is_out


@pytest.mark.spec("MQTT 5.0 §4.13")
@pytest.mark.spec("MQTT 5.0 §3.14")
def test_what_came_before_nonsense_still_counts_and_the_reason_is_last(net: Net) -> None:
    reader, peer = net.connect("r"), net.connect("a")
    reader.subscribe("t", 1)

    answers = peer.send(p.Publish("t", b"1", 1, packet_id=5), b"\x36\x03\x00\x01t")

    assert [type(each) for each in answers] == [p.Ack, p.Disconnect]
    assert isinstance(answers[1], p.Disconnect)
    assert answers[1].reason == Reason.MALFORMED_PACKET  # [MQTT-4.13.1-1]
    assert answers[1].properties.texts[ids.REASON_STRING]
    assert [each.payload for each in reader.messages()] == [b"1"]


@BOTH
@pytest.mark.spec("MQTT 5.0 §3.1.3")
@pytest.mark.spec("MQTT 5.0 §3.1.4")
@pytest.mark.spec("MQTT 3.1.1 §3.2")
def test_a_login_needs_the_right_name_and_password(net: Net, version: int) -> None:
    net.account("ada")

    def reason(username: str | None, password: bytes | None) -> int:
        peer = net.open(version)
        answers = peer.send(p.Connect(version, "a", username=username, password=password))
        found = peer.one(p.Connack, answers)
        assert peer.is_out == (found.reason != 0)  # [MQTT-3.2.2-7]
        return found.reason

    assert reason("ada", PASSWORD.encode()) == 0
    assert reason("ada@mqtt.example", PASSWORD.encode()) == 0
    wrong = Reason.BAD_USER_NAME_OR_PASSWORD if version == V5 else 4
    assert reason("ada", b"wrong") == wrong
    assert reason("ada", b"\xff") == wrong
    assert reason("ada", None) == wrong
    assert reason("nobody", b"x") == wrong


@BOTH
def test_without_a_user_name_one_is_refused_unless_anonymous_clients_are_allowed(version: int) -> None:
    strict = Net(MqttConfig()).open(version)

    answers = strict.send(p.Connect(version, "a"))

    assert strict.one(p.Connack, answers).reason == (Reason.NOT_AUTHORIZED if version == V5 else 5)
    assert strict.is_out


def test_a_password_is_taken_over_tls_only() -> None:
    net = Net(plain_logins=False)
    net.account("ada")
    connect = p.Connect(V5, "a", username="ada", password=PASSWORD.encode())

    clear, safe = net.open(), net.open(secure=True)

    assert clear.one(p.Connack, clear.send(connect)).reason == Reason.NOT_AUTHORIZED
    assert safe.one(p.Connack, safe.send(connect)).reason == Reason.SUCCESS


@pytest.mark.spec("MQTT 5.0 §3.1.3")
@pytest.mark.spec("MQTT 5.0 §3.2.2")
def test_a_client_without_identifier_is_given_one(net: Net) -> None:
    peer = net.connect("")
    assert peer.connack.properties.texts[ids.ASSIGNED_CLIENT_ID].startswith("sabir-")  # [MQTT-3.2.2-16]

    old = net.open(V311)
    assert old.one(p.Connack, old.send(p.Connect(V311, "", clean_start=True))).reason == 0
    refused = net.open(V311)
    # [MQTT-3.1.3-8] of 3.1.1
    assert refused.one(p.Connack, refused.send(p.Connect(V311, "", clean_start=False))).reason == 2


@pytest.mark.spec("MQTT 5.0 §3.2.2")
def test_connack_tells_the_limits_of_the_server() -> None:
    net = Net(MqttConfig(anonymous=True, max_keep_alive_s=60, max_session_expiry_s=100))

    peer = net.connect("a", keep_alive_s=600, properties=numbers(session_expiry=1000))

    found = peer.connack.properties.numbers
    assert found[ids.SERVER_KEEP_ALIVE] == 60  # [MQTT-3.2.2-21]
    assert found[ids.SESSION_EXPIRY] == 100
    assert found[ids.RECEIVE_MAXIMUM] == 1000
    assert found[ids.MAXIMUM_PACKET_SIZE] == 1_048_576
    assert found[ids.TOPIC_ALIAS_MAXIMUM] == 100


@BOTH
@pytest.mark.spec("MQTT 5.0 §3.1.2")
@pytest.mark.spec("MQTT 5.0 §3.12")
def test_a_client_that_is_silent_for_one_and_a_half_keep_alives_is_gone(net: Net, version: int) -> None:
    peer = net.connect("a", version, keep_alive_s=10)
    now_ms = peer.wire.now_ms

    peer.session.tick(now_ms + 14_900)
    assert not peer.is_out
    peer.wire.now_ms = now_ms + 14_900
    assert [type(each) for each in peer.send(p.Ping(p.PINGREQ))] == [p.Ping]  # [MQTT-3.12.4-1]
    assert peer.session.next_deadline_ms() == now_ms + 14_900 + 15_000
    peer.session.tick(now_ms + 29_900)

    assert peer.is_out  # [MQTT-3.1.2-22]
    if version == V5:
        assert peer.one(p.Disconnect).reason == Reason.KEEP_ALIVE_TIMEOUT


def test_a_client_without_keep_alive_may_be_silent_and_one_without_connect_may_not(net: Net) -> None:
    assert net.connect("a").session.next_deadline_ms() == 0

    idle = net.open()
    idle.session.tick(idle.session.next_deadline_ms())

    assert idle.is_out


@BOTH
@pytest.mark.spec("MQTT 5.0 §3.1.4")
def test_the_same_client_identifier_takes_over(net: Net, version: int) -> None:
    first = net.connect("a", version)

    second = net.connect("a", version)

    assert first.is_out  # [MQTT-3.1.4-3]
    assert not second.is_out
    if version == V5:
        assert first.one(p.Disconnect).reason == Reason.SESSION_TAKEN_OVER


def test_two_accounts_may_use_the_same_client_identifier(net: Net) -> None:
    ada = net.connect("a", login="ada")

    net.connect("a", login="bob")

    assert not ada.is_out


@pytest.mark.spec("MQTT 5.0 §3.14")
def test_nothing_after_disconnect_is_looked_at(net: Net) -> None:
    reader, peer = net.connect("r"), net.connect("a")
    reader.subscribe("t")

    peer.send(p.Disconnect(), p.Publish("t", b"late"))

    assert peer.is_out
    assert reader.messages() == []  # [MQTT-3.14.4-1]


def test_a_session_that_was_not_to_be_kept_cannot_be_at_the_end(net: Net) -> None:
    peer = net.connect("a")

    answers = peer.send(p.Disconnect(0, numbers(session_expiry=10)))  # [MQTT-3.14.2-2]

    assert peer.one(p.Disconnect, answers).reason == Reason.PROTOCOL_ERROR


def test_what_only_a_server_sends_ends_the_connection(net: Net) -> None:
    peer = net.connect("a")

    answers = peer.send(p.Ping(p.PINGRESP))

    assert peer.one(p.Disconnect, answers).reason == Reason.PROTOCOL_ERROR


@pytest.mark.spec("MQTT 5.0 §3.1.2")
def test_a_client_that_wants_no_explanations_gets_none(net: Net) -> None:
    peer = net.connect("a", properties=numbers(request_problem_info=0))

    answers = peer.send(p.Ping(p.PINGRESP))

    assert peer.one(p.Disconnect, answers).properties.texts == {}  # [MQTT-3.1.2-29]


def test_a_packet_too_large_ends_the_connection() -> None:
    net = Net(MqttConfig(anonymous=True, max_packet_bytes=2000))
    peer = net.connect("a")

    answers = peer.send(p.Publish("t", bytes(3000)))

    assert peer.one(p.Disconnect, answers).reason == Reason.PACKET_TOO_LARGE


def test_an_account_that_is_disabled_is_put_out(net: Net) -> None:
    peer = net.connect("a", login="ada")
    net.services.accounts.set_state(net.account("ada"), AccountState.DISABLED, lambda: None, lambda _: None)
    net.run()

    assert peer.one(p.Disconnect).reason == Reason.BANNED
    again = net.open()
    answers = again.send(p.Connect(V5, "a", username="ada", password=PASSWORD.encode()))
    assert again.one(p.Connack, answers).reason == Reason.BAD_USER_NAME_OR_PASSWORD


def test_whose_password_changes_logs_in_again(net: Net) -> None:
    peer = net.connect("a", login="ada")

    net.services.accounts.set_password(net.account("ada"), "new one", lambda: None, lambda _: None)
    net.run()

    assert peer.one(p.Disconnect).reason == Reason.NOT_AUTHORIZED


def test_a_server_that_stops_says_so(net: Net) -> None:
    peer = net.connect("a")

    peer.session.shutdown()

    assert peer.one(p.Disconnect).reason == Reason.SERVER_SHUTTING_DOWN


@pytest.mark.spec("MQTT 5.0 §4.11")
@pytest.mark.parametrize("for_good", [False, True])
def test_clients_are_sent_to_another_server(for_good: bool) -> None:
    net = Net(MqttConfig(anonymous=True, redirect="other.example:1883", redirect_for_good=for_good))
    peer = net.open()

    answer = peer.one(p.Connack, peer.send(p.Connect(V5, "a")))

    assert answer.reason == (Reason.SERVER_MOVED if for_good else Reason.USE_ANOTHER_SERVER)
    assert answer.properties.texts[ids.SERVER_REFERENCE] == "other.example:1883"


def auth(data: bytes, method: str = METHOD) -> Properties:
    made = Properties()
    made.texts[ids.AUTH_METHOD] = method
    made.data[ids.AUTH_DATA] = data
    return made


@pytest.mark.spec("MQTT 5.0 §4.12")
@pytest.mark.spec("MQTT 5.0 §3.15")
def test_scram_logs_in_and_again(net: Net) -> None:
    net.account("ada")
    peer = net.open()
    scram = client_mechanism(METHOD, "ada", PASSWORD)

    asked = peer.one(p.Auth, peer.send(p.Connect(V5, "a", properties=auth(scram.start()))))
    assert asked.reason == Reason.CONTINUE_AUTHENTICATION  # [MQTT-4.12.0-2]
    proof = scram.respond(asked.properties.data[ids.AUTH_DATA])
    let_in = peer.one(p.Connack, peer.send(p.Auth(Reason.CONTINUE_AUTHENTICATION, auth(proof))))
    assert let_in.reason == 0
    assert let_in.properties.texts[ids.AUTH_METHOD] == METHOD  # [MQTT-4.12.0-5]
    scram.finish(let_in.properties.data[ids.AUTH_DATA])

    scram = client_mechanism(METHOD, "ada", PASSWORD)
    asked = peer.one(p.Auth, peer.send(p.Auth(Reason.REAUTHENTICATE, auth(scram.start()))))
    proof = scram.respond(asked.properties.data[ids.AUTH_DATA])
    again = peer.one(p.Auth, peer.send(p.Auth(Reason.CONTINUE_AUTHENTICATION, auth(proof))))
    assert again.reason == Reason.SUCCESS
    scram.finish(again.properties.data[ids.AUTH_DATA])


@pytest.mark.spec("MQTT 5.0 §4.12")
def test_an_authentication_that_is_wrong_is_refused(net: Net) -> None:
    net.account("ada")

    unknown = net.open()
    answers = unknown.send(p.Connect(V5, "a", properties=auth(b"", "GS2-KRB5")))
    assert unknown.one(p.Connack, answers).reason == Reason.BAD_AUTHENTICATION_METHOD  # [MQTT-4.12.0-1]

    wrong = net.open()
    scram = client_mechanism(METHOD, "ada", "wrong")
    asked = wrong.one(p.Auth, wrong.send(p.Connect(V5, "a", properties=auth(scram.start()))))
    proof = scram.respond(asked.properties.data[ids.AUTH_DATA])
    answers = wrong.send(p.Auth(Reason.CONTINUE_AUTHENTICATION, auth(proof)))
    assert wrong.one(p.Connack, answers).reason == Reason.BAD_USER_NAME_OR_PASSWORD

    hasty = net.open()
    scram = client_mechanism(METHOD, "ada", PASSWORD)
    hasty.send(p.Connect(V5, "a", properties=auth(scram.start())))
    answers = hasty.send(p.Publish("t", b""))  # [MQTT-3.1.2-30]
    assert hasty.one(p.Connack, answers).reason == Reason.PROTOCOL_ERROR

    without = net.connect("b", login="bob")
    answers = without.send(p.Auth(Reason.REAUTHENTICATE, auth(b"")))  # [MQTT-4.12.1-1]
    assert without.one(p.Disconnect, answers).reason == Reason.PROTOCOL_ERROR
