"""XEP-0486, XEP-0317, XEP-0502: the picture of a room, hats, how much is said."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.muc import ROOM, codes, configured, entered, entering, said
from tests.support.xmpp import Peer, XmppServer, server_in

from sabir.wire.xml import Element

INFO = "http://jabber.org/protocol/disco#info"
COMMANDS = "http://jabber.org/protocol/commands"
HATS = "urn:xmpp:hats:0"
FORM_TYPE = "urn:xmpp:hats:commands"
HOST = "http://schemas.example.com/hats#host"
PICTURE = b"\x89PNG not really"
HASH = hashlib.sha1(PICTURE).hexdigest()


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


def card(picture: bytes | str = PICTURE) -> str:
    encoded = picture if isinstance(picture, str) else base64.b64encode(picture).decode()
    return (
        f"<vCard xmlns='vcard-temp'><PHOTO><TYPE>image/png</TYPE><BINVAL>{encoded}</BINVAL></PHOTO></vCard>"
    )


def info(peer: Peer) -> Element:
    return peer.ask(f"<query xmlns='{INFO}'/>", to=ROOM).elements()[0]


def field(answer: Element, name: str) -> str | None:
    form = answer.find("x", "jabber:x:data")
    assert form is not None
    found = [each.child_text("value") for each in form.find_all("field") if each.get("var") == name]
    return found[0] if found else None


def photos(stanzas: list[Element]) -> list[str | None]:
    found = [each.find("x", "vcard-temp:x:update") for each in stanzas if each.get("from") == ROOM]
    return [update.child_text("photo") for update in found if update is not None]


def commanded(peer: Peer, command: str, **fields: str) -> Element:
    """Carry a command out at once: its form is asked for, and filled in if it has one."""
    node = f"{FORM_TYPE}:{command}"
    answer = peer.ask(f"<command xmlns='{COMMANDS}' node='{node}' action='execute'/>", type="set", to=ROOM)
    shown = answer.elements()[0]
    if answer.get("type") == "error" or shown.get("status") == "completed":
        return answer
    inside = f"<field var='FORM_TYPE'><value>{FORM_TYPE}</value></field>"
    for name, value in fields.items():
        inside += f"<field var='hats#{name}'><value>{value}</value></field>"
    form = f"<x xmlns='jabber:x:data' type='submit'>{inside}</x>"
    id_ = shown.get("sessionid")
    return peer.ask(
        f"<command xmlns='{COMMANDS}' node='{node}' sessionid='{id_}'>{form}</command>", type="set", to=ROOM
    )


def created(peer: Peer, uri: str = HOST, title: str = "Host", hue: str = "327.25") -> Element:
    return commanded(peer, "create", title=title, uri=uri, hue=hue)


def assigned(peer: Peer, name: str = "wiccarocks", uri: str = HOST) -> Element:
    return commanded(peer, "assign", jid=f"{name}@localhost", uri=uri)


def hats_in(stanzas: list[Element], nick: str) -> list[list[str | None]]:
    """Return the titles of hats in each presence of an occupant."""
    seen = [each for each in stanzas if each.name == "presence" and each.get("from") == f"{ROOM}/{nick}"]
    return [
        [hat.get("title") for hat in hats.find_all("hat")] if (hats := each.find("hats", HATS)) else []
        for each in seen
    ]


@pytest.mark.spec("XEP-0153 §3.1")
@pytest.mark.spec("XEP-0486 §3.2")
@pytest.mark.spec("XEP-0486 §3.3")
@pytest.mark.spec("XEP-0486 §3.4")
def test_an_owner_gives_the_room_a_picture(server: XmppServer, witches: tuple[Peer, Peer]) -> None:
    crone, wicca = witches

    assert crone.ask(card(), type="set", to=ROOM).get("type") == "result"

    assert any("104" in codes(each) for each in wicca.heard)
    assert photos(wicca.hear()) == [HASH]
    assert field(info(wicca), "muc#roominfo_avatarhash") == HASH
    hag = server.log_in("hag66")
    shown = hag.ask("<vCard xmlns='vcard-temp'/>", to=ROOM).elements()[0]
    photo = shown.find("PHOTO")
    assert photo is not None
    assert base64.b64decode(photo.child_text("BINVAL") or "") == PICTURE
    assert "vcard-temp" in info(hag).serialise()


@pytest.mark.spec("XEP-0486 §3.2")
def test_an_empty_card_takes_the_picture_away(server: XmppServer, witches: tuple[Peer, Peer]) -> None:
    crone, wicca = witches
    crone.ask(card(), type="set", to=ROOM)

    crone.ask("<vCard xmlns='vcard-temp'/>", type="set", to=ROOM)

    assert field(info(wicca), "muc#roominfo_avatarhash") is None
    assert wicca.ask("<vCard xmlns='vcard-temp'/>", to=ROOM).elements()[0].elements() == []
    hag = server.log_in("hag66")
    hag.say(entering("third"))
    assert photos(hag.hear()) == []


@pytest.mark.spec("XEP-0486 §3.6")
def test_who_enters_is_told_of_the_picture(server: XmppServer, witches: tuple[Peer, Peer]) -> None:
    witches[0].ask(card(), type="set", to=ROOM)
    hag = server.log_in("hag66")

    hag.say(entering("third"))

    assert photos(hag.hear()) == [HASH]


@pytest.mark.spec("XEP-0486 §3.2")
@pytest.mark.parametrize(
    ("by", "payload", "condition"),
    [
        (1, card(), "forbidden"),
        (0, card("not base64!"), "bad-request"),
        (0, card("A" * 70_000), "policy-violation"),
    ],
)
def test_a_card_that_may_not_be_is_refused(
    witches: tuple[Peer, Peer], by: int, payload: str, condition: str
) -> None:
    answer = witches[by].ask(payload, type="set", to=ROOM)

    assert condition in answer.serialise()
    assert field(info(witches[0]), "muc#roominfo_avatarhash") is None


@pytest.mark.spec("XEP-0317 §3.1")
@pytest.mark.spec("XEP-0317 §3.2")
@pytest.mark.spec("XEP-0317 §3.5")
def test_a_hat_is_made_and_given_and_seen(server: XmppServer, witches: tuple[Peer, Peer]) -> None:
    crone, wicca = witches

    assert 'status="completed"' in created(crone).serialise().replace("'", '"')
    assert any("104" in codes(each) for each in wicca.hear())
    assert assigned(crone).get("type") == "result"

    assert hats_in(wicca.hear(), "second") == [["Host"]]
    hag = server.log_in("hag66")
    hag.say(entering("third"))
    heard = hag.hear()
    assert hats_in(heard, "second") == [["Host"]]
    assert hats_in(heard, "firstwitch") == [[]]
    (hat,) = [hats.elements()[0] for each in heard if (hats := each.find("hats", HATS)) is not None]
    assert (hat.get("uri"), hat.get("hue")) == (HOST, "327.25")


@pytest.mark.spec("XEP-0317 §2")
def test_a_room_says_that_there_are_hats(witches: tuple[Peer, Peer]) -> None:
    crone = witches[0]
    assert field(info(crone), "hats#hash") is None
    created(crone)
    first = field(info(crone), "hats#hash")

    created(crone, title="The host")

    assert HATS in info(crone).serialise()
    assert first is not None
    assert field(info(crone), "hats#hash") not in (None, first)


@pytest.mark.spec("XEP-0317 §3.2")
@pytest.mark.spec("XEP-0317 §3.3")
@pytest.mark.spec("XEP-0317 §3.6")
def test_a_hat_changes_is_taken_and_destroyed(witches: tuple[Peer, Peer]) -> None:
    crone, wicca = witches
    created(crone)
    assigned(crone)
    wicca.hear()

    created(crone, title="The host")
    assert hats_in(wicca.hear(), "second") == [["The host"]]
    commanded(crone, "unassign", jid="wiccarocks@localhost", uri=HOST)
    assert hats_in(wicca.hear(), "second") == [[]]
    assigned(crone)
    wicca.hear()
    commanded(crone, "destroy", uri=HOST)
    assert hats_in(wicca.hear(), "second") == [[]]
    assert "item-not-found" in assigned(crone).serialise()
    assert "item-not-found" in commanded(crone, "destroy", uri=HOST).serialise()


@pytest.mark.spec("XEP-0317 §3.4")
@pytest.mark.spec("XEP-0317 §3.7")
def test_hats_and_who_wears_them_are_listed(witches: tuple[Peer, Peer]) -> None:
    crone, wicca = witches
    created(crone)
    assigned(crone)

    assert HOST in commanded(wicca, "list").serialise()
    assert "wiccarocks@localhost" in commanded(crone, "list-assigned").serialise()
    assert "forbidden" in commanded(wicca, "list-assigned").serialise(), "addresses are for moderators"


@pytest.mark.spec("XEP-0317 §3.2")
@pytest.mark.parametrize("command", ["create", "destroy", "assign", "unassign"])
def test_hats_are_for_administrators_to_give(witches: tuple[Peer, Peer], command: str) -> None:
    answer = commanded(witches[1], command, title="King", uri=HOST, jid="wiccarocks@localhost")

    assert "forbidden" in answer.serialise()


@pytest.mark.spec("XEP-0317 §3.2")
@pytest.mark.parametrize(
    ("uri", "title", "hue"),
    [("no uri", "Host", ""), (HOST, "x" * 257, ""), (HOST, "Host", "361"), (HOST, "Host", "nan")],
)
def test_a_hat_that_makes_no_sense_is_refused(
    witches: tuple[Peer, Peer], uri: str, title: str, hue: str
) -> None:
    assert "bad-request" in created(witches[0], uri, title, hue).serialise()


def test_there_are_only_so_many_hats(witches: tuple[Peer, Peer], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sabir.core.services.appearance.MOST_HATS", 2)
    monkeypatch.setattr("sabir.core.services.appearance.MOST_WORN", 1)
    crone = witches[0]

    answers = [created(crone, f"urn:hat:{number}").serialise() for number in range(3)]

    assert ["resource-constraint" in answer for answer in answers] == [False, False, True]
    worn = [assigned(crone, uri=f"urn:hat:{number}").serialise() for number in range(2)]
    assert ["resource-constraint" in answer for answer in worn] == [False, True]


@pytest.mark.spec("XEP-0050")
def test_a_room_lists_the_commands_that_one_may_use(witches: tuple[Peer, Peer]) -> None:
    items = "http://jabber.org/protocol/disco#items"
    listed = [
        {
            item.get("node")
            for item in peer.ask(f"<query xmlns='{items}' node='{COMMANDS}'/>", to=ROOM)
            .elements()[0]
            .elements()
        }
        for peer in witches
    ]

    assert len(listed[0]) == 6
    assert listed[1] == {f"{FORM_TYPE}:list"}
    node = f"{FORM_TYPE}:create"
    asked = witches[0].ask(f"<query xmlns='{INFO}' node='{node}'/>", to=ROOM)
    assert "command-node" in asked.serialise()


@pytest.mark.spec("XEP-0317 §3.1")
@pytest.mark.spec("XEP-0486 §3.3")
def test_hats_and_pictures_outlive_the_server(tmp_path: Path) -> None:
    for turn in range(2):
        server = XmppServer(tmp_path)
        if not turn:
            server.add("crone1", "wiccarocks")
        crone = server.log_in("crone1")
        entered(crone, "firstwitch")
        if not turn:
            created(crone)
            assigned(crone)
            crone.ask(card(), type="set", to=ROOM)
        else:
            crone.hear()
            entered(server.log_in("wiccarocks"), "second")
            assert hats_in(crone.hear(), "second") == [["Host"]]
            assert field(info(crone), "muc#roominfo_avatarhash") == HASH
        server.close()


@pytest.mark.spec("XEP-0502 §3.1")
@pytest.mark.spec("XEP-0502 §9")
def test_a_public_room_says_about_how_much_is_said(server: XmppServer, witches: tuple[Peer, Peer]) -> None:
    crone = witches[0]
    name = "{urn:xmpp:muc-activity}message-activity"
    assert field(info(crone), name) is None, "not known yet"

    crone.say(*[said(str(number)) for number in range(6)])
    server.loop.advance(2 * 3_600_000)

    crone = server.log_in("crone1")
    assert field(info(crone), name) == "3.00"
    entered(crone, "firstwitch")
    configured(crone, membersonly="1")
    assert field(info(crone), name) is None
