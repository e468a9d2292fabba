"""XEP-0191: whom somebody has blocked finds out nothing, by whatever they ask."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.muc import ROOM, entered
from tests.support.xmpp import Peer, XmppServer, server_in

JULIET = "juliet@localhost"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[XmppServer]:
    yield from server_in(tmp_path, "romeo", "juliet", "nurse")


@pytest.fixture
def pair(server: XmppServer) -> tuple[Peer, Peer]:
    """Two who watch each other; then juliet has blocked romeo."""
    romeo, juliet = server.log_in("romeo", "orchard"), server.log_in("juliet", "balcony")
    for one, other in ((romeo, juliet), (juliet, romeo)):
        name = other.jid.partition("/")[0]
        one.say(f"<presence to='{name}' type='subscribe'/>")
        other.say(f"<presence to='{one.jid.partition('/')[0]}' type='subscribed'/>")
    juliet.ask("<vCard xmlns='vcard-temp'><FN>Juliet</FN></vCard>", type="set")
    item = "<item id='current'><nick xmlns='http://jabber.org/protocol/nick'>Jule</nick></item>"
    node = "http://jabber.org/protocol/nick"
    publish = f"<publish node='{node}'>{item}</publish>"
    juliet.ask(f"<pubsub xmlns='http://jabber.org/protocol/pubsub'>{publish}</pubsub>", type="set")
    juliet.ask("<block xmlns='urn:xmpp:blocking'><item jid='romeo@localhost'/></block>", type="set")
    romeo.hear(), juliet.hear()
    return romeo, juliet


@pytest.mark.spec("XEP-0191 §3.2")
@pytest.mark.parametrize(
    "payload",
    [
        "<vCard xmlns='vcard-temp'/>",
        "<query xmlns='http://jabber.org/protocol/disco#info'/>",
        "<query xmlns='http://jabber.org/protocol/disco#items'/>",
        "<query xmlns='jabber:iq:last'/>",
        "<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='http://jabber.org/protocol/nick'/></pubsub>",
    ],
)
def test_whom_one_has_blocked_is_told_nothing(pair: tuple[Peer, Peer], payload: str) -> None:
    answer = pair[0].ask(payload, to=JULIET)

    assert answer.get("type") == "error"
    assert "Jul" not in answer.serialise()


@pytest.mark.spec("XEP-0191 §3.2")
@pytest.mark.parametrize(
    "stanza",
    [
        f"<presence to='{JULIET}' type='probe'/>",
        f"<presence to='{JULIET}'/>",
        f"<presence to='{JULIET}' type='subscribe'/>",
        f"<message to='{JULIET}' type='headline'><body>o</body></message>",
        f"<message to='{JULIET}'><received xmlns='urn:xmpp:receipts' id='x'/></message>",
        f"<message to='{JULIET}' type='chat'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>",
        f"<message to='{JULIET}/balcony' type='chat'><body>o</body></message>",
    ],
)
def test_nothing_of_theirs_arrives_and_no_presence_goes_back(pair: tuple[Peer, Peer], stanza: str) -> None:
    romeo, juliet = pair

    romeo.say(stanza)

    assert juliet.hear() == []
    heard = [each for each in romeo.hear() if (each.get("from") or "").startswith("juliet")]
    # That the subscription is granted already is no news.
    assert {each.get("type") for each in heard} <= {"error", "unavailable", "subscribed"}


@pytest.mark.spec("XEP-0191 §3.2")
def test_presence_of_who_has_blocked_is_not_seen_when_it_changes(pair: tuple[Peer, Peer]) -> None:
    romeo, juliet = pair

    juliet.say("<presence><show>dnd</show></presence>")

    assert romeo.hear() == []


@pytest.mark.spec("XEP-0191 §3.2")
def test_an_invitation_into_a_room_does_not_arrive(server: XmppServer, pair: tuple[Peer, Peer]) -> None:
    romeo, juliet = pair
    entered(romeo, "romeo")

    romeo.say(
        f"<message to='{ROOM}'><x xmlns='http://jabber.org/protocol/muc#user'><invite to='{JULIET}'/></x></message>"
    )

    assert juliet.hear() == []


@pytest.mark.spec("XEP-0191 §3.2")
def test_a_room_in_which_both_are_hides_the_card_too(pair: tuple[Peer, Peer]) -> None:
    romeo, juliet = pair
    entered(romeo, "romeo")
    entered(juliet, "juliet")

    answer = romeo.ask("<vCard xmlns='vcard-temp'/>", to=f"{ROOM}/juliet")

    assert "Juliet" not in answer.serialise()
    assert answer.get("type") == "error"
