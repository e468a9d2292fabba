"""XEP-0045 §10.2, XEP-0500: every field of a room's configuration, and what it changes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.muc import ROOM, codes, configured, entered, entering, item, said
from tests.support.xmpp import Peer, XmppServer, server_in

from sabir.wire.xml import Element

OWNER = "http://jabber.org/protocol/muc#owner"
INFO = "http://jabber.org/protocol/disco#info"


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


def shown(peer: Peer) -> dict[str, list[str]]:
    """Return the fields of the owner's form."""
    answer = peer.ask(f"<query xmlns='{OWNER}'/>", to=ROOM)
    assert answer.get("type") == "result", answer.serialise()
    return fields_of(answer)


def info(peer: Peer) -> dict[str, list[str]]:
    """Return the fields of what the room says of itself."""
    return fields_of(peer.ask(f"<query xmlns='{INFO}'/>", to=ROOM))


def fields_of(answer: Element) -> dict[str, list[str]]:
    form = answer.elements()[0].find("x", "jabber:x:data")
    assert form is not None, answer.serialise()
    return {
        field.get("var") or "": [value.text() for value in field.find_all("value")]
        for field in form.find_all("field")
    }


@pytest.mark.spec("XEP-0045 §10.2")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("roomname", "The coven"),
        ("roomdesc", "A dark cave"),
        ("lang", "la"),
        ("persistentroom", "0"),
        ("publicroom", "0"),
        ("membersonly", "1"),
        ("allowinvites", "1"),
        ("moderatedroom", "1"),
        ("changesubject", "0"),
        ("maxusers", "20"),
        ("whois", "anyone"),
        ("allowpm", "participants"),
        ("allowpm", "none"),
        ("slow_mode_duration", "30"),
        ("roomadmins", "hag66@localhost"),
    ],
)
def test_what_an_owner_sets_is_what_the_form_shows(witches: tuple[Peer, Peer], name: str, value: str) -> None:
    crone = witches[0]
    before = shown(crone)

    assert configured(crone, **{name: value}).get("type") == "result"

    after = shown(crone)
    assert after.pop(f"muc#roomconfig_{name}") == [value]
    before.pop(f"muc#roomconfig_{name}")
    assert after == before


@pytest.mark.spec("XEP-0045 §10.2")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("maxusers", "-5"),
        ("maxusers", "many"),
        ("maxusers", "99999999"),
        ("slow_mode_duration", "-1"),
        ("slow_mode_duration", "86401"),
        ("whois", "nobody"),
        ("allowpm", "sometimes"),
        ("enablelogging", "0"),
        ("presencebroadcast", "moderator"),
        ("pubsub", "xmpp:pubsub.localhost?;node=x"),
        ("getmemberlist", "moderator"),
        ("nonsense", "1"),
        ("roomadmins", "nobody@localhost"),
        ("roomadmins", "not an address"),
        ("roomname", "x" * 1001),
        ("passwordprotectedroom", "1"),
    ],
)
def test_what_cannot_be_honoured_is_refused_and_changes_nothing(
    witches: tuple[Peer, Peer], name: str, value: str
) -> None:
    crone, wicca = witches
    before = shown(crone)

    answer = configured(crone, moderatedroom="1", **{name: value})

    assert "not-acceptable" in answer.serialise()
    assert shown(crone) == before
    assert wicca.hear() == []


@pytest.mark.spec("XEP-0045 §10.2")
def test_what_is_the_case_anyway_may_be_asked_for(witches: tuple[Peer, Peer]) -> None:
    everybody = ["moderator", "participant", "visitor"]

    answer = configured(witches[0], enablelogging="1", presencebroadcast=everybody)

    assert answer.get("type") == "result"


@pytest.mark.spec("XEP-0004")
@pytest.mark.parametrize("values", [False, True])
def test_a_form_of_ten_thousand_fields_is_refused(witches: tuple[Peer, Peer], values: bool) -> None:
    crone = witches[0]
    many = "".join([f"<field var='x{number}'/>" for number in range(9_000)])
    if values:
        many = f"<field var='muc#roomconfig_roomadmins'>{'<value>x@localhost</value>' * 9_000}</field>"
    form = f"<x xmlns='jabber:x:data' type='submit'>{many}</x>"

    answer = crone.ask(f"<query xmlns='{OWNER}'>{form}</query>", type="set", to=ROOM)

    assert "not-acceptable" in answer.serialise()


@pytest.mark.spec("XEP-0045 §10.3")
@pytest.mark.spec("XEP-0045 §10.4")
def test_the_form_has_the_lists_of_owners_and_administrators(witches: tuple[Peer, Peer]) -> None:
    crone, wicca = witches
    assert shown(crone)["muc#roomconfig_roomowners"] == ["crone1@localhost"]

    answer = configured(crone, roomowners=["wiccarocks@localhost"], roomadmins=["crone1@localhost"])

    assert answer.get("type") == "result"
    assert {item(each).get("affiliation") for each in wicca.hear() if each.name == "presence"} == {
        "owner",
        "admin",
    }
    assert "forbidden" in crone.ask(f"<query xmlns='{OWNER}'/>", to=ROOM).serialise()
    after = shown(wicca)
    assert after["muc#roomconfig_roomowners"] == ["wiccarocks@localhost"]
    assert after["muc#roomconfig_roomadmins"] == ["crone1@localhost"]


@pytest.mark.spec("XEP-0045 §10.4")
def test_a_form_without_an_owner_is_refused(witches: tuple[Peer, Peer]) -> None:
    crone = witches[0]

    assert "conflict" in configured(crone, roomowners=[]).serialise()

    assert shown(crone)["muc#roomconfig_roomowners"] == ["crone1@localhost"]


