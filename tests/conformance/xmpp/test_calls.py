"""Calls: services for them (XEP-0215), ringing and answering (XEP-0353), and Jingle passed on (XEP-0166)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conformance.xmpp.test_im import condition
from tests.support.xmpp import Peer, XmppServer, server_in

from sabir.base.secret import Secret
from sabir.protocols.xmpp.config import ExternalService, XmppConfig
from sabir.wire.xml import Element

EXTDISCO = "urn:xmpp:extdisco:2"
JMI = "urn:xmpp:jingle-message:0"
INFO = "http://jabber.org/protocol/disco#info"
SERVICES = (
    ExternalService(type="stun", host="stun.example.org", port=3478, transport="udp"),
    ExternalService(type="turn", host="turn.example.org", port=3478, transport="udp", secret=Secret("north")),
    ExternalService(
        type="ftp", host="files.example.org", name="Files", username="guest", password=Secret("guest")
    ),
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[XmppServer]:
    config = XmppConfig(require_tls=False, services=SERVICES, services_ttl_s=600)
    yield from server_in(tmp_path, "romeo", "juliet", config=config)


@pytest.mark.spec("XEP-0215 §3.1")
def test_all_services_are_listed_with_credentials_that_the_turn_server_can_check(server: XmppServer) -> None:
    romeo = server.log_in("romeo")

    (listed,) = romeo.ask(f"<services xmlns='{EXTDISCO}'/>", to="localhost").elements()

    stun, turn, files = listed.elements()
    assert stun.attributes == {"type": "stun", "host": "stun.example.org", "port": "3478", "transport": "udp"}
    expires_s = 1_700_000_000 + 600
    assert turn.get("username") == f"{expires_s}:romeo"
    mac = hmac.new(b"north", f"{expires_s}:romeo".encode(), hashlib.sha1).digest()
    assert turn.get("password") == base64.b64encode(mac).decode()
    assert turn.get("expires") == "2023-11-14T22:23:20Z"
    assert (files.get("username"), files.get("password"), files.get("name")) == ("guest", "guest", "Files")


@pytest.mark.spec("XEP-0215 §3.2")
def test_services_of_one_type_are_listed_alone(server: XmppServer) -> None:
    (listed,) = (
        server.log_in("romeo").ask(f"<services xmlns='{EXTDISCO}' type='turn'/>", to="localhost").elements()
    )

    assert listed.get("type") == "turn"
    assert [each.get("host") for each in listed.elements()] == ["turn.example.org"]


@pytest.mark.spec("XEP-0215 §3.3")
def test_credentials_are_given_for_a_service_that_has_some(server: XmppServer) -> None:
    romeo = server.log_in("romeo")

    def ask(service: str) -> Element:
        return romeo.ask(f"<credentials xmlns='{EXTDISCO}'>{service}</credentials>", to="localhost")

    (given,) = ask("<service host='turn.example.org' type='turn'/>").elements()[0].elements()

    assert str(given.get("username")).endswith(":romeo")
    assert condition(ask("<service host='stun.example.org' type='stun'/>")) == "item-not-found"
    assert condition(ask("<service host='turn.example.org' type='turn' port='1'/>")) == "item-not-found"
    assert condition(ask("<service host='turn.example.org'/>")) == condition(ask("")) == "bad-request"


@pytest.mark.spec("XEP-0215 §5")
def test_the_feature_is_told_where_there_are_services(server: XmppServer, tmp_path: Path) -> None:
    def features(peer: Peer) -> list[str | None]:
        told = peer.ask(f"<query xmlns='{INFO}'/>", to="localhost").elements()[0]
        return [each.get("var") for each in told.elements()]

    without = XmppServer(tmp_path / "without")
    without.add("romeo")

    assert EXTDISCO in features(server.log_in("romeo"))
    assert EXTDISCO not in features(without.log_in("romeo"))
    without.close()


def steps(heard: list[Element]) -> list[str]:
    """Return the steps of calls among what was heard; a copy has its direction before it."""
    found = []
    for message in heard:
        for child in message.elements():
            if child.namespace == JMI:
                found.append(child.name)
            elif child.namespace == "urn:xmpp:carbons:2":
                inner = child.elements()[0].elements()[0]
                found += [f"{child.name} {each.name}" for each in inner.elements() if each.namespace == JMI]
    return found


def step(name: str, to: str, content: str = "") -> str:
    return f"<message to='{to}' type='chat'><{name} xmlns='{JMI}' id='c1'>{content}</{name}></message>"


RTP = "<description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'/>"


@pytest.mark.spec("XEP-0353 §3.3")
@pytest.mark.spec("XEP-0353 §5")
@pytest.mark.parametrize("answer", ["proceed", "accept", "reject"])
def test_all_devices_ring_and_when_one_answers_the_others_stop(server: XmppServer, answer: str) -> None:
    romeo, tablet = server.log_in("romeo", "orchard"), server.log_in("romeo", "tablet")
    phone, desk = server.log_in("juliet", "phone"), server.log_in("juliet", "desk")
    for peer in (romeo, tablet, phone, desk):
        peer.ask("<enable xmlns='urn:xmpp:carbons:2'/>", type="set")
        peer.hear()

    romeo.say(step("propose", "juliet@localhost", RTP))
    assert steps(phone.hear()) == steps(desk.hear()) == ["propose"]
    assert steps(tablet.hear()) == ["sent propose"]

    phone.say(step(answer, romeo.jid))
    assert steps(romeo.hear()) == [answer]
    assert steps(desk.hear()) == [f"sent {answer}"]
    assert steps(tablet.hear()) == [f"received {answer}"]


@pytest.mark.spec("XEP-0353 §3.2")
@pytest.mark.spec("XEP-0353 §5")
def test_who_comes_later_learns_from_the_archive_that_the_call_was_given_up(server: XmppServer) -> None:
    romeo = server.log_in("romeo")

    romeo.say(step("propose", "juliet@localhost", RTP), step("retract", "juliet@localhost"))
    juliet = server.log_in("juliet", presence="")
    juliet.say("<presence/>")

    assert steps(juliet.hear()) == ["propose", "retract"]
    juliet.say("<iq type='set' id='m'><query xmlns='urn:xmpp:mam:2'/></iq>")
    results = [message.elements()[0] for message in juliet.hear() if message.name == "message"]
    kept = [result.elements()[0].elements()[-1] for result in results]
    assert [each.elements()[0].name for each in kept] == ["propose", "retract"]


@pytest.mark.spec("XEP-0353 §3.5")
def test_the_end_of_a_call_is_kept_for_every_device(server: XmppServer) -> None:
    romeo, juliet = server.log_in("romeo"), server.log_in("juliet")
    desk = server.log_in("juliet", "desk")
    desk.ask("<enable xmlns='urn:xmpp:carbons:2'/>", type="set")
    juliet.hear()
    desk.hear()

    romeo.say(step("finish", juliet.jid, "<reason xmlns='urn:xmpp:jingle:1'><success/></reason>"))

    assert steps(juliet.hear()) == ["finish"]
    assert steps(desk.hear()) == ["received finish"]


@pytest.mark.spec("XEP-0166 §6")
@pytest.mark.spec("XEP-0167 §5")
@pytest.mark.spec("XEP-0176 §5")
@pytest.mark.spec("XEP-0320 §2")
def test_a_session_is_negotiated_through_the_server_as_it_was_written(server: XmppServer) -> None:
    romeo, juliet = server.log_in("romeo"), server.log_in("juliet")
    transport = (
        "<transport xmlns='urn:xmpp:jingle:transports:ice-udp:1' pwd='p' ufrag='u'>"
        "<fingerprint xmlns='urn:xmpp:jingle:apps:dtls:0' hash='sha-256' setup='actpass'>02:1A</fingerprint>"
        "<candidate component='1' foundation='1' generation='0' id='e' ip='10.0.1.1' network='1' port='8998'"
        " priority='2130706431' protocol='udp' type='host'/></transport>"
    )
    offer = (
        f"<jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' initiator='{romeo.jid}' sid='s'>"
        f"<content creator='initiator' name='voice'>{RTP}{transport}</content></jingle>"
    )

    romeo.say(f"<iq to='{juliet.jid}' type='set' id='j1'>{offer}</iq>")
    (request,) = juliet.hear()
    juliet.say(f"<iq to='{romeo.jid}' type='result' id='j1'/>")
    juliet.say(
        f"<iq to='{romeo.jid}' type='set' id='j2'>{offer.replace('session-initiate', 'session-accept')}</iq>"
    )

    assert request.get("from") == romeo.jid
    candidate = request.elements()[0].elements()[0].elements()[1].elements()[1]
    assert (candidate.name, candidate.get("ip")) == ("candidate", "10.0.1.1")
    result, accept = romeo.hear()
    assert (result.get("type"), result.get("id")) == ("result", "j1")
    assert accept.elements()[0].get("action") == "session-accept"


@pytest.mark.spec("XEP-0166 §6.3")
def test_a_session_with_a_device_that_is_gone_is_refused_at_once(server: XmppServer) -> None:
    romeo = server.log_in("romeo")

    answer = romeo.ask("<jingle xmlns='urn:xmpp:jingle:1' sid='s'/>", type="set", to="juliet@localhost/gone")

    assert condition(answer) == "service-unavailable"
