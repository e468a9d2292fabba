"""XEP-0163 over XEP-0060: publishing, who may read, and who is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.pubsub import (
    DISCO,
    EVENT,
    OWNER,
    PUBSUB,
    be_interested,
    befriend,
    error_of,
    events,
    fetch,
    form,
    ids,
    publication,
    publish,
)
from tests.support.xmpp import XmppServer, server_in

from sabir.core.policy import PolicyConfig
from sabir.wire.xml import Element

TUNE = "http://jabber.org/protocol/tune"
SONG = f"<tune xmlns='{TUNE}'><title>Air</title></tune>"
JULIET = "juliet@localhost"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[XmppServer]:
    yield from server_in(tmp_path, "romeo", "juliet", "nurse")


def payload_of(items: Element) -> Element:
    return items.elements()[0].elements()[0]


# Publishing and reading


@pytest.mark.spec("XEP-0060 §7.1.2")
@pytest.mark.spec("XEP-0060 §6.5")
def test_an_item_is_kept_and_read_as_it_was_published(server: XmppServer) -> None:
    juliet = server.log_in("juliet")

    answered = publish(
        juliet, TUNE, f"<tune xmlns='{TUNE}' x='&lt;'>a &amp; b<b xmlns='urn:b'/></tune>", "one"
    )

    published = answered.elements()[0].find("publish")
    assert published is not None
    assert published.get("node") == TUNE
    read = fetch(juliet, TUNE)
    assert ids(read) == ["one"]
    items = read.elements()[0].find("items")
    assert items is not None
    tune = payload_of(items)
    assert (tune.namespace, tune.get("x"), tune.text()) == (TUNE, "<", "a & b")
    assert tune.find("b", "urn:b") is not None


@pytest.mark.spec("XEP-0060 §7.1.1")
def test_an_item_without_an_id_is_given_one_that_is_told(server: XmppServer) -> None:
    juliet = server.log_in("juliet")

    published = publish(juliet, TUNE, SONG).elements()[0].find("publish")

    assert published is not None
    (item,) = published.elements()
    assert item.get("id")
    assert ids(fetch(juliet, TUNE)) == [item.get("id")]


@pytest.mark.spec("XEP-0163 §5")
def test_a_new_node_has_one_item_for_those_who_see_the_presence(server: XmppServer) -> None:
    juliet = server.log_in("juliet")
    publish(juliet, TUNE, SONG, "one")
    publish(juliet, TUNE, SONG, "two")

    asked = juliet.ask(f"<pubsub xmlns='{OWNER}'><configure node='{TUNE}'/></pubsub>")

    assert ids(fetch(juliet, TUNE)) == ["two"]
    configure = asked.elements()[0].elements()[0]
    values = {
        field.get("var"): field.child_text("value") for field in configure.elements()[0].find_all("field")
    }
    assert values["pubsub#access_model"] == "presence"
    assert values["pubsub#send_last_published_item"] == "on_sub_and_presence"
    assert values["pubsub#deliver_notifications"] == values["pubsub#deliver_payloads"] == "1"


@pytest.mark.spec("XEP-0060 §7.1.5")
@pytest.mark.spec("XEP-0222 §3")
@pytest.mark.spec("XEP-0223 §3")
def test_options_configure_a_new_node_and_must_hold_for_an_old_one(server: XmppServer) -> None:
    juliet, romeo = server.log_in("juliet"), server.log_in("romeo")
    private = {"persist_items": "true", "access_model": "whitelist", "max_items": "max"}
    publish(juliet, "urn:private", SONG, "one", **private)

    again = publish(juliet, "urn:private", SONG, "two", **private)
    other = publish(juliet, "urn:private", SONG, "three", access_model="open")
    unknown = publish(juliet, "urn:private", SONG, "four", colour="red")
    new = publish(juliet, "urn:new", SONG, "one", colour="red")

    assert again.get("type") == "result"
    assert error_of(other) == ("cancel", "conflict", "precondition-not-met")
    assert error_of(unknown) == error_of(new) == ("cancel", "conflict", "precondition-not-met")
    assert ids(fetch(juliet, "urn:private")) == ["one", "two"]
    assert error_of(fetch(romeo, "urn:private", JULIET)) == ("cancel", "not-allowed", "closed-node")
    assert error_of(fetch(juliet, "urn:new"))[1] == "item-not-found"


@pytest.mark.spec("XEP-0060 §7.1.2")
def test_an_item_published_again_takes_the_place_of_the_old_and_is_the_latest(server: XmppServer) -> None:
    juliet = server.log_in("juliet")
    for id_ in ("a", "b", "a"):
        publish(juliet, TUNE, SONG, id_, max_items="max")

    assert ids(fetch(juliet, TUNE)) == ["b", "a"]


@pytest.mark.spec("XEP-0060 §7.1.2.5")
def test_the_oldest_item_gives_way(server: XmppServer) -> None:
    juliet = server.log_in("juliet")
    for number in range(5):
        publish(juliet, TUNE, SONG, str(number), max_items="3")

    assert ids(fetch(juliet, TUNE)) == ["2", "3", "4"]


@pytest.mark.spec("XEP-0060 §6.5.4")
@pytest.mark.spec("XEP-0060 §6.5.7")
@pytest.mark.spec("XEP-0060 §6.5.8")
def test_items_are_read_by_name_the_last_ones_and_by_pages(server: XmppServer) -> None:
    juliet = server.log_in("juliet")
    for number in range(10):
        publish(juliet, TUNE, SONG, str(number), max_items="max")

    named = fetch(juliet, TUNE, inside="<item id='7'/><item id='nothing'/><item id='2'/>")
    nothing = fetch(juliet, TUNE, inside="<item id='nothing'/>")
    last = fetch(juliet, TUNE, attributes=" max_items='2'")
    page = juliet.ask(
        f"<pubsub xmlns='{PUBSUB}'><items node='{TUNE}'/>"
        "<set xmlns='http://jabber.org/protocol/rsm'><max>3</max><after>4</after></set></pubsub>"
    )

    assert ids(named) == ["7", "2"]
    assert error_of(nothing) == ("cancel", "item-not-found", "")
    assert ids(last) == ["8", "9"]
    assert ids(page) == ["5", "6", "7"]
    told = page.elements()[0].find("set", "http://jabber.org/protocol/rsm")
    assert told is not None
    assert (told.child_text("count"), told.child_text("last")) == ("10", "7")
    assert error_of(fetch(juliet, TUNE, attributes=" max_items='-1'"))[1] == "bad-request"


@pytest.mark.spec("XEP-0060 §7.1.3.6")
@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ("<publish><item><a xmlns='urn:a'/></item></publish>", ("modify", "bad-request", "nodeid-required")),
        ("<publish node='n'/>", ("modify", "bad-request", "item-required")),
        ("<publish node='n'><item/></publish>", ("modify", "bad-request", "payload-required")),
        (
            "<publish node='n'><item><a xmlns='urn:a'/><b xmlns='urn:a'/></item></publish>",
            ("modify", "bad-request", "invalid-payload"),
        ),
        (
            "<publish node='n'><item><a xmlns='urn:a'/></item><item><a xmlns='urn:a'/></item></publish>",
            ("modify", "bad-request", "max-items-exceeded"),
        ),
        ("<retract node='n'><item id='1'/></retract>", ("cancel", "item-not-found", "")),
        ("<retract><item id='1'/></retract>", ("modify", "bad-request", "nodeid-required")),
        ("<retract node='n'/>", ("modify", "bad-request", "item-required")),
        ("<subscribe node='n' jid='romeo@localhost'/>", ("modify", "bad-request", "invalid-jid")),
        ("<subscribe node='n'/>", ("modify", "bad-request", "jid-required")),
        ("<subscribe node='n' jid='juliet@localhost'/>", ("cancel", "item-not-found", "")),
        ("<unsubscribe node='n' jid='romeo@localhost'/>", ("auth", "forbidden", "")),
        ("<options node='n' jid='juliet@localhost'/>", ("cancel", "feature-not-implemented", "unsupported")),
        ("<dance node='n'/>", ("cancel", "feature-not-implemented", "")),
        ("", ("modify", "bad-request", "")),
    ],
)  # fmt: skip
def test_a_request_that_makes_no_sense_is_refused_with_the_reason(
    server: XmppServer, request_: str, expected: tuple[str, str, str]
) -> None:
    juliet = server.log_in("juliet")

    answered = juliet.ask(f"<pubsub xmlns='{PUBSUB}'>{request_}</pubsub>", type="set")

    assert error_of(answered) == expected


@pytest.mark.spec("XEP-0060 §7.1.3.6")
def test_a_node_that_only_notifies_takes_no_items(server: XmppServer) -> None:
    juliet = server.log_in("juliet")
    be_interested(juliet, "bell")
    configured = form("node_config", persist_items="0", deliver_payloads="0")
    juliet.ask(
        f"<pubsub xmlns='{PUBSUB}'><create node='bell'/><configure>{configured}</configure></pubsub>",
        type="set",
    )

    refused = publish(juliet, "bell", SONG)
    rung = juliet.ask(f"<pubsub xmlns='{PUBSUB}'><publish node='bell'/></pubsub>", type="set")

    assert error_of(refused) == ("modify", "bad-request", "item-forbidden")
    assert rung.get("type") == "result"
    (items,) = events(juliet)
    assert items.get("node") == "bell"
    assert items.elements() == []
    purged = juliet.ask(f"<pubsub xmlns='{OWNER}'><purge node='bell'/></pubsub>", type="set")
    assert error_of(purged) == ("cancel", "feature-not-implemented", "unsupported")


@pytest.mark.spec("XEP-0060 §7.1.3.1")
@pytest.mark.spec("XEP-0060 §8.2.3.2")
@pytest.mark.spec("XEP-0060 §8.4.3.1")
@pytest.mark.spec("XEP-0163 §2.2")
def test_nobody_but_the_owner_changes_a_node(server: XmppServer) -> None:
    juliet, romeo = server.log_in("juliet"), server.log_in("romeo")
    befriend(juliet, romeo)
    publish(juliet, TUNE, SONG, "one", access_model="open")
    configure = f"<configure node='{TUNE}'>{form('node_config', title='mine')}</configure>"

    answers = [
        romeo.ask(publication(TUNE, SONG, "two"), type="set", to=JULIET),
        romeo.ask(publication("new", SONG, "two"), type="set", to=JULIET),
        romeo.ask(
            f"<pubsub xmlns='{PUBSUB}'><retract node='{TUNE}'><item id='one'/></retract></pubsub>",
            type="set",
            to=JULIET,
        ),
        romeo.ask(f"<pubsub xmlns='{PUBSUB}'><create node='x'/></pubsub>", type="set", to=JULIET),
        *[
            romeo.ask(f"<pubsub xmlns='{OWNER}'>{request}</pubsub>", type="set", to=JULIET)
            for request in (
                f"<delete node='{TUNE}'/>",
                f"<purge node='{TUNE}'/>",
                configure,
                f"<affiliations node='{TUNE}'><affiliation jid='romeo@localhost' affiliation='member'/></affiliations>",
                f"<subscriptions node='{TUNE}'><subscription jid='{JULIET}' subscription='none'/></subscriptions>",
            )
        ],
        *[
            romeo.ask(f"<pubsub xmlns='{OWNER}'><{name} node='{TUNE}'/></pubsub>", to=JULIET)
            for name in ("configure", "affiliations", "subscriptions")
        ],
    ]

    assert {error_of(answered) for answered in answers} == {("auth", "forbidden", "")}
    assert ids(fetch(romeo, TUNE, JULIET)) == ["one"]


# Who may read


@pytest.mark.spec("XEP-0060 §6.5.9.6")
@pytest.mark.spec("XEP-0060 §6.5.9.7")
@pytest.mark.spec("XEP-0060 §6.5.9.8")
@pytest.mark.spec("XEP-0060 §6.5.9.10")
@pytest.mark.spec("XEP-0060 §6.5.9.11")
def test_strangers_are_told_exactly_why_they_may_not_read(server: XmppServer) -> None:
    juliet, nurse = server.log_in("juliet"), server.log_in("nurse")
    for access in ("open", "presence", "roster", "whitelist"):
        publish(juliet, access, SONG, "one", access_model=access)

    assert ids(fetch(nurse, "open", JULIET)) == ["one"]
    presence = ("auth", "not-authorized", "presence-subscription-required")
    assert error_of(fetch(nurse, "presence", JULIET)) == presence
    assert error_of(fetch(nurse, "roster", JULIET)) == ("auth", "not-authorized", "not-in-roster-group")
    assert error_of(fetch(nurse, "whitelist", JULIET)) == ("cancel", "not-allowed", "closed-node")
    assert error_of(fetch(nurse, "nothing", JULIET)) == ("cancel", "item-not-found", "")
    assert error_of(fetch(nurse, "open", "nobody@localhost")) == ("cancel", "service-unavailable", "")
    subscribe = f"<pubsub xmlns='{PUBSUB}'><subscribe node='{{}}' jid='nurse@localhost'/></pubsub>"
    refused = [nurse.ask(subscribe.format(name), type="set", to=JULIET) for name in ("presence", "whitelist")]
    assert [error_of(each)[2] for each in refused] == ["presence-subscription-required", "closed-node"]

    banned = "<affiliation jid='nurse@localhost' affiliation='outcast'/>"
    juliet.ask(
        f"<pubsub xmlns='{OWNER}'><affiliations node='open'>{banned}</affiliations></pubsub>", type="set"
    )
    assert error_of(fetch(nurse, "open", JULIET)) == ("auth", "forbidden", "")
    assert error_of(nurse.ask(subscribe.format("open"), type="set", to=JULIET)) == ("auth", "forbidden", "")


@pytest.mark.spec("XEP-0060 §4.5")
def test_contacts_read_by_presence_groups_and_list(server: XmppServer) -> None:
    juliet, romeo = server.log_in("juliet"), server.log_in("romeo")
    befriend(juliet, romeo)
    for access in ("presence", "roster", "whitelist"):
        publish(juliet, access, SONG, "one", access_model=access)
    groups = form("node_config", roster_groups_allowed="Lovers")
    juliet.ask(f"<pubsub xmlns='{OWNER}'><configure node='roster'>{groups}</configure></pubsub>", type="set")
    assert ids(fetch(romeo, "presence", JULIET)) == ["one"]
    assert error_of(fetch(romeo, "roster", JULIET))[2] == "not-in-roster-group"
    assert error_of(fetch(romeo, "whitelist", JULIET))[2] == "closed-node"

    item = "<item jid='romeo@localhost'><group>Lovers</group></item>"
    juliet.ask(f"<query xmlns='jabber:iq:roster'>{item}</query>", type="set")
    listed = "<affiliation jid='romeo@localhost' affiliation='member'/>"
    juliet.ask(
        f"<pubsub xmlns='{OWNER}'><affiliations node='whitelist'>{listed}</affiliations></pubsub>", type="set"
    )

    assert ids(fetch(romeo, "roster", JULIET)) == ids(fetch(romeo, "whitelist", JULIET)) == ["one"]
    own = romeo.ask(f"<pubsub xmlns='{PUBSUB}'><affiliations/></pubsub>", to=JULIET)
    (affiliation,) = own.elements()[0].elements()[0].elements()
    assert (affiliation.get("node"), affiliation.get("affiliation")) == ("whitelist", "member")


@pytest.mark.spec("XEP-0060 §8.2")
@pytest.mark.spec("XEP-0060 §8.2.5.2")
def test_a_node_that_is_closed_is_closed_at_once_and_nonsense_is_refused(server: XmppServer) -> None:
    juliet, nurse = server.log_in("juliet"), server.log_in("nurse")
    be_interested(nurse, TUNE)
    publish(juliet, TUNE, SONG, "one", access_model="open")
    subscribe = f"<subscribe node='{TUNE}' jid='nurse@localhost'/>"
    nurse.ask(f"<pubsub xmlns='{PUBSUB}'>{subscribe}</pubsub>", type="set", to=JULIET)
    assert len(events(nurse)) == 1  # the last item

    closed = form("node_config", access_model="whitelist")
    juliet.ask(f"<pubsub xmlns='{OWNER}'><configure node='{TUNE}'>{closed}</configure></pubsub>", type="set")
    publish(juliet, TUNE, SONG, "two")

    assert events(nurse) == []
    assert error_of(fetch(nurse, TUNE, JULIET))[2] == "closed-node"
    for field in (
        {"access_model": "authorize"},
        {"max_items": "0"},
        {"colour": "red"},
        {"persist_items": "x"},
    ):
        wrong = f"<configure node='{TUNE}'>{form('node_config', **field)}</configure>"
        refused = juliet.ask(f"<pubsub xmlns='{OWNER}'>{wrong}</pubsub>", type="set")
        assert error_of(refused) == ("modify", "not-acceptable", "")
    cancelled = f"<configure node='{TUNE}'><x xmlns='jabber:x:data' type='cancel'/></configure>"
    kept = juliet.ask(f"<pubsub xmlns='{OWNER}'>{cancelled}</pubsub>", type="set")
    assert kept.get("type") == "result"


@pytest.mark.spec("XEP-0191 §3")
def test_whoever_is_blocked_sees_no_nodes_and_hears_nothing(server: XmppServer) -> None:
    juliet, romeo = server.log_in("juliet"), server.log_in("romeo")
    befriend(juliet, romeo)
    be_interested(romeo, TUNE)
    publish(juliet, TUNE, SONG, "one", access_model="open")
    assert len(events(romeo)) == 1

    juliet.ask("<block xmlns='urn:xmpp:blocking'><item jid='romeo@localhost'/></block>", type="set")
    publish(juliet, TUNE, SONG, "two")

    assert events(romeo) == []
    assert error_of(fetch(romeo, TUNE, JULIET)) == ("cancel", "service-unavailable", "")


@pytest.mark.spec("XEP-0191 §3")
def test_whoever_blocks_somebody_hears_nothing_of_them(server: XmppServer) -> None:
    juliet, romeo = server.log_in("juliet"), server.log_in("romeo")
    befriend(juliet, romeo)
    be_interested(romeo, TUNE)
    publish(juliet, TUNE, SONG, "one", access_model="open")
    assert len(events(romeo)) == 1

    romeo.ask("<block xmlns='urn:xmpp:blocking'><item jid='juliet@localhost'/></block>", type="set")
    publish(juliet, TUNE, SONG, "two")
    again = server.log_in("romeo", "again", presence="")
    be_interested(again, TUNE)

    assert events(romeo) == events(again) == []


# Who is told


@pytest.mark.spec("XEP-0163 §4.2")
@pytest.mark.spec("XEP-0163 §4.3.1")
@pytest.mark.spec("XEP-0163 §4.3.2")
def test_devices_that_want_to_know_are_told_and_no_others(server: XmppServer) -> None:
    juliet, tablet, deaf = (server.log_in("juliet", name) for name in ("balcony", "tablet", "deaf"))
    romeo, nurse = server.log_in("romeo"), server.log_in("nurse")
    befriend(juliet, romeo)
    for peer in (juliet, tablet, romeo, nurse):
        be_interested(peer, TUNE)
        peer.hear()

    publish(juliet, TUNE, SONG, "one")
    publish(juliet, "urn:other", SONG, "one")

    for peer in (juliet, tablet, romeo):
        (message,) = [each for each in peer.hear() if each.name == "message"]
        assert (message.get("from"), message.get("to")) == (JULIET, peer.jid)
        assert message.get("type") == "headline"
        assert message.get("id")
        event = message.find("event", EVENT)
        assert event is not None
        assert event.elements()[0].elements()[0].get("id") == "one"
        assert payload_of(event.elements()[0]).child_text("title") == "Air"
        addresses = message.find("addresses", "http://jabber.org/protocol/address")
        assert addresses is not None
        assert [(each.get("type"), each.get("jid")) for each in addresses.elements()] == [
            ("replyto", juliet.jid)
        ]
    assert events(nurse) == events(deaf) == []


@pytest.mark.spec("XEP-0163 §4.3.3")
@pytest.mark.spec("XEP-0163 §4.3.4")
def test_a_device_that_comes_online_is_shown_the_last_item_once(server: XmppServer) -> None:
    juliet, romeo = server.log_in("juliet"), server.log_in("romeo")
    befriend(juliet, romeo)
    publish(juliet, TUNE, SONG, "one", max_items="max")
    publish(juliet, TUNE, SONG, "two", max_items="max")
    publish(juliet, "urn:never", SONG, "one", send_last_published_item="never")
    publish(juliet, "urn:hidden", SONG, "one", access_model="whitelist")

    phone = server.log_in("romeo", "phone", presence="")
    be_interested(phone, TUNE, "urn:never", "urn:hidden")

    message = next(each for each in phone.hear() if each.find("event", EVENT) is not None)
    event = message.find("event", EVENT)
    assert event is not None
    assert event.elements()[0].elements()[0].get("id") == "two"
    assert message.find("delay", "urn:xmpp:delay") is not None
    be_interested(phone, TUNE, "urn:never", "urn:hidden")
    assert events(phone) == []
    phone.say("<presence type='unavailable'/>")
    be_interested(phone, TUNE, "urn:never", "urn:hidden")
    assert len(events(phone)) == 1
    own = server.log_in("juliet", "tablet", presence="")
    be_interested(own, TUNE, "urn:hidden")
    assert sorted(each.get("node") or "" for each in events(own)) == [TUNE, "urn:hidden"]


@pytest.mark.spec("XEP-0060 §7.2.2.1")
@pytest.mark.spec("XEP-0060 §8.4.2")
@pytest.mark.spec("XEP-0060 §8.5")
def test_taking_back_purging_and_deleting_are_told(server: XmppServer) -> None:
    juliet = server.log_in("juliet")
    be_interested(juliet, TUNE)
    for id_ in ("one", "two", "three"):
        publish(juliet, TUNE, SONG, id_, max_items="max")
    events(juliet)

    retract = f"<retract node='{TUNE}'><item id='one'/><item id='two'/></retract>"
    juliet.ask(f"<pubsub xmlns='{PUBSUB}'>{retract}</pubsub>", type="set")
    first, second = events(juliet)
    assert [each.elements()[0].get("id") for each in (first, second)] == ["one", "two"]
    assert first.elements()[0].name == "retract"
    assert ids(fetch(juliet, TUNE)) == ["three"]

    juliet.ask(f"<pubsub xmlns='{OWNER}'><purge node='{TUNE}'/></pubsub>", type="set")
    (purged,) = events(juliet)
    assert (purged.name, purged.get("node")) == ("purge", TUNE)
    assert ids(fetch(juliet, TUNE)) == []

    juliet.ask(f"<pubsub xmlns='{OWNER}'><delete node='{TUNE}'/></pubsub>", type="set")
    (deleted,) = events(juliet)
    assert (deleted.name, deleted.get("node")) == ("delete", TUNE)
    assert error_of(fetch(juliet, TUNE))[1] == "item-not-found"


@pytest.mark.spec("XEP-0060 §7.2.2.1")
def test_who_does_not_want_readers_to_know_may_take_back_in_silence_or_not(server: XmppServer) -> None:
    juliet = server.log_in("juliet")
    be_interested(juliet, TUNE)
    for id_ in ("one", "two"):
        publish(juliet, TUNE, SONG, id_, max_items="max", notify_retract="0")
    events(juliet)
    retract = f"<pubsub xmlns='{PUBSUB}'><retract node='{TUNE}'{{}}><item id='{{}}'/></retract></pubsub>"

    juliet.ask(retract.format("", "one"), type="set")
    assert events(juliet) == []
    juliet.ask(retract.format(" notify='true'", "two"), type="set")
    assert len(events(juliet)) == 1


@pytest.mark.spec("XEP-0060 §8.2.5.3")
def test_a_changed_configuration_is_told_where_that_is_wanted(server: XmppServer) -> None:
    juliet = server.log_in("juliet")
    be_interested(juliet, TUNE)
    publish(juliet, TUNE, SONG, "one", notify_config="1")
    events(juliet)

    changed = form("node_config", title="What I hear")
    juliet.ask(f"<pubsub xmlns='{OWNER}'><configure node='{TUNE}'>{changed}</configure></pubsub>", type="set")

    (configuration,) = events(juliet)
    assert configuration.name == "configuration"
    assert "What I hear" in configuration.serialise()


@pytest.mark.spec("XEP-0060 §6.1")
@pytest.mark.spec("XEP-0060 §6.1.7")
@pytest.mark.spec("XEP-0060 §6.2")
@pytest.mark.spec("XEP-0060 §5.6")
@pytest.mark.spec("XEP-0060 §8.8")
def test_a_stranger_subscribes_to_an_open_node_and_hears_what_is_published(server: XmppServer) -> None:
    juliet, nurse = server.log_in("juliet"), server.log_in("nurse")
    publish(juliet, "blog", SONG, "one", access_model="open", max_items="max")
    subscribe = f"<pubsub xmlns='{PUBSUB}'><{{}} node='blog' jid='nurse@localhost'/></pubsub>"

    answered = nurse.ask(subscribe.format("subscribe"), type="set", to=JULIET)

    subscription = answered.elements()[0].elements()[0]
    assert subscription.get("subscription") == "subscribed"
    assert [each.elements()[0].get("id") for each in events(nurse)] == ["one"]
    publish(juliet, "blog", SONG, "two")
    (message,) = nurse.hear()
    assert "id='two'" in message.serialise()
    assert juliet.jid not in message.serialise()  # XEP-0163 §4.3.1: not without a presence subscription
    own = nurse.ask(f"<pubsub xmlns='{PUBSUB}'><subscriptions/></pubsub>", to=JULIET)
    assert [each.get("node") for each in own.elements()[0].elements()[0].elements()] == ["blog"]
    listed = juliet.ask(f"<pubsub xmlns='{OWNER}'><subscriptions node='blog'/></pubsub>")
    assert [each.get("jid") for each in listed.elements()[0].elements()[0].elements()] == ["nurse@localhost"]

    assert nurse.ask(subscribe.format("unsubscribe"), type="set", to=JULIET).get("type") == "result"
    again = nurse.ask(subscribe.format("unsubscribe"), type="set", to=JULIET)
    assert error_of(again) == ("cancel", "unexpected-request", "not-subscribed")
    publish(juliet, "blog", SONG, "three")
    assert events(nurse) == []


@pytest.mark.spec("XEP-0060 §8.8.2")
def test_an_owner_ends_a_subscription(server: XmppServer) -> None:
    juliet, nurse = server.log_in("juliet"), server.log_in("nurse")
    publish(juliet, "blog", SONG, "one", access_model="open", send_last_published_item="never")
    subscribe = f"<subscribe node='blog' jid='{nurse.jid}'/>"
    nurse.ask(f"<pubsub xmlns='{PUBSUB}'>{subscribe}</pubsub>", type="set", to=JULIET)
    publish(juliet, "blog", SONG, "two")
    assert len(events(nurse)) == 1

    ended = f"<subscription jid='{nurse.jid}' subscription='none'/>"
    juliet.ask(
        f"<pubsub xmlns='{OWNER}'><subscriptions node='blog'>{ended}</subscriptions></pubsub>", type="set"
    )
    publish(juliet, "blog", SONG, "three")

    assert events(nurse) == []


# Nodes


@pytest.mark.spec("XEP-0060 §8.1")
@pytest.mark.spec("XEP-0060 §8.3")
def test_nodes_are_made_with_a_configuration_or_the_default_one(server: XmppServer) -> None:
    juliet = server.log_in("juliet")
    default = juliet.ask(f"<pubsub xmlns='{OWNER}'><default/></pubsub>")
    assert "pubsub#max_items" in default.serialise()
    configured = form("node_config", access_model="open", title="Thoughts", max_items="7")

    made = juliet.ask(
        f"<pubsub xmlns='{PUBSUB}'><create node='blog'/><configure>{configured}</configure></pubsub>",
        type="set",
    )
    twice = juliet.ask(f"<pubsub xmlns='{PUBSUB}'><create node='blog'/></pubsub>", type="set")
    nameless = juliet.ask(f"<pubsub xmlns='{PUBSUB}'><create/></pubsub>", type="set")

    assert made.get("type") == "result"
    assert error_of(twice) == ("cancel", "conflict", "")
    assert nameless.elements()[0].elements()[0].get("node")
    shown = juliet.ask(f"<pubsub xmlns='{OWNER}'><configure node='blog'/></pubsub>").serialise()
    assert "Thoughts" in shown
    assert "<value>7</value>" in shown


@pytest.mark.spec("XEP-0163 §6")
@pytest.mark.spec("XEP-0060 §5")
def test_an_account_says_what_it_can_and_shows_the_nodes_that_one_may_read(server: XmppServer) -> None:
    juliet, romeo, nurse = server.log_in("juliet"), server.log_in("romeo"), server.log_in("nurse")
    befriend(juliet, romeo)
    for access in ("open", "presence", "whitelist"):
        publish(juliet, access, SONG, "one", access_model=access)
    items = DISCO.replace("info", "items")

    def nodes(answered: Element) -> set[str | None]:
        return {each.get("node") for each in answered.elements()[0].elements()}

    own = juliet.ask(f"<query xmlns='{DISCO}'/>").elements()[0]
    assert [(each.get("category"), each.get("type")) for each in own.find_all("identity")] == [
        ("account", "registered"),
        ("pubsub", "pep"),
    ]
    features = {each.get("var") for each in own.find_all("feature")}
    assert {f"{PUBSUB}#auto-create", f"{PUBSUB}#publish-options", f"{PUBSUB}#access-whitelist"} <= features
    assert nodes(juliet.ask(f"<query xmlns='{items}'/>")) == {"open", "presence", "whitelist"}
    assert nodes(romeo.ask(f"<query xmlns='{items}'/>", to=JULIET)) == {"open", "presence"}
    assert nodes(nurse.ask(f"<query xmlns='{items}'/>", to=JULIET)) == {"open"}
    of_node = nurse.ask(f"<query xmlns='{items}' node='open'/>", to=JULIET).elements()[0]
    assert [each.get("name") for each in of_node.elements()] == ["one"]
    leaf = nurse.ask(f"<query xmlns='{DISCO}' node='open'/>", to=JULIET).elements()[0]
    identity = leaf.find("identity")
    assert identity is not None
    assert identity.get("type") == "leaf"
    hidden = nurse.ask(f"<query xmlns='{DISCO}' node='whitelist'/>", to=JULIET)
    assert error_of(hidden)[2] == "closed-node"


# What survives, and what is too much


@pytest.mark.spec("XEP-0060 §12.1")
def test_nodes_items_and_subscriptions_survive_a_restart(tmp_path: Path) -> None:
    server = XmppServer(tmp_path)
    server.add("juliet", "nurse")
    juliet, nurse = server.log_in("juliet"), server.log_in("nurse")
    for id_ in ("one", "two", "one"):
        publish(juliet, "blog", SONG, id_, access_model="open", max_items="5")
    subscribe = "<subscribe node='blog' jid='nurse@localhost'/>"
    nurse.ask(f"<pubsub xmlns='{PUBSUB}'>{subscribe}</pubsub>", type="set", to=JULIET)
    server.close()

    server = XmppServer(tmp_path)
    juliet, nurse = server.log_in("juliet"), server.log_in("nurse")

    assert ids(fetch(juliet, "blog")) == ["two", "one"]
    publish(juliet, "blog", SONG, "three", max_items="5", access_model="open")
    assert len(events(nurse)) == 1
    juliet.ask(f"<pubsub xmlns='{PUBSUB}'><create node='second'/></pubsub>", type="set")
    assert ids(fetch(juliet, "second")) == []
    server.close()


@pytest.mark.spec("XEP-0060 §7.1.3.5")
def test_what_is_too_much_is_refused_and_nothing_of_it_kept(tmp_path: Path) -> None:
    policy = PolicyConfig(max_nodes=3, max_items=4, max_item_bytes=1_000, max_nodes_bytes=2_000)
    server = XmppServer(tmp_path, policy=policy)
    server.add("juliet")
    juliet = server.log_in("juliet")

    big = publish(juliet, TUNE, f"<a xmlns='urn:a'>{'x' * 1_000}</a>")
    assert error_of(big) == ("modify", "not-acceptable", "payload-too-big")
    assert error_of(fetch(juliet, TUNE))[1] == "item-not-found"

    for number in range(10):
        publish(juliet, TUNE, SONG, str(number), max_items="max")
    assert ids(fetch(juliet, TUNE)) == ["6", "7", "8", "9"]

    for name in ("second", "third"):
        publish(juliet, name, f"<a xmlns='urn:a'>{'x' * 700}</a>", "one")
    full = publish(juliet, "third", f"<a xmlns='urn:a'>{'x' * 900}</a>", "two", max_items="1")
    assert error_of(full)[:2] == ("wait", "resource-constraint")
    assert ids(fetch(juliet, "third")) == ["one"]
    many = publish(juliet, "fourth", SONG, "one")
    assert error_of(many)[:2] == ("wait", "resource-constraint")
    server.close()


@pytest.mark.spec("RFC 7622 §3.1")
def test_names_of_ten_thousand_bytes_are_refused(server: XmppServer) -> None:
    juliet = server.log_in("juliet")

    node, item = publish(juliet, "n" * 10_000, SONG, "one"), publish(juliet, TUNE, SONG, "i" * 10_000)

    assert error_of(node) == error_of(item) == ("modify", "not-acceptable", "")
    assert error_of(fetch(juliet, "n" * 10_000)) == ("modify", "not-acceptable", "")


@pytest.mark.spec("XEP-0060 §7.1.2.5")
def test_ten_thousand_items_leave_as_many_as_a_node_may_have(tmp_path: Path) -> None:
    server = XmppServer(tmp_path, policy=PolicyConfig(max_items=50))
    server.add("juliet")
    juliet = server.log_in("juliet")
    options = form("publish-options", max_items="max")

    for start in range(0, 10_000, 250):
        juliet.say(
            *[
                f"<iq type='set' id='{number}'>{publication('n', SONG, str(number), options)}</iq>"
                for number in range(start, start + 250)
            ]
        )

    answers = [each for each in juliet.hear() if each.name == "iq"]
    assert len(answers) == 10_000
    assert all(each.get("type") == "result" for each in answers)
    assert ids(fetch(juliet, "n")) == [str(number) for number in range(9_950, 10_000)]
    server.close()


def test_publications_in_one_piece_are_answered_in_their_order(server: XmppServer) -> None:
    juliet = server.log_in("juliet")
    whitelist = form("publish-options", access_model="whitelist")
    stanzas = [
        f"<iq type='set' id='1'>{publication('n', SONG, 'a', whitelist)}</iq>",
        f"<iq type='set' id='2'>{publication('n', SONG, 'b', form('publish-options', access_model='open'))}</iq>",
        f"<iq type='set' id='4'><pubsub xmlns='{OWNER}'><delete node='n'/></pubsub></iq>",
        f"<iq type='get' id='5'><pubsub xmlns='{PUBSUB}'><items node='n'/></pubsub></iq>",
    ]

    juliet.say(*stanzas)

    heard = [each for each in juliet.hear() if each.name == "iq"]
    assert [(each.get("id"), each.get("type")) for each in heard] == [
        ("1", "result"),
        ("2", "error"),
        ("4", "result"),
        ("5", "error"),
    ]
