"""XEP-0045 §7: entering rooms, presence in them, leaving them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.muc import ROOM, codes, entered, entering, item, said, statuses
from tests.support.xmpp import XmppServer, server_in


@pytest.fixture
def server(tmp_path: Path) -> Iterator[XmppServer]:
    yield from server_in(tmp_path, "crone1", "wiccarocks", "hag66")


@pytest.mark.spec("XEP-0045 §10.1.1")
def test_the_first_who_enters_makes_the_room_and_owns_it(server: XmppServer) -> None:
    crone = server.log_in("crone1", "desktop")

    crone.say(entering("firstwitch"))

    own, subject = crone.hear()
    assert own.get("from") == f"{ROOM}/firstwitch"
    assert own.get("to") == crone.jid
    assert (item(own).get("affiliation"), item(own).get("role")) == ("owner", "moderator")
    assert {"110", "201"} <= codes(own)
    assert subject.find("subject") is not None
    assert subject.get("from") == ROOM


@pytest.mark.spec("XEP-0045 §7.2.1")
@pytest.mark.spec("XEP-0045 §7.2.12")
@pytest.mark.spec("XEP-0045 §7.2.13")
@pytest.mark.spec("XEP-0045 §7.2.15")
@pytest.mark.spec("XEP-0045 §7.1")
@pytest.mark.spec("XEP-0045 §7.2.2")
def test_one_sees_the_others_then_oneself_then_history_then_the_subject(server: XmppServer) -> None:
    crone, wicca = server.log_in("crone1", "desktop"), server.log_in("wiccarocks", "laptop")
    entered(crone, "firstwitch")
    crone.say(
        said("Thrice the brinded cat hath mew'd.", id="m1"),
        f"<message to='{ROOM}' type='groupchat'><subject>Fire Burn!</subject></message>",
    )
    crone.hear()

    wicca.say(entering("second"))

    other, own, old, subject = wicca.hear()
    assert other.get("from") == f"{ROOM}/firstwitch"
    assert "110" not in codes(other)
    assert own.get("from") == f"{ROOM}/second"
    assert {"110", "170"} <= codes(own)
    assert old.child_text("body") == "Thrice the brinded cat hath mew'd."
    assert old.get("id") == "m1"
    assert old.find("delay", "urn:xmpp:delay") is not None
    assert subject.child_text("subject") == "Fire Burn!"
    (arrival,) = crone.hear()
    assert arrival.get("from") == f"{ROOM}/second"
    assert (item(arrival).get("affiliation"), item(arrival).get("role")) == ("none", "participant")


@pytest.mark.spec("XEP-0045 §7.2.4")
@pytest.mark.spec("XEP-0045 §7.2.3")
def test_only_moderators_see_addresses_until_everybody_may(server: XmppServer) -> None:
    crone, wicca = server.log_in("crone1", "desktop"), server.log_in("wiccarocks", "laptop")
    entered(crone, "firstwitch")
    wicca.say(entering("second"))

    other, own, _ = wicca.hear()
    (arrival,) = crone.hear()

    assert item(other).get("jid") is None
    assert item(own).get("jid") == wicca.jid
    assert item(arrival).get("jid") == wicca.jid
    assert "100" not in codes(own)

    crone.ask(
        "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'>"
        "<field var='muc#roomconfig_whois'><value>anyone</value></field></x></query>",
        type="set",
        to=ROOM,
    )
    hag = server.log_in("hag66", "pda")
    hag.say(entering("third"))
    first, _, own, _ = hag.hear()
    assert item(first).get("jid") == crone.jid
    assert "100" in codes(own)


@pytest.mark.spec("XEP-0045 §7.2.5")
@pytest.mark.spec("XEP-0045 §7.2.6")
@pytest.mark.spec("XEP-0045 §7.2.8")
@pytest.mark.parametrize(
    ("fields", "muc", "condition", "kind"),
    [
        (
            "<field var='muc#roomconfig_passwordprotectedroom'><value>1</value></field>"
            "<field var='muc#roomconfig_roomsecret'><value>cauldronburn</value></field>",
            "<password>wrong</password>",
            "not-authorized",
            "auth",
        ),
        (
            "<field var='muc#roomconfig_membersonly'><value>1</value></field>",
            "",
            "registration-required",
            "auth",
        ),
        ("", "", "conflict", "cancel"),
    ],
)
def test_who_may_not_enter_is_told_why(
    server: XmppServer, fields: str, muc: str, condition: str, kind: str
) -> None:
    crone, wicca = server.log_in("crone1", "desktop"), server.log_in("wiccarocks", "laptop")
    entered(crone, "firstwitch")
    crone.ask(
        "<query xmlns='http://jabber.org/protocol/muc#owner'>"
        f"<x xmlns='jabber:x:data' type='submit'>{fields}</x></query>",
        type="set",
        to=ROOM,
    )

    wicca.say(entering("FirstWitch", muc))

    (answer,) = wicca.hear()
    error = answer.find("error")
    assert answer.get("type") == "error"
    assert error is not None
    assert error.get("type") == kind
    assert error.find(condition, "urn:ietf:params:xml:ns:xmpp-stanzas") is not None


@pytest.mark.spec("XEP-0045 §7.2.9")
def test_a_room_that_is_full_lets_in_its_moderators_only(server: XmppServer) -> None:
    crone, wicca, hag = (server.log_in(name, "x") for name in ("crone1", "wiccarocks", "hag66"))
    entered(crone, "firstwitch")
    crone.ask(
        "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'>"
        "<field var='muc#roomconfig_maxusers'><value>1</value></field></x></query>",
        type="set",
        to=ROOM,
    )

    wicca.say(entering("second"))

    assert "service-unavailable" in wicca.hear()[0].serialise()
    crone.ask(
        "<query xmlns='http://jabber.org/protocol/muc#admin'>"
        "<item affiliation='admin' jid='hag66@localhost'/></query>",
        type="set",
        to=ROOM,
    )
    entered(hag, "third")


@pytest.mark.spec("XEP-0045 §7.2.5")
def test_the_right_password_opens_the_room(server: XmppServer) -> None:
    crone, wicca = server.log_in("crone1", "desktop"), server.log_in("wiccarocks", "laptop")
    entered(crone, "firstwitch")
    crone.ask(
        "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'>"
        "<field var='muc#roomconfig_roomsecret'><value>cauldronburn</value></field></x></query>",
        type="set",
        to=ROOM,
    )

    wicca.say(entering("second", "<password>cauldronburn</password>"))

    assert any("110" in codes(each) for each in wicca.hear())


@pytest.mark.spec("XEP-0045 §7.2.14")
@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ("<history maxstanzas='0'/>", []),
        ("<history maxchars='0'/>", []),
        ("<history maxstanzas='2'/>", ["3", "4"]),
        ("<history seconds='3600'/>", ["1", "2", "3", "4"]),
        ("<history since='2999-01-01T00:00:00Z'/>", []),
        ("", ["1", "2", "3", "4"]),
    ],
)
def test_a_client_says_how_much_history_it_wants(
    server: XmppServer, history: str, expected: list[str]
) -> None:
    crone, wicca = server.log_in("crone1", "desktop"), server.log_in("wiccarocks", "laptop")
    entered(crone, "firstwitch")
    crone.say(*[said(str(number)) for number in range(1, 5)])

    wicca.say(entering("second", history))

    bodies = [each.child_text("body") for each in wicca.hear() if each.find("body") is not None]
    assert bodies == expected


@pytest.mark.spec("XEP-0045 §7.2.14")
def test_characters_of_history_are_counted_from_the_newest(server: XmppServer) -> None:
    crone, wicca = server.log_in("crone1", "desktop"), server.log_in("wiccarocks", "laptop")
    entered(crone, "firstwitch")
    crone.say(said("old"), said("new"))

    wicca.say(entering("second", "<history maxchars='650'/>"))

    assert [each.child_text("body") for each in wicca.hear() if each.find("body") is not None] == ["new"]


@pytest.mark.spec("XEP-0045 §7.2.18")
def test_presence_of_somebody_who_is_not_there_is_answered_with_a_kick(server: XmppServer) -> None:
    wicca = server.log_in("wiccarocks", "laptop")

    wicca.say(f"<presence to='{ROOM}/second'/>")

    (kick,) = wicca.hear()
    assert kick.get("type") == "unavailable"
    assert codes(kick) == {"110", "307", "333"}


@pytest.mark.spec("XEP-0045 §17.3")
def test_entering_again_gives_everything_anew(server: XmppServer) -> None:
    crone, wicca = server.log_in("crone1", "desktop"), server.log_in("wiccarocks", "laptop")
    entered(crone, "firstwitch")
    entered(wicca, "second")
    crone.hear()
    crone.say(said("one"))
    wicca.hear()

    wicca.say(entering("second"))

    other, own, message, subject = wicca.hear()
    assert other.get("from") == f"{ROOM}/firstwitch"
    assert "110" in codes(own)
    assert message.child_text("body") == "one"
    assert subject.find("subject") is not None


@pytest.mark.spec("XEP-0045 §7.2.2")
def test_two_devices_of_a_person_are_one_occupant(server: XmppServer) -> None:
    crone = server.log_in("crone1", "desktop")
    laptop, phone = server.log_in("wiccarocks", "laptop"), server.log_in("wiccarocks", "phone")
    entered(crone, "firstwitch")
    entered(laptop, "second")
    crone.hear()

    phone.say(entering("other"))
    own = statuses(phone.hear(), "110")

    assert own.get("from") == f"{ROOM}/second"
    assert "210" in codes(own)
    assert crone.hear() == []
    phone.say(f"<presence to='{ROOM}/second' type='unavailable'/>")
    assert "110" in codes(phone.hear()[0])
    assert crone.hear() == []
    laptop.say(f"<presence to='{ROOM}/second' type='unavailable'/>")
    assert crone.hear()[0].get("type") == "unavailable"


@pytest.mark.spec("XEP-0045 §7.6")
def test_a_new_nick_is_told_by_a_departure_and_an_arrival(server: XmppServer) -> None:
    crone, wicca = server.log_in("crone1", "desktop"), server.log_in("wiccarocks", "laptop")
    entered(crone, "firstwitch")
    entered(wicca, "second")
    crone.hear()

    wicca.say(f"<presence to='{ROOM}/oldhag'/>")

    for peer, own in ((crone, False), (wicca, True)):
        gone, here = peer.hear()
        assert gone.get("type") == "unavailable"
        assert gone.get("from") == f"{ROOM}/second"
        assert "303" in codes(gone)
        assert item(gone).get("nick") == "oldhag"
        assert here.get("from") == f"{ROOM}/oldhag"
        assert ("110" in codes(here)) is own


@pytest.mark.spec("XEP-0045 §7.6")
def test_a_nick_in_use_stays_with_whom_it_belongs(server: XmppServer) -> None:
    crone, wicca = server.log_in("crone1", "desktop"), server.log_in("wiccarocks", "laptop")
    entered(crone, "firstwitch")
    entered(wicca, "second")

    wicca.say(f"<presence to='{ROOM}/firstwitch'/>")

    (answer,) = wicca.hear()
    error = answer.find("error")
    assert error is not None
    assert error.find("conflict", "urn:ietf:params:xml:ns:xmpp-stanzas") is not None


@pytest.mark.spec("XEP-0045 §7.7")
@pytest.mark.spec("XEP-0421 §4")
def test_what_one_shows_passes_but_for_what_the_room_alone_says(server: XmppServer) -> None:
    crone, wicca = server.log_in("crone1", "desktop"), server.log_in("wiccarocks", "laptop")
    entered(crone, "firstwitch")
    entered(wicca, "second")
    crone.hear()

    wicca.say(
        f"<presence to='{ROOM}/second'><show>xa</show><status>gone where the goblins go</status>"
        "<occupant-id xmlns='urn:xmpp:occupant-id:0' id='forged'/>"
        "<x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='owner' role='moderator'/></x>"
        "<c xmlns='urn:example:kept'/></presence>"
    )

    (change,) = crone.hear()
    assert change.child_text("show") == "xa"
    assert change.child_text("status") == "gone where the goblins go"
    assert change.find("c", "urn:example:kept") is not None
    assert len(change.find_all("x", "http://jabber.org/protocol/muc#user")) == 1
    assert item(change).get("affiliation") == "none"
    (identity,) = change.find_all("occupant-id", "urn:xmpp:occupant-id:0")
    assert identity.get("id") != "forged"


@pytest.mark.spec("XEP-0045 §7.14")
def test_leaving_is_told_to_all_and_confirmed(server: XmppServer) -> None:
    crone, wicca = server.log_in("crone1", "desktop"), server.log_in("wiccarocks", "laptop")
    entered(crone, "firstwitch")
    entered(wicca, "second")
    crone.hear()

    wicca.say(f"<presence to='{ROOM}/second' type='unavailable'><status>gone</status></presence>")

    (own,) = wicca.hear()
    (other,) = crone.hear()
    assert codes(own) == {"110"}
    assert codes(other) == set()
    for each in (own, other):
        assert each.get("type") == "unavailable"
        assert each.child_text("status") == "gone"
        assert item(each).get("role") == "none"


@pytest.mark.spec("XEP-0045 §17.3")
def test_leaving_where_one_is_not_is_ignored(server: XmppServer) -> None:
    wicca = server.log_in("wiccarocks", "laptop")

    wicca.say(f"<presence to='{ROOM}/second' type='unavailable'/>", f"<presence to='{ROOM}' type='probe'/>")

    assert wicca.hear() == []


def test_a_broken_connection_leaves_the_room(server: XmppServer) -> None:
    crone, wicca = server.log_in("crone1", "desktop"), server.log_in("wiccarocks", "laptop")
    entered(crone, "firstwitch")
    entered(wicca, "second")
    crone.hear()

    wicca.drop()

    (gone,) = crone.hear()
    assert (gone.get("type"), gone.get("from")) == ("unavailable", f"{ROOM}/second")


def test_what_is_sent_with_the_request_to_enter_takes_effect_after_it(server: XmppServer) -> None:
    crone = server.log_in("crone1", "desktop")

    crone.say(
        f"{entering('firstwitch')}{said('at once')}<presence to='{ROOM}/firstwitch' type='unavailable'/>"
    )

    heard = crone.hear()
    assert [each.name for each in heard] == ["presence", "message", "message", "presence"]
    assert heard[1].find("subject") is not None
    assert heard[2].child_text("body") == "at once"
    assert heard[3].get("type") == "unavailable"


@pytest.mark.spec("XEP-0410 §3.3")
def test_a_ping_to_oneself_says_whether_one_is_there(server: XmppServer) -> None:
    crone = server.log_in("crone1", "desktop")
    ping = "<ping xmlns='urn:xmpp:ping'/>"

    before = crone.ask(ping, to=f"{ROOM}/firstwitch")
    entered(crone, "firstwitch")
    after = crone.ask(ping, to=f"{ROOM}/firstwitch")
    nobody = crone.ask(ping, to=f"{ROOM}/nobody")

    assert before.find("error") is not None
    assert before.serialise().count("not-acceptable") == 1
    assert after.get("type") == "result"
    assert "item-not-found" in nobody.serialise()


@pytest.mark.spec("XEP-0045 §9.1")
def test_another_nick_evades_no_ban_mask(server: XmppServer) -> None:
    crone, hag = server.log_in("crone1", "desktop"), server.log_in("hag66")
    entered(crone, "firstwitch")
    room = server.services.rooms.find("coven")
    account = server.services.accounts.find("crone1")
    assert room is not None
    assert account is not None
    (owner,) = server.services.devices.of(account)
    server.services.moderation.set_mask(owner, room, "hag*!*@*", True, lambda: None, lambda refusal: None)
    server.settle()

    hag.say(entering("otherwitch"))

    (answer,) = hag.hear()
    assert answer.get("type") == "error"
