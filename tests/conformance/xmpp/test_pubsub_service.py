"""The pubsub service (XEP-0060): nodes that belong to whoever made them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.pubsub import DISCO, OWNER, PUBSUB, error_of, events, fetch, form, ids, publication
from tests.support.xmpp import Peer, XmppServer

from sabir.base.secret import Secret
from sabir.core.policy import PolicyConfig
from sabir.protocols.xmpp.config import NodeMakers, XmppConfig
from sabir.wire.xml import Element

SERVICE = "pubsub.localhost"
ITEMS = DISCO.replace("info", "items")
ENTRY = "<entry xmlns='http://www.w3.org/2005/Atom'><title>Tidings</title></entry>"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[XmppServer]:
    server = XmppServer(tmp_path, operators=frozenset({"prince"}))
    server.add("romeo", "juliet", "nurse", "prince")
    yield server
    server.close()


def ask(peer: Peer, request: str, type: str = "set", namespace: str = PUBSUB) -> Element:
    return peer.ask(f"<pubsub xmlns='{namespace}'>{request}</pubsub>", type=type, to=SERVICE)


def owning(peer: Peer, request: str, type: str = "set") -> Element:
    return ask(peer, request, type, OWNER)


def create(peer: Peer, node: str = "news", **fields: str) -> Element:
    configure = f"<configure>{form('node_config', **fields)}</configure>" if fields else ""
    return ask(peer, f"<create node='{node}'/>{configure}")


def publish(peer: Peer, id: str, node: str = "news") -> Element:
    return peer.ask(publication(node, ENTRY, id), type="set", to=SERVICE)


def subscribe(peer: Peer, node: str = "news", verb: str = "subscribe") -> Element:
    return ask(peer, f"<{verb} node='{node}' jid='{peer.jid.partition('/')[0]}'/>")


def affiliate(peer: Peer, who: str, affiliation: str, node: str = "news") -> Element:
    listed = f"<affiliation jid='{who}@localhost' affiliation='{affiliation}'/>"
    return owning(peer, f"<affiliations node='{node}'>{listed}</affiliations>")


def is_done(answer: Element) -> bool:
    return answer.get("type") == "result"


FORBIDDEN = ("auth", "forbidden", "")


@pytest.mark.spec("XEP-0060 §5.1")
@pytest.mark.spec("XEP-0060 §5.2")
@pytest.mark.spec("XEP-0060 §10")
def test_the_service_is_listed_and_says_what_it_can_and_which_nodes_it_has(server: XmppServer) -> None:
    juliet, nurse = server.log_in("juliet"), server.log_in("nurse")
    listed = juliet.ask(f"<query xmlns='{ITEMS}'/>", to="localhost")
    assert SERVICE in [each.get("jid") for each in listed.elements()[0].elements()]
    told = juliet.ask(f"<query xmlns='{DISCO}'/>", to=SERVICE).elements()[0]
    identity = told.find("identity")
    assert identity is not None
    assert (identity.get("category"), identity.get("type")) == ("pubsub", "service")
    features = {each.get("var") for each in told.find_all("feature")}
    assert {f"{PUBSUB}#create-nodes", f"{PUBSUB}#publisher-affiliation"} <= features
    assert f"{PUBSUB}#access-presence" not in features

    assert nurse.ask(f"<query xmlns='{ITEMS}'/>", to=SERVICE).elements()[0].elements() == []
    create(juliet, title="News of Verona")
    create(juliet, "secret", access_model="whitelist")
    (node,) = nurse.ask(f"<query xmlns='{ITEMS}'/>", to=SERVICE).elements()[0].elements()
    assert (node.get("jid"), node.get("node"), node.get("name")) == (SERVICE, "news", "News of Verona")
    leaf = nurse.ask(f"<query xmlns='{DISCO}' node='news'/>", to=SERVICE)
    assert "News of Verona" in leaf.serialise()


@pytest.mark.spec("XEP-0060 §8.1")
@pytest.mark.spec("XEP-0060 §7.1")
@pytest.mark.spec("XEP-0060 §6.5")
@pytest.mark.spec("XEP-0060 §7.2")
@pytest.mark.spec("XEP-0060 §8.5")
@pytest.mark.spec("XEP-0060 §8.4")
def test_whoever_makes_a_node_publishes_there_and_subscribers_hear_of_it(server: XmppServer) -> None:
    juliet, nurse = server.log_in("juliet"), server.log_in("nurse")
    assert is_done(create(juliet))
    assert error_of(create(juliet)) == ("cancel", "conflict", "")
    assert is_done(subscribe(nurse))

    assert is_done(publish(juliet, "one"))
    (message,) = nurse.hear()
    assert message.get("from") == SERVICE
    assert "Tidings" in message.serialise()
    assert juliet.jid not in message.serialise()
    assert ids(fetch(nurse, "news", SERVICE)) == ["one"]

    assert error_of(publish(nurse, "two")) == FORBIDDEN
    assert error_of(publish(juliet, "one", "nothing")) == ("cancel", "item-not-found", "")
    assert is_done(ask(juliet, "<retract node='news' notify='1'><item id='one'/></retract>"))
    publish(juliet, "two")
    assert is_done(owning(juliet, "<purge node='news'/>"))
    assert is_done(owning(juliet, "<delete node='news'/>"))
    assert [each.name for each in events(nurse)] == ["items", "items", "purge", "delete"]
    assert error_of(fetch(nurse, "news", SERVICE)) == ("cancel", "item-not-found", "")


@pytest.mark.spec("XEP-0060 §6.1.7")
@pytest.mark.spec("XEP-0060 §6.2")
@pytest.mark.spec("XEP-0060 §5.6")
def test_a_new_subscriber_is_shown_the_last_item_and_hears_nothing_once_it_left(server: XmppServer) -> None:
    juliet, nurse = server.log_in("juliet"), server.log_in("nurse")
    create(juliet)
    publish(juliet, "one")
    publish(juliet, "two")
    subscribe(nurse)
    assert [each.elements()[0].get("id") for each in events(nurse)] == ["two"]
    own = ask(nurse, "<subscriptions/>", "get").elements()[0].elements()[0].elements()
    assert [each.get("node") for each in own] == ["news"]
    assert is_done(subscribe(nurse, verb="unsubscribe"))
    publish(juliet, "three")
    assert events(nurse) == []


@pytest.mark.spec("XEP-0060 §4.1")
@pytest.mark.spec("XEP-0060 §8.9")
def test_owners_list_publishers_members_outcasts_and_owners(server: XmppServer) -> None:
    juliet, romeo, nurse = server.log_in("juliet"), server.log_in("romeo"), server.log_in("nurse")
    create(juliet, access_model="whitelist")
    assert error_of(fetch(romeo, "news", SERVICE))[2] == "closed-node"
    assert error_of(affiliate(romeo, "romeo", "owner")) == FORBIDDEN

    affiliate(juliet, "nurse", "member")
    assert is_done(fetch(nurse, "news", SERVICE))
    assert error_of(publish(nurse, "x")) == FORBIDDEN
    affiliate(juliet, "romeo", "publisher")
    assert is_done(publish(romeo, "one"))
    publish(juliet, "two")
    retract = "<retract node='news'><item id='{}'/></retract>"
    assert error_of(ask(romeo, retract.format("two"))) == FORBIDDEN
    assert is_done(ask(romeo, retract.format("one")))
    own = ask(romeo, "<affiliations/>", "get").elements()[0].elements()[0].elements()
    assert [(each.get("node"), each.get("affiliation")) for each in own] == [("news", "publisher")]

    assert error_of(affiliate(juliet, "juliet", "none")) == ("cancel", "conflict", "")
    affiliate(juliet, "romeo", "owner")
    assert is_done(affiliate(romeo, "juliet", "outcast"))
    assert error_of(fetch(juliet, "news", SERVICE)) == FORBIDDEN
    listed = owning(romeo, "<affiliations node='news'/>", "get").elements()[0].elements()[0].elements()
    found = {(each.get("jid"), each.get("affiliation")) for each in listed}
    assert found == {
        ("romeo@localhost", "owner"),
        ("juliet@localhost", "outcast"),
        ("nurse@localhost", "member"),
    }


@pytest.mark.spec("XEP-0060 §8.2")
@pytest.mark.spec("XEP-0060 §8.3")
def test_owners_configure_their_nodes_and_a_service_knows_no_presence(server: XmppServer) -> None:
    juliet, nurse = server.log_in("juliet"), server.log_in("nurse")
    assert "<value>20</value>" in owning(juliet, "<default/>", "get").serialise()
    assert error_of(create(juliet, access_model="presence")) == ("modify", "not-acceptable", "")
    create(juliet)
    configure = "<configure node='news'>{}</configure>"
    assert error_of(owning(nurse, "<configure node='news'/>", "get")) == FORBIDDEN
    changed = configure.format(form("node_config", title="Mine"))
    assert error_of(owning(nurse, changed)) == FORBIDDEN
    assert is_done(owning(juliet, configure.format(form("node_config", max_items="1", title="Mine"))))
    assert "Mine" in owning(juliet, "<configure node='news'/>", "get").serialise()
    closed = configure.format(form("node_config", access_model="roster"))
    assert error_of(owning(juliet, closed)) == ("modify", "not-acceptable", "")
    publish(juliet, "one")
    publish(juliet, "two")
    assert ids(fetch(nurse, "news", SERVICE)) == ["two"]


@pytest.mark.spec("XEP-0060 §7.1.3.1")
@pytest.mark.parametrize("model", ["open", "subscribers"])
def test_others_publish_where_the_owner_wants_that_and_change_only_what_is_theirs(
    server: XmppServer, model: str
) -> None:
    juliet, romeo, nurse = server.log_in("juliet"), server.log_in("romeo"), server.log_in("nurse")
    create(juliet, publish_model=model, send_last_published_item="never")
    if model == "subscribers":
        assert error_of(publish(romeo, "one")) == FORBIDDEN
        subscribe(romeo)
        subscribe(nurse)
    assert is_done(publish(romeo, "one"))
    assert error_of(publish(nurse, "one")) == FORBIDDEN
    assert is_done(publish(romeo, "one"))
    retract = "<retract node='news'><item id='one'/></retract>"
    assert error_of(ask(nurse, retract)) == FORBIDDEN
    affiliate(juliet, "nurse", "outcast")
    assert error_of(publish(nurse, "two")) == FORBIDDEN
    assert is_done(ask(juliet, retract))


@pytest.mark.spec("XEP-0060 §8.8")
def test_an_owner_ends_subscriptions_and_makes_none_for_others(server: XmppServer) -> None:
    juliet, nurse = server.log_in("juliet"), server.log_in("nurse")
    create(juliet)
    subscription = (
        "<subscriptions node='news'><subscription jid='nurse@localhost' subscription='{}'/></subscriptions>"
    )
    assert error_of(owning(juliet, subscription.format("subscribed"))) == ("cancel", "not-allowed", "")
    publish(juliet, "one")
    assert events(nurse) == []
    subscribe(nurse)
    events(nurse)
    assert is_done(owning(juliet, subscription.format("none")))
    publish(juliet, "two")
    assert events(nurse) == []


@pytest.mark.spec("XEP-0060 §8.8")
def test_the_owner_of_an_account_s_node_makes_no_subscriptions_for_others_either(server: XmppServer) -> None:
    juliet, nurse = server.log_in("juliet"), server.log_in("nurse")
    juliet.ask(publication("blog", ENTRY, "one", form("publish-options", access_model="open")), type="set")
    subscription = "<subscription jid='nurse@localhost' subscription='subscribed'/>"
    forced = f"<subscriptions node='blog'>{subscription}</subscriptions>"
    answer = juliet.ask(f"<pubsub xmlns='{OWNER}'>{forced}</pubsub>", type="set")
    assert error_of(answer) == ("cancel", "not-allowed", "")
    juliet.ask(publication("blog", ENTRY, "two"), type="set")
    assert events(nurse) == []


@pytest.mark.spec("XEP-0060 §8.1.1")
def test_who_may_make_nodes_is_the_operator_s_choice_and_operators_own_all(tmp_path: Path) -> None:
    config = XmppConfig(require_tls=False, pubsub_nodes=NodeMakers.OPERATORS)
    server = XmppServer(tmp_path, config, operators=frozenset({"prince"}))
    server.add("juliet", "prince")
    juliet, prince = server.log_in("juliet"), server.log_in("prince")
    assert error_of(create(juliet)) == FORBIDDEN
    assert is_done(create(prince))
    affiliate(prince, "juliet", "owner")
    affiliate(juliet, "prince", "outcast")
    assert is_done(owning(prince, "<delete node='news'/>"))
    server.close()


@pytest.mark.spec("XEP-0060 §12.1")
def test_nodes_owners_and_subscribers_survive_a_restart(tmp_path: Path) -> None:
    server = XmppServer(tmp_path)
    server.add("juliet", "nurse")
    juliet, nurse = server.log_in("juliet"), server.log_in("nurse")
    create(juliet)
    publish(juliet, "one")
    subscribe(nurse)
    server.close()
    again = XmppServer(tmp_path)
    juliet, nurse = again.log_in("juliet"), again.log_in("nurse")
    assert ids(fetch(nurse, "news", SERVICE)) == ["one"]
    assert is_done(publish(juliet, "two"))
    assert len(events(nurse)) == 1
    again.close()


def test_one_account_makes_only_so_many_nodes_and_all_together_too(tmp_path: Path) -> None:
    server = XmppServer(
        tmp_path, policy=PolicyConfig(max_nodes=2, max_service_nodes=3, max_service_bytes=100)
    )
    server.add("juliet", "nurse")
    juliet, nurse = server.log_in("juliet"), server.log_in("nurse")
    made = [is_done(create(juliet, name)) for name in ("a", "b", "c")]
    made += [is_done(create(nurse, name)) for name in ("d", "e")]
    assert made == [True, True, False, True, False]
    published = [is_done(publish(juliet, id, "a")) for id in ("one", "two")]
    assert published == [True, False]
    server.close()


def test_a_component_may_have_the_address_instead(tmp_path: Path) -> None:
    config = XmppConfig(require_tls=False, components={SERVICE: Secret("x")})
    server = XmppServer(tmp_path, config)
    server.add("juliet")
    juliet = server.log_in("juliet")
    assert error_of(juliet.ask(f"<query xmlns='{DISCO}'/>", to=SERVICE))[1] != "feature-not-implemented"
    listed = juliet.ask(f"<query xmlns='{ITEMS}'/>", to="localhost").serialise()
    assert "Publications" not in listed
    server.close()


@pytest.mark.parametrize(
    "request_",
    [
        f"<pubsub xmlns='{PUBSUB}'><create/></pubsub>",
        f"<pubsub xmlns='{PUBSUB}'/>",
        f"<pubsub xmlns='{PUBSUB}'><options node='news' jid='juliet@localhost'/></pubsub>",
        f"<pubsub xmlns='{PUBSUB}'><subscribe node='news' jid='nurse@localhost'/></pubsub>",
        f"<pubsub xmlns='{OWNER}'><affiliations node='news'><affiliation jid='x@@' affiliation='owner'/>"
        "</affiliations></pubsub>",
    ],
)
def test_nonsense_is_answered(server: XmppServer, request_: str) -> None:
    juliet = server.log_in("juliet")
    create(juliet)
    assert juliet.ask(request_, type="set", to=SERVICE).get("type") in ("error", "result")
    assert juliet.ask(request_, type="set", to=f"nobody@{SERVICE}").get("type") == "error"
