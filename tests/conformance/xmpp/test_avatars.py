"""One picture for clients of both kinds: XEP-0084, XEP-0153 and what is between them (XEP-0398)."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.pubsub import be_interested, befriend, error_of, events, fetch, ids, publish
from tests.support.xmpp import Peer, XmppServer, server_in

from sabir.wire.xml import Element

DATA, METADATA, CARD = "urn:xmpp:avatar:data", "urn:xmpp:avatar:metadata", "vcard-temp"
UPDATE = "vcard-temp:x:update"
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
HASH = hashlib.sha1(PICTURE, usedforsecurity=False).hexdigest()
ENCODED = base64.b64encode(PICTURE).decode()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[XmppServer]:
    yield from server_in(tmp_path, "romeo", "juliet", "nurse")


def show(peer: Peer, picture: bytes = PICTURE, **options: str) -> str:
    """Publish a picture and return its hash."""
    id_ = hashlib.sha1(picture, usedforsecurity=False).hexdigest()
    publish(peer, DATA, f"<data xmlns='{DATA}'>{base64.b64encode(picture).decode()}</data>", id_, **options)
    info = f"<info id='{id_}' type='image/webp' bytes='{len(picture)}'/>"
    publish(peer, METADATA, f"<metadata xmlns='{METADATA}'>{info}</metadata>", id_, **options)
    return id_


def photo_of(peer: Peer, to: str = "") -> Element | None:
    card = peer.ask(f"<vCard xmlns='{CARD}'/>", to=to)
    return None if card.get("type") == "error" else card.elements()[0].find("PHOTO")


def set_card(peer: Peer, inside: str) -> Element:
    return peer.ask(f"<vCard xmlns='{CARD}'>{inside}</vCard>", type="set")


def hashes(peer: Peer) -> list[str | None]:
    """Return the hash in each presence heard, None where it says nothing."""
    found: list[str | None] = []
    for presence in peer.hear():
        if presence.name == "presence":
            update = presence.find("x", UPDATE)
            found.append(None if update is None else update.child_text("photo"))
    return found


@pytest.mark.spec("XEP-0084 §3.1")
@pytest.mark.spec("XEP-0084 §3.3")
@pytest.mark.spec("XEP-0398 §3.1")
@pytest.mark.spec("XEP-0153 §3.2")
def test_a_published_picture_is_in_the_card(server: XmppServer) -> None:
    juliet, romeo = server.log_in("juliet"), server.log_in("romeo")
    befriend(juliet, romeo)
    be_interested(romeo, METADATA)
    set_card(juliet, "<FN>Juliet</FN>")

    show(juliet)

    (told,) = events(romeo)
    assert told.elements()[0].get("id") == HASH
    assert ids(fetch(romeo, DATA, "juliet@localhost")) == [HASH]
    for photo in (photo_of(juliet), photo_of(romeo, "juliet@localhost")):
        assert photo is not None
        assert (photo.child_text("TYPE"), photo.child_text("BINVAL")) == ("image/webp", ENCODED)


@pytest.mark.spec("XEP-0398 §5.2")
def test_a_picture_for_contacts_is_in_the_card_for_contacts(server: XmppServer) -> None:
    juliet, romeo, nurse = server.log_in("juliet"), server.log_in("romeo"), server.log_in("nurse")
    befriend(juliet, romeo)

    show(juliet)
    assert photo_of(romeo, "juliet@localhost") is not None
    assert photo_of(nurse, "juliet@localhost") is None

    show(romeo, access_model="open")
    assert photo_of(nurse, "romeo@localhost") is not None


@pytest.mark.spec("XEP-0398 §3.2")
def test_the_picture_of_a_card_is_published_for_everybody(server: XmppServer) -> None:
    juliet, romeo, nurse = server.log_in("juliet"), server.log_in("romeo"), server.log_in("nurse")
    befriend(juliet, romeo)
    be_interested(romeo, METADATA)
    photo = f"<PHOTO><TYPE>image/png</TYPE><BINVAL>{ENCODED[:76]}\n{ENCODED[76:]}</BINVAL></PHOTO>"

    assert set_card(juliet, f"<FN>Juliet</FN>{photo}").get("type") == "result"

    (told,) = events(romeo)
    info = told.elements()[0].elements()[0].elements()[0]
    assert (info.get("id"), info.get("type"), info.get("bytes")) == (HASH, "image/png", str(len(PICTURE)))
    data = fetch(nurse, DATA, "juliet@localhost")
    assert data.elements()[0].elements()[0].elements()[0].elements()[0].text() == ENCODED
    found = photo_of(nurse, "juliet@localhost")
    assert found is not None
    assert found.child_text("BINVAL") == ENCODED
    set_card(juliet, f"<FN>Juliet C.</FN>{photo}")
    assert events(romeo) == []  # the same picture is no news

    set_card(juliet, "<FN>Juliet</FN>")
    (told,) = events(romeo)
    assert told.elements()[0].elements()[0].elements() == []
    assert photo_of(juliet) is None


@pytest.mark.spec("XEP-0398 §4")
@pytest.mark.spec("XEP-0153 §4.1")
def test_presences_carry_the_hash_but_where_a_client_wants_none(server: XmppServer) -> None:
    juliet, romeo = server.log_in("juliet"), server.log_in("romeo")
    befriend(juliet, romeo)
    show(juliet)
    romeo.hear()

    juliet.say(
        "<presence><status>hm</status></presence>",
        f"<presence><x xmlns='{UPDATE}'/></presence>",
        f"<presence><x xmlns='{UPDATE}'><photo>{'0' * 40}</photo></x></presence>",
        f"<presence><x xmlns='{UPDATE}'><photo/></x></presence>",
        "<presence to='romeo@localhost'/>",
        "<presence type='unavailable'/>",
    )

    assert hashes(romeo) == [HASH, HASH, HASH, "", HASH, None, None]  # the last: directed presence ends too


@pytest.mark.spec("XEP-0398 §4")
def test_a_new_picture_is_shown_at_once(server: XmppServer) -> None:
    juliet, romeo = (
        server.log_in("juliet", presence="<presence><show>away</show></presence>"),
        server.log_in("romeo"),
    )
    befriend(juliet, romeo)

    first = show(juliet)
    assert hashes(romeo) == [first]
    second = show(juliet, PICTURE + b"!")
    assert hashes(romeo) == [second]
    publish(juliet, METADATA, f"<metadata xmlns='{METADATA}'/>")
    assert hashes(romeo) == [""]
    assert photo_of(juliet) is None

    late = server.log_in("nurse")
    late.hear()
    silent = server.log_in(
        "juliet", "silent", presence=f"<presence><x xmlns='{UPDATE}'><photo/></x></presence>"
    )
    romeo.hear()
    show(juliet)
    told = romeo.hear()
    assert [each.get("from") for each in told if each.name == "presence"] == [juliet.jid]
    assert told[0].child_text("show") == "away"
    assert silent.jid != juliet.jid


@pytest.mark.spec("XEP-0398 §4")
def test_occupants_of_a_room_see_the_hash(server: XmppServer) -> None:
    juliet, nurse = server.log_in("juliet"), server.log_in("nurse")
    show(juliet, access_model="open")
    nurse.say(
        "<presence to='hall@rooms.localhost/nurse'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
    )
    nurse.hear()

    juliet.say(
        f"<presence to='hall@rooms.localhost/jules'><x xmlns='http://jabber.org/protocol/muc'/><x xmlns='{UPDATE}'/>"
        "</presence>"
    )

    assert hashes(nurse) == [HASH]
    photo = photo_of(nurse, "hall@rooms.localhost/jules")
    assert photo is not None


def test_what_is_no_picture_is_none(server: XmppServer) -> None:
    juliet = server.log_in("juliet")

    bad = set_card(juliet, "<PHOTO><BINVAL>***</BINVAL></PHOTO>")
    assert error_of(bad)[1] == "bad-request"
    elsewhere = set_card(juliet, "<PHOTO><EXTVAL>http://x.org/a.png</EXTVAL></PHOTO>")
    assert elsewhere.get("type") == "result"
    photo = photo_of(juliet)
    assert photo is not None
    assert photo.child_text("EXTVAL") == "http://x.org/a.png"
    publish(juliet, DATA, f"<data xmlns='{DATA}'>{ENCODED}</data>", "0" * 40)
    publish(juliet, METADATA, f"<metadata xmlns='{METADATA}'><info id='{'0' * 40}'/></metadata>", "0" * 40)
    forged = photo_of(juliet)
    assert forged is not None
    assert forged.find("BINVAL") is None
    large = set_card(juliet, f"<NOTE>{'x' * 70_000}</NOTE>")
    assert error_of(large)[1] == "policy-violation"


@pytest.mark.spec("XEP-0292")
@pytest.mark.spec("XEP-0172")
def test_other_facts_about_a_person_are_nodes_like_any(server: XmppServer) -> None:
    juliet, romeo = server.log_in("juliet"), server.log_in("romeo")
    befriend(juliet, romeo)
    nick, card = "http://jabber.org/protocol/nick", "urn:ietf:params:xml:ns:vcard-4.0"
    be_interested(romeo, nick, "urn:xmpp:vcard4")

    publish(juliet, nick, f"<nick xmlns='{nick}'>Jules</nick>", "current")
    publish(
        juliet, "urn:xmpp:vcard4", f"<vcard xmlns='{card}'><fn><text>Juliet</text></fn></vcard>", "current"
    )

    assert [each.get("node") for each in events(romeo)] == [nick, "urn:xmpp:vcard4"]
    assert "Juliet" in fetch(romeo, "urn:xmpp:vcard4", "juliet@localhost").serialise()


@pytest.mark.spec("XEP-0398 §2")
def test_the_conversion_is_announced(server: XmppServer) -> None:
    info = server.log_in("juliet").ask("<query xmlns='http://jabber.org/protocol/disco#info'/>")

    assert "urn:xmpp:pep-vcard-conversion:0" in info.serialise()
