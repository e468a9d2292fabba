"""People of other servers in rooms here, and ours in rooms there (XEP-0045)."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.federation import Net, Peering, proof_of
from tests.support.xmpp import Peer

from sabir.wire.xml import Element

HERE, THERE = "capulet.example", "montague.example"
ROOM = f"ball@rooms.{HERE}"
USER = "http://jabber.org/protocol/muc#user"
ENTER = f"<presence to='{ROOM}/{{}}'><x xmlns='http://jabber.org/protocol/muc'/></presence>"


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Net]:
    net = Net(tmp_path)
    net.server(HERE, "juliet", "nurse")
    net.server(THERE, "romeo", "benvolio")
    net.certificates = {domain: proof_of(domain, f"rooms.{domain}") for domain in (HERE, THERE)}
    yield net
    net.close()


@pytest.fixture
def juliet(net: Net) -> Peer:
    juliet = net.servers[HERE].log_in("juliet", "balcony")
    juliet.say(ENTER.format("juliet"))
    juliet.hear()
    return juliet


@pytest.fixture
def romeo(net: Net) -> Peer:
    return net.servers[THERE].log_in("romeo", "orchard")


def enter(net: Net, peer: Peer, nick: str) -> list[Element]:
    peer.say(ENTER.format(nick))
    net.settle()
    return peer.hear()


def item_of(presence: Element) -> Element:
    user = presence.find("x", USER)
    assert user is not None
    item = user.find("item")
    assert item is not None
    return item


def codes_of(presence: Element) -> set[str | None]:
    user = presence.find("x", USER)
    assert user is not None
    return {each.get("code") for each in user.find_all("status")}


@pytest.mark.spec("XEP-0045 §7.2.1")
def test_somebody_of_another_server_enters_and_is_known_by_the_real_address(
    net: Net, juliet: Peer, romeo: Peer
) -> None:
    heard = enter(net, romeo, "Montague")

    assert [each.get("from") for each in heard if each.name == "presence"] == [
        f"{ROOM}/juliet",
        f"{ROOM}/Montague",
    ]
    assert "110" in codes_of(heard[1])
    (seen,) = juliet.hear()
    assert item_of(seen).get("jid") == f"romeo@{THERE}/orchard"
    assert item_of(seen).get("role") == "participant"


@pytest.mark.spec("XEP-0045 §7.4")
def test_what_is_said_goes_to_everybody_and_into_the_history(net: Net, juliet: Peer, romeo: Peer) -> None:
    enter(net, romeo, "Montague")
    romeo.say(f"<message to='{ROOM}' type='groupchat' id='g'><body>Evening</body></message>")
    net.settle()

    for peer in (juliet, romeo):
        said = [each for each in peer.hear() if each.name == "message"]
        assert [(each.get("from"), each.child_text("body")) for each in said] == [
            (f"{ROOM}/Montague", "Evening")
        ]
    benvolio = net.servers[THERE].log_in("benvolio", "street")
    history = [each for each in enter(net, benvolio, "B") if each.find("delay", "urn:xmpp:delay") is not None]
    assert [each.child_text("body") for each in history] == ["Evening"]


@pytest.mark.parametrize("nick", ["juliet", "JULIET", "nurse"])
def test_a_nick_that_is_somebody_elses_cannot_be_taken(
    net: Net, juliet: Peer, romeo: Peer, nick: str
) -> None:
    (error,) = enter(net, romeo, nick)

    assert error.get("type") == "error"
    assert juliet.hear() == []


def test_a_nick_cannot_be_taken_from_another_guest_either(net: Net, juliet: Peer, romeo: Peer) -> None:
    benvolio = net.servers[THERE].log_in("benvolio", "street")
    enter(net, romeo, "Masked")
    juliet.hear()

    (error,) = [each for each in enter(net, benvolio, "Masked") if each.get("type") == "error"]
    assert error.find("error") is not None

    enter(net, benvolio, "Other")
    benvolio.say(f"<presence to='{ROOM}/Masked'/>")
    net.settle()
    assert [each.get("type") for each in benvolio.hear()] == ["error"]
    said = f"<message to='{ROOM}' type='groupchat' from='{ROOM}/Masked'><body>x</body></message>"
    benvolio.say(said)
    net.settle()
    assert f"{ROOM}/Masked" not in [each.get("from") for each in juliet.hear() if each.name == "message"]


@pytest.mark.spec("XEP-0045 §9.1")
def test_a_ban_of_an_address_elsewhere_puts_out_and_keeps_out_also_after_a_restart(
    net: Net, juliet: Peer, romeo: Peer
) -> None:
    enter(net, romeo, "Montague")
    answer = juliet.ask(
        "<query xmlns='http://jabber.org/protocol/muc#admin'>"
        f"<item affiliation='outcast' jid='romeo@{THERE}'/></query>",
        type="set",
        to=ROOM,
    )
    assert answer.get("type") == "result"
    net.settle()

    (out,) = [each for each in romeo.hear() if each.get("type") == "unavailable"]
    assert "301" in codes_of(out)
    assert [each.get("type") for each in enter(net, romeo, "Again")] == ["error"]

    net.stop(HERE)
    net.server(HERE)
    assert [each.get("type") for each in enter(net, romeo, "Again")] == ["error"]


@pytest.mark.spec("XEP-0045 §5.2")
def test_an_affiliation_is_given_to_an_address_elsewhere(net: Net, juliet: Peer, romeo: Peer) -> None:
    juliet.ask(
        "<query xmlns='http://jabber.org/protocol/muc#admin'>"
        f"<item affiliation='admin' jid='romeo@{THERE}'/></query>",
        type="set",
        to=ROOM,
    )

    heard = enter(net, romeo, "Montague")

    item = item_of(next(each for each in heard if each.get("from") == f"{ROOM}/Montague"))
    assert (item.get("affiliation"), item.get("role")) == ("admin", "moderator")


def test_leaving_and_logging_out_are_seen_here(net: Net, juliet: Peer, romeo: Peer) -> None:
    enter(net, romeo, "Montague")
    juliet.hear()
    romeo.say(f"<presence to='{ROOM}/Montague' type='unavailable'/>")
    net.settle()
    assert [each.get("type") for each in juliet.hear()] == ["unavailable"]

    enter(net, romeo, "Montague")
    juliet.hear()
    romeo.drop()
    net.settle()
    assert [each.get("type") for each in juliet.hear()] == ["unavailable"]


def test_people_of_a_server_that_is_gone_leave(net: Net, juliet: Peer, romeo: Peer) -> None:
    enter(net, romeo, "Montague")
    juliet.hear()

    net.stop(THERE)
    juliet.say(f"<message to='{ROOM}' type='groupchat' id='g'><body>Anybody?</body></message>")
    net.settle()

    assert [each.get("type") for each in juliet.hear() if each.name == "presence"] == ["unavailable"]


def played(net: Net) -> Peering:
    """Return a stream by which a test plays the other server, proven for both ways."""
    peering = net.peering(HERE, proof_of(THERE))
    opening = (
        "<stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback'"
        f" xmlns:stream='http://etherx.jabber.org/streams' from='{THERE}' to='rooms.{HERE}' version='1.0'>"
    )
    peering.say(opening)
    peering.say("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
    peering.start_tls()
    peering.say(opening)
    auth = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>"
    assert "<success" in peering.say("<bidi xmlns='urn:xmpp:bidi'/>" + auth)
    peering.say(opening)
    return peering


@pytest.mark.parametrize("kind", ["message", "presence"])
def test_somebody_whose_server_answers_with_an_error_leaves(net: Net, juliet: Peer, kind: str) -> None:
    peering = played(net)
    sender = f"from='tybalt@{THERE}/x'"
    peering.say(ENTER.format("Tybalt").replace("<presence", f"<presence {sender}"))
    assert [each.get("from") for each in juliet.hear()] == [f"{ROOM}/Tybalt"]

    error = "<error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
    peering.say(f"<{kind} {sender} to='{ROOM}/Tybalt' type='error'>{error}</{kind}>")

    assert [each.get("type") for each in juliet.hear()] == ["unavailable"]


def test_a_server_that_does_not_read_is_sent_no_more_until_it_does(net: Net, juliet: Peer) -> None:
    peering = played(net)
    enter = ENTER.format("Tybalt").replace("<presence", f"<presence from='tybalt@{THERE}/x'")
    peering.say(enter)
    peering.hear()

    peering.wire.lagging = True
    for number in range(50):
        juliet.say(f"<message to='{ROOM}' type='groupchat' id='g{number}'><body>{number}</body></message>")
    assert peering.hear().count("<body>") <= 1
    peering.wire.lagging = False
    assert peering.wire.handler is not None
    peering.wire.handler.catch_up()
    net.settle()

    assert peering.hear().count("<body>") >= 49


def test_rooms_are_found_and_asked_from_elsewhere(net: Net, juliet: Peer, romeo: Peer) -> None:
    disco = "<query xmlns='http://jabber.org/protocol/disco#{}'/>"
    romeo.say(f"<iq type='get' id='s' to='rooms.{HERE}'>{disco.format('items')}</iq>")
    romeo.say(f"<iq type='get' id='r' to='{ROOM}'>{disco.format('info')}</iq>")
    romeo.say(f"<iq type='set' id='m' to='{ROOM}'><query xmlns='urn:xmpp:mam:2'/></iq>")
    net.settle()

    answers = {each.get("id"): each for each in romeo.hear() if each.name == "iq"}
    assert {id_: each.get("type") for id_, each in answers.items()} == {
        "s": "result",
        "r": "result",
        "m": "result",
    }
    (listed,) = answers["s"].elements()[0].elements()
    assert listed.get("jid") == ROOM


def test_nobody_makes_rooms_on_a_server_of_others(net: Net, romeo: Peer) -> None:
    (error,) = enter(net, romeo, "Montague")

    assert error.get("type") == "error"


@pytest.mark.spec("XEP-0045 §7.8.2")
def test_somebody_elsewhere_is_invited(net: Net, juliet: Peer, romeo: Peer) -> None:
    juliet.say(
        f"<message to='{ROOM}'><x xmlns='{USER}'><invite to='romeo@{THERE}'><reason>Come</reason></invite></x>"
        "</message>"
    )
    net.settle()

    (invitation,) = [each for each in romeo.hear() if each.name == "message"]
    user = invitation.find("x", USER)
    assert user is not None
    invite = user.find("invite")
    assert invite is not None
    assert (invitation.get("from"), invite.get("from")) == (ROOM, f"juliet@{HERE}")
    assert invite.child_text("reason") == "Come"


def test_nobody_of_a_blocked_server_invites_by_way_of_a_room(net: Net, juliet: Peer, romeo: Peer) -> None:
    nurse = net.servers[HERE].log_in("nurse")
    nurse.ask(f"<block xmlns='urn:xmpp:blocking'><item jid='{THERE}'/></block>", type="set")
    enter(net, romeo, "Montague")
    nurse.hear()

    invite = f"<invite to='nurse@{HERE}'/>"
    romeo.say(f"<message to='{ROOM}'><x xmlns='{USER}'>{invite}</x></message>")
    net.settle()
    assert nurse.hear() == []
    juliet.say(f"<message to='{ROOM}'><x xmlns='{USER}'>{invite}</x></message>")
    assert len(nurse.hear()) == 1
