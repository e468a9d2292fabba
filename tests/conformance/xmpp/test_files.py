"""Shared files (XEP-0446, XEP-0447): what a client says about one reaches every device as it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.xmpp import Peer, XmppServer, server_in

from sabir.wire.xml import Element, parse

SFS = "urn:xmpp:sfs:0"
SHARED = (
    f"<file-sharing xmlns='{SFS}' disposition='inline' id='1'><file xmlns='urn:xmpp:file:metadata:0'>"
    "<media-type>image/jpeg</media-type><name>summit &lt;1&gt;.jpg</name><size>3032449</size>"
    "<dimensions>4096x2160</dimensions><hash xmlns='urn:xmpp:hashes:2' algo='sha3-256'>2XarmwTlNxDAMkvymloX3S5+"
    "VbylNrJt/l5QyPa+YoU=</hash><thumbnail xmlns='urn:xmpp:thumbs:1' uri='cid:sha1+ffd7c8@bob.xmpp.org' "
    "media-type='image/png' width='128' height='96'/></file><sources>"
    "<url-data xmlns='http://jabber.org/protocol/url-data' target='https://files.example.org/summit.jpg'/>"
    "</sources></file-sharing>"
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[XmppServer]:
    yield from server_in(tmp_path, "romeo", "juliet")


def shared_in(message: Element | None) -> Element | None:
    return None if message is None else message.find("file-sharing", SFS)


@pytest.mark.spec("XEP-0446 §2")
@pytest.mark.spec("XEP-0447 §3")
def test_what_is_said_about_a_file_reaches_every_device_and_the_archive_unchanged(server: XmppServer) -> None:
    romeo, desk = server.log_in("romeo", "phone"), server.log_in("romeo", "desk")
    juliet = server.log_in("juliet")
    desk.ask("<enable xmlns='urn:xmpp:carbons:2'/>", type="set")
    desk.hear()

    romeo.say(f"<message type='chat' to='juliet@localhost' id='f'><body>a picture</body>{SHARED}</message>")

    (message,) = juliet.hear()
    (copy,) = desk.hear()
    (kept,) = archived(juliet)
    forwarded = copy.elements()[0].elements()[0].elements()[0]
    shared = shared_in(message)
    assert shared is not None
    assert shared.serialise() == shared_in_text(SHARED).serialise()
    assert shared_in(forwarded) == shared
    assert shared_in(kept.elements()[0].elements()[0].find("message", "jabber:client")) == shared


def shared_in_text(text: str) -> Element:
    return parse(text.encode())


def archived(peer: Peer) -> list[Element]:
    peer.ask("<query xmlns='urn:xmpp:mam:2'/>", type="set")
    return [each for each in peer.hear() if each.name == "message"]
