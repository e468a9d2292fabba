"""RFC 6121: messages between accounts, offline delivery, roster and subscriptions, presence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.xmpp import Peer, XmppServer, server_in, xml

from sabir.wire.xml import Element


@pytest.fixture
def server(tmp_path: Path) -> Iterator[XmppServer]:
    yield from server_in(tmp_path, "romeo", "juliet", "nurse")


def bodies(heard: list[Element]) -> list[str | None]:
    return [message.child_text("body") for message in heard if message.name == "message"]


def condition(stanza: Element) -> str:
    error = stanza.find("error")
    assert error is not None
    return error.elements()[0].name


# Messages


@pytest.mark.spec("RFC 6121 §5")
def test_bodies_subject_and_thread_of_a_message_arrive_as_they_were_sent(server: XmppServer) -> None:
    romeo, juliet = server.log_in("romeo"), server.log_in("juliet")
    juliet.hear()

    romeo.say(
        "<message to='juliet@localhost' type='chat' xml:lang='en'><subject>Balcony</subject>"
        "<body>Art thou not Romeo?</body><body xml:lang='cs'>Nejsi ty Romeo?</body>"
        "<thread parent='t1'>t2</thread></message>"
    )

    (message,) = juliet.hear()
    assert message.child_text("subject") == "Balcony"
    spoken = [element for element in message.elements() if element.name == "body"]
    assert [body.text() for body in spoken] == ["Art thou not Romeo?", "Nejsi ty Romeo?"]
    thread = message.find("thread")
    assert thread is not None
    assert (thread.get("parent"), thread.text()) == ("t1", "t2")
    assert message.get("type") == "chat"


@pytest.mark.spec("RFC 6121 §5.2")
@pytest.mark.spec("RFC 6121 §8.5.2.1.1")
def test_a_message_to_a_bare_address_reaches_the_available_resources(server: XmppServer) -> None:
    romeo = server.log_in("romeo")
    balcony, chamber = server.log_in("juliet", "balcony"), server.log_in("juliet", "chamber")
    absent = server.log_in("juliet", "absent", presence="")
    negative = server.log_in("juliet", "negative", presence="<presence><priority>-1</priority></presence>")
    for peer in (balcony, chamber, negative):
        peer.hear()

    romeo.say("<message to='juliet@localhost' type='chat' id='m1'><body>Art thou?</body></message>")

    for peer in (balcony, chamber):
        (message,) = peer.hear()
        assert message.child_text("body") == "Art thou?"
        assert message.get("from") == romeo.jid
        assert message.get("to") == peer.jid
        assert message.get("id") == "m1"
    assert absent.hear() == negative.hear() == romeo.hear() == []


@pytest.mark.spec("RFC 6121 §8.5.3.1")
def test_a_message_to_a_full_address_reaches_that_resource_only(server: XmppServer) -> None:
    romeo, balcony, chamber = (
        server.log_in("romeo"),
        server.log_in("juliet", "balcony"),
        server.log_in("juliet", "chamber"),
    )
    balcony.hear()

    romeo.say("<message to='juliet@localhost/chamber' type='chat'><body>psst</body></message>")

    assert bodies(chamber.hear()) == ["psst"]
    assert balcony.hear() == []


@pytest.mark.spec("RFC 6121 §8.5.3.2.1")
def test_a_message_to_a_resource_that_is_gone_goes_to_the_others(server: XmppServer) -> None:
    romeo, balcony = server.log_in("romeo"), server.log_in("juliet", "balcony")

    romeo.say("<message to='juliet@localhost/gone' type='chat'><body>hi</body></message>")

    assert bodies(balcony.hear()) == ["hi"]


@pytest.mark.spec("RFC 6121 §8.5.2.2.1")
@pytest.mark.spec("XEP-0203 §3")
@pytest.mark.spec("XEP-0203 §3")
def test_a_message_to_somebody_offline_waits_for_her_with_its_time(server: XmppServer) -> None:
    romeo = server.log_in("romeo")
    romeo.say(*[f"<message to='juliet@localhost' type='chat'><body>{n}</body></message>" for n in range(250)])

    juliet = server.log_in("juliet", presence="")
    juliet.say("<presence/>")
    heard = [stanza for stanza in juliet.hear() if stanza.name == "message"]

    assert bodies(heard) == [str(n) for n in range(250)]
    assert all(message.find("delay", "urn:xmpp:delay") is not None for message in heard)
    again = server.log_in("juliet", "second", presence="")
    again.say("<presence/>")
    assert bodies(again.hear()) == []


@pytest.mark.spec("RFC 6121 §8.5.1")
@pytest.mark.parametrize(
    ("stanza", "expected"),
    [
        ("<message to='nobody@localhost' type='chat'><body>x</body></message>", "service-unavailable"),
        ("<message to='juliet@localhost' type='groupchat'><body>x</body></message>", "service-unavailable"),
        ("<message to='localhost' type='chat'><body>x</body></message>", "service-unavailable"),
        ("<message to='a@example.com' type='chat'><body>x</body></message>", "remote-server-not-found"),
        ("<message to='a@@b' type='chat'><body>x</body></message>", "jid-malformed"),
        ("<iq to='nobody@localhost' type='get' id='1'><query xmlns='urn:x'/></iq>", "service-unavailable"),
        ("<iq to='juliet@localhost/gone' type='get' id='1'><q xmlns='urn:x'/></iq>", "service-unavailable"),
        ("<iq to='juliet@localhost' type='get' id='1'><q xmlns='jabber:iq:roster'/></iq>", "service-unavailable"),
        ("<iq type='get' id='1'><query xmlns='urn:x'/></iq>", "service-unavailable"),
        ("<iq type='get' id='1'/>", "bad-request"),
        ("<iq type='set' id='1'><a xmlns='urn:x'/><b xmlns='urn:x'/></iq>", "bad-request"),
        ("<iq type='what' id='1'><a xmlns='urn:x'/></iq>", "bad-request"),
        ("<presence><priority>1000</priority></presence>", "bad-request"),
        ("<presence><show>here</show></presence>", "bad-request"),
        ("<presence type='subscribe'/>", "bad-request"),
        ("<presence to='a@example.com' type='subscribe'/>", "remote-server-not-found"),
    ],
)  # fmt: skip
def test_what_cannot_be_delivered_comes_back_with_the_reason(
    server: XmppServer, stanza: str, expected: str
) -> None:
    romeo = server.log_in("romeo")

    romeo.say(stanza)

    (answer,) = romeo.hear()
    assert answer.get("type") == "error"
    assert condition(answer) == expected
    assert answer.get("to") == romeo.jid


@pytest.mark.spec("RFC 6120 §8.3.1")
def test_an_error_is_never_answered_with_an_error(server: XmppServer) -> None:
    romeo = server.log_in("romeo")

    romeo.say("<message to='nobody@localhost' type='error'><body>x</body></message>")
    romeo.say("<iq to='juliet@localhost/gone' type='result' id='1'/>")
    romeo.say("<presence to='nobody@localhost' type='error'/>")

    assert romeo.hear() == []


@pytest.mark.spec("XEP-0297 §3")
def test_a_forwarded_message_stays_what_it_was(server: XmppServer) -> None:
    romeo, juliet = server.log_in("romeo"), server.log_in("juliet")
    forwarded = (
        "<forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='2010-07-10T23:08:25Z'/>"
        "<message xmlns='jabber:client' from='nurse@localhost/x' to='romeo@localhost'><body>Peter!</body>"
        "<stanza-id xmlns='urn:xmpp:sid:0' by='romeo@localhost' id='1'/></message></forwarded>"
    )

    romeo.say(f"<message to='juliet@localhost' type='chat'><body>read</body>{forwarded}</message>")

    assert juliet.hear()[0].find("forwarded", "urn:xmpp:forward:0") == xml(forwarded)


def test_unknown_namespaces_pass_untouched(server: XmppServer) -> None:
    romeo, juliet = server.log_in("romeo"), server.log_in("juliet")
    extra = "<x xmlns='urn:example' a='1' y='&amp;'>t<z:q xmlns:z='urn:z' z:k='v'/>é</x>"

    romeo.say(f"<message to='juliet@localhost' type='chat' xml:lang='it'><body>b</body>{extra}</message>")

    (message,) = juliet.hear()
    assert message.find("x", "urn:example") == xml(extra)
    assert message.get("xml:lang") == "it"


@pytest.mark.spec("RFC 6120 §4.7.4")
def test_a_stanza_without_a_language_gets_that_of_its_stream(server: XmppServer) -> None:
    romeo, juliet = server.log_in("romeo"), server.log_in("juliet")

    romeo.say("<message to='juliet@localhost' type='chat'><body>b</body></message>")

    assert juliet.hear()[0].get("xml:lang") == "en"


@pytest.mark.spec("XEP-0359 §4")
def test_an_archived_message_has_the_id_of_the_receivers_archive(server: XmppServer) -> None:
    romeo, juliet = server.log_in("romeo"), server.log_in("juliet")

    romeo.say(
        "<message to='juliet@localhost' type='chat' id='1'><body>b</body>"
        "<origin-id xmlns='urn:xmpp:sid:0' id='1'/>"
        "<stanza-id xmlns='urn:xmpp:sid:0' by='juliet@localhost' id='forged'/></message>"
    )

    (message,) = juliet.hear()
    (stanza_id,) = message.find_all("stanza-id", "urn:xmpp:sid:0")
    assert stanza_id.get("by") == "juliet@localhost"
    assert len(stanza_id.get("id") or "") == 32
    assert message.find("origin-id", "urn:xmpp:sid:0") is not None


def test_a_note_to_oneself_reaches_every_device_once(server: XmppServer) -> None:
    phone, laptop = server.log_in("romeo", "phone"), server.log_in("romeo", "laptop")
    phone.hear()

    phone.say("<message to='romeo@localhost' type='chat'><body>milk</body></message>")

    assert bodies(phone.hear()) == ["milk"]
    assert bodies(laptop.hear()) == ["milk"]


# Signals and relays


def chat_state(state: str) -> str:
    return f"<{state} xmlns='http://jabber.org/protocol/chatstates'/>"


@pytest.mark.spec("XEP-0085 §5.5")
def test_a_chat_state_is_shown_and_not_kept(server: XmppServer) -> None:
    romeo, juliet = server.log_in("romeo"), server.log_in("juliet")
    before = server.services.log.head_seq

    romeo.say(f"<message to='juliet@localhost' type='chat'>{chat_state('composing')}</message>")

    (message,) = juliet.hear()
    assert message.get("from") == romeo.jid
    assert message.find("composing", "http://jabber.org/protocol/chatstates") is not None
    assert server.services.log.head_seq == before


@pytest.mark.spec("XEP-0184 §5.4")
@pytest.mark.spec("XEP-0333 §4")
@pytest.mark.parametrize(
    "receipt",
    ["<received xmlns='urn:xmpp:receipts' id='m1'/>", "<displayed xmlns='urn:xmpp:chat-markers:0' id='m1'/>"],
)
def test_a_receipt_goes_back_to_the_writer(server: XmppServer, receipt: str) -> None:
    romeo, juliet = server.log_in("romeo"), server.log_in("juliet")
    romeo.say("<message to='juliet@localhost' type='chat' id='m1'><body>b</body></message>")
    juliet.hear()

    juliet.say(f"<message to='{romeo.jid}' type='chat' id='r1'>{receipt}</message>")

    (message,) = romeo.hear()
    assert message.get("from") == juliet.jid
    assert message.elements()[-1] == xml(receipt)


@pytest.mark.spec("XEP-0334 §4.2")
def test_a_message_that_must_not_be_stored_is_relayed(server: XmppServer) -> None:
    romeo, juliet = server.log_in("romeo"), server.log_in("juliet")
    before = server.services.log.head_seq

    romeo.say(
        "<message to='juliet@localhost' type='chat'><body>b</body><no-store xmlns='urn:xmpp:hints'/></message>"
    )

    assert bodies(juliet.hear()) == ["b"]
    assert server.services.log.head_seq == before


@pytest.mark.spec("RFC 6121 §8.5.3.1")
def test_a_request_between_two_devices_is_relayed_both_ways(server: XmppServer) -> None:
    romeo, juliet = server.log_in("romeo"), server.log_in("juliet")

    romeo.say(f"<iq to='{juliet.jid}' type='set' id='j1'><jingle xmlns='urn:xmpp:jingle:1' sid='s'/></iq>")
    (request,) = juliet.hear()
    juliet.say(f"<iq to='{request.get('from')}' type='result' id='j1'/>")

    assert request.elements()[0].get("sid") == "s"
    (answer,) = romeo.hear()
    assert (answer.get("from"), answer.get("type"), answer.get("id")) == (juliet.jid, "result", "j1")


# Relations


@pytest.mark.spec("XEP-0444 §3")
def test_a_set_of_reactions_is_shown_once_and_so_is_the_next_set(server: XmppServer) -> None:
    romeo, juliet, tablet = server.log_in("romeo"), server.log_in("juliet"), server.log_in("juliet", "tablet")
    tablet.ask("<enable xmlns='urn:xmpp:carbons:2'/>", type="set")
    romeo.say("<message to='juliet@localhost' type='chat' id='m1'><body>hello</body></message>")
    juliet.hear(), tablet.hear()
    react = (
        "<message to='romeo@localhost' type='chat' id='{}'><reactions xmlns='urn:xmpp:reactions:0' id='m1'>"
        "{}</reactions><store xmlns='urn:xmpp:hints'/></message>"
    )

    juliet.say(react.format("r1", "<reaction>👍</reaction><reaction>🐢</reaction>"))
    juliet.say(react.format("r2", "<reaction>🎉</reaction>"))

    assert [each.get("id") for each in romeo.hear()] == ["r1", "r2"]
    assert [each.find("sent", "urn:xmpp:carbons:2") is not None for each in tablet.hear()] == [True, True]


@pytest.mark.spec("XEP-0308 §3")
@pytest.mark.spec("XEP-0424 §3")
@pytest.mark.spec("XEP-0444 §3")
def test_corrections_reactions_and_retractions_are_kept_about_their_message(server: XmppServer) -> None:
    romeo, juliet = server.log_in("romeo"), server.log_in("juliet")
    romeo.say("<message to='juliet@localhost' type='chat' id='m1'><body>helo</body></message>")
    juliet.hear()

    romeo.say(
        "<message to='juliet@localhost' type='chat' id='m2'><body>hello</body>"
        "<replace xmlns='urn:xmpp:message-correct:0' id='m1'/></message>"
    )
    juliet.say(
        "<message to='romeo@localhost' type='chat' id='m3'><reactions xmlns='urn:xmpp:reactions:0' id='m1'>"
        "<reaction>👍</reaction></reactions><store xmlns='urn:xmpp:hints'/></message>"
    )
    romeo.say(
        "<message to='juliet@localhost' type='chat' id='m4'><retract xmlns='urn:xmpp:message-retract:1' id='m1'/>"
        "<body>gone</body></message>"
    )

    edit, retraction = juliet.hear()
    (reaction,) = romeo.hear()
    assert edit.find("replace", "urn:xmpp:message-correct:0") is not None
    assert reaction.find("reactions", "urn:xmpp:reactions:0") is not None
    assert retraction.find("retract", "urn:xmpp:message-retract:1") is not None
    first = server.services.history.find_native("xmpp", server.services.accounts.find("romeo").actor, b"m1")  # type: ignore[union-attr]  # there is one
    assert first is not None
    assert first.erased
    assert sorted(row.kind for row in server.services.history.relations((first.seq,))) == [2, 3, 4]


@pytest.mark.spec("XEP-0424 §3")
def test_only_the_writer_may_retract(server: XmppServer) -> None:
    romeo, juliet = server.log_in("romeo"), server.log_in("juliet")
    romeo.say("<message to='juliet@localhost' type='chat' id='m1'><body>b</body></message>")
    stanza_id = juliet.hear()[0].find_all("stanza-id", "urn:xmpp:sid:0")[0].get("id")

    juliet.say(
        "<message to='romeo@localhost' type='chat'>"
        f"<retract xmlns='urn:xmpp:message-retract:1' id='{stanza_id}'/></message>"
    )

    assert condition(juliet.hear()[0]) == "forbidden"
    assert romeo.hear() == []


# Copies


@pytest.mark.spec("XEP-0280 §7")
@pytest.mark.spec("XEP-0280 §8")
@pytest.mark.spec("XEP-0297 §4")
def test_other_devices_get_copies_of_what_is_sent_and_received(server: XmppServer) -> None:
    romeo, juliet = server.log_in("romeo"), server.log_in("juliet", "balcony")
    chamber = server.log_in("juliet", "chamber")
    assert chamber.ask("<enable xmlns='urn:xmpp:carbons:2'/>", type="set").get("type") == "result"
    juliet.hear()

    romeo.say(f"<message to='{juliet.jid}' type='chat' id='1'><body>in</body></message>")
    (received,) = chamber.hear()
    juliet.hear()
    juliet.say("<message to='romeo@localhost' type='chat' id='2'><body>out</body></message>")
    (sent,) = chamber.hear()

    for copy, direction, body in ((received, "received", "in"), (sent, "sent", "out")):
        assert copy.get("from") == "juliet@localhost"
        wrapper = copy.find(direction, "urn:xmpp:carbons:2")
        assert wrapper is not None
        forwarded = wrapper.find("forwarded", "urn:xmpp:forward:0")
        assert forwarded is not None
        message = forwarded.find("message", "jabber:client")
        assert message is not None
        assert message.child_text("body") == body
        assert message.find("stanza-id", "urn:xmpp:sid:0") is not None
    assert juliet.hear() == []


@pytest.mark.spec("XEP-0280 §6.1")
@pytest.mark.parametrize(
    "mark", ["<no-copy xmlns='urn:xmpp:hints'/>", "<private xmlns='urn:xmpp:carbons:2'/>"]
)
def test_a_private_message_is_not_copied(server: XmppServer, mark: str) -> None:
    romeo, phone = server.log_in("romeo"), server.log_in("romeo", "phone")
    phone.ask("<enable xmlns='urn:xmpp:carbons:2'/>", type="set")
    server.log_in("juliet")

    romeo.say(f"<message to='juliet@localhost' type='chat'><body>b</body>{mark}</message>")

    assert phone.hear() == []


# Order


def test_what_follows_a_message_takes_effect_after_it(server: XmppServer) -> None:
    romeo, juliet = server.log_in("romeo"), server.log_in("juliet")

    romeo.say(
        "<message to='juliet@localhost' type='chat'><body>1</body></message>"
        f"<message to='juliet@localhost' type='chat'>{chat_state('composing')}</message>"
        "<message to='juliet@localhost' type='chat'><body>2</body></message>"
        "<presence to='juliet@localhost'/>"
    )

    heard = juliet.hear()
    assert [(stanza.name, stanza.child_text("body")) for stanza in heard] == [
        ("message", "1"), ("message", None), ("message", "2"), ("presence", None),
    ]  # fmt: skip


# Roster


def items(query: Element) -> dict[str, dict[str, str]]:
    return {item.attributes["jid"]: item.attributes for item in query.elements()[0].elements()}


ROSTER = "<query xmlns='jabber:iq:roster'/>"


@pytest.mark.spec("RFC 6121 §2.3")
@pytest.mark.spec("RFC 6121 §2.1.6")
def test_a_contact_is_added_changed_removed_and_pushed_to_interested_clients(server: XmppServer) -> None:
    romeo, phone = server.log_in("romeo"), server.log_in("romeo", "phone")
    phone.ask(ROSTER)

    for payload, expected in (
        ("<item jid='juliet@localhost' name='Juliet'><group>Friends</group></item>", "none"),
        ("<item jid='Juliet@localhost/x' name='J'/>", "none"),
        ("<item jid='juliet@localhost' subscription='remove'/>", "remove"),
    ):
        answer = romeo.ask(f"<query xmlns='jabber:iq:roster'>{payload}</query>", type="set")
        assert answer.get("type") == "result"
        (push,) = [stanza for stanza in phone.hear() if stanza.name == "iq"]
        (item,) = push.elements()[0].elements()
        assert (item.get("jid"), item.get("subscription")) == ("juliet@localhost", expected)

    assert items(romeo.ask(ROSTER)) == {}


@pytest.mark.spec("RFC 6121 §2.3.3")
@pytest.mark.parametrize(
    ("query", "to", "expected"),
    [
        ("<query xmlns='jabber:iq:roster'/>", "", "bad-request"),
        ("<query xmlns='jabber:iq:roster'><item jid='a@b'/><item jid='c@b'/></query>", "", "bad-request"),
        ("<query xmlns='jabber:iq:roster'><item/></query>", "", "bad-request"),
        ("<query xmlns='jabber:iq:roster'><item jid='a@b'><group>x</group><group>x</group></item></query>", "",
         "bad-request"),
        ("<query xmlns='jabber:iq:roster'><item jid='a@b'><group/></item></query>", "", "not-acceptable"),
        ("<query xmlns='jabber:iq:roster'><item jid='juliet@localhost' subscription='remove'/></query>", "",
         "item-not-found"),
        ("<query xmlns='jabber:iq:roster'><item jid='a@b'/></query>", "juliet@localhost", "service-unavailable"),
    ],
)  # fmt: skip
def test_a_wrong_change_of_the_roster_is_refused(
    server: XmppServer, query: str, to: str, expected: str
) -> None:
    romeo = server.log_in("romeo")

    assert condition(romeo.ask(query, type="set", to=to)) == expected


def subscribe(asker: Peer, approver: Peer) -> None:
    asker.say(f"<presence to='{approver.jid.partition('/')[0]}' type='subscribe'/>")
    approver.say(f"<presence to='{asker.jid.partition('/')[0]}' type='subscribed'/>")


@pytest.mark.spec("RFC 6121 §3.1")
def test_a_subscription_is_asked_and_granted(server: XmppServer) -> None:
    romeo, juliet = server.log_in("romeo"), server.log_in("juliet")
    romeo.ask(ROSTER)
    juliet.ask(ROSTER)

    romeo.say("<presence to='juliet@localhost' type='subscribe' id='s1'><status>please</status></presence>")
    assert items(romeo.ask(ROSTER))["juliet@localhost"]["ask"] == "subscribe"
    (request,) = juliet.hear()
    assert (request.get("from"), request.get("type")) == ("romeo@localhost", "subscribe")
    assert request.child_text("status") == "please"
    romeo.hear()
    juliet.say("<presence to='romeo@localhost' type='subscribed'/>")

    heard = romeo.hear()
    assert [stanza.get("type") for stanza in heard if stanza.name == "presence"] == ["subscribed", None]
    assert items(romeo.ask(ROSTER))["juliet@localhost"]["subscription"] == "to"
    assert items(juliet.ask(ROSTER))["romeo@localhost"]["subscription"] == "from"


@pytest.mark.spec("RFC 6121 §3.1.3")
def test_a_request_waits_for_a_contact_who_is_offline(server: XmppServer) -> None:
    romeo = server.log_in("romeo")
    romeo.say("<presence to='juliet@localhost' type='subscribe'/>")

    for resource in ("one", "two"):
        juliet = server.log_in("juliet", resource, presence="")
        juliet.say("<presence/>")
        assert "subscribe" in [stanza.get("type") for stanza in juliet.hear()]


@pytest.mark.spec("RFC 6121 §3.2")
@pytest.mark.spec("RFC 6121 §3.3")
def test_a_subscription_ends_from_either_side(server: XmppServer) -> None:
    romeo, juliet = server.log_in("romeo"), server.log_in("juliet")
    subscribe(romeo, juliet)
    romeo.hear()

    juliet.say("<presence to='romeo@localhost' type='unsubscribed'/>")
    assert sorted(str(stanza.get("type")) for stanza in romeo.hear()) == ["unavailable", "unsubscribed"]
    subscribe(romeo, juliet)
    juliet.hear()
    romeo.hear()
    romeo.say("<presence to='juliet@localhost' type='unsubscribe'/>")

    assert "unsubscribe" in [stanza.get("type") for stanza in juliet.hear()]
    assert "unavailable" in [stanza.get("type") for stanza in romeo.hear()]
    assert items(romeo.ask(ROSTER))["juliet@localhost"]["subscription"] == "none"


@pytest.mark.spec("RFC 6121 §3.4")
def test_a_subscription_may_be_approved_before_it_is_asked(server: XmppServer) -> None:
    romeo, juliet = server.log_in("romeo"), server.log_in("juliet")
    juliet.say("<presence to='romeo@localhost' type='subscribed'/>")
    assert items(juliet.ask(ROSTER))["romeo@localhost"]["approved"] == "true"

    romeo.say("<presence to='juliet@localhost' type='subscribe'/>")

    assert "subscribed" in [stanza.get("type") for stanza in romeo.hear()]


@pytest.mark.spec("RFC 6121 §3.1.3")
def test_somebody_who_does_not_exist_grants_nothing(server: XmppServer) -> None:
    romeo = server.log_in("romeo")

    romeo.say("<presence to='nobody@localhost' type='subscribe'/>")

    assert [stanza.get("type") for stanza in romeo.hear()] == ["unsubscribed"]


# Presence


@pytest.mark.spec("RFC 6121 §4.2.2")
@pytest.mark.spec("RFC 6121 §4.4.2")
@pytest.mark.spec("RFC 6121 §4.5.2")
def test_presence_is_shown_to_those_who_may_see_it(server: XmppServer) -> None:
    romeo, juliet, nurse = server.log_in("romeo"), server.log_in("juliet"), server.log_in("nurse")
    subscribe(romeo, juliet)
    romeo.hear()

    juliet.say("<presence><show>dnd</show><status>busy</status><x xmlns='urn:x'/></presence>")
    (changed,) = romeo.hear()
    late = server.log_in("romeo", "late", presence="")
    late.say("<presence/>")
    at_login = [stanza for stanza in late.hear() if stanza.get("from") == juliet.jid]
    romeo.hear()
    juliet.drop()

    assert (changed.get("from"), changed.child_text("show")) == (juliet.jid, "dnd")
    assert changed.find("x", "urn:x") is not None
    assert [stanza.child_text("show") for stanza in at_login] == ["dnd"]
    assert [(stanza.get("type"), stanza.get("from")) for stanza in romeo.hear()] == [
        ("unavailable", juliet.jid)
    ]
    assert nurse.hear() == []


@pytest.mark.spec("RFC 6121 §4.6.3")
def test_who_got_a_directed_presence_sees_its_end(server: XmppServer) -> None:
    romeo, nurse = server.log_in("romeo"), server.log_in("nurse")

    romeo.say("<presence to='nurse@localhost'><show>away</show></presence>")
    romeo.drop()

    assert [(stanza.get("type"), stanza.child_text("show")) for stanza in nurse.hear()] == [
        (None, "away"), ("unavailable", None),
    ]  # fmt: skip


@pytest.mark.spec("RFC 6121 §4.3.2")
def test_a_probe_is_answered_to_those_who_may_know(server: XmppServer) -> None:
    romeo, juliet, nurse = server.log_in("romeo"), server.log_in("juliet"), server.log_in("nurse")
    subscribe(romeo, juliet)
    romeo.hear()

    romeo.say("<presence to='juliet@localhost' type='probe'/>")
    nurse.say("<presence to='juliet@localhost' type='probe'/>")

    assert [stanza.get("from") for stanza in romeo.hear()] == [juliet.jid]
    assert [stanza.get("type") for stanza in nurse.hear()] == ["unsubscribed"]


@pytest.mark.spec("XEP-0191 §3.3")
def test_a_block_cuts_presence_and_messages_and_its_end_gives_them_back(server: XmppServer) -> None:
    romeo, juliet = server.log_in("romeo"), server.log_in("juliet")
    subscribe(romeo, juliet)
    juliet.ask("<blocklist xmlns='urn:xmpp:blocking'/>")
    romeo.hear()
    juliet.hear()
    item = "<item jid='romeo@localhost'/>"

    juliet.ask(f"<block xmlns='urn:xmpp:blocking'>{item}</block>", type="set")
    assert [stanza.get("type") for stanza in romeo.hear()] == ["unavailable"]
    assert [stanza.elements()[0].name for stanza in juliet.hear()] == ["block"]
    romeo.say("<message to='juliet@localhost' type='chat'><body>x</body></message>")
    assert condition(romeo.hear()[0]) == "service-unavailable"
    juliet.say("<message to='romeo@localhost' type='chat'><body>x</body></message>")
    refusal = juliet.hear()[0]
    assert condition(refusal) == "not-acceptable"
    assert refusal.elements()[-1].find("blocked", "urn:xmpp:blocking:errors") is not None
    assert juliet.ask("<blocklist xmlns='urn:xmpp:blocking'/>").elements()[0].elements() == [
        Element("item", "urn:xmpp:blocking", {"jid": "romeo@localhost"})
    ]
    juliet.ask("<unblock xmlns='urn:xmpp:blocking'/>", type="set")

    assert [stanza.get("type") for stanza in romeo.hear()] == [None]


# Versions of the roster


def roster(peer: Peer, version: str | None = None) -> Element:
    known = "" if version is None else f" ver='{version}'"
    return peer.ask(f"<query xmlns='jabber:iq:roster'{known}/>")


@pytest.mark.spec("RFC 6121 §2.6")
def test_a_client_that_has_the_roster_is_not_sent_it_again(server: XmppServer) -> None:
    romeo = server.log_in("romeo")
    romeo.ask("<query xmlns='jabber:iq:roster'><item jid='juliet@localhost'/></query>", type="set")

    first = roster(romeo, "").elements()[0]
    version = first.get("ver") or ""
    again = roster(romeo, version)

    assert version
    assert [item.get("jid") for item in first.elements()] == ["juliet@localhost"]
    assert (again.get("type"), again.elements()) == ("result", [])  # RFC 6121 §2.6.3
    assert roster(romeo, "another").elements()[0].get("ver") == version
    assert roster(romeo).elements()[0].get("ver") is None


@pytest.mark.spec("RFC 6121 §2.6")
def test_a_change_says_which_version_it_leads_to(server: XmppServer) -> None:
    romeo = server.log_in("romeo")
    roster(romeo, "")

    romeo.ask("<query xmlns='jabber:iq:roster'><item jid='juliet@localhost'/></query>", type="set")

    (push,) = [each for each in romeo.hear() if each.find("query", "jabber:iq:roster") is not None]
    assert roster(romeo, push.elements()[0].get("ver") or "").elements() == []
