"""Components (XEP-0114): services of others, each with a domain of its own."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.federation import Net, Peering, ServerWire, proof_of
from tests.support.xmpp import Peer, XmppServer

from sabir.base.secret import Secret
from sabir.gateway.contract import Door
from sabir.net.listener import Tls

HERE, THERE = "capulet.example", "montague.example"
ECHO = f"echo.{HERE}"
DOOR = Door(name="xmpp-component", port=5347, tls=Tls.NONE, servers=True)
OPENING = (
    "<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams'"
    f" to='{ECHO}'>"
)


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Net]:
    net = Net(tmp_path)
    net.server(HERE, "juliet", components={ECHO: Secret("shh")})
    yield net
    net.close()


@pytest.fixture
def juliet(net: Net) -> Peer:
    return net.servers[HERE].log_in("juliet", "balcony")


def connect(net: Net, server: XmppServer, peer: str = "127.0.0.1") -> Peering:
    wire = ServerWire(0, net.loop)
    wire.peer = peer
    wire.handler = server.front_end.connect(wire, DOOR)  # type: ignore[arg-type]  # stands in
    return Peering(wire, net)


def shake(component: Peering, secret: str = "shh") -> str:
    opening = component.say(OPENING)
    found = re.search(r" id='(\w+)'", opening)
    assert found is not None, opening
    digest = hashlib.sha1(f"{found[1]}{secret}".encode()).hexdigest()
    return component.say(f"<handshake>{digest}</handshake>")


@pytest.fixture
def echo(net: Net) -> Peering:
    component = connect(net, net.servers[HERE])
    assert shake(component) == "<handshake/>"
    return component


@pytest.mark.spec("XEP-0114 §3")
def test_a_component_with_the_secret_is_let_in_and_answers_for_its_domain(
    net: Net, juliet: Peer, echo: Peering
) -> None:
    juliet.say(f"<message to='bot@{ECHO}' type='chat' id='m'><body>Hi</body></message>")
    juliet.say(f"<iq type='get' id='i' to='{ECHO}'><query xmlns='jabber:iq:version'/></iq>")
    net.settle()

    heard = echo.hear()
    assert f"<message to='bot@{ECHO}' from='juliet@{HERE}/balcony'" in heard
    assert "<body>Hi</body>" in heard
    assert "jabber:iq:version" in heard
    echo.say(
        f"<message from='bot@{ECHO}' to='juliet@{HERE}' type='chat'><body>Ho</body></message>"
        f"<iq type='result' id='i' from='{ECHO}' to='juliet@{HERE}/balcony'/>"
    )
    assert [each.child_text("body") or each.get("id") for each in juliet.hear()] == ["Ho", "i"]


@pytest.mark.spec("XEP-0114 §3")
def test_a_wrong_secret_ends_the_stream(net: Net) -> None:
    component = connect(net, net.servers[HERE])

    assert "not-authorized" in shake(component, "guess")
    assert component.wire.closing


def test_a_component_that_is_not_in_the_settings_is_unknown(net: Net) -> None:
    component = connect(net, net.servers[HERE])

    assert "host-unknown" in component.say(OPENING.replace(ECHO, f"rooms.{HERE}"))


def test_nothing_is_taken_before_the_handshake(net: Net, juliet: Peer) -> None:
    component = connect(net, net.servers[HERE])
    component.say(OPENING)

    said = component.say(f"<message from='bot@{ECHO}' to='juliet@{HERE}'><body>x</body></message>")

    assert "not-authorized" in said
    assert juliet.hear() == []


@pytest.mark.parametrize("sender", [f"juliet@{HERE}", f"bot@x.{ECHO}", "bot@montague.example", HERE])
def test_a_component_speaks_for_its_own_domain_only(
    net: Net, juliet: Peer, echo: Peering, sender: str
) -> None:
    said = echo.say(f"<message from='{sender}' to='juliet@{HERE}'><body>x</body></message>")

    assert "invalid-from" in said
    assert juliet.hear() == []


def test_a_component_that_is_not_there_answers_with_an_error(net: Net, juliet: Peer) -> None:
    juliet.say(f"<message to='bot@{ECHO}' type='chat' id='m'><body>Hi</body></message>")
    juliet.say(f"<iq type='get' id='i' to='{ECHO}'><query xmlns='jabber:iq:version'/></iq>")

    assert [(each.get("id"), each.get("type")) for each in juliet.hear()] == [("m", "error"), ("i", "error")]
    assert net.calls == []


def test_a_second_one_of_the_same_domain_is_refused(net: Net, echo: Peering) -> None:
    second = connect(net, net.servers[HERE])

    assert "conflict" in shake(second)
    assert not echo.wire.closing
    echo.drop()
    assert shake(connect(net, net.servers[HERE])) == "<handshake/>"


def test_components_connect_over_loopback_only(net: Net) -> None:
    component = connect(net, net.servers[HERE], "192.0.2.1")

    assert "policy-violation" in component.hear()
    assert component.wire.closing


def test_a_component_is_listed_while_it_is_there(net: Net, juliet: Peer, echo: Peering) -> None:
    items = "<query xmlns='http://jabber.org/protocol/disco#items'/>"
    listed = [each.get("jid") for each in juliet.ask(items, to=HERE).elements()[0].elements()]
    assert ECHO in listed

    echo.drop()
    listed = [each.get("jid") for each in juliet.ask(items, to=HERE).elements()[0].elements()]
    assert ECHO not in listed


def test_people_of_components_and_of_other_servers_reach_each_other(net: Net, echo: Peering) -> None:
    net.server(THERE, "romeo")
    net.certificates = {HERE: proof_of(HERE), THERE: proof_of(THERE)}
    romeo = net.servers[THERE].log_in("romeo", "orchard")

    romeo.say(f"<iq type='get' id='i' to='{ECHO}'><query xmlns='jabber:iq:version'/></iq>")
    net.settle()
    assert f"from='romeo@{THERE}/orchard'" in echo.hear()
    echo.say(f"<iq type='result' id='i' from='{ECHO}' to='romeo@{THERE}/orchard'/>")

    assert [each.get("id") for each in romeo.hear()] == ["i"]


def test_contacts_and_rooms_work_over_a_component(net: Net, juliet: Peer, echo: Peering) -> None:
    juliet.say(f"<presence to='bot@{ECHO}' type='subscribe'/>")
    net.settle()
    assert "type='subscribe'" in echo.hear()
    echo.say(f"<presence from='bot@{ECHO}' to='juliet@{HERE}' type='subscribed'/>")
    echo.say(f"<presence from='bot@{ECHO}/x' to='juliet@{HERE}'><show>chat</show></presence>")
    assert [each.child_text("show") for each in juliet.hear() if each.get("type") is None][-1] == "chat"

    room = f"ball@rooms.{HERE}"
    juliet.say(f"<presence to='{room}/juliet'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
    juliet.hear()
    echo.say(
        f"<presence from='bot@{ECHO}/x' to='{room}/bot'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
    )
    assert [each.get("from") for each in juliet.hear()] == [f"{room}/bot"]
    echo.drop()
    assert [each.get("type") for each in juliet.hear() if each.name == "presence"] == ["unavailable"]
