"""XEP-0055: searching people by their cards, where that is switched on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conformance.xmpp.test_im import condition
from tests.support.xmpp import Peer, XmppServer, server_in

from sabir.protocols.xmpp.config import XmppConfig
from sabir.wire.xml import Element

SEARCH = "jabber:iq:search"
INFO = "http://jabber.org/protocol/disco#info"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[XmppServer]:
    config = XmppConfig(require_tls=False, user_search=True)
    for server in server_in(tmp_path, "romeo", "juliet", "nurse", "tybalt", config=config):
        card(
            server.log_in("juliet"),
            "<FN>Juliet Capulet</FN><N><GIVEN>Juliet</GIVEN><FAMILY>Capulet</FAMILY></N><NICKNAME>JuliC</NICKNAME>"
            "<EMAIL><USERID>juliet@shakespeare.lit</USERID></EMAIL>",
        )
        card(server.log_in("tybalt"), "<FN>Tybalt &lt;Capulet</FN>")
        yield server


def card(peer: Peer, content: str) -> None:
    assert peer.ask(f"<vCard xmlns='vcard-temp'>{content}</vCard>", type="set").get("type") == "result"


def ask(peer: Peer, content: str = "", type: str = "set") -> Element:
    return peer.ask(f"<query xmlns='{SEARCH}'>{content}</query>", type=type, to="localhost")


def found(answer: Element) -> list[str | None]:
    return [item.get("jid") for item in answer.elements()[0].find_all("item")]


@pytest.mark.spec("XEP-0055 §2.1")
def test_the_fields_are_told(server: XmppServer) -> None:
    romeo = server.log_in("romeo")

    (query,) = ask(romeo, type="get").elements()
    told = romeo.ask(f"<query xmlns='{INFO}'/>", to="localhost").elements()[0].elements()

    assert [each.name for each in query.elements()] == ["instructions", "first", "last", "nick", "email", "x"]
    assert SEARCH in [each.get("var") for each in told]
    assert ("directory", "user") in [(each.get("category"), each.get("type")) for each in told]


@pytest.mark.spec("XEP-0055 §2.1")
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("<last>capu</last>", ["juliet@localhost"]),
        ("<last>&lt;CAPULET</last>", ["tybalt@localhost"]),
        ("<nick>juli</nick><first>Juliet</first>", ["juliet@localhost"]),
        ("<nick>tybalt</nick>", ["tybalt@localhost"]),
        ("<email>juliet@</email>", ["juliet@localhost"]),
        ("<email>juliet@</email><last>Montague</last>", []),
        ("<nick>nurse</nick>", []),
    ],
)
def test_people_with_a_card_are_found_by_what_it_says(
    server: XmppServer, content: str, expected: list[str]
) -> None:
    assert found(ask(server.log_in("romeo"), content)) == expected


@pytest.mark.spec("XEP-0055 §2.1")
def test_what_is_found_is_told_with_its_fields(server: XmppServer) -> None:
    (item,) = ask(server.log_in("romeo"), "<nick>tyb</nick>").elements()[0].elements()

    assert {each.name: each.text() for each in item.elements()} == {
        "first": "Tybalt",
        "last": "<Capulet",
        "nick": "tybalt",
        "email": "",
    }


@pytest.mark.spec("XEP-0055 §3")
@pytest.mark.spec("XEP-0004 §3.4")
def test_a_form_is_answered_with_a_form(server: XmppServer) -> None:
    form = (
        "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>jabber:iq:search</value></field>"
        "<field var='first'><value>Juliet</value></field></x>"
    )

    shown = ask(server.log_in("romeo"), form).elements()[0].elements()[0]

    reported = shown.find("reported")
    assert reported is not None
    assert [each.get("var") for each in reported.elements()] == ["jid", "first", "last", "nick", "email"]
    (item,) = shown.find_all("item")
    values = {each.get("var"): each.child_text("value") for each in item.elements()}
    assert values["jid"] == "juliet@localhost"
    assert values["last"] == "Capulet"


@pytest.mark.spec("XEP-0055 §2.1")
@pytest.mark.parametrize("content", ["", "<nick>j</nick>", "<nick>   </nick>", f"<nick>{'j' * 101}</nick>"])
def test_nobody_is_given_a_list_of_everybody(server: XmppServer, content: str) -> None:
    assert condition(ask(server.log_in("romeo"), content)) == "bad-request"


@pytest.mark.spec("XEP-0191 §3.2")
def test_who_is_blocked_does_not_find_the_one_who_blocks(server: XmppServer) -> None:
    juliet = server.log_in("juliet", "desk")
    juliet.ask("<block xmlns='urn:xmpp:blocking'><item jid='romeo@localhost'/></block>", type="set")

    assert found(ask(server.log_in("romeo"), "<nick>juliet</nick>")) == []


def test_it_is_off_unless_the_operator_switches_it_on(tmp_path: Path) -> None:
    for server in server_in(tmp_path, "romeo"):
        romeo = server.log_in("romeo")

        told = romeo.ask(f"<query xmlns='{INFO}'/>", to="localhost").elements()[0].elements()

        assert SEARCH not in [each.get("var") for each in told]
        assert (
            condition(ask(romeo, type="get"))
            == condition(ask(romeo, "<nick>ju</nick>"))
            == "service-unavailable"
        )
