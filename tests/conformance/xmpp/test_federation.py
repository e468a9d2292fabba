"""Two servers talk with each other: messages, presence, requests (RFC 6120 §10.4, RFC 6121 §3)."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.federation import Net, proof_of
from tests.support.xmpp import Peer

from sabir.core.policy import PolicyConfig

HERE, THERE = "capulet.example", "montague.example"


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Net]:
    net = Net(tmp_path)
    net.server(HERE, "juliet", "nurse")
    net.server(THERE, "romeo", "benvolio")
    yield net
    net.close()


@pytest.fixture
def juliet(net: Net) -> Peer:
    return net.servers[HERE].log_in("juliet", "balcony")


@pytest.fixture
def romeo(net: Net) -> Peer:
    return net.servers[THERE].log_in("romeo", "orchard")


def bodies(peer: Peer) -> list[str]:
    return [each.child_text("body") or "" for each in peer.hear() if each.name == "message"]


@pytest.mark.spec("RFC 6120 §10.4")
def test_a_message_reaches_an_account_of_another_server(net: Net, juliet: Peer, romeo: Peer) -> None:
    juliet.say(f"<message to='romeo@{THERE}' type='chat' id='m1'><body>Wherefore?</body></message>")
    net.settle()

    (heard,) = [each for each in romeo.hear() if each.name == "message"]
    assert heard.get("from") == f"juliet@{HERE}/balcony"
    assert heard.get("to") == f"romeo@{THERE}/orchard"
    assert heard.child_text("body") == "Wherefore?"
    assert heard.get("id") == "m1"


@pytest.mark.spec("XEP-0220 §2.1.1")
def test_without_certificates_servers_know_each_other_by_dialback(
    net: Net, juliet: Peer, romeo: Peer
) -> None:
    juliet.say(f"<message to='romeo@{THERE}' type='chat'><body>1</body></message>")
    net.settle()
    romeo.say(f"<message to='juliet@{HERE}' type='chat'><body>2</body></message>")
    net.settle()

    assert bodies(romeo) == ["1"]
    assert bodies(juliet) == ["2"]


@pytest.mark.spec("RFC 6120 §13.7.1")
def test_with_certificates_there_is_no_way_back(net: Net, juliet: Peer, romeo: Peer) -> None:
    net.certificates = {domain: proof_of(domain) for domain in (HERE, THERE)}

    juliet.say(f"<message to='romeo@{THERE}' type='chat'><body>1</body></message>")
    net.settle()
    romeo.say(f"<message to='juliet@{HERE}' type='chat'><body>2</body></message>")
    net.settle()

    assert (bodies(romeo), bodies(juliet)) == (["1"], ["2"])
    assert len(net.calls) == 1  # XEP-0288: one stream for both ways


# Messages


def test_both_archives_have_the_conversation(net: Net, juliet: Peer, romeo: Peer) -> None:
    juliet.say(f"<message to='romeo@{THERE}' type='chat' id='m1'><body>1</body></message>")
    net.settle()
    romeo.say(f"<message to='juliet@{HERE}' type='chat' id='m2'><body>2</body></message>")
    net.settle()
    juliet.hear(), romeo.hear()

    query = (
        "<query xmlns='urn:xmpp:mam:2' queryid='f'><x xmlns='jabber:x:data' type='submit'>"
        "<field var='FORM_TYPE'><value>urn:xmpp:mam:2</value></field>"
        "<field var='with'><value>{}</value></field></x></query>"
    )
    for peer, other in ((juliet, f"romeo@{THERE}"), (romeo, f"juliet@{HERE}")):
        peer.ask(query.format(other), type="set")
        results = [each.find("result", "urn:xmpp:mam:2") for each in peer.hear()]
        found = [
            message
            for result in results
            if result is not None
            for forwarded in result.elements()
            for message in forwarded.find_all("message", "jabber:client")
        ]
        assert [each.child_text("body") for each in found] == ["1", "2"]
        assert found[0].get("from") == f"juliet@{HERE}/balcony"
        assert found[0].get("to") == f"romeo@{THERE}"


@pytest.mark.spec("XEP-0280 §7")
def test_other_devices_of_both_sides_get_copies(net: Net, juliet: Peer, romeo: Peer) -> None:
    tablet = net.servers[HERE].log_in("juliet", "tablet")
    phone = net.servers[THERE].log_in(
        "romeo", "phone", presence="<presence><priority>-1</priority></presence>"
    )
    for peer in (tablet, phone):
        peer.ask("<enable xmlns='urn:xmpp:carbons:2'/>", type="set")
        peer.hear()

    juliet.say(f"<message to='romeo@{THERE}/orchard' type='chat'><body>Hi</body></message>")
    net.settle()

    (sent,) = [each for each in tablet.hear() if each.name == "message"]
    (received,) = [each for each in phone.hear() if each.name == "message"]
    assert sent.find("sent", "urn:xmpp:carbons:2") is not None
    assert received.find("received", "urn:xmpp:carbons:2") is not None


def test_chat_states_receipts_and_reactions_cross_over(net: Net, juliet: Peer, romeo: Peer) -> None:
    juliet.say(f"<message to='romeo@{THERE}' type='chat' id='m1'><body>Hi</body></message>")
    net.settle()
    romeo.hear()

    romeo.say(
        f"<message to='juliet@{HERE}/balcony' type='chat'>"
        "<composing xmlns='http://jabber.org/protocol/chatstates'/></message>",
        f"<message to='juliet@{HERE}/balcony' type='chat'><received xmlns='urn:xmpp:receipts' id='m1'/></message>",
        f"<message to='juliet@{HERE}' type='chat' id='r'><reactions xmlns='urn:xmpp:reactions:0' id='m1'>"
        "<reaction>+1</reaction></reactions></message>",
    )
    net.settle()

    names = [[child.name for child in each.elements()] for each in juliet.hear()]
    assert sorted(name[0] for name in names) == ["composing", "reactions", "received"]


@pytest.mark.spec("RFC 6121 §8.5.1")
def test_a_message_to_nobody_comes_back(net: Net, juliet: Peer) -> None:
    juliet.say(f"<message to='tybalt@{THERE}' type='chat' id='m'><body>Hi</body></message>")
    net.settle()

    (error,) = juliet.hear()
    assert (error.get("type"), error.get("from")) == ("error", f"tybalt@{THERE}")


@pytest.mark.spec("XEP-0191 §3.2")
@pytest.mark.parametrize("blocked", [f"juliet@{HERE}", HERE])
def test_who_is_blocked_or_whose_server_is_reaches_nobody(
    net: Net, juliet: Peer, romeo: Peer, blocked: str
) -> None:
    romeo.ask(f"<block xmlns='urn:xmpp:blocking'><item jid='{blocked}'/></block>", type="set")
    romeo.hear()

    juliet.say(f"<message to='romeo@{THERE}' type='chat' id='m'><body>Hi</body></message>")
    net.settle()

    assert bodies(romeo) == []
    (error,) = juliet.hear()
    assert error.get("type") == "error"


def test_who_blocks_somebody_elsewhere_cannot_write_there(net: Net, juliet: Peer, romeo: Peer) -> None:
    juliet.ask(f"<block xmlns='urn:xmpp:blocking'><item jid='romeo@{THERE}'/></block>", type="set")
    juliet.hear()

    juliet.say(f"<message to='romeo@{THERE}' type='chat' id='m'><body>Hi</body></message>")
    net.settle()

    (error,) = juliet.hear()
    assert error.get("type") == "error"
    assert romeo.hear() == []


# The queue


def test_messages_wait_for_a_server_that_is_down(net: Net, juliet: Peer) -> None:
    net.down.add(THERE)
    juliet.say(f"<message to='romeo@{THERE}' type='chat' id='m1'><body>1</body></message>")
    net.settle()
    juliet.say(f"<message to='romeo@{THERE}' type='chat' id='m2'><body>2</body></message>")
    net.settle()
    assert juliet.hear() == []

    net.down.clear()
    net.advance(30_000)
    romeo = net.servers[THERE].log_in("romeo", "orchard", presence="")
    romeo.say("<presence/>")

    heard = [each for each in romeo.hear() if each.name == "message"]
    assert [each.child_text("body") for each in heard] == ["1", "2"]
    assert all(each.find("delay", "urn:xmpp:delay") is not None for each in heard)
    assert net.servers[HERE].services.peers.all() == []


def test_what_waits_survives_a_restart(net: Net, juliet: Peer) -> None:
    net.down.add(THERE)
    juliet.say(f"<message to='romeo@{THERE}' type='chat' id='m1'><body>1</body></message>")
    net.settle()
    net.stop(HERE)

    net.down.clear()
    net.server(HERE)
    romeo = net.servers[THERE].log_in("romeo", "orchard")
    net.settle()

    assert bodies(romeo) == ["1"]
    assert net.servers[HERE].services.peers.all() == []


def test_what_was_not_confirmed_is_sent_again_and_shown_once(net: Net, juliet: Peer, romeo: Peer) -> None:
    juliet.say(f"<message to='romeo@{THERE}' type='chat' id='m0'><body>0</body></message>")
    net.settle()
    services = net.servers[HERE].services
    juliet.say(f"<message to='romeo@{THERE}' type='chat' id='m1'><body>1</body></message>")
    net.settle()
    (peer,) = services.directory.peers.values()
    assert peer.waiting == 0

    # The same entry once more, as after a stream that broke before the answer came.
    event = services.history.find_native("xmpp", services.accounts.find("juliet").actor, b"m1")  # type: ignore[union-attr]
    assert event is not None
    actor = services.accounts.remote("xmpp", f"romeo@{THERE}")

    def form(log: object) -> None:
        services.peers.queue_event(log, event, actor)  # type: ignore[arg-type]

    from sabir.core.log import Operation

    services.log.append(Operation(form, lambda: services.peers.wake(actor), lambda _: None))
    net.settle()

    assert bodies(romeo) == ["0", "1"]
    assert peer.waiting == 0


def test_what_waited_for_too_long_comes_back_to_its_sender(net: Net, juliet: Peer) -> None:
    net.down.add(THERE)
    juliet.say(f"<message to='romeo@{THERE}' type='chat' id='m1'><body>1</body></message>")
    net.settle()
    assert juliet.hear() == []

    net.advance(25 * 3_600_000)

    errors = [each for each in juliet.hear() if each.name == "message"]
    assert [(each.get("type"), each.get("id"), each.get("from")) for each in errors] == [
        ("error", "m1", f"romeo@{THERE}")
    ]
    error = errors[0].find("error")
    assert error is not None
    assert error.find("remote-server-timeout", "urn:ietf:params:xml:ns:xmpp-stanzas") is not None
    assert net.servers[HERE].services.peers.all() == []


@pytest.mark.spec("RFC 6120 §8.3.3.16")
def test_requests_and_presence_do_not_wait(net: Net, juliet: Peer) -> None:
    net.down.add(THERE)

    juliet.say(f"<iq type='get' id='i' to='romeo@{THERE}/orchard'><ping xmlns='urn:xmpp:ping'/></iq>")
    net.settle()

    (error,) = juliet.hear()
    assert (error.get("id"), error.get("type")) == ("i", "error")


# Subscriptions and presence


def befriend(net: Net, juliet: Peer, romeo: Peer) -> None:
    juliet.ask("<query xmlns='jabber:iq:roster'/>")
    romeo.ask("<query xmlns='jabber:iq:roster'/>")
    juliet.say(f"<presence to='romeo@{THERE}' type='subscribe'/>")
    net.settle()
    romeo.say(f"<presence to='juliet@{HERE}' type='subscribed'/>")
    romeo.say(f"<presence to='juliet@{HERE}' type='subscribe'/>")
    net.settle()
    juliet.say(f"<presence to='romeo@{THERE}' type='subscribed'/>")
    net.settle()


def items(peer: Peer) -> list[tuple[str | None, str | None, str | None]]:
    query = peer.ask("<query xmlns='jabber:iq:roster'/>").find("query", "jabber:iq:roster")
    assert query is not None
    return [(each.get("jid"), each.get("subscription"), each.get("ask")) for each in query.elements()]


@pytest.mark.spec("RFC 6121 §3.1")
def test_two_people_of_two_servers_watch_each_other(net: Net, juliet: Peer, romeo: Peer) -> None:
    juliet.say(f"<presence to='romeo@{THERE}' type='subscribe'/>")
    net.settle()
    assert items(juliet) == [(f"romeo@{THERE}", "none", "subscribe")]
    (request,) = romeo.hear()
    assert (request.get("type"), request.get("from")) == ("subscribe", f"juliet@{HERE}")

    romeo.say(f"<presence to='juliet@{HERE}' type='subscribed'/>")
    net.settle()

    assert items(juliet) == [(f"romeo@{THERE}", "to", None)]
    assert items(romeo) == [(f"juliet@{HERE}", "from", None)]
    types = [each.get("type") for each in juliet.hear() if each.name == "presence"]
    assert types == ["subscribed", None]


@pytest.mark.spec("XEP-0379 §3.5")
def test_who_was_invited_from_another_server_is_agreed_to_without_a_question(
    net: Net, juliet: Peer, romeo: Peer
) -> None:
    vouchers, account = (
        net.servers[THERE].services.vouchers,
        net.servers[THERE].services.accounts.find("romeo"),
    )
    secrets: list[str] = []
    vouchers.give(
        account, lambda secret, _: secrets.append(secret), pytest.fail, registers=False, befriends=True
    )
    net.settle()
    preauth = f"<preauth xmlns='urn:xmpp:pars:0' token='{secrets[0]}'/>"

    juliet.say(f"<presence to='romeo@{THERE}' type='subscribed'/>")
    juliet.say(f"<presence to='romeo@{THERE}' type='subscribe'>{preauth}</presence>")
    net.settle()

    assert items(juliet) == [(f"romeo@{THERE}", "both", None)]
    assert items(romeo) == [(f"juliet@{HERE}", "both", None)]
    assert [each for each in romeo.hear() if each.get("type") == "subscribe"] == []


@pytest.mark.spec("RFC 6121 §4.4")
def test_presence_crosses_over_and_so_does_its_end(net: Net, juliet: Peer, romeo: Peer) -> None:
    befriend(net, juliet, romeo)
    assert items(juliet) == [(f"romeo@{THERE}", "both", None)]
    juliet.hear()

    romeo.say("<presence><show>dnd</show><status>Dying</status></presence>")
    net.settle()
    (shown,) = juliet.hear()
    assert shown.get("from") == f"romeo@{THERE}/orchard"
    assert (shown.child_text("show"), shown.child_text("status")) == ("dnd", "Dying")

    romeo.drop()
    net.settle()
    assert [each.get("type") for each in juliet.hear()] == ["unavailable"]


@pytest.mark.spec("RFC 6121 §4.3")
def test_a_client_that_logs_in_is_shown_who_is_there(net: Net, juliet: Peer, romeo: Peer) -> None:
    befriend(net, juliet, romeo)

    tablet = net.servers[HERE].log_in("juliet", "tablet")
    net.settle()

    shown = {each.get("from") for each in tablet.hear() if each.name == "presence"}
    assert f"romeo@{THERE}/orchard" in shown


@pytest.mark.spec("RFC 6121 §4.3.2")
def test_a_stranger_who_asks_for_presence_is_told_nothing(net: Net, juliet: Peer, romeo: Peer) -> None:
    juliet.say(f"<presence to='romeo@{THERE}' type='probe'/>")
    net.settle()

    assert juliet.hear() == []


@pytest.mark.spec("RFC 6121 §3.2")
def test_a_subscription_can_be_ended_from_either_side(net: Net, juliet: Peer, romeo: Peer) -> None:
    befriend(net, juliet, romeo)
    juliet.hear(), romeo.hear()

    juliet.say(f"<presence to='romeo@{THERE}' type='unsubscribed'/>")
    net.settle()
    assert items(juliet) == [(f"romeo@{THERE}", "to", None)]
    assert items(romeo) == [(f"juliet@{HERE}", "from", None)]
    kinds = [each.get("type") for each in romeo.hear() if each.name == "presence"]
    assert sorted(str(kind) for kind in kinds) == ["unavailable", "unsubscribed"]

    juliet.say(f"<presence to='romeo@{THERE}' type='unsubscribe'/>")
    net.settle()
    assert items(juliet) == [(f"romeo@{THERE}", "none", None)]
    assert items(romeo) == [(f"juliet@{HERE}", "none", None)]


@pytest.mark.spec("RFC 6121 §2.5")
def test_removing_a_contact_ends_both_subscriptions(net: Net, juliet: Peer, romeo: Peer) -> None:
    befriend(net, juliet, romeo)

    juliet.ask(
        f"<query xmlns='jabber:iq:roster'><item jid='romeo@{THERE}' subscription='remove'/></query>",
        type="set",
    )
    net.settle()

    assert items(juliet) == []
    assert items(romeo) == [(f"juliet@{HERE}", "none", None)]


@pytest.mark.spec("RFC 6121 §3.1.3")
def test_a_request_waits_for_its_receiver_and_for_a_server_that_is_down(net: Net, juliet: Peer) -> None:
    net.down.add(THERE)
    juliet.say(f"<presence to='romeo@{THERE}' type='subscribe'><status>Me</status></presence>")
    net.settle()
    net.down.clear()
    net.advance(30_000)

    romeo = net.servers[THERE].log_in("romeo", "orchard", presence="")
    romeo.say("<presence/>")

    (request,) = [each for each in romeo.hear() if each.get("type") == "subscribe"]
    assert request.get("from") == f"juliet@{HERE}"


def test_nobody_can_answer_for_somebody_who_was_not_asked(net: Net, juliet: Peer, romeo: Peer) -> None:
    romeo.say(f"<presence to='juliet@{HERE}' type='subscribed'/>")
    net.settle()

    assert items(juliet) == []
    romeo.say("<presence><show>away</show></presence>")
    net.settle()
    assert juliet.hear() == []


# Strangers


def test_strangers_above_the_limit_are_refused_and_contacts_are_not(net: Net) -> None:
    net.server(HERE, policy=PolicyConfig(max_strangers=1, max_requests=1))
    romeo = net.servers[THERE].log_in("romeo", "orchard")
    benvolio = net.servers[THERE].log_in("benvolio", "street")
    juliet = net.servers[HERE].log_in("juliet", "balcony")
    for peer in (romeo, benvolio):
        peer.say(f"<message to='juliet@{HERE}' type='chat'><body>1</body></message>")
        peer.say(f"<presence to='juliet@{HERE}' type='subscribe'/>")
        net.settle()

    heard = juliet.hear()
    assert [each.get("from") for each in heard if each.name == "message"] == [f"romeo@{THERE}/orchard"]
    assert [each.get("from") for each in heard if each.get("type") == "subscribe"] == [f"romeo@{THERE}"]
    (refused,) = [each for each in benvolio.hear() if each.get("type") == "error"]
    error = refused.find("error", "jabber:client")
    assert error is not None
    assert error.find("resource-constraint", "urn:ietf:params:xml:ns:xmpp-stanzas") is not None

    juliet.say(f"<message to='benvolio@{THERE}' type='chat'><body>Good pilgrim</body></message>")
    net.settle()
    benvolio.say(f"<message to='juliet@{HERE}' type='chat'><body>2</body></message>")
    net.settle()
    assert bodies(juliet) == ["2"]


@pytest.mark.spec("RFC 6121 §3.1.3")
def test_of_a_giant_request_only_who_asks_is_kept(net: Net, juliet: Peer, romeo: Peer) -> None:
    romeo.say(f"<presence to='juliet@{HERE}' type='subscribe'><status>{'x' * 50_000}</status></presence>")
    net.settle()

    (request,) = [each for each in juliet.hear() if each.get("type") == "subscribe"]
    assert request.get("from") == f"romeo@{THERE}"
    assert request.elements() == []


# Requests


def test_requests_reach_clients_and_servers_elsewhere(net: Net, juliet: Peer, romeo: Peer) -> None:
    juliet.say(f"<iq type='get' id='v' to='{THERE}'><query xmlns='jabber:iq:version'/></iq>")
    juliet.say(
        f"<iq type='get' id='d' to='{THERE}'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>"
    )
    juliet.say(f"<iq type='get' id='x' to='romeo@{THERE}/orchard'><custom xmlns='urn:example'/></iq>")
    net.settle()
    (asked,) = romeo.hear()
    romeo.say(f"<iq type='result' id='x' to='{asked.get('from')}'/>")
    net.settle()

    assert sorted((each.get("id"), each.get("type")) for each in juliet.hear()) == [  # type: ignore[type-var]
        ("d", "result"),
        ("v", "result"),
        ("x", "result"),
    ]


@pytest.mark.parametrize(
    "payload",
    [
        "<query xmlns='jabber:iq:roster'/>",
        "<query xmlns='urn:xmpp:mam:2'/>",
        "<blocklist xmlns='urn:xmpp:blocking'/>",
        "<query xmlns='jabber:iq:register'/>",
        "<command xmlns='http://jabber.org/protocol/commands' node='x'/>",
    ],
)
@pytest.mark.parametrize("to", [THERE, f"romeo@{THERE}"])
@pytest.mark.parametrize("type_", ["get", "set"])
def test_what_belongs_to_an_account_is_not_for_people_of_other_servers(
    net: Net, juliet: Peer, payload: str, to: str, type_: str
) -> None:
    juliet.say(f"<iq type='{type_}' id='q' to='{to}'>{payload}</iq>")
    net.settle()

    (answer,) = juliet.hear()
    assert answer.get("type") == "error"
