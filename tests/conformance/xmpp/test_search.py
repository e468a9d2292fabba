"""XEP-0431: archives are searched by words, by those who may read them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.muc import ROOM, configured, entered, said, stanza_id
from tests.support.xmpp import Peer, XmppServer, server_in

from sabir.wire.xml import Element

MAM = "urn:xmpp:mam:2"
FIELD = "{urn:xmpp:fulltext:0}fulltext"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[XmppServer]:
    yield from server_in(tmp_path, "crone1", "wiccarocks", "hag66")


@pytest.fixture
def witches(server: XmppServer) -> tuple[Peer, Peer]:
    """Two who are in a room, and have said something there and to each other."""
    crone, wicca = server.log_in("crone1", "desktop"), server.log_in("wiccarocks", "laptop")
    entered(crone, "firstwitch")
    entered(wicca, "second")
    crone.say(said("Thrice the brinded cat hath mewed", "1"), said("Double, double toil and trouble", "2"))
    crone.say("<message to='wiccarocks@localhost' type='chat' id='3'><body>where is the cat</body></message>")
    crone.hear(), wicca.hear()
    return crone, wicca


def searched(peer: Peer, text: str, to: str = "", fields: str = "", page: str = "") -> list[str | None]:
    answer, bodies = asked(peer, text, to, fields, page)
    assert answer.get("type") == "result", answer.serialise()
    return bodies


def asked(
    peer: Peer, text: str, to: str = "", fields: str = "", page: str = ""
) -> tuple[Element, list[str | None]]:
    form = (
        f"<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>{MAM}</value></field>"
        f"<field var='{FIELD}'><value>{text}</value></field>{fields}</x>"
    )
    answer = peer.ask(f"<query xmlns='{MAM}'>{form}{page}</query>", type="set", to=to)
    results = [result for each in peer.hear() if (result := each.find("result", MAM)) is not None]
    bodies: list[str | None] = []
    for result in results:
        forwarded = result.find("forwarded", "urn:xmpp:forward:0")
        assert forwarded is not None
        message = forwarded.find("message", "jabber:client")
        assert message is not None
        bodies.append(
            message.child_text("body", "jabber:client") or message.child_text("subject", "jabber:client")
        )
    return answer, bodies


@pytest.mark.spec("XEP-0431 §2.1")
@pytest.mark.spec("XEP-0431 §2.2")
@pytest.mark.parametrize("to", ["", ROOM])
def test_support_is_told_and_the_field_is_in_the_form(witches: tuple[Peer, Peer], to: str) -> None:
    crone = witches[0]
    address = to or "crone1@localhost"

    info = crone.ask("<query xmlns='http://jabber.org/protocol/disco#info'/>", to=address).serialise()
    form = crone.ask(f"<query xmlns='{MAM}'/>", to=to).serialise()

    assert "urn:xmpp:fulltext:0" in info
    assert FIELD in form


@pytest.mark.spec("XEP-0431 §2.2")
@pytest.mark.spec("XEP-0431 §3.1")
def test_a_room_and_a_mailbox_are_searched_each_for_itself(witches: tuple[Peer, Peer]) -> None:
    wicca = witches[1]

    assert searched(wicca, "CAT", ROOM) == ["Thrice the brinded cat hath mewed"]
    assert searched(wicca, "cat") == ["where is the cat"]
    assert searched(wicca, "toil double", ROOM) == ["Double, double toil and trouble"]
    assert searched(wicca, "toil cat", ROOM) == []
    assert searched(wicca, "cat", "", "<field var='with'><value>hag66@localhost</value></field>") == []
    assert searched(wicca, "", ROOM) == [
        "Thrice the brinded cat hath mewed",
        "Double, double toil and trouble",
    ], "an empty text asks for nothing special"


@pytest.mark.spec("XEP-0431 §3.1")
@pytest.mark.spec("XEP-0059 §2.5")
def test_what_is_found_is_paged_like_any_archive(witches: tuple[Peer, Peer]) -> None:
    crone = witches[0]
    crone.say(*[said(f"cauldron {number}", f"c{number}") for number in range(5)])
    ids = [stanza_id(each) for each in crone.hear()]
    rsm = "<set xmlns='http://jabber.org/protocol/rsm'><max>2</max>{}</set>"

    assert searched(crone, "cauldron", ROOM, page=rsm.format("")) == ["cauldron 0", "cauldron 1"]
    last = rsm.format("<before/>")
    assert searched(crone, "cauldron", ROOM, page=last) == ["cauldron 3", "cauldron 4"]
    before = rsm.format(f"<before>{ids[3]}</before>")
    assert searched(crone, "cauldron", ROOM, page=before) == ["cauldron 1", "cauldron 2"]


@pytest.mark.spec("XEP-0431 §3.1")
@pytest.mark.spec("XEP-0313 §8.1")
def test_nobody_searches_where_they_may_not_read(server: XmppServer, witches: tuple[Peer, Peer]) -> None:
    crone = witches[0]
    hag = server.log_in("hag66")
    assert searched(hag, "cat") == [], "what two others say is nobody else's"
    configured(crone, membersonly="1")

    answer, bodies = asked(hag, "cat", ROOM)

    assert "forbidden" in answer.serialise()
    assert bodies == []
    assert "service-unavailable" in asked(hag, "cat", "crone1@localhost")[0].serialise()


@pytest.mark.spec("XEP-0431 §3.1")
def test_what_was_corrected_is_found_and_what_was_retracted_is_not(witches: tuple[Peer, Peer]) -> None:
    crone = witches[0]
    replace = "<replace xmlns='urn:xmpp:message-correct:0' id='2'/>"
    crone.say(said("Bubble, bubble", "4", replace))
    assert searched(crone, "bubble", ROOM) == ["Bubble, bubble"]
    crone.hear()
    crone.say(said("hocuspocus", "5"))
    target = stanza_id(crone.hear()[0])
    assert searched(crone, "hocuspocus", ROOM) == ["hocuspocus"]

    crone.say(
        f"<message to='{ROOM}' type='groupchat' id='6'>"
        f"<retract xmlns='urn:xmpp:message-retract:1' id='{target}'/></message>"
    )

    crone.hear()
    assert searched(crone, "hocuspocus", ROOM) == []


@pytest.mark.spec("XEP-0431 §3.1")
def test_subjects_are_found_and_encrypted_messages_are_not(witches: tuple[Peer, Peer]) -> None:
    crone = witches[0]
    crone.say(f"<message to='{ROOM}' type='groupchat'><subject>Witchcraft today</subject></message>")
    omemo = "<encrypted xmlns='urn:xmpp:omemo:2'><payload>abracadabra</payload></encrypted>"
    crone.say(said("I sent you an OMEMO message", "e", omemo))
    crone.hear()

    assert searched(crone, "witchcraft", ROOM) == ["Witchcraft today"]
    assert searched(crone, "OMEMO", ROOM) == []
    assert searched(crone, "abracadabra", ROOM) == []


@pytest.mark.spec("XEP-0431 §3.1")
def test_the_index_is_filled_while_nobody_talks(server: XmppServer, witches: tuple[Peer, Peer]) -> None:
    texts = server.opened.store.texts
    assert texts is not None
    assert texts.seq == 0

    server.loop.advance(60_000)

    assert texts.seq == server.services.log.head_seq


def test_without_an_index_there_is_no_such_field(server: XmppServer, witches: tuple[Peer, Peer]) -> None:
    server.opened.store.texts = None

    answer, _ = asked(witches[0], "cat", ROOM)

    assert "feature-not-implemented" in answer.serialise()
    assert FIELD not in witches[0].ask(f"<query xmlns='{MAM}'/>").serialise()
