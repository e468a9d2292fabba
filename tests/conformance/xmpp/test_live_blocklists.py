"""Block lists that another server keeps up to date (RTBL): items of a node there, named by hashes of addresses."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.federation import Net
from tests.support.xmpp import Peer, XmppServer

from sabir.core.model.pubsub import Publish
from sabir.protocols.xmpp.config import FederationConfig
from sabir.protocols.xmpp.federation.lists import REFRESH_MS, RETRY_MS, SETTLE_MS, START_MS

LISTS, HERE, SPAM = "lists.example", "capulet.example", "spam.example"
SERVICE, NODE = f"pubsub.{LISTS}", "muc_bans_sha256"
PUBSUB = "http://jabber.org/protocol/pubsub"
REPORT = "<report xmlns='urn:xmpp:reporting:1' reason='urn:xmpp:reporting:spam'/>"
SUBSCRIBED = FederationConfig(block_lists=(f"{SERVICE}/{NODE}",))


def entry(address: str) -> str:
    return hashlib.sha256(address.encode()).hexdigest()


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Net]:
    net = Net(tmp_path)
    net.server(LISTS, "keeper")
    net.server(SPAM, "tybalt", "sampson")
    yield net
    net.close()


@pytest.fixture
def keeper(net: Net) -> Peer:
    keeper = net.servers[LISTS].log_in("keeper")
    create = (
        f"<create node='{NODE}'/><configure><x xmlns='jabber:x:data' type='submit'>"
        "<field var='pubsub#max_items'><value>max</value></field></x></configure>"
    )
    change(net, keeper, create)
    return keeper


def change(net: Net, keeper: Peer, request: str, kind: str = "") -> None:
    """Change the list, and let everybody who subscribed hear of it."""
    answer = keeper.ask(f"<pubsub xmlns='{PUBSUB}{kind}'>{request}</pubsub>", type="set", to=SERVICE)
    assert answer.get("type") == "result", answer.serialise()
    net.settle()
    net.loop.advance(SETTLE_MS)
    net.settle()


def put(net: Net, keeper: Peer, *ids: str) -> None:
    for id_ in ids:
        change(net, keeper, f"<publish node='{NODE}'><item id='{id_}'>{REPORT}</item></publish>")


def subscribing(net: Net) -> XmppServer:
    """Return a server that has subscribed to the list."""
    server = net.server(HERE, *(() if HERE in net.servers else ("juliet",)), federation=SUBSCRIBED)
    net.advance(START_MS)
    return server


def sizes(server: XmppServer) -> list[int]:
    return list(server.services.block_lists.sizes().values())


def test_whoever_is_on_the_list_gets_no_message_through_and_enters_no_room(net: Net, keeper: Peer) -> None:
    put(net, keeper, entry(f"tybalt@{SPAM}"))
    server = subscribing(net)
    assert sizes(server) == [1]
    juliet = server.log_in("juliet")
    juliet.say(
        f"<presence to='balcony@rooms.{HERE}/juliet'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
    )
    juliet.hear()
    for name, comes in (("tybalt", False), ("sampson", True)):
        person = net.servers[SPAM].log_in(name)
        person.say(f"<message to='juliet@{HERE}' type='chat'><body>buy of {name}</body></message>")
        person.say(
            f"<presence to='balcony@rooms.{HERE}/{name}'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
        )
        net.settle()
        heard = "".join([each.serialise() for each in juliet.hear()])
        assert (f"buy of {name}" in heard) is comes
        assert (f"balcony@rooms.{HERE}/{name}" in heard) is comes


def test_additions_and_retractions_are_heard_as_they_happen(net: Net, keeper: Peer) -> None:
    server = subscribing(net)
    refuses = server.services.block_lists.refuses
    assert not refuses(f"tybalt@{SPAM}")
    put(net, keeper, entry(f"tybalt@{SPAM}"), entry("evil.example"))
    assert refuses(f"tybalt@{SPAM}")
    assert refuses("anybody@evil.example")
    change(net, keeper, f"<retract node='{NODE}' notify='1'><item id='{entry(f'tybalt@{SPAM}')}'/></retract>")
    assert not refuses(f"tybalt@{SPAM}")
    change(net, keeper, f"<purge node='{NODE}'/>", "#owner")
    assert sizes(server) == []


def test_what_is_no_hash_and_what_others_say_in_the_name_of_a_list_counts_for_nothing(
    net: Net, keeper: Peer
) -> None:
    put(net, keeper, "tybalt@spam.example", "0" * 63, "g" * 64)
    server = subscribing(net)
    assert sizes(server) == []
    event = f"<event xmlns='{PUBSUB}#event'><items node='{NODE}'><item id='{entry(SPAM)}'/></items></event>"
    net.servers[SPAM].log_in("tybalt").say(f"<message to='{HERE}'>{event}</message>")
    net.settle()
    net.loop.advance(SETTLE_MS)
    assert not server.services.block_lists.refuses(f"tybalt@{SPAM}")


def test_a_list_of_more_than_a_page_is_read_to_its_end(net: Net, keeper: Peer) -> None:
    services = net.servers[LISTS].services
    owner = services.pubsub.service
    assert owner is not None
    edits = [Publish(NODE, entry(f"a{number}@{SPAM}"), b"") for number in range(1_201)]
    refused: list[object] = []
    services.pubsub.edit(owner, owner, edits, lambda: None, refused.append)
    net.settle()
    assert refused == []
    assert sizes(subscribing(net)) == [1_201]


def test_a_list_that_nothing_is_heard_of_any_more_is_read_within_the_hour(net: Net, keeper: Peer) -> None:
    server = subscribing(net)
    put(net, keeper, entry("old.example"))
    ended = f"<subscriptions node='{NODE}'><subscription jid='{HERE}' subscription='none'/></subscriptions>"
    change(net, keeper, ended, "#owner")
    put(net, keeper, entry("new.example"))
    refuses = server.services.block_lists.refuses
    assert not refuses("x@new.example")
    for wait_ms in (REFRESH_MS // 2, REFRESH_MS // 2, RETRY_MS, RETRY_MS):  # idle streams close meanwhile
        net.advance(wait_ms)
    assert refuses("x@new.example")
    assert refuses("x@old.example")
    put(net, keeper, entry("newest.example"))
    assert refuses("x@newest.example")


def test_a_server_that_is_not_there_is_tried_again(net: Net, keeper: Peer) -> None:
    put(net, keeper, entry("old.example"))
    net.down.add(LISTS)
    server = subscribing(net)
    assert sizes(server) == []
    net.down.discard(LISTS)
    net.advance(RETRY_MS)
    assert server.services.block_lists.refuses("x@old.example")


def test_a_list_that_is_not_wanted_any_more_is_dropped(net: Net) -> None:
    server = net.server(HERE)
    server.services.block_lists.replace("live/gone.example/x", ["a.example"], lambda: None, lambda why: None)
    server.services.block_lists.replace("mine", ["b.example"], lambda: None, lambda why: None)
    net.settle()
    net.advance(START_MS)
    assert server.services.block_lists.sizes() == {"mine": 1}


@pytest.mark.parametrize("name", ["xmppbl.org", "/node", "a b/node", "xmppbl.org/"])
def test_a_name_without_service_and_node_is_an_error_of_the_settings(name: str) -> None:
    with pytest.raises(ValueError, match="service/node"):
        FederationConfig(block_lists=(name,))
