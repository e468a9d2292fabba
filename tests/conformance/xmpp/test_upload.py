"""XEP-0363: slots for files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.xmpp import Peer, XmppServer, server_in

from sabir.core.errors import Refusal
from sabir.core.services.media import MediaConfig, Slot
from sabir.gateway.files import path_of
from sabir.wire.xml import Element

UPLOAD = "urn:xmpp:http:upload:0"
INFO = "http://jabber.org/protocol/disco#info"
ITEMS = "http://jabber.org/protocol/disco#items"
SERVICE = "upload.localhost"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[XmppServer]:
    yield from server_in(tmp_path, "romeo", "juliet")


def request(peer: Peer, **attributes: str) -> Element:
    given = {"filename": "my juliet.png", "size": "23456", "content-type": "image/png"} | attributes
    written = "".join([f' {name}="{value}"' for name, value in given.items() if value])
    return peer.ask(f"<request xmlns='{UPLOAD}'{written}/>", to=SERVICE)


def condition(answer: Element) -> tuple[str, list[str]]:
    error = answer.find("error", "jabber:client")
    assert error is not None, answer.to_bytes("jabber:client")
    return error.get("type") or "", [child.name for child in error.elements()]


@pytest.mark.spec("XEP-0363 §3")
def test_the_service_is_found_and_says_how_big_a_file_may_be(server: XmppServer) -> None:
    romeo = server.log_in("romeo")

    items = romeo.ask(f"<query xmlns='{ITEMS}'/>", to="localhost").elements()[0].elements()
    info = romeo.ask(f"<query xmlns='{INFO}'/>", to=SERVICE).elements()[0]

    assert SERVICE in [item.get("jid") for item in items]
    identity = info.find("identity", INFO)
    assert identity is not None
    assert (identity.get("category"), identity.get("type")) == ("store", "file")
    assert UPLOAD in [each.get("var") for each in info.elements() if each.name == "feature"]
    form = info.find("x", "jabber:x:data")
    assert form is not None
    fields = {field.get("var"): field.child_text("value") for field in form.elements()}
    assert fields == {"FORM_TYPE": UPLOAD, "max-file-size": "104857600"}
    assert romeo.ask(f"<query xmlns='{ITEMS}'/>", to=SERVICE).get("type") == "result"


@pytest.mark.spec("XEP-0363 §4")
def test_a_slot_has_addresses_that_nobody_can_guess(server: XmppServer) -> None:
    romeo = server.log_in("romeo")

    first, second = (request(romeo, filename="très cool.jpg").elements()[0] for _ in range(2))

    put, get = first.find("put", UPLOAD), first.find("get", UPLOAD)
    assert put is not None
    assert get is not None
    url = put.get("url") or ""
    assert url.startswith("https://chat.example.org/upload/")
    assert url.endswith("/tr%C3%A8s%20cool.jpg")
    assert len(url.split("/")[4]) == 48
    assert get.get("url") == url
    assert url != second.elements()[0].get("url")


@pytest.mark.spec("XEP-0363 §4")
@pytest.mark.parametrize(
    "wrong",
    [
        {"filename": ""},
        {"filename": ".."},
        {"filename": "a/"},
        {"filename": "x" * 300},
        {"filename": "a&#10;b"},
        {"size": ""},
        {"size": "0"},
        {"size": "-1"},
        {"size": "many"},
        {"size": "9" * 16},
    ],
)
def test_a_request_without_a_sensible_name_or_size_is_a_bad_one(
    server: XmppServer, wrong: dict[str, str]
) -> None:
    assert condition(request(server.log_in("romeo"), **wrong)) == ("modify", ["bad-request"])


def test_folders_are_cut_from_a_name(server: XmppServer) -> None:
    slot = request(server.log_in("romeo"), filename="../../etc\\passwd").elements()[0]

    assert (slot.elements()[0].get("url") or "").endswith("/passwd")


@pytest.mark.spec("XEP-0363 §6")
def test_a_file_that_is_too_large_is_refused_with_the_limit(server: XmppServer) -> None:
    answer = request(server.log_in("romeo"), size="104857601")

    assert condition(answer) == ("modify", ["not-acceptable", "text", "file-too-large"])
    error = answer.find("error", "jabber:client")
    assert error is not None
    assert error.elements()[2].child_text("max-file-size") == "104857600"


@pytest.mark.spec("XEP-0363 §6")
def test_who_has_too_much_here_is_asked_to_wait(server: XmppServer) -> None:
    romeo = server.log_in("romeo")
    for _ in range(10):
        assert request(romeo, size="104857600").get("type") == "result"

    assert condition(request(romeo, size="104857600")) == ("wait", ["resource-constraint", "text"])


def test_where_no_file_may_be_uploaded_there_is_no_service(server: XmppServer) -> None:
    server.services.media.config = replace(MediaConfig(), max_file_bytes=0)  # type: ignore[misc]  # for the test
    romeo = server.log_in("romeo")

    items = romeo.ask(f"<query xmlns='{ITEMS}'/>", to="localhost").elements()[0].elements()

    assert SERVICE not in [item.get("jid") for item in items]
    assert condition(request(romeo)) == ("cancel", ["service-unavailable"])


@pytest.mark.parametrize("payload", ["<ping xmlns='urn:xmpp:ping'/>", f"<slot xmlns='{UPLOAD}'/>"])
def test_the_service_does_nothing_else(server: XmppServer, payload: str) -> None:
    romeo = server.log_in("romeo")

    assert condition(romeo.ask(payload, to=SERVICE)) == ("cancel", ["service-unavailable"])
    assert condition(romeo.ask(payload, type="set", to=SERVICE)) == ("cancel", ["service-unavailable"])


def test_a_file_goes_when_its_owner_takes_back_the_last_message_about_it(server: XmppServer) -> None:
    romeo, juliet = server.log_in("romeo"), server.log_in("juliet")
    media, account = server.services.media, server.services.accounts.find("romeo")
    assert account is not None
    slot = media.ask(account, "a.jpg", 3, "image/jpeg")
    assert isinstance(slot, Slot)
    media.keep(slot, bytes(32), lambda: None, _fail)
    server.settle()
    address = f"https://localhost{path_of(slot.token, 'a.jpg')}"

    def say(peer: Peer, to: str, id_: str) -> None:
        oob = f"<x xmlns='jabber:x:oob'><url>{address}</url></x>"
        peer.say(f"<message to='{to}@localhost' type='chat' id='{id_}'><body>{address}</body>{oob}</message>")

    def take_back(peer: Peer, to: str, id_: str) -> None:
        retract = f"<retract xmlns='urn:xmpp:message-retract:1' id='{id_}'/>"
        peer.say(f"<message to='{to}@localhost' type='chat' id='x{id_}'><body>gone</body>{retract}</message>")
        server.settle()

    say(juliet, "romeo", "j1")
    take_back(juliet, "romeo", "j1")
    assert media.find(slot.token) is not None  # whoever names it does not own it
    say(romeo, "juliet", "r1")
    say(romeo, "juliet", "r2")
    take_back(romeo, "juliet", "r1")
    assert media.find(slot.token) is not None
    take_back(romeo, "juliet", "r2")

    assert media.find(slot.token) is None
    assert server.discarded == [slot.token]


def _fail(refusal: Refusal) -> None:
    raise AssertionError(refusal)
