"""XEP-0045 §7.10, §9.9: registering with a room, and what a registered nick is good for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.muc import ROOM, configured, entered, entering, item, user
from tests.support.xmpp import Peer, XmppServer, server_in

from sabir.wire.xml import Element

REGISTER = "jabber:iq:register"
FORM = "http://jabber.org/protocol/muc#register"
ADMIN = "http://jabber.org/protocol/muc#admin"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[XmppServer]:
    yield from server_in(tmp_path, "crone1", "wiccarocks", "hag66")


@pytest.fixture
def crone(server: XmppServer) -> Peer:
    """The owner of the room."""
    crone = server.log_in("crone1", "desktop")
    entered(crone, "firstwitch")
    return crone


@pytest.fixture
def hag(server: XmppServer, crone: Peer) -> Peer:
    """Somebody who has nothing to do with the room yet."""
    return server.log_in("hag66", "pda")


def asked(peer: Peer) -> Element:
    return peer.ask(f"<query xmlns='{REGISTER}'/>", to=ROOM)


def registered(peer: Peer, nick: str = "thirdwitch", form_type: str = FORM) -> Element:
    fields = f"<field var='FORM_TYPE'><value>{form_type}</value></field>"
    if nick:
        fields += f"<field var='muc#register_roomnick'><value>{nick}</value></field>"
    form = f"<x xmlns='jabber:x:data' type='submit'>{fields}</x>"
    return peer.ask(f"<query xmlns='{REGISTER}'>{form}</query>", type="set", to=ROOM)


def removed(peer: Peer) -> Element:
    return peer.ask(f"<query xmlns='{REGISTER}'><remove/></query>", type="set", to=ROOM)


def members(peer: Peer) -> list[tuple[str | None, str | None]]:
    answer = peer.ask(f"<query xmlns='{ADMIN}'><item affiliation='member'/></query>", to=ROOM)
    return [(each.get("jid"), each.get("nick")) for each in answer.elements()[0].elements()]


def answered(peer: Peer, form: Element, allow: str) -> None:
    """Fill in a form of approval."""
    fields = ""
    for field in form.find_all("field"):
        name = field.get("var")
        value = allow if name == "muc#register_allow" else field.child_text("value")
        fields += f"<field var='{name}'><value>{value}</value></field>"
    peer.say(f"<message to='{ROOM}' id='a'><x xmlns='jabber:x:data' type='submit'>{fields}</x></message>")


def form_in(stanzas: list[Element]) -> Element:
    (form,) = [form for each in stanzas if (form := each.find("x", "jabber:x:data")) is not None]
    return form


@pytest.mark.spec("XEP-0045 §7.10")
def test_whoever_registers_is_a_member_with_a_nick_of_their_own(crone: Peer, hag: Peer) -> None:
    form = asked(hag).elements()[0].find("x", "jabber:x:data")
    assert form is not None
    assert form.get("type") == "form"
    assert "muc#register_roomnick" in form.serialise()

    assert registered(hag).get("type") == "result"

    again = asked(hag).elements()[0]
    assert again.find("registered") is not None
    assert again.child_text("username") == "thirdwitch"
    assert members(crone) == [("hag66@localhost", "thirdwitch")]


@pytest.mark.spec("XEP-0045 §7.10")
def test_occupants_see_that_somebody_has_registered(crone: Peer, hag: Peer) -> None:
    entered(hag, "thirdwitch")
    crone.hear()

    registered(hag)

    (seen,) = crone.hear()
    assert item(seen).get("affiliation") == "member"
    assert seen.get("from") == f"{ROOM}/thirdwitch"


@pytest.mark.spec("XEP-0045 §7.10")
@pytest.mark.spec("XEP-0045 §7.12")
@pytest.mark.parametrize("nick", ["thirdwitch", "ThirdWitch", "thírdwitch", "th\u0456rdwitch"])
def test_nobody_else_uses_a_registered_nick(server: XmppServer, crone: Peer, hag: Peer, nick: str) -> None:
    registered(hag)
    wicca = server.log_in("wiccarocks", "laptop")

    wicca.say(entering(nick))
    assert "conflict" in wicca.hear()[0].serialise()
    entered(wicca, "second")
    wicca.say(f"<presence to='{ROOM}/{nick}'/>")
    assert any("conflict" in each.serialise() for each in wicca.hear())
    assert "conflict" in registered(wicca, nick).serialise()

    entered(hag, "thirdwitch")
    info = hag.ask("<query xmlns='http://jabber.org/protocol/disco#info' node='x-roomuser-item'/>", to=ROOM)
    identity = info.elements()[0].find("identity")
    assert identity is not None
    assert identity.get("name") == "thirdwitch"


@pytest.mark.spec("XEP-0045 §7.10")
def test_a_registration_outlives_the_server(tmp_path: Path) -> None:
    for turn in range(2):
        server = XmppServer(tmp_path)
        if not turn:
            server.add("crone1", "hag66", "wiccarocks")
            entered(server.log_in("crone1"), "firstwitch")
            registered(server.log_in("hag66"))
        else:
            wicca = server.log_in("wiccarocks")
            wicca.say(entering("thirdwitch"))
            assert "conflict" in wicca.hear()[0].serialise()
            assert asked(server.log_in("hag66")).elements()[0].child_text("username") == "thirdwitch"
        server.close()


@pytest.mark.spec("XEP-0045 §7.10")
@pytest.mark.parametrize(
    ("nick", "form_type", "condition"),
    [
        ("", FORM, "bad-request"),
        ("thirdwitch", "urn:other", "bad-request"),
        ("firstwitch", FORM, "conflict"),
        ("wiccarocks", FORM, "conflict"),
        ("wíccarocks", FORM, "conflict"),
        ("x" * 65, FORM, "jid-malformed"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(
    crone: Peer, hag: Peer, nick: str, form_type: str, condition: str
) -> None:
    assert condition in registered(hag, nick, form_type).serialise()

    assert members(crone) == []
    no_form = f"<query xmlns='{REGISTER}'/>"
    assert "bad-request" in hag.ask(no_form, type="set", to=ROOM).serialise()


@pytest.mark.spec("XEP-0045 §7.10")
def test_who_is_banned_may_not_register(crone: Peer, hag: Peer) -> None:
    ban = "<item affiliation='outcast' jid='hag66@localhost'/>"
    crone.ask(f"<query xmlns='{ADMIN}'>{ban}</query>", type="set", to=ROOM)

    assert "not-allowed" in asked(hag).serialise()
    assert "not-allowed" in registered(hag).serialise()


@pytest.mark.spec("XEP-0045 §7.10")
def test_a_room_that_is_not_there_has_nobody_registered(hag: Peer) -> None:
    answer = hag.ask(f"<query xmlns='{REGISTER}'/>", to="nowhere@rooms.localhost")

    assert "item-not-found" in answer.serialise()


@pytest.mark.spec("XEP-0045 §7.10")
@pytest.mark.spec("XEP-0077")
def test_a_registration_is_given_back(server: XmppServer, crone: Peer, hag: Peer) -> None:
    assert "registration-required" in removed(hag).serialise()
    registered(hag)

    assert removed(hag).get("type") == "result"

    assert members(crone) == []
    entered(server.log_in("wiccarocks"), "thirdwitch")


@pytest.mark.spec("XEP-0045 §7.10")
def test_an_owner_who_unregisters_stays_one(crone: Peer) -> None:
    registered(crone, "firstwitch")

    removed(crone)

    entered(crone, "firstwitch")
    crone.say(f"<presence to='{ROOM}/firstwitch'><status>x</status></presence>")
    assert item(crone.hear()[0]).get("affiliation") == "owner"


@pytest.mark.spec("XEP-0045 §9.4")
def test_who_is_no_member_any_more_has_no_nick_either(server: XmppServer, crone: Peer, hag: Peer) -> None:
    registered(hag)

    none = "<item affiliation='none' jid='hag66@localhost'/>"
    crone.ask(f"<query xmlns='{ADMIN}'>{none}</query>", type="set", to=ROOM)

    assert asked(hag).elements()[0].find("registered") is None
    entered(server.log_in("wiccarocks"), "thirdwitch")


@pytest.mark.spec("XEP-0045 §9.9")
@pytest.mark.parametrize("setting", ["membersonly", "moderatedroom"])
def test_where_it_matters_an_admin_has_to_agree(crone: Peer, hag: Peer, setting: str) -> None:
    configured(crone, **{setting: "1"})
    crone.hear()

    assert registered(hag).get("type") == "result"

    assert asked(hag).elements()[0].find("registered") is None
    assert members(crone) == []
    form = form_in(crone.hear())
    assert "hag66@localhost" in form.serialise()

    answered(crone, form, "1")

    assert members(crone) == [("hag66@localhost", "thirdwitch")]
    (invitation,) = hag.hear()
    assert user(invitation).find("invite") is not None
    entered(hag, "thirdwitch")


@pytest.mark.spec("XEP-0045 §9.9")
def test_an_admin_who_was_not_there_is_asked_later_and_may_refuse(
    server: XmppServer, crone: Peer, hag: Peer
) -> None:
    configured(crone, membersonly="1")
    crone.say(f"<presence to='{ROOM}/firstwitch' type='unavailable'/>")
    registered(hag)

    crone.say(entering("firstwitch"))
    form = form_in(crone.hear())
    answered(crone, form, "0")

    assert members(crone) == []
    hag.say(entering("thirdwitch"))
    assert "registration-required" in hag.hear()[0].serialise()
    answered(crone, form, "1")
    assert "item-not-found" in crone.hear()[0].serialise(), "a request is answered once"


@pytest.mark.spec("XEP-0045 §9.9")
def test_nobody_agrees_to_their_own_request(server: XmppServer, crone: Peer, hag: Peer) -> None:
    configured(crone, moderatedroom="1")
    entered(hag, "thirdwitch")
    crone.hear()
    registered(hag)
    form = form_in(crone.hear())

    answered(hag, form, "1")

    assert any("forbidden" in each.serialise() for each in hag.hear())
    assert members(crone) == []


@pytest.mark.spec("XEP-0045 §9.9")
def test_who_is_muted_stays_so_whatever_becomes_of_the_request(crone: Peer, hag: Peer) -> None:
    entered(hag, "thirdwitch")
    mute = "<item nick='thirdwitch' role='visitor'/>"
    crone.ask(f"<query xmlns='{ADMIN}'>{mute}</query>", type="set", to=ROOM)
    configured(crone, moderatedroom="1")

    registered(hag)
    removed(hag)

    hag.hear()
    hag.say(f"<message to='{ROOM}' type='groupchat'><body>let me</body></message>")
    assert "forbidden" in hag.hear()[0].serialise()


def test_requests_that_wait_are_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sabir.core.services.registration.MOST_WAITING", 1)
    for server in server_in(tmp_path, "crone1", "hag66", "wiccarocks"):
        crone = server.log_in("crone1")
        entered(crone, "firstwitch")
        configured(crone, membersonly="1")

        first, second = (registered(server.log_in(name), name) for name in ("hag66", "wiccarocks"))

        assert first.get("type") == "result"
        assert "resource-constraint" in second.serialise()
        assert len([each for each in crone.hear() if each.find("x", "jabber:x:data") is not None]) == 1
