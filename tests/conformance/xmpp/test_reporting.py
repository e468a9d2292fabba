"""XEP-0377: spam and abuse are reported with a block, to operators and to moderators of the room."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.muc import ROOM, entered, said, stanza_id
from tests.support.xmpp import Peer, XmppServer, server_in

from sabir.wire.xml import Element

SPAM = "urn:xmpp:reporting:spam"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[XmppServer]:
    yield from server_in(tmp_path, "juliet", "romeo", "nurse")


@pytest.fixture
def juliet(server: XmppServer) -> Peer:
    return server.log_in("juliet", "balcony")


def blocked(peer: Peer, jid: str, inside: str = "", reason: str = SPAM) -> Element:
    report = f"<report xmlns='urn:xmpp:reporting:1' reason='{reason}'>{inside}</report>"
    item = f"<item jid='{jid}'>{report}</item>"
    return peer.ask(f"<block xmlns='urn:xmpp:blocking'>{item}</block>", type="set")


@pytest.mark.spec("XEP-0377 §3")
def test_support_is_told(juliet: Peer) -> None:
    info = juliet.ask("<query xmlns='http://jabber.org/protocol/disco#info'/>", to="localhost")

    assert "urn:xmpp:reporting:1" in info.serialise()


@pytest.mark.spec("XEP-0377 §4")
@pytest.mark.spec("XEP-0377 §6")
def test_a_report_is_kept_with_the_messages_that_it_is_about(server: XmppServer, juliet: Peer) -> None:
    romeo = server.log_in("romeo", "orchard")
    romeo.say("<message to='juliet@localhost' type='chat' id='1'><body>buy this</body></message>")
    id_ = stanza_id(juliet.hear()[0])
    named = f"<stanza-id xmlns='urn:xmpp:sid:0' by='juliet@localhost' id='{id_}'/>"

    answer = blocked(juliet, "romeo@localhost", f"{named}<text>Never came trouble like this.</text>")

    assert answer.get("type") == "result"
    (report,) = server.services.reports.open(10)
    assert (report.reported, report.reason) == ("romeo@localhost", SPAM)
    assert report.text == "Never came trouble like this."
    assert report.messages.hex() == id_.replace("-", "")
    assert "romeo@localhost" in juliet.ask("<blocklist xmlns='urn:xmpp:blocking'/>").serialise()
    assert server.services.reports.filed == 1


@pytest.mark.spec("XEP-0377 §6")
def test_messages_that_the_reporter_may_not_read_are_left_out(server: XmppServer, juliet: Peer) -> None:
    romeo, nurse = server.log_in("romeo", "orchard"), server.log_in("nurse")
    romeo.say("<message to='nurse@localhost' type='chat' id='1'><body>a secret</body></message>")
    named = f"<stanza-id xmlns='urn:xmpp:sid:0' by='x' id='{stanza_id(nurse.hear()[0])}'/>"

    blocked(juliet, "romeo@localhost", named + "<stanza-id xmlns='urn:xmpp:sid:0' by='x' id='nonsense'/>")

    (report,) = server.services.reports.open(10)
    assert report.messages == b""


@pytest.mark.spec("XEP-0377 §6")
def test_moderators_of_the_room_are_told_but_not_by_whom(server: XmppServer, juliet: Peer) -> None:
    nurse, romeo = server.log_in("nurse"), server.log_in("romeo", "orchard")
    entered(nurse, "nurse")
    entered(romeo, "romeo")
    entered(juliet, "jule")
    romeo.say(said("buy this"))
    for peer in (nurse, romeo):
        peer.hear()
    named = f"<stanza-id xmlns='urn:xmpp:sid:0' by='{ROOM}' id='{stanza_id(juliet.hear()[-1])}'/>"

    blocked(juliet, f"{ROOM}/romeo", named)

    (told,) = nurse.hear()
    assert told.get("from") == ROOM
    assert told.child_text("body") == f"{ROOM}/romeo was reported for spam."
    assert "jul" not in told.serialise()
    assert romeo.hear() == []
    assert len(server.services.reports.open(10)[0].messages) == 16


@pytest.mark.spec("XEP-0377 §4")
@pytest.mark.parametrize("reason", ["", "x" * 201])
def test_a_report_has_a_reason(server: XmppServer, juliet: Peer, reason: str) -> None:
    answer = blocked(juliet, "romeo@localhost", reason=reason)

    assert "bad-request" in answer.serialise()
    assert server.services.reports.open(10) == []


def test_who_is_not_in_the_room_tells_its_moderators_nothing(server: XmppServer, juliet: Peer) -> None:
    nurse = server.log_in("nurse")
    entered(nurse, "nurse")

    blocked(juliet, f"{ROOM}/nurse", "<text>spam</text>")

    assert nurse.hear() == []


def test_a_report_outlives_the_server_until_it_is_closed(tmp_path: Path) -> None:
    for turn in range(3):
        server = XmppServer(tmp_path)
        if not turn:
            server.add("juliet", "romeo")
            blocked(server.log_in("juliet"), "romeo@localhost")
        else:
            reports = server.services.reports.open(10)
            assert len(reports) == (turn == 1)
            refusals: list[object] = []
            for report in reports:
                server.services.reports.close(report.id, lambda: None, refusals.append)
                server.services.reports.close(report.id, lambda: None, refusals.append)
                server.loop.run()
                assert len(refusals) == 1, "it is closed once"
        server.close()
