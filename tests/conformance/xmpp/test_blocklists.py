"""Lists of abusers that operators share: nothing is taken from those who are on one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.federation import Net
from tests.support.xmpp import Peer, XmppServer

HERE, THERE = "capulet.example", "montague.example"
JULIET = f"juliet@{HERE}"


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Net]:
    net = Net(tmp_path)
    net.server(HERE, "juliet", "nurse")
    net.server(THERE, "romeo", "benvolio")
    yield net
    net.close()


def listed(server: XmppServer, *entries: str) -> None:
    refusals: list[object] = []
    server.services.block_lists.replace("test", entries, lambda: None, refusals.append)
    server.loop.run()
    assert refusals == []


@pytest.mark.parametrize("entry", [JULIET, JULIET.upper(), HERE, hashlib.sha256(JULIET.encode()).hexdigest()])
@pytest.mark.parametrize(
    "stanza",
    [
        f"<message to='romeo@{THERE}' type='chat'><body>buy</body></message>",
        f"<presence to='romeo@{THERE}' type='subscribe'/>",
        f"<presence to='coven@rooms.{THERE}/jule'><x xmlns='http://jabber.org/protocol/muc'/></presence>",
        f"<iq to='{THERE}' type='get' id='q'><ping xmlns='urn:xmpp:ping'/></iq>",
    ],
)
def test_nothing_is_taken_from_who_is_listed(net: Net, entry: str, stanza: str) -> None:
    server = net.servers[THERE]
    listed(server, entry)
    romeo, juliet = server.log_in("romeo", "orchard"), net.servers[HERE].log_in("juliet", "balcony")

    juliet.say(stanza)
    net.settle()

    assert romeo.hear() == []
    assert server.services.rooms.find("coven") is None
    # An error of type presence is for the server of the one who asked, not for the client.
    assert all("forbidden" in each.serialise() for each in juliet.hear() if each.name != "presence")
    assert server.services.block_lists.refused >= 1


def test_others_of_the_server_are_taken_for_what_they_are(net: Net) -> None:
    server = net.servers[THERE]
    listed(server, JULIET)
    romeo, nurse = server.log_in("romeo", "orchard"), net.servers[HERE].log_in("nurse")

    nurse.say(f"<message to='romeo@{THERE}' type='chat'><body>my lady says</body></message>")
    net.settle()

    assert [each.child_text("body") for each in romeo.hear()] == ["my lady says"]


def test_a_list_is_replaced_as_a_whole_and_kept(net: Net, tmp_path: Path) -> None:
    server: XmppServer = net.servers[THERE]
    listed(server, JULIET, "spam.example")
    assert server.services.block_lists.sizes() == {"test": 2}
    juliet: Peer = net.servers[HERE].log_in("juliet", "balcony")
    romeo = server.log_in("romeo", "orchard")

    listed(server, "spam.example")
    juliet.say(f"<message to='romeo@{THERE}' type='chat'><body>hi</body></message>")
    net.settle()

    assert [each.child_text("body") for each in romeo.hear()] == ["hi"]
    assert server.services.block_lists.refuses("a@spam.example")
