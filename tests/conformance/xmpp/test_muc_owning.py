"""XEP-0045 §6, §8-10: discovery, roles and affiliations, configuration, the end of rooms."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.muc import ROOM, codes, entered, item, said, user
from tests.support.xmpp import Peer, XmppServer, server_in

from sabir.wire.xml import Element

ADMIN = "http://jabber.org/protocol/muc#admin"
OWNER = "http://jabber.org/protocol/muc#owner"
INFO = "http://jabber.org/protocol/disco#info"
ITEMS = "http://jabber.org/protocol/disco#items"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[XmppServer]:
    yield from server_in(tmp_path, "crone1", "wiccarocks", "hag66")


@pytest.fixture
def witches(server: XmppServer) -> tuple[Peer, Peer]:
    """The owner of the room, and a participant."""
    crone, wicca = server.log_in("crone1", "desktop"), server.log_in("wiccarocks", "laptop")
    entered(crone, "firstwitch")
    entered(wicca, "second")
    crone.hear()
    return crone, wicca


def changed(peer: Peer, items: str) -> Element:
    return peer.ask(f"<query xmlns='{ADMIN}'>{items}</query>", type="set", to=ROOM)


def listed(peer: Peer, attribute: str) -> list[Element]:
    answer = peer.ask(f"<query xmlns='{ADMIN}'><item {attribute}/></query>", to=ROOM)
    assert answer.get("type") == "result", answer.serialise()
    return answer.elements()[0].elements()


def configured(peer: Peer, fields: str) -> Element:
    form = f"<x xmlns='jabber:x:data' type='submit'>{fields}</x>"
    return peer.ask(f"<query xmlns='{OWNER}'>{form}</query>", type="set", to=ROOM)


@pytest.mark.spec("XEP-0045 §8.2")
def test_a_kick_puts_out_and_says_who_and_why(witches: tuple[Peer, Peer]) -> None:
    crone, wicca = witches

    answer = changed(crone, "<item nick='second' role='none'><reason>Avaunt</reason></item>")

    assert answer.get("type") == "result"
    for peer, own in ((crone, False), (wicca, True)):
        (gone,) = peer.hear()
        assert gone.get("type") == "unavailable"
        assert gone.get("from") == f"{ROOM}/second"
        assert "307" in codes(gone)
        assert ("110" in codes(gone)) is own
        assert item(gone).get("role") == "none"
        assert item(gone).child_text("reason") == "Avaunt"
        actor = item(gone).find("actor")
        assert actor is not None
        assert actor.get("nick") == "firstwitch"
    wicca.say(said("still here?"))
    assert "not-acceptable" in wicca.hear()[0].serialise()


@pytest.mark.spec("XEP-0045 §8.2")
@pytest.mark.parametrize(
    ("by", "nick", "condition"), [(1, "firstwitch", "forbidden"), (0, "x", "item-not-found")]
)
def test_a_kick_that_is_not_allowed_changes_nothing(
    witches: tuple[Peer, Peer], by: int, nick: str, condition: str
) -> None:
    answer = changed(witches[by], f"<item nick='{nick}' role='none'/>")

    assert answer.get("type") == "error"
    assert condition in answer.serialise()


@pytest.mark.spec("XEP-0045 §9.1")
@pytest.mark.spec("XEP-0045 §7.2.7")
@pytest.mark.spec("XEP-0045 §9.2")
def test_a_ban_puts_out_and_keeps_out(witches: tuple[Peer, Peer]) -> None:
    crone, wicca = witches

    answer = changed(
        crone, "<item affiliation='outcast' jid='wiccarocks@localhost'><reason>Treason</reason></item>"
    )

    assert answer.get("type") == "result"
    for peer in (crone, wicca):
        (gone,) = peer.hear()
        assert "301" in codes(gone)
        assert item(gone).get("affiliation") == "outcast"
        assert item(gone).child_text("reason") == "Treason"
    wicca.say(f"<presence to='{ROOM}/second'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
    assert "forbidden" in wicca.hear()[0].serialise()
    (outcast,) = listed(crone, "affiliation='outcast'")
    assert outcast.get("jid") == "wiccarocks@localhost"
    assert outcast.child_text("reason") == "Treason"

    changed(crone, "<item affiliation='none' jid='wiccarocks@localhost'/>")
    assert listed(crone, "affiliation='outcast'") == []
    entered(wicca, "second")


@pytest.mark.spec("XEP-0045 §9.3")
@pytest.mark.spec("XEP-0045 §9.4")
@pytest.mark.spec("XEP-0045 §9.5")
def test_membership_is_given_and_taken(witches: tuple[Peer, Peer]) -> None:
    crone, wicca = witches

    changed(crone, "<item affiliation='member' jid='wiccarocks@localhost'/>")

    assert item(wicca.hear()[0]).get("affiliation") == "member"
    (member,) = listed(crone, "affiliation='member'")
    assert (member.get("jid"), member.get("nick")) == ("wiccarocks@localhost", "second")
    crone.hear()
    assert (
        configured(crone, "<field var='muc#roomconfig_membersonly'><value>1</value></field>").get("type")
        == "result"
    )
    wicca.hear(), crone.hear()

    changed(crone, "<item affiliation='none' jid='wiccarocks@localhost'/>")

    (gone,) = wicca.hear()
    assert gone.get("type") == "unavailable"
    assert "321" in codes(gone)
    wicca.say(f"<presence to='{ROOM}/second'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
    assert "registration-required" in wicca.hear()[0].serialise()


@pytest.mark.spec("XEP-0045 §10.2.1")
def test_who_is_no_member_goes_when_the_room_becomes_members_only(witches: tuple[Peer, Peer]) -> None:
    crone, wicca = witches

    configured(crone, "<field var='muc#roomconfig_membersonly'><value>1</value></field>")

    told, gone = wicca.hear()
    assert codes(told) == {"104"}
    assert gone.get("type") == "unavailable"
    assert "322" in codes(gone)


@pytest.mark.spec("XEP-0045 §9.6")
@pytest.mark.spec("XEP-0045 §9.7")
@pytest.mark.spec("XEP-0045 §9.8")
def test_moderators_are_made_and_unmade(witches: tuple[Peer, Peer]) -> None:
    crone, wicca = witches

    changed(crone, "<item nick='second' role='moderator'/>")

    assert item(wicca.hear()[0]).get("role") == "moderator"
    assert sorted([each.get("nick") or "" for each in listed(crone, "role='moderator'")]) == [
        "firstwitch",
        "second",
    ]
    refused = changed(wicca, "<item nick='firstwitch' role='participant'/>")
    assert "not-allowed" in refused.serialise()
    changed(crone, "<item nick='second' role='participant'/>")
    assert item(wicca.hear()[-1]).get("role") == "participant"


@pytest.mark.spec("XEP-0045 §8.3")
@pytest.mark.spec("XEP-0045 §8.4")
def test_voice_is_given_and_taken(witches: tuple[Peer, Peer]) -> None:
    crone, wicca = witches
    configured(crone, "<field var='muc#roomconfig_moderatedroom'><value>1</value></field>")
    wicca.hear()

    changed(crone, "<item nick='second' role='participant'/>")
    given = wicca.hear()
    changed(crone, "<item nick='second' role='visitor'/>")
    taken = wicca.hear()

    assert [item(each).get("role") for each in given] == ["participant"]
    assert [item(each).get("role") for each in taken] == ["visitor"]


@pytest.mark.spec("XEP-0045 §10.5")
@pytest.mark.spec("XEP-0045 §10.6")
@pytest.mark.spec("XEP-0045 §10.8")
@pytest.mark.spec("XEP-0045 §8.5")
def test_moderators_see_who_has_voice_and_change_several_at_once(
    server: XmppServer, witches: tuple[Peer, Peer]
) -> None:
    crone, wicca = witches
    hag = server.log_in("hag66", "pda")
    entered(hag, "third")
    changed(crone, "<item nick='third' role='visitor'/>")

    voices = [each.get("nick") for each in listed(crone, "role='participant'")]
    answer = changed(crone, "<item nick='second' role='visitor'/><item nick='third' role='participant'/>")

    assert voices == ["second"]
    assert answer.get("type") == "result"
    assert [each.get("nick") for each in listed(crone, "role='participant'")] == ["third"]
    refused = wicca.ask(f"<query xmlns='{ADMIN}'><item role='participant'/></query>", to=ROOM)
    assert "forbidden" in refused.serialise()


@pytest.mark.spec("XEP-0045 §7.11")
def test_members_see_who_else_is_a_member_where_addresses_are_no_secret(witches: tuple[Peer, Peer]) -> None:
    crone, wicca = witches
    changed(crone, "<item affiliation='member' jid='wiccarocks@localhost'/>")
    query = f"<query xmlns='{ADMIN}'><item affiliation='member'/></query>"

    assert "forbidden" in wicca.ask(query, to=ROOM).serialise()

    configured(crone, "<field var='muc#roomconfig_whois'><value>anyone</value></field>")
    assert [each.get("jid") for each in listed(wicca, "affiliation='member'")] == ["wiccarocks@localhost"]


@pytest.mark.spec("XEP-0045 §10.7")
def test_an_administrator_is_one_until_the_owner_says_otherwise(witches: tuple[Peer, Peer]) -> None:
    crone, wicca = witches

    changed(crone, "<item affiliation='admin' jid='wiccarocks@localhost'/>")
    made = item(wicca.hear()[0])
    changed(crone, "<item affiliation='none' jid='wiccarocks@localhost'/>")
    unmade = item(wicca.hear()[0])

    assert (made.get("affiliation"), made.get("role")) == ("admin", "moderator")
    assert (unmade.get("affiliation"), unmade.get("role")) == ("none", "participant")
    assert listed(crone, "affiliation='admin'") == []


@pytest.mark.spec("XEP-0045 §10.3")
@pytest.mark.spec("XEP-0045 §10.4")
def test_a_room_keeps_an_owner(witches: tuple[Peer, Peer]) -> None:
    crone, wicca = witches

    refused = changed(crone, "<item affiliation='admin' jid='crone1@localhost'/>")
    changed(crone, "<item affiliation='owner' jid='wiccarocks@localhost'/>")
    answer = changed(crone, "<item affiliation='admin' jid='crone1@localhost'/>")

    assert "conflict" in refused.serialise()
    assert answer.get("type") == "result"
    assert [each.get("jid") for each in listed(wicca, "affiliation='owner'")] == ["wiccarocks@localhost"]
    assert [each.get("jid") for each in listed(wicca, "affiliation='admin'")] == ["crone1@localhost"]


@pytest.mark.spec("XEP-0045 §17.4")
@pytest.mark.parametrize(
    "items",
    [
        "<item nick='second' role='none' affiliation='none'/>",
        "<item role='none'/>",
        "<item affiliation='king' jid='wiccarocks@localhost'/>",
        "",
    ],
)
def test_a_change_that_makes_no_sense_is_a_bad_request(witches: tuple[Peer, Peer], items: str) -> None:
    assert "bad-request" in changed(witches[0], items).serialise()


@pytest.mark.spec("XEP-0045 §9.5")
def test_several_changes_in_one_request_are_answered_once(
    server: XmppServer, witches: tuple[Peer, Peer]
) -> None:
    crone = witches[0]

    answer = changed(
        crone,
        "<item affiliation='member' jid='hag66@localhost'/><item affiliation='admin' jid='wiccarocks@localhost'/>",
    )

    assert answer.get("type") == "result"
    assert [each.get("jid") for each in listed(crone, "affiliation='member'")] == ["hag66@localhost"]
    (told, *_) = [each for each in crone.hear() if each.name == "message"]
    assert item(told).get("jid") == "hag66@localhost"


@pytest.mark.spec("XEP-0045 §10.1.2")
@pytest.mark.spec("XEP-0045 §10.2")
def test_the_owner_reads_and_changes_the_configuration(witches: tuple[Peer, Peer]) -> None:
    crone, wicca = witches

    form = crone.ask(f"<query xmlns='{OWNER}'/>", to=ROOM)
    refused = wicca.ask(f"<query xmlns='{OWNER}'/>", to=ROOM)
    instant = configured(crone, "")
    quiet = wicca.hear()
    configured(
        crone,
        "<field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field>"
        "<field var='muc#roomconfig_roomname'><value>A Dark Cave</value></field>"
        "<field var='muc#roomconfig_publicroom'><value>0</value></field>",
    )

    assert "muc#roomconfig_membersonly" in form.serialise()
    assert "forbidden" in refused.serialise()
    assert instant.get("type") == "result"
    assert quiet == []
    assert [codes(each) for each in wicca.hear()] == [{"104"}]
    info = wicca.ask(f"<query xmlns='{INFO}'/>", to=ROOM).serialise()
    assert "A Dark Cave" in info
    assert "muc_hidden" in info


@pytest.mark.spec("XEP-0045 §10.2")
@pytest.mark.parametrize(
    "field",
    [
        "<field var='muc#roomconfig_passwordprotectedroom'><value>1</value></field>",
        "<field var='muc#roomconfig_maxusers'><value>many</value></field>",
        f"<field var='muc#roomconfig_roomname'><value>{'x' * 2000}</value></field>",
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused(witches: tuple[Peer, Peer], field: str) -> None:
    assert "not-acceptable" in configured(witches[0], field).serialise()


@pytest.mark.spec("XEP-0045 §10.9")
def test_a_destroyed_room_tells_where_to_go(witches: tuple[Peer, Peer]) -> None:
    crone, wicca = witches
    destroy = "<destroy jid='heath@rooms.localhost'><reason>Macbeth doth come.</reason></destroy>"

    refused = wicca.ask(f"<query xmlns='{OWNER}'>{destroy}</query>", type="set", to=ROOM)
    answer = crone.ask(f"<query xmlns='{OWNER}'>{destroy}</query>", type="set", to=ROOM)

    assert "forbidden" in refused.serialise()
    assert answer.get("type") == "result"
    gone = next(each for each in wicca.hear() if each.get("from") == f"{ROOM}/second")
    assert gone.get("type") == "unavailable"
    end = user(gone).find("destroy")
    assert end is not None
    assert end.get("jid") == "heath@rooms.localhost"
    assert end.child_text("reason") == "Macbeth doth come."
    assert "item-not-found" in wicca.ask(f"<query xmlns='{INFO}'/>", to=ROOM).serialise()


@pytest.mark.spec("XEP-0045 §6.2")
@pytest.mark.spec("XEP-0045 §6.3")
def test_the_service_says_what_it_is_and_lists_public_rooms(witches: tuple[Peer, Peer]) -> None:
    crone, wicca = witches
    entered(crone, "firstwitch", "heath@rooms.localhost")

    info = wicca.ask(f"<query xmlns='{INFO}'/>", to="rooms.localhost").serialise()
    rooms = wicca.ask(f"<query xmlns='{ITEMS}'/>", to="rooms.localhost").elements()[0].elements()
    paged = wicca.ask(
        f"<query xmlns='{ITEMS}'><set xmlns='http://jabber.org/protocol/rsm'><max>1</max></set></query>",
        to="rooms.localhost",
    ).elements()[0]
    configured(crone, "<field var='muc#roomconfig_publicroom'><value>0</value></field>")
    hidden = wicca.ask(f"<query xmlns='{ITEMS}'/>", to="rooms.localhost").elements()[0].elements()

    assert "category='conference'" in info
    assert "http://jabber.org/protocol/muc" in info
    assert "urn:xmpp:occupant-id:0" in info
    assert [each.get("jid") for each in rooms] == [ROOM, "heath@rooms.localhost"]
    assert [each.get("jid") for each in paged.find_all("item")] == [ROOM]
    rsm = paged.find("set", "http://jabber.org/protocol/rsm")
    assert rsm is not None
    assert rsm.child_text("count") == "2"
    assert [each.get("jid") for each in hidden] == ["heath@rooms.localhost"]


@pytest.mark.spec("XEP-0045 §6.4")
@pytest.mark.spec("XEP-0045 §6.5")
@pytest.mark.spec("XEP-0045 §7.12")
def test_a_room_says_what_it_is_and_who_is_in_it_to_occupants(
    server: XmppServer, witches: tuple[Peer, Peer]
) -> None:
    crone = witches[0]
    hag = server.log_in("hag66", "pda")

    info = hag.ask(f"<query xmlns='{INFO}'/>", to=ROOM).serialise()
    inside = crone.ask(f"<query xmlns='{ITEMS}'/>", to=ROOM).elements()[0].elements()
    outside = hag.ask(f"<query xmlns='{ITEMS}'/>", to=ROOM).elements()[0].elements()
    nick = crone.ask(f"<query xmlns='{INFO}' node='x-roomuser-item'/>", to=ROOM).serialise()

    for feature in ("muc_open", "muc_semianonymous", "muc_unmoderated", "muc_unsecured", "urn:xmpp:mam:2"):
        assert f"'{feature}'" in info
    assert "muc#roominfo_occupants" in info
    assert [each.get("jid") for each in inside] == [f"{ROOM}/firstwitch", f"{ROOM}/second"]
    assert outside == []
    assert "name='firstwitch'" in nick


@pytest.mark.parametrize("to", [ROOM, f"{ROOM}/firstwitch"])
@pytest.mark.parametrize(
    "payload",
    [
        f"<query xmlns='{INFO}'/>",
        f"<query xmlns='{INFO}' node='x-roomuser-item'/>",
        f"<query xmlns='{ITEMS}'/>",
        f"<query xmlns='{ADMIN}'><item affiliation='owner'/></query>",
        f"<query xmlns='{OWNER}'/>",
        "<query xmlns='urn:xmpp:mam:2'/>",
        "<query xmlns='urn:example:unknown'/>",
    ],
)
def test_a_hidden_room_for_members_is_not_there_for_others(
    server: XmppServer, witches: tuple[Peer, Peer], payload: str, to: str
) -> None:
    crone, _ = witches
    hidden = "".join(
        f"<field var='muc#roomconfig_{name}'><value>{value}</value></field>"
        for name, value in (("publicroom", 0), ("membersonly", 1))
    )
    assert configured(crone, hidden).get("type") == "result"
    hag = server.log_in("hag66", "pda")
    name = ROOM.partition("@")[0]

    answers = [hag.ask(payload, to=address) for address in (to, to.replace(name, "never"))]
    for address in (ROOM, ROOM.replace(name, "never")):
        hag.say(f"<message to='{address}' type='groupchat' id='q'><body>hi</body></message>")
    answers += hag.hear()

    shown = [answer.serialise().replace("never", name) for answer in answers]
    assert shown[0] == shown[1]
    assert shown[2] == shown[3]
    assert crone.ask(f"<query xmlns='{INFO}'/>", to=ROOM).get("type") == "result"


@pytest.mark.spec("XEP-0045 §6.6")
def test_who_is_not_in_the_room_learns_nothing_of_occupants(
    server: XmppServer, witches: tuple[Peer, Peer]
) -> None:
    hag = server.log_in("hag66", "pda")

    assert "bad-request" in hag.ask(f"<query xmlns='{INFO}'/>", to=f"{ROOM}/second").serialise()


def test_what_is_not_built_is_answered_so(witches: tuple[Peer, Peer]) -> None:
    crone = witches[0]

    answer = crone.ask("<query xmlns='jabber:iq:register'/>", to="rooms.localhost")

    assert answer.get("type") == "error"
    assert "service-unavailable" in answer.serialise()


@pytest.mark.spec("XEP-0045 §4.2")
def test_a_temporary_room_ends_with_its_last_occupant(server: XmppServer) -> None:
    crone = server.log_in("crone1", "desktop")
    entered(crone, "firstwitch")
    configured(crone, "<field var='muc#roomconfig_persistentroom'><value>0</value></field>")

    crone.say(f"<presence to='{ROOM}/firstwitch' type='unavailable'/>")

    assert server.services.rooms.find("coven") is None
