"""XEP-0045 §7.4, §7.5, §7.8, §8.1: what is said in rooms; XEP-0308, 0424, 0425, 0444, 0461 there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.muc import ROOM, codes, configured, entered, entering, said, stanza_id, told, user
from tests.support.xmpp import Peer, XmppServer, server_in

MUC_OWNER = "http://jabber.org/protocol/muc#owner"


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


@pytest.mark.spec("XEP-0045 §7.4")
@pytest.mark.spec("XEP-0359 §4")
def test_a_message_comes_back_to_all_with_its_id_and_one_of_the_room(witches: tuple[Peer, Peer]) -> None:
    crone, wicca = witches

    wicca.say(
        said(
            "Harpier cries: 'tis time, 'tis time.",
            id="hysf1v37",
            extra=f"<stanza-id xmlns='urn:xmpp:sid:0' by='{ROOM}' id='forged'/>"
            "<occupant-id xmlns='urn:xmpp:occupant-id:0' id='forged'/><a xmlns='urn:example:kept'><b/></a>",
        )
    )

    ids = set()
    for peer in (crone, wicca):
        (message,) = peer.hear()
        assert message.get("from") == f"{ROOM}/second"
        assert message.get("to") == peer.jid
        assert message.get("id") == "hysf1v37"
        assert message.get("type") == "groupchat"
        assert message.child_text("body") == "Harpier cries: 'tis time, 'tis time."
        assert message.find("a", "urn:example:kept") is not None
        (identity,) = message.find_all("occupant-id", "urn:xmpp:occupant-id:0")
        assert identity.get("id") != "forged"
        ids.add(stanza_id(message))
    assert len(ids) == 1
    assert "forged" not in ids


@pytest.mark.spec("XEP-0045 §7.4")
def test_who_is_not_there_may_not_speak(server: XmppServer, witches: tuple[Peer, Peer]) -> None:
    hag = server.log_in("hag66", "pda")

    hag.say(said("hear me"))

    (answer,) = hag.hear()
    assert answer.get("type") == "error"
    assert "not-acceptable" in answer.serialise()
    assert witches[0].hear() == []


@pytest.mark.spec("XEP-0045 §17.2")
def test_a_message_to_a_room_that_is_not_there_finds_nothing(server: XmppServer) -> None:
    crone = server.log_in("crone1", "desktop")

    crone.say(said("anybody?", room="nowhere@rooms.localhost"))

    (answer,) = crone.hear()
    assert "item-not-found" in answer.serialise()


@pytest.mark.spec("XEP-0045 §7.4")
def test_a_visitor_has_no_voice_in_a_moderated_room(witches: tuple[Peer, Peer]) -> None:
    crone, wicca = witches
    configured(crone, moderatedroom="1")
    crone.hear()
    wicca.hear()

    wicca.say(said("let me speak"))

    (answer,) = wicca.hear()
    assert answer.get("type") == "error"
    assert "forbidden" in answer.serialise()
    assert crone.hear() == []


@pytest.mark.spec("XEP-0045 §7.13")
@pytest.mark.spec("XEP-0045 §8.6")
def test_a_visitor_asks_for_voice_and_gets_it(witches: tuple[Peer, Peer]) -> None:
    crone, wicca = witches
    configured(crone, moderatedroom="1")
    crone.hear()
    wicca.hear()

    wicca.say(
        f"<message to='{ROOM}'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>"
        "<value>http://jabber.org/protocol/muc#request</value></field>"
        "<field var='muc#role'><value>participant</value></field></x></message>"
    )

    (request,) = crone.hear()
    assert request.get("from") == ROOM
    assert f"<value>{wicca.jid}</value>" in request.serialise()
    crone.say(
        f"<message to='{ROOM}'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>"
        "<value>http://jabber.org/protocol/muc#request</value></field>"
        "<field var='muc#roomnick'><value>second</value></field>"
        "<field var='muc#request_allow'><value>true</value></field></x></message>"
    )
    wicca.hear()
    wicca.say(said("thank you"))
    assert wicca.hear()[-1].child_text("body") == "thank you"


@pytest.mark.spec("XEP-0045 §7.5")
def test_a_private_message_reaches_one_occupant_only(server: XmppServer, witches: tuple[Peer, Peer]) -> None:
    crone, wicca = witches
    hag = server.log_in("hag66", "pda")
    entered(hag, "third")
    crone.hear(), wicca.hear()

    wicca.say(
        f"<message to='{ROOM}/firstwitch' type='chat' id='p1'><body>I'll give thee a wind.</body></message>"
    )

    (message,) = crone.hear()
    assert (message.get("from"), message.get("id")) == (f"{ROOM}/second", "p1")
    assert message.child_text("body") == "I'll give thee a wind."
    user(message)
    assert hag.hear() == wicca.hear() == []


@pytest.mark.spec("XEP-0045 §7.5")
@pytest.mark.parametrize(
    ("to", "type", "condition"),
    [("nobody", "chat", "item-not-found"), ("firstwitch", "groupchat", "bad-request")],
)
def test_a_private_message_that_cannot_be_delivered_comes_back(
    witches: tuple[Peer, Peer], to: str, type: str, condition: str
) -> None:
    wicca = witches[1]

    wicca.say(f"<message to='{ROOM}/{to}' type='{type}'><body>psst</body></message>")

    (answer,) = wicca.hear()
    assert answer.get("type") == "error"
    assert condition in answer.serialise()


@pytest.mark.spec("XEP-0045 §7.8.2")
def test_an_invitation_goes_through_the_room_and_may_be_declined(
    server: XmppServer, witches: tuple[Peer, Peer]
) -> None:
    crone, hag = witches[0], server.log_in("hag66", "pda")

    crone.say(
        f"<message to='{ROOM}'><x xmlns='http://jabber.org/protocol/muc#user'>"
        "<invite to='hag66@localhost'><reason>for all good witches</reason></invite></x></message>"
    )

    (invitation,) = hag.hear()
    assert invitation.get("from") == ROOM
    invite = user(invitation).find("invite")
    assert invite is not None
    assert invite.get("from") == "crone1@localhost"
    assert invite.child_text("reason") == "for all good witches"
    direct = invitation.find("x", "jabber:x:conference")
    assert direct is not None
    assert direct.get("jid") == ROOM

    hag.say(
        f"<message to='{ROOM}'><x xmlns='http://jabber.org/protocol/muc#user'>"
        "<decline to='crone1@localhost'><reason>too busy</reason></decline></x></message>"
    )
    (declined,) = crone.hear()
    decline = user(declined).find("decline")
    assert declined.get("from") == ROOM
    assert decline is not None
    assert decline.get("from") == "hag66@localhost"
    assert decline.child_text("reason") == "too busy"


@pytest.mark.spec("XEP-0045 §7.8.2")
def test_nobody_cannot_be_invited(witches: tuple[Peer, Peer]) -> None:
    crone = witches[0]

    crone.say(
        f"<message to='{ROOM}'><x xmlns='http://jabber.org/protocol/muc#user'>"
        "<invite to='nobody@localhost'/></x></message>"
    )

    (answer,) = crone.hear()
    assert "item-not-found" in answer.serialise()


@pytest.mark.spec("XEP-0045 §7.8.1")
def test_a_direct_invitation_is_carried(server: XmppServer, witches: tuple[Peer, Peer]) -> None:
    hag = server.log_in("hag66", "pda")
    hag.say("<presence/>")
    hag.hear()

    witches[0].say(
        "<message to='hag66@localhost'><x xmlns='jabber:x:conference' jid='coven@rooms.localhost'/></message>"
    )

    (invitation,) = hag.hear()
    direct = invitation.find("x", "jabber:x:conference")
    assert direct is not None
    assert direct.get("jid") == ROOM
    assert invitation.get("from") == witches[0].jid


@pytest.mark.spec("XEP-0045 §7.8.1")
@pytest.mark.spec("XEP-0249")
@pytest.mark.parametrize("body", ["", "<body>come</body>"])
def test_who_may_invite_lets_in_whom_they_invite_directly(
    server: XmppServer, witches: tuple[Peer, Peer], body: str
) -> None:
    crone, wicca = witches
    configured(crone, membersonly="1")
    entered(crone, "firstwitch")
    hag = server.log_in("hag66", "pda")
    invitation = (
        f"<message to='hag66@localhost'>{body}<x xmlns='jabber:x:conference' jid='{ROOM}'/></message>"
    )

    wicca.say(invitation)
    hag.hear()
    hag.say(entering("third"))
    assert "registration-required" in hag.hear()[0].serialise()

    crone.say(invitation)
    (heard,) = hag.hear()
    assert heard.find("x", "jabber:x:conference") is not None
    entered(hag, "third")


@pytest.mark.spec("XEP-0045 §9.5")
def test_who_becomes_a_member_of_a_closed_room_is_invited(
    server: XmppServer, witches: tuple[Peer, Peer]
) -> None:
    crone = witches[0]
    configured(crone, membersonly="1")
    hag = server.log_in("hag66", "pda")
    member = "<item affiliation='member' jid='hag66@localhost'/>"

    crone.ask(f"<query xmlns='http://jabber.org/protocol/muc#admin'>{member}</query>", type="set", to=ROOM)

    (invitation,) = hag.hear()
    assert invitation.get("from") == ROOM
    assert user(invitation).find("invite") is not None


@pytest.mark.spec("XEP-0045 §7.13")
def test_who_asks_for_voice_again_and_again_is_told_to_wait(
    server: XmppServer, witches: tuple[Peer, Peer]
) -> None:
    crone, wicca = witches
    configured(crone, moderatedroom="1")
    crone.hear(), wicca.hear()
    fields = "<field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#request</value></field>"
    fields += "<field var='muc#role'><value>participant</value></field>"
    request = f"<message to='{ROOM}'><x xmlns='jabber:x:data' type='submit'>{fields}</x></message>"

    wicca.say(*[request] * 50)

    assert len(crone.hear()) == 1
    refused = wicca.hear()
    assert len(refused) == 49
    assert all("policy-violation" in each.serialise() for each in refused)
    wicca.say(f"<presence to='{ROOM}/second' type='unavailable'/>")
    entered(wicca, "second")
    crone.hear()
    wicca.say(request)
    assert crone.hear() == [], "not even by leaving meanwhile"
    server.loop.advance(60_000)
    wicca.say(request)
    assert len(crone.hear()) == 1


@pytest.mark.spec("XEP-0045 §16.6.2")
def test_nobody_but_the_room_speaks_of_statuses(witches: tuple[Peer, Peer]) -> None:
    crone, wicca = witches

    wicca.say(said("x", extra="<x xmlns='http://jabber.org/protocol/muc#user'><status code='332'/></x>"))

    (heard,) = [each for each in crone.hear() if each.find("body") is not None]
    assert codes(heard) == set()


@pytest.mark.spec("XEP-0045 §7.3")
@pytest.mark.spec("XEP-0045 §8.1")
def test_a_subject_is_shown_to_all(witches: tuple[Peer, Peer]) -> None:
    crone, wicca = witches

    wicca.say(told("<subject>Fire &amp; Burn</subject>"))

    for peer in (crone, wicca):
        (message,) = peer.hear()
        assert message.get("from") == f"{ROOM}/second"
        assert message.child_text("subject") == "Fire & Burn"
        assert message.find("body") is None


@pytest.mark.spec("XEP-0045 §8.1")
def test_a_locked_subject_is_for_moderators(witches: tuple[Peer, Peer]) -> None:
    crone, wicca = witches
    configured(crone, changesubject="0")
    wicca.hear()

    wicca.say(told("<subject>mine</subject>"))

    (answer,) = wicca.hear()
    assert answer.get("type") == "error"
    assert "forbidden" in answer.serialise()


@pytest.mark.spec("XEP-0308 §3")
@pytest.mark.spec("XEP-0461 §4.1")
@pytest.mark.spec("XEP-0444 §4.2")
@pytest.mark.spec("XEP-0424 §5.1")
def test_corrections_replies_reactions_and_retractions_name_their_message(
    server: XmppServer, witches: tuple[Peer, Peer]
) -> None:
    crone, wicca = witches
    wicca.say(said("helo", id="first"))
    target = stanza_id(crone.hear()[0])
    event = server.services.history.find(bytes.fromhex(target))
    assert event is not None

    wicca.say(said("hello", id="c1", extra="<replace xmlns='urn:xmpp:message-correct:0' id='first'/>"))
    crone.say(
        said("&gt; helo\nhi", extra=f"<reply xmlns='urn:xmpp:reply:0' id='{target}'/>"),
        f"<message to='{ROOM}' type='groupchat' id='r1'><reactions xmlns='urn:xmpp:reactions:0' id='{target}'>"
        "<reaction>👋</reaction><reaction>🐢</reaction></reactions></message>",
    )
    wicca.say(told(f"<retract xmlns='urn:xmpp:message-retract:1' id='{target}'/>", "x1"))

    heard = crone.hear()
    assert [each.get("id") for each in heard] == ["c1", "m", "r1", "x1"]
    assert [each.get("id") for each in wicca.hear()] == ["first", "c1", "m", "r1", "x1"]
    rows = server.services.history.relations([event.seq])
    assert sorted({row.kind for row in rows}) == [2, 3, 4]
    assert sorted([row.key for row in rows if row.kind == 4]) == sorted("👋🐢")
    gone = server.services.history.at(event.seq)
    assert gone is not None
    assert gone.erased


@pytest.mark.spec("XEP-0424 §5")
def test_nobody_takes_back_what_another_has_said(witches: tuple[Peer, Peer]) -> None:
    crone, wicca = witches
    crone.say(said("mine"))
    target = stanza_id(wicca.hear()[0])

    wicca.say(told(f"<retract xmlns='urn:xmpp:message-retract:1' id='{target}'/>"))

    (answer,) = wicca.hear()
    assert answer.get("type") == "error"
    assert "forbidden" in answer.serialise()


@pytest.mark.spec("XEP-0425 §4")
@pytest.mark.spec("XEP-0425 §4.1")
@pytest.mark.parametrize("older", [False, True])
def test_a_moderator_takes_a_message_out_for_everybody(witches: tuple[Peer, Peer], older: bool) -> None:
    crone, wicca = witches
    wicca.say(said("free magic potions!"))
    target = stanza_id(crone.hear()[0])
    wicca.hear()
    payload = (
        f"<moderate xmlns='urn:xmpp:message-moderate:1' id='{target}'>"
        "<retract xmlns='urn:xmpp:message-retract:1'/><reason>not here</reason></moderate>"
    )
    if older:
        payload = (
            f"<apply-to xmlns='urn:xmpp:fasten:0' id='{target}'><moderate xmlns='urn:xmpp:message-moderate:0'>"
            "<retract xmlns='urn:xmpp:message-retract:0'/><reason>not here</reason></moderate></apply-to>"
        )

    refused = wicca.ask(payload, type="set", to=ROOM)
    answer = crone.ask(payload, type="set", to=ROOM)

    assert "forbidden" in refused.serialise()
    assert answer.get("type") == "result"
    for peer in (crone, wicca):
        (message,) = peer.hear()
        assert message.get("from") == ROOM
        retract = message.find("retract", "urn:xmpp:message-retract:1")
        assert retract is not None
        assert retract.get("id") == target
        assert retract.child_text("reason") == "not here"
        moderated = retract.find("moderated", "urn:xmpp:message-moderate:1")
        assert moderated is not None
        assert moderated.get("by") == f"{ROOM}/firstwitch"
        fastened = message.find("apply-to", "urn:xmpp:fasten:0")
        assert fastened is not None
        assert fastened.get("id") == target


@pytest.mark.spec("XEP-0085 §5.5")
@pytest.mark.spec("XEP-0333 §4")
def test_chat_states_and_markers_pass_and_are_not_kept(witches: tuple[Peer, Peer]) -> None:
    crone, wicca = witches
    wicca.say(said("read me"))
    target = stanza_id(crone.hear()[0])
    wicca.hear()
    states = told("<composing xmlns='http://jabber.org/protocol/chatstates'/>")
    marker = told(f"<displayed xmlns='urn:xmpp:chat-markers:0' id='{target}'/>")

    crone.say(states, marker, told("<y xmlns='urn:example:y'/>"))

    for peer in (crone, wicca):
        composing, displayed, unknown = peer.hear()
        assert composing.find("composing", "http://jabber.org/protocol/chatstates") is not None
        assert displayed.find("displayed", "urn:xmpp:chat-markers:0") is not None
        assert unknown.find("y", "urn:example:y") is not None
        for each in (composing, displayed, unknown):
            assert each.get("from") == f"{ROOM}/firstwitch"
            assert each.find("stanza-id", "urn:xmpp:sid:0") is None


@pytest.mark.spec("XEP-0045 §17.4")
def test_a_request_to_an_occupant_is_passed_on_without_addresses(witches: tuple[Peer, Peer]) -> None:
    crone, wicca = witches

    wicca.say(f"<iq type='get' id='v1' to='{ROOM}/firstwitch'><query xmlns='jabber:iq:version'/></iq>")

    (request,) = crone.hear()
    assert request.get("from") == f"{ROOM}/second"
    assert "wiccarocks" not in request.serialise()
    crone.say(
        f"<iq type='result' id='v1' to='{ROOM}/second'><query xmlns='jabber:iq:version'><name>x</name></query></iq>"
    )
    (answer,) = wicca.hear()
    assert (answer.get("type"), answer.get("from")) == ("result", f"{ROOM}/firstwitch")
