"""What people publish about themselves, across servers: read, subscribed to, and told (XEP-0163, XEP-0060)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conformance.xmpp.test_federation import HERE, THERE, befriend
from tests.support.federation import Net
from tests.support.pubsub import (
    OWNER,
    PUBSUB,
    answer,
    error_of,
    events,
    form,
    hash_of,
    presence_with,
    publish,
)
from tests.support.xmpp import Peer

from sabir.wire.xml import Element

TUNE = "http://jabber.org/protocol/tune"
SONG = f"<tune xmlns='{TUNE}'/>"
JULIET = f"juliet@{HERE}"


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Net]:
    net = Net(tmp_path)
    net.server(HERE, "juliet")
    net.server(THERE, "romeo")
    yield net
    net.close()


@pytest.fixture
def juliet(net: Net) -> Peer:
    return net.servers[HERE].log_in("juliet", "balcony")


@pytest.fixture
def romeo(net: Net) -> Peer:
    return net.servers[THERE].log_in("romeo", "orchard")


def ask(net: Net, peer: Peer, payload: str, type_: str = "get") -> Element:
    """Ask juliet's account something from elsewhere."""
    peer.say(f"<iq type='{type_}' id='far' to='{JULIET}'>{payload}</iq>")
    net.settle()
    heard = peer.hear()
    (answered,) = [each for each in heard if each.get("id") == "far"]
    peer.heard = [each for each in heard if each is not answered]
    return answered


def be_interested(net: Net, peer: Peer, *nodes: str) -> None:
    """Come online with the wish to be told of nodes; both servers ask once what the client can do."""
    features = [node + "+notify" for node in nodes]
    peer.say(presence_with(hash_of(*features)))
    net.settle()
    for _ in range(2):
        heard = peer.hear()
        asked = [each for each in heard if each.get("type") == "get"]
        peer.heard = [each for each in heard if each not in asked]
        for each in asked:
            answer(peer, each, *features)
        net.settle()


@pytest.mark.spec("XEP-0060 §6.5")
@pytest.mark.spec("XEP-0060 §6.5.9.6")
@pytest.mark.spec("XEP-0060 §7.1.3.1")
def test_nodes_are_read_from_elsewhere_by_the_same_rules(net: Net, juliet: Peer, romeo: Peer) -> None:
    for access in ("open", "presence", "whitelist"):
        publish(juliet, access, SONG, "one", access_model=access)
    items = f"<pubsub xmlns='{PUBSUB}'><items node='{{}}'/></pubsub>"

    assert "id='one'" in ask(net, romeo, items.format("open")).serialise()
    refused = ask(net, romeo, items.format("presence"))
    assert error_of(refused) == ("auth", "not-authorized", "presence-subscription-required")
    assert error_of(ask(net, romeo, items.format("whitelist")))[2] == "closed-node"
    forged = f"<publish node='open'><item id='two'>{SONG}</item></publish>"
    assert error_of(ask(net, romeo, f"<pubsub xmlns='{PUBSUB}'>{forged}</pubsub>", "set"))[1] == "forbidden"
    purge = f"<pubsub xmlns='{OWNER}'><purge node='open'/></pubsub>"
    assert error_of(ask(net, romeo, purge, "set"))[1] == "forbidden"

    befriend(net, juliet, romeo)
    assert "id='one'" in ask(net, romeo, items.format("presence")).serialise()


@pytest.mark.spec("XEP-0060 §6.1")
@pytest.mark.spec("XEP-0060 §6.2")
def test_a_stranger_elsewhere_subscribes_to_an_open_node(net: Net, juliet: Peer, romeo: Peer) -> None:
    publish(juliet, "blog", SONG, "one", access_model="open")
    subscribe = f"<pubsub xmlns='{PUBSUB}'><{{}} node='blog' jid='romeo@{THERE}'/></pubsub>"

    assert ask(net, romeo, subscribe.format("subscribe"), "set").get("type") == "result"
    assert [each.elements()[0].get("id") for each in events(romeo)] == ["one"]
    publish(juliet, "blog", SONG, "two")
    net.settle()
    (heard,) = [each for each in romeo.hear() if each.name == "message"]
    assert heard.get("from") == JULIET
    assert "id='two'" in heard.serialise()

    closed = form("node_config", access_model="whitelist")
    juliet.ask(f"<pubsub xmlns='{OWNER}'><configure node='blog'>{closed}</configure></pubsub>", type="set")
    publish(juliet, "blog", SONG, "three")
    net.settle()
    assert events(romeo) == []
    assert ask(net, romeo, subscribe.format("unsubscribe"), "set").get("type") == "result"


