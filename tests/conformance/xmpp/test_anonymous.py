"""Logging in without an account (RFC 4505, XEP-0175): what such a person can do, and what is left of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conformance.xmpp.test_im import condition as stanza_condition
from tests.support.login import SASL2, Caller, agent, authenticate, bind, condition, identity
from tests.support.xmpp import OPENING, XmppServer

from sabir.core.model.actor import AccountState
from sabir.core.policy import PolicyConfig
from sabir.net.config import LimitsConfig
from sabir.protocols.xmpp.config import XmppConfig
from sabir.wire.sasl.anonymous import AnonymousServer
from sabir.wire.sasl.types import Challenge, Failure, Reason, Success
from sabir.wire.xml import Element

CONFIG = XmppConfig(require_tls=False, anonymous=True)
SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
SM = "urn:xmpp:sm:3"
MUC = "http://jabber.org/protocol/muc"
ROOM = "cove@rooms.localhost"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[XmppServer]:
    server = XmppServer(tmp_path, CONFIG)
    server.add("juliet")
    yield server
    server.close()


def arrived(server: XmppServer, inside: str = "") -> Caller:
    """Return somebody who has logged in without a name, and is available."""
    caller = Caller(server)
    success, _ = caller.say(authenticate("ANONYMOUS", "", agent() + bind(inside)))
    caller.jid = identity(success)  # type: ignore[attr-defined]  # kept for the tests
    caller.say("<presence/>")
    return caller


def address(caller: Caller) -> str:
    return str(caller.jid)  # type: ignore[attr-defined]  # `arrived` put it there


def asked(caller: Caller, payload: str, type: str = "get", to: str = "") -> Element:
    where = f" to='{to}'" if to else ""
    (answer,) = [
        each for each in caller.say(f"<iq type='{type}' id='q'{where}>{payload}</iq>") if each.name == "iq"
    ]
    return answer


def guests(server: XmppServer) -> list[str]:
    return [
        account.name
        for account in server.services.directory.accounts.values()
        if account.state is AccountState.TEMPORARY
    ]


@pytest.mark.spec("RFC 4505 §2")
def test_the_mechanism_asks_for_a_trace_and_takes_any_up_to_its_limit() -> None:
    assert AnonymousServer(lambda: "x").start(None) == Challenge(b"")
    assert AnonymousServer(lambda: "x").respond(b"sirhc") == Success(b"", "x", "")
    assert AnonymousServer(lambda: "x").respond(b"a" * 1021) == Failure(Reason.MALFORMED)
    assert AnonymousServer(lambda: None).start(b"") == Failure(Reason.UNAVAILABLE)


@pytest.mark.spec("XEP-0175 §2")
def test_nobody_comes_without_a_name_unless_the_server_wants_that(tmp_path: Path) -> None:
    server = XmppServer(tmp_path)
    caller = Caller(server)
    assert "ANONYMOUS" not in caller.features.serialise()
    assert condition(caller.say(authenticate("ANONYMOUS", "", bind()))[0]) == "invalid-mechanism"
    server.close()


@pytest.mark.spec("XEP-0175 §2")
def test_each_gets_an_address_that_nobody_can_guess(server: XmppServer) -> None:
    first, second = arrived(server), arrived(server)
    names = {address(first).partition("@")[0], address(second).partition("@")[0]}
    assert len(names) == 2
    assert all(name.startswith("guest_") and len(name) > 20 for name in names)


@pytest.mark.spec("XEP-0175 §2")
def test_the_login_of_rfc_6120_works_too(server: XmppServer) -> None:
    caller = Caller(server)
    (success,) = caller.say(f"<auth xmlns='{SASL}' mechanism='ANONYMOUS'>c2lyaGM=</auth>")
    assert success.name == "success"
    caller._decoder.restart()
    caller.say(OPENING.decode())
    (bound,) = caller.say(
        "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>tab</resource></bind></iq>"
    )
    jid = bound.elements()[0].child_text("jid") or ""
    assert jid.startswith("guest_")
    assert jid.endswith("@localhost/tab")


@pytest.mark.spec("XEP-0175 §3")
def test_they_are_in_rooms_and_talk_with_people_here(server: XmppServer) -> None:
    juliet = server.log_in("juliet")
    juliet.say(f"<presence to='{ROOM}/juliet'><x xmlns='{MUC}'/></presence>")
    caller = arrived(server)
    caller.say(f"<presence to='{ROOM}/stranger'><x xmlns='{MUC}'/></presence>")
    caller.say(f"<message type='groupchat' to='{ROOM}' id='g1'><body>hello, room</body></message>")
    caller.say("<message type='chat' to='juliet@localhost' id='c1'><body>hello, you</body></message>")
    heard = [each.child_text("body") for each in juliet.hear() if each.name == "message"]
    assert {"hello, room", "hello, you"} <= set(heard)
    juliet.say(f"<message type='chat' to='{address(caller)}' id='c2'><body>welcome</body></message>")
    assert "welcome" in [each.child_text("body") for each in caller.hear()]


@pytest.mark.spec("XEP-0175 §3")
@pytest.mark.parametrize(
    ("type", "to", "payload"),
    [
        ("set", "", "<query xmlns='jabber:iq:roster'><item jid='juliet@localhost'/></query>"),
        ("set", "", "<query xmlns='urn:xmpp:mam:2'/>"),
        ("get", "", "<metadata xmlns='urn:xmpp:mam:2'/>"),
        (
            "set",
            "",
            "<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='x'><item><a xmlns='a'/></item>"
            "</publish></pubsub>",
        ),
        ("set", "", "<enable xmlns='urn:xmpp:push:0' jid='push.localhost' node='n'/>"),
        ("get", "upload.localhost", "<request xmlns='urn:xmpp:http:upload:0' filename='a' size='1'/>"),
        ("set", "", "<vCard xmlns='vcard-temp'><FN>x</FN></vCard>"),
        ("set", "", "<query xmlns='jabber:iq:register'><remove/></query>"),
        ("set", "", "<query xmlns='jabber:iq:private'><x xmlns='x'/></query>"),
        ("get", "", "<blocklist xmlns='urn:xmpp:blocking'/>"),
        ("get", "example.org", "<ping xmlns='urn:xmpp:ping'/>"),
    ],
)
def test_they_keep_nothing_and_reach_no_other_server(
    server: XmppServer, type: str, to: str, payload: str
) -> None:
    assert stanza_condition(asked(arrived(server), payload, type, to)) == "not-allowed"


@pytest.mark.spec("XEP-0175 §3")
@pytest.mark.parametrize(
    "stanza",
    [
        "<presence type='subscribe' to='juliet@localhost'/>",
        "<presence to='room@rooms.example.org/nick'/>",
        "<message type='chat' to='romeo@example.org'><body>x</body></message>",
    ],
)
def test_they_have_no_contacts_and_write_to_no_other_server(server: XmppServer, stanza: str) -> None:
    (answer,) = arrived(server).say(stanza)
    assert stanza_condition(answer) == "not-allowed"


@pytest.mark.spec("XEP-0175 §3")
def test_their_roster_is_empty_and_a_room_is_not_made_for_them(server: XmppServer) -> None:
    caller = arrived(server)
    assert asked(caller, "<query xmlns='jabber:iq:roster'/>").elements()[0].elements() == []
    heard = caller.say(f"<presence to='{ROOM}/stranger'><x xmlns='{MUC}'/></presence>")
    assert heard[0].get("type") == "error"


def test_of_one_who_said_nothing_nothing_is_left(server: XmppServer) -> None:
    before = len(server.services.directory.actors), len(server.services.directory.accounts)
    caller = arrived(server)
    caller.say(
        "<message type='chat' to='juliet@localhost'><composing xmlns='http://jabber.org/protocol/chatstates'/>"
        "</message>"
    )
    caller.drop()
    server.loop.run()
    directory = server.services.directory
    assert (len(directory.actors), len(directory.accounts)) == before
    assert directory.directs == {}
    assert all(row.state != "temporary" for row in server.opened.store.load().accounts)


def test_one_who_logged_in_and_never_bound_a_resource_is_forgotten(server: XmppServer) -> None:
    caller = Caller(server)
    caller.say(f"<auth xmlns='{SASL}' mechanism='ANONYMOUS'/>")
    caller.say(f"<response xmlns='{SASL}'/>")
    assert len(guests(server)) == 1
    caller.drop()
    server.loop.run()
    assert guests(server) == []


def test_what_one_said_stays_and_its_account_ends_with_the_session(server: XmppServer) -> None:
    juliet = server.log_in("juliet")
    caller = arrived(server)
    name = address(caller).partition("@")[0]
    caller.say("<message type='chat' to='juliet@localhost' id='c1'><body>hello</body></message>")
    caller.drop()
    juliet.hear()
    account = server.services.directory.accounts_by_name[name]
    assert account.state is AccountState.DELETED
    juliet.say(f"<message type='chat' to='{name}@localhost' id='c2'><body>gone?</body></message>")
    (answer,) = juliet.hear()
    assert stanza_condition(answer) == "service-unavailable"
    juliet.ask("<query xmlns='urn:xmpp:mam:2'/>", type="set")
    assert "hello" in "".join([each.serialise() for each in juliet.hear()])


def test_one_who_was_written_to_first_is_in_the_store_like_any_other(server: XmppServer) -> None:
    juliet = server.log_in("juliet")
    caller = arrived(server)
    name = address(caller).partition("@")[0]
    juliet.say(f"<message type='chat' to='{name}@localhost' id='c1'><body>who are you?</body></message>")
    stored = {row.name: row.state for row in server.opened.store.load().accounts}
    assert stored[name] == "temporary"
    caller.drop()
    stored = {row.name: row.state for row in server.opened.store.load().accounts}
    assert stored[name] == "deleted"


def test_after_a_crash_their_accounts_end_as_the_server_starts(tmp_path: Path) -> None:
    server = XmppServer(tmp_path, CONFIG)
    server.add("juliet")
    caller = arrived(server)
    caller.say("<message type='chat' to='juliet@localhost' id='c1'><body>hello</body></message>")
    name = address(caller).partition("@")[0]
    server.close()
    again = XmppServer(tmp_path, CONFIG)
    again.loop.run()
    assert again.services.accounts.find(name) is None
    assert {row.name: row.state for row in again.opened.store.load().accounts}[name] == "deleted"
    again.close()


@pytest.mark.spec("XEP-0198 §5")
def test_one_whose_connection_breaks_comes_back_as_the_same(server: XmppServer) -> None:
    caller = arrived(server, f"<enable xmlns='{SM}' resume='true'/>")
    jid = address(caller)
    (client,) = server.front_end._hub.resumable.values()
    token = client.management.token if client.management else ""
    caller.drop()
    assert guests(server) == [jid.partition("@")[0]]
    back = Caller(server)
    resume = f"<resume xmlns='{SM}' previd='{token}' h='1'/>"
    success, *_ = back.say(authenticate("ANONYMOUS", "", agent() + bind() + resume))
    assert identity(success) == jid
    assert success.find("resumed", SM) is not None
    assert guests(server) == [jid.partition("@")[0]]
    back.say("</stream:stream>")
    assert guests(server) == []


@pytest.mark.spec("XEP-0198 §5")
def test_one_who_does_not_come_back_in_time_is_gone(server: XmppServer) -> None:
    caller = arrived(server, f"<enable xmlns='{SM}' resume='true'/>")
    caller.drop()
    assert len(guests(server)) == 1
    server.loop.advance(CONFIG.resume_s * 1000 + 1)
    assert guests(server) == []


def test_somebody_with_a_password_cannot_take_over_their_session_nor_they_one_of_an_account(
    server: XmppServer,
) -> None:
    juliet = Caller(server)
    juliet.log_in("juliet", agent() + bind(f"<enable xmlns='{SM}' resume='true'/>"))
    (client,) = server.front_end._hub.resumable.values()
    token = client.management.token if client.management else ""
    caller = Caller(server)
    resume = f"<resume xmlns='{SM}' previd='{token}' h='0'/>"
    success, *_ = caller.say(authenticate("ANONYMOUS", "", agent() + bind() + resume))
    assert success.find("resumed", SM) is None
    assert identity(success).startswith("guest_")


def test_there_are_only_so_many_of_one_address(tmp_path: Path) -> None:
    server = XmppServer(tmp_path, CONFIG, PolicyConfig(max_temporary_per_peer=2))
    first = arrived(server)
    arrived(server)
    refused = Caller(server).say(authenticate("ANONYMOUS", "", bind()))[0]
    assert condition(refused) == "temporary-auth-failure"
    first.drop()
    arrived(server)
    server.close()


def test_they_come_only_so_fast(tmp_path: Path) -> None:
    server = XmppServer(tmp_path, CONFIG, limits=LimitsConfig(temporary_per_minute_per_peer=1))
    arrived(server)
    refused = Caller(server).say(authenticate("ANONYMOUS", "", bind()))[0]
    assert (refused.namespace, condition(refused)) == (SASL2, "temporary-auth-failure")
    server.close()