@pytest.mark.spec("XEP-0045 §6.4")
@pytest.mark.spec("XEP-0500 §5.2")
def test_a_room_tells_what_clients_want_to_know(witches: tuple[Peer, Peer]) -> None:
    crone, wicca = witches
    configured(
        crone,
        roomname="The coven",
        roomdesc="A dark cave",
        lang="la",
        changesubject="0",
        maxhistoryfetch="7",
        slow_mode_duration="9",
    )

    told = info(wicca)

    assert told["muc#roominfo_description"] == ["A dark cave"]
    assert told["muc#roominfo_lang"] == ["la"]
    assert told["muc#roominfo_subjectmod"] == ["0"]
    assert told["muc#maxhistoryfetch"] == ["7"]
    assert told["muc#roominfo_occupants"] == ["2"]
    assert told["muc#roominfo_slow_mode_duration"] == ["9"]


@pytest.mark.spec("XEP-0045 §7.2.14")
def test_nobody_is_sent_more_history_than_the_room_allows(
    server: XmppServer, witches: tuple[Peer, Peer]
) -> None:
    crone = witches[0]
    crone.say(*(said(str(number)) for number in range(5)))
    configured(crone, maxhistoryfetch="2")
    hag = server.log_in("hag66")

    hag.say(entering("third", "<history maxstanzas='5'/>"))

    heard = [each.child_text("body") for each in hag.hear() if each.find("body") is not None]
    assert heard == ["3", "4"]
    configured(crone, maxhistoryfetch="0")
    hag.say(f"<presence to='{ROOM}/third' type='unavailable'/>", entering("third"))
    assert [each for each in hag.hear() if each.find("body") is not None] == []


@pytest.mark.spec("XEP-0045 §7.5")
@pytest.mark.parametrize(
    ("setting", "owner", "voiced", "visitor"),
    [
        ("anyone", True, True, True),
        ("participants", True, True, False),
        ("moderators", True, False, False),
        ("none", False, False, False),
    ],
)
def test_a_room_says_who_may_send_private_messages(
    server: XmppServer,
    witches: tuple[Peer, Peer],
    setting: str,
    owner: bool,
    voiced: bool,
    visitor: bool,
) -> None:
    crone, wicca = witches
    hag = server.log_in("hag66")
    entered(hag, "third")
    voice = "<item nick='second' role='participant'/>"
    configured(crone, moderatedroom="1", allowpm=setting)
    crone.ask(f"<query xmlns='http://jabber.org/protocol/muc#admin'>{voice}</query>", type="set", to=ROOM)
    crone.hear(), wicca.hear(), hag.hear()

    for peer, nick, may in ((crone, "second", owner), (wicca, "third", voiced), (hag, "second", visitor)):
        peer.say(f"<message to='{ROOM}/{nick}' type='chat' id='pm'><body>psst</body></message>")
        errors = [each for each in peer.hear() if each.get("type") == "error"]
        assert (errors == []) is may
        assert all("forbidden" in error.serialise() for error in errors)


@pytest.mark.spec("XEP-0500 §6")
def test_slow_mode_lets_one_message_through_at_a_time(server: XmppServer, witches: tuple[Peer, Peer]) -> None:
    crone, wicca = witches
    configured(crone, slow_mode_duration="20")
    assert any("104" in codes(each) for each in wicca.hear())
    crone.hear()

    wicca.say(said("one", "1"), said("two", "2"))

    first, second = wicca.hear()
    assert first.child_text("body") == "one"
    assert second.get("type") == "error"
    error = second.find("error")
    assert error is not None
    assert error.get("type") == "wait"
    assert "policy-violation" in error.serialise()
    assert "20 seconds" in error.serialise()
    assert [each.child_text("body") for each in crone.hear()] == ["one"]

    server.loop.advance(20_000)
    wicca.say(said("three", "3"))
    assert [each.child_text("body") for each in wicca.hear()] == ["three"]


@pytest.mark.spec("XEP-0500 §6")
def test_slow_mode_is_for_bodies_and_not_for_administrators(witches: tuple[Peer, Peer]) -> None:
    crone, wicca = witches
    configured(crone, slow_mode_duration="20")
    wicca.hear()

    crone.say(said("one"), said("two"))
    typing = "<composing xmlns='http://jabber.org/protocol/chatstates'/>"
    wicca.say(*[f"<message to='{ROOM}' type='groupchat'>{typing}</message>"] * 2)

    assert [each for each in crone.hear() + wicca.hear() if each.get("type") == "error"] == []


@pytest.mark.spec("XEP-0500 §6")
def test_leaving_and_entering_again_does_not_hasten_slow_mode(witches: tuple[Peer, Peer]) -> None:
    crone, wicca = witches
    configured(crone, slow_mode_duration="20")
    wicca.say(said("one"), f"<presence to='{ROOM}/second' type='unavailable'/>")
    entered(wicca, "second")

    wicca.say(said("two"))

    assert [each.get("type") for each in wicca.hear()] == ["error"]


@pytest.mark.spec("XEP-0500 §5.1")
def test_the_form_says_that_the_duration_is_a_number(witches: tuple[Peer, Peer]) -> None:
    answer = witches[0].ask(f"<query xmlns='{OWNER}'/>", to=ROOM).serialise()

    assert "http://jabber.org/protocol/xdata-validate" in answer
    assert "xs:integer" in answer