@pytest.mark.spec("XEP-0163 §4.2")
@pytest.mark.spec("XEP-0163 §4.3.4")
def test_a_contact_elsewhere_is_told_and_shown_the_last_item(net: Net, juliet: Peer, romeo: Peer) -> None:
    befriend(net, juliet, romeo)
    publish(juliet, TUNE, SONG, "one")
    publish(juliet, "urn:other", SONG, "one")
    net.settle()
    assert events(romeo) == []

    be_interested(net, romeo, TUNE)
    assert [each.elements()[0].get("id") for each in events(romeo)] == ["one"]
    publish(juliet, TUNE, SONG, "two")
    publish(juliet, "urn:other", SONG, "two")
    publish(juliet, "urn:hidden", SONG, "one", access_model="whitelist")
    net.settle()

    assert [(each.get("node"), each.elements()[0].get("id")) for each in events(romeo)] == [(TUNE, "two")]
    romeo.say("<presence type='unavailable'/>")
    net.settle()
    publish(juliet, TUNE, SONG, "three")
    net.settle()
    assert events(romeo) == []


@pytest.mark.spec("XEP-0163 §7.1")
def test_who_may_no_longer_see_the_presence_is_told_no_longer(net: Net, juliet: Peer, romeo: Peer) -> None:
    befriend(net, juliet, romeo)
    be_interested(net, romeo, TUNE)
    publish(juliet, TUNE, SONG, "one")
    net.settle()
    assert len(events(romeo)) == 1

    juliet.say(f"<presence to='romeo@{THERE}' type='unsubscribed'/>")
    net.settle()
    publish(juliet, TUNE, SONG, "two")
    net.settle()

    assert events(romeo) == []


@pytest.mark.spec("XEP-0115 §9.3")
def test_nobody_elsewhere_answers_for_another_device(net: Net, juliet: Peer, romeo: Peer) -> None:
    befriend(net, juliet, romeo)
    other = net.servers[THERE].log_in("romeo", "other")
    romeo.say(presence_with(hash_of(TUNE + "+notify")))
    net.settle()
    asked = [each.get("from") for each in romeo.hear() if each.get("type") == "get"]
    assert sorted(str(sender) for sender in asked) == [HERE, THERE]

    for number in range(1, 9):
        other.say(
            f"<iq type='result' id='caps-{number}' to='{HERE}'><query xmlns='http://jabber.org/protocol/disco#info'>"
            f"<identity category='client' type='pc' name='test'/><feature var='{TUNE}+notify'/></query></iq>"
        )
    net.settle()
    publish(juliet, TUNE, SONG, "one")
    net.settle()

    assert events(romeo) == events(other) == []


@pytest.mark.spec("XEP-0060 §6.1")
@pytest.mark.spec("XEP-0060 §4.1")
def test_people_elsewhere_subscribe_at_the_pubsub_service_and_publish_if_they_may(
    net: Net, juliet: Peer, romeo: Peer
) -> None:
    service = f"pubsub.{HERE}"

    def say(peer: Peer, request: str, namespace: str = PUBSUB) -> Element:
        peer.say(
            f"<iq type='set' id='far' to='{service}'><pubsub xmlns='{namespace}'>{request}</pubsub></iq>"
        )
        net.settle()
        heard = peer.hear()
        (answered,) = [each for each in heard if each.get("id") == "far"]
        peer.heard = [each for each in heard if each is not answered]
        return answered

    assert error_of(say(romeo, "<create node='mine'/>"))[1] == "forbidden"
    assert say(juliet, "<create node='news'/>").get("type") == "result"
    subscribed = say(romeo, f"<subscribe node='news' jid='romeo@{THERE}'/>")
    assert subscribed.get("from") == service
    publication = "<publish node='news'><item id='{}'><a xmlns='urn:a'/></item></publish>"
    say(juliet, publication.format("one"))
    (heard,) = [each for each in romeo.hear() if each.name == "message"]
    assert heard.get("from") == service
    assert "id='one'" in heard.serialise()
    assert error_of(say(romeo, publication.format("two")))[1] == "forbidden"
    listed = (
        f"<affiliations node='news'><affiliation jid='romeo@{THERE}' affiliation='publisher'/></affiliations>"
    )
    say(juliet, listed, OWNER)
    assert say(romeo, publication.format("two")).get("type") == "result"
    assert say(romeo, f"<unsubscribe node='news' jid='romeo@{THERE}'/>").get("type") == "result"
    romeo.hear()
    say(juliet, publication.format("three"))
    assert events(romeo) == []
