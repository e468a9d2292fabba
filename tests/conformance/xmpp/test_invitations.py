"""XEP-0401, XEP-0445, XEP-0379: invitations by a link, to an account, to be a contact, or to both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conformance.xmpp.test_commands import command_of, filled, send
from tests.conformance.xmpp.test_im import condition
from tests.support.login import Caller, identity, stream_error
from tests.support.xmpp import Peer, XmppServer
from tests.unit.gateway.website import website
from tests.unit.net.harness import run

from sabir.core.errors import Refusal
from sabir.core.model.actor import AccountState
from sabir.core.policy import PolicyConfig
from sabir.core.services.vouchers import MAX_GIVEN
from sabir.protocols.xmpp.welcome import pages
from sabir.storage.sqlite.connections import FILE_NAME
from sabir.wire.xml import Element, parse

INVITE = "urn:xmpp:invite#invite"
CREATE = "urn:xmpp:invite#create-account"
ITEMS = "http://jabber.org/protocol/disco#items"
COMMANDS = "http://jabber.org/protocol/commands"
DAY_MS = 24 * 60 * 60 * 1000


@pytest.fixture
def server(tmp_path: Path) -> Iterator[XmppServer]:
    """A server on which romeo, a member, may invite to accounts too, as may the operator."""
    server = XmppServer(tmp_path, policy=PolicyConfig(members_invite=True), operators=frozenset({"bard"}))
    server.add("bard", "romeo", "juliet")
    yield server
    server.close()


def told(answer: Element) -> dict[str, str]:
    """Return what a command for an invitation answers."""
    form = command_of(answer).find("x", "jabber:x:data")
    assert form is not None, answer.serialise()
    return {field.get("var") or "": field.child_text("value") or "" for field in form.find_all("field")}


def secret_in(uri: str) -> str:
    return uri.partition("preauth=")[2].partition(";")[0]


def invited(server: XmppServer, name: str = "romeo") -> tuple[Peer, str]:
    """Return somebody who invites, and the secret of the invitation."""
    peer = server.log_in(name)
    return peer, secret_in(told(send(peer, INVITE))["uri"])


def account_invitation(server: XmppServer, **fields: str) -> tuple[Peer, dict[str, str]]:
    """Return the operator, and an invitation to an account."""
    bard = server.log_in("bard")
    begun = command_of(send(bard, CREATE))
    values = {key.replace("_", "-"): [value] for key, value in fields.items()}
    return bard, told(send(bard, CREATE, filled(**values), sessionid=begun.get("sessionid") or ""))


def operators_invitation(server: XmppServer, **options: object) -> str:
    """Return the secret of an invitation by the operator of the server."""
    given: list[str] = []
    server.services.vouchers.give(
        None,
        lambda secret, voucher: given.append(secret),
        _fail,
        registers=True,
        befriends=False,
        **options,  # type: ignore[arg-type]  # the test's word
    )
    server.loop.run()
    return given[0]


def preauth(secret: str) -> str:
    return f"<iq type='set' id='pa' to='localhost'><preauth xmlns='urn:xmpp:pars:0' token='{secret}'/></iq>"


def registration(name: str, password: str = "pw") -> str:
    query = f"<username>{name}</username><password>{password}</password>"
    return f"<iq type='set' id='reg'><query xmlns='jabber:iq:register'>{query}</query></iq>"


def register(server: XmppServer, secret: str, name: str) -> Element:
    """Make an account by an invitation, and return the last answer."""
    caller = Caller(server)
    (shown,) = caller.say(preauth(secret))
    assert shown.get("type") == "result", shown.serialise()
    (answer,) = caller.say(registration(name))
    return answer


def contacts(peer: Peer) -> dict[str, str]:
    answer = peer.ask("<query xmlns='jabber:iq:roster'/>")
    return {
        item.get("jid") or "": item.get("subscription") or ""
        for item in answer.elements()[0].find_all("item")
    }


# Making one


@pytest.mark.spec("XEP-0401 §3")
def test_the_commands_are_listed_for_those_who_may_use_them(server: XmppServer) -> None:
    bard = server.log_in("bard")

    listed = bard.ask(f"<query xmlns='{ITEMS}' node='{COMMANDS}'/>", to="localhost").elements()[0].elements()

    assert {INVITE, CREATE} <= {item.get("node") for item in listed}


@pytest.mark.spec("XEP-0401 §5.1")
def test_a_member_is_given_a_link_at_once(server: XmppServer) -> None:
    romeo = server.log_in("romeo")

    fields = told(send(romeo, INVITE))

    secret = secret_in(fields["uri"])
    assert fields["uri"] == f"xmpp:romeo@localhost?roster;preauth={secret};ibr=y"
    assert secret.isalnum()
    assert len(secret) == 32
    assert fields["landing-url"] == f"https://chat.example.org/invite/{secret}"
    assert fields["expire"].endswith("Z")
    assert fields["FORM_TYPE"] == "urn:xmpp:invite#invitation"


@pytest.mark.spec("XEP-0401 §5.1")
def test_where_members_may_not_give_accounts_they_invite_contacts_only(tmp_path: Path) -> None:
    server = XmppServer(tmp_path)
    server.add("romeo")
    romeo, secret = invited(server)

    refused = send(romeo, CREATE)

    assert condition(refused) == "forbidden"
    assert "ibr=y" not in told(send(romeo, INVITE))["uri"]
    (answer,) = Caller(server).say(preauth(secret))
    assert condition(answer) == "item-not-found"
    server.close()


@pytest.mark.spec("XEP-0401 §5.4")
def test_an_account_is_kept_for_a_guest_under_its_name(server: XmppServer) -> None:
    _, fields = account_invitation(server, username="mercutio")

    assert fields["uri"] == f"xmpp:mercutio@localhost?register;preauth={secret_in(fields['uri'])}"
    assert server.services.accounts.find("mercutio") is None  # XEP-0401 §6.2: not before it is registered
    taken: list[Refusal] = []
    server.services.accounts.create("mercutio", "pw", lambda account: None, taken.append)
    server.loop.run()
    assert taken == [Refusal.ACCOUNT_EXISTS]  # XEP-0401 §6.2: the name is reserved


@pytest.mark.spec("XEP-0401 §6.2")
def test_a_name_is_kept_no_longer_than_the_invitation_is_good(server: XmppServer) -> None:
    operators_invitation(server, name="mercutio", days=1)
    server.loop.advance(DAY_MS)
    again = operators_invitation(server, name="mercutio")
    made: list[object] = []

    server.services.accounts.create("mercutio", "pw", made.append, made.append)
    server.loop.run()

    assert made == [Refusal.ACCOUNT_EXISTS]
    assert register(server, again, "mercutio").get("type") == "result"


@pytest.mark.spec("XEP-0401 §5.4")
def test_without_a_name_the_guest_chooses(server: XmppServer) -> None:
    _, fields = account_invitation(server)

    assert fields["uri"].startswith("xmpp:localhost?register;preauth=")
    assert register(server, secret_in(fields["uri"]), "benvolio").get("type") == "result"


@pytest.mark.parametrize("name", ["romeo", "admin", "no good", "x" * 40])
def test_a_name_that_nobody_could_have_is_refused(server: XmppServer, name: str) -> None:
    bard = server.log_in("bard")
    begun = command_of(send(bard, CREATE))

    answer = send(bard, CREATE, filled(username=[name]), sessionid=begun.get("sessionid") or "")

    assert answer.get("type") == "error"


def test_one_can_only_invite_so_many(server: XmppServer) -> None:
    romeo = server.log_in("romeo")
    for _ in range(MAX_GIVEN):
        assert told(send(romeo, INVITE))

    assert condition(send(romeo, INVITE)) == "resource-constraint"


# Making an account by one


@pytest.mark.spec("XEP-0445 §3")
def test_streams_say_that_invitations_are_taken(server: XmppServer) -> None:
    features = Caller(server).features

    assert features.find("register", "urn:xmpp:ibr-token:0") is not None
    assert features.find("register", "http://jabber.org/features/iq-register") is None


@pytest.mark.spec("XEP-0445 §4")
def test_a_guest_shows_the_invitation_and_makes_an_account(server: XmppServer) -> None:
    secret = operators_invitation(server, name="mercutio")
    caller = Caller(server)

    (shown,) = caller.say(preauth(secret))
    (form,) = caller.say("<iq type='get' id='f'><query xmlns='jabber:iq:register'/></iq>")
    (other,) = caller.say(registration("tybalt"))
    (made,) = caller.say(registration("mercutio"))
    success, _ = caller.log_in("mercutio", password="pw")

    assert (shown.get("type"), made.get("type")) == ("result", "result")
    assert form.elements()[0].child_text("username", "jabber:iq:register") == "mercutio"
    assert other.get("type") == "error"  # XEP-0445 §5: no other name
    assert identity(success) == "mercutio@localhost"


@pytest.mark.spec("XEP-0445 §4")
def test_an_invitation_is_used_by_a_registration_that_succeeds_and_by_nothing_else(
    server: XmppServer,
) -> None:
    secret = operators_invitation(server)

    assert register(server, secret, "romeo").get("type") == "error"  # that name is taken
    late = Caller(server)
    late.say(preauth(secret))
    assert register(server, secret, "benvolio").get("type") == "result"

    assert condition(Caller(server).say(preauth(secret))[0]) == "item-not-found"
    assert late.say(registration("tybalt"))[0].get("type") == "error"
    assert server.services.accounts.find("tybalt") is None


def test_an_invitation_for_many_is_good_so_often(server: XmppServer) -> None:
    secret = operators_invitation(server, uses=2)

    for name in ("benvolio", "balthasar"):
        assert register(server, secret, name).get("type") == "result"
    assert condition(Caller(server).say(preauth(secret))[0]) == "item-not-found"


@pytest.mark.spec("XEP-0445 §4")
def test_its_time_is_looked_at_when_it_is_shown_and_not_later(server: XmppServer) -> None:
    secret = operators_invitation(server, days=1)
    caller = Caller(server)
    caller.say(preauth(secret))
    server.loop.advance(DAY_MS)

    assert condition(Caller(server).say(preauth(secret))[0]) == "item-not-found"
    assert caller.say(registration("benvolio"))[0].get("type") == "result"


@pytest.mark.parametrize("secret", ["", "guess", "a" * 32, "\u0130"])
def test_a_guess_is_refused(server: XmppServer, secret: str) -> None:
    caller = Caller(server)

    (answer,) = caller.say(preauth(secret))

    assert condition(answer) == "item-not-found"
    assert stream_error(caller.say(registration("eve"))) == "not-authorized"


def test_the_invitations_of_a_disabled_account_are_good_for_nothing(server: XmppServer) -> None:
    _, secret = invited(server)
    romeo = server.services.accounts.find("romeo")
    assert romeo is not None

    server.services.accounts.set_state(romeo, AccountState.DISABLED, lambda: None, _fail)
    server.loop.run()

    assert condition(Caller(server).say(preauth(secret))[0]) == "item-not-found"


def test_an_invitation_outlives_the_server_and_the_store_does_not_hold_it(tmp_path: Path) -> None:
    server = XmppServer(tmp_path)
    secret = operators_invitation(server, name="mercutio")
    server.close()
    held = b"".join(path.read_bytes() for path in tmp_path.glob(f"{FILE_NAME}*"))
    server = XmppServer(tmp_path)

    assert secret.encode() not in held
    assert register(server, secret, "mercutio").get("type") == "result"
    server.close()


# Becoming a contact by one


@pytest.mark.spec("XEP-0401 §5.5")
def test_who_registers_by_a_contacts_invitation_is_a_contact_and_the_inviter_is_told_at_once(
    server: XmppServer,
) -> None:
    romeo, secret = invited(server)
    contacts(romeo)
    romeo.hear()

    register(server, secret, "benvolio")

    (push,) = [each for each in romeo.hear() if each.find("query", "jabber:iq:roster") is not None]
    (item,) = push.elements()[0].elements()
    assert (item.get("jid"), item.get("subscription")) == ("benvolio@localhost", "both")
    caller = Caller(server)
    caller.log_in("benvolio", "<bind xmlns='urn:xmpp:bind:0'/>", password="pw")
    (answer,) = caller.say("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>")
    assert 'jid="romeo@localhost" subscription="both"' in answer.serialise().replace("'", '"')


@pytest.mark.spec("XEP-0401 §5.4")
def test_an_account_may_come_with_its_inviter_as_a_contact(server: XmppServer) -> None:
    bard, fields = account_invitation(server, username="mercutio", roster_subscription="1")
    assert fields["uri"].startswith("xmpp:mercutio@localhost?register;")

    register(server, secret_in(fields["uri"]), "mercutio")

    assert contacts(bard) == {"mercutio@localhost": "both"}


def subscribe(secret: str) -> str:
    return (
        "<presence to='romeo@localhost' type='subscribe'>"
        f"<preauth xmlns='urn:xmpp:pars:0' token='{secret}'/></presence>"
    )


@pytest.mark.spec("XEP-0379 §3.5")
@pytest.mark.spec("XEP-0379 §3.6")
def test_a_subscription_that_was_invited_is_agreed_to_without_a_question(server: XmppServer) -> None:
    romeo, secret = invited(server)
    juliet = server.log_in("juliet")
    contacts(romeo)
    romeo.hear()

    juliet.say(subscribe(secret), "<presence to='romeo@localhost' type='subscribed'/>")

    assert contacts(juliet) == {"romeo@localhost": "both"}
    assert contacts(romeo) == {"juliet@localhost": "both"}
    assert [each for each in romeo.hear() if each.get("type") == "subscribe"] == []


@pytest.mark.spec("XEP-0379 §3.6")
def test_who_did_not_agree_beforehand_is_asked_back(server: XmppServer) -> None:
    _, secret = invited(server)
    juliet = server.log_in("juliet")

    juliet.say(subscribe(secret))

    (question,) = [each for each in juliet.hear() if each.get("type") == "subscribe"]
    assert question.get("from") == "romeo@localhost"
    assert contacts(juliet) == {"romeo@localhost": "to"}


@pytest.mark.spec("XEP-0379 §4.1")
def test_what_is_no_invitation_is_an_ordinary_question(server: XmppServer) -> None:
    romeo, secret = invited(server)
    juliet, bard = server.log_in("juliet"), server.log_in("bard")
    theirs = secret_in(told(send(bard, INVITE))["uri"])
    juliet.say(subscribe(secret))
    romeo.hear()

    for wrong in ("guess", secret, theirs):  # unknown, used, another's
        bard.say(subscribe(wrong))
        assert [each for each in romeo.hear() if each.get("type") == "subscribe"] != []
        bard.say("<presence to='romeo@localhost' type='unsubscribe'/>")
    assert "bard@localhost" not in {
        jid for jid, subscription in contacts(romeo).items() if subscription in ("from", "both")
    }


# The page


def opened(server: XmppServer, secret: str) -> tuple[str, str]:
    """Return head and body of the page for an invitation."""
    answers: list[str] = []

    async def main() -> None:
        async with website(*pages(server.services.vouchers, "localhost")) as site:
            asked = f"GET /invite/{secret} HTTP/1.1\nHost: localhost\nConnection: close\n\n"
            answers.append(await site.ask(asked))

    run(main())
    head, _, body = answers[0].partition("\r\n\r\n")
    return head, body


@pytest.mark.spec("XEP-0401 §5.2")
@pytest.mark.spec("XEP-0379 §3.3")
def test_the_page_says_who_invites_and_has_the_link_and_clients(server: XmppServer) -> None:
    _, secret = invited(server)

    head, body = opened(server, secret)

    assert "200 OK" in head
    assert "romeo has invited you" in body
    assert f'href="xmpp:romeo@localhost?roster;preauth={secret};ibr=y"' in body
    assert "<svg " in body
    assert "Conversations" in body


def test_the_page_runs_nothing_loads_nothing_and_is_kept_nowhere(server: XmppServer) -> None:
    head, body = opened(server, operators_invitation(server))

    assert "Content-Security-Policy: default-src 'none'; style-src 'sha256-" in head
    assert "frame-ancestors 'none'" in head
    assert "Referrer-Policy: no-referrer" in head
    assert "Cache-Control: no-store" in head
    assert "<script" not in body
    assert " style=" not in body
    assert " src=" not in body


@pytest.mark.parametrize("secret", ["guess", "%3Cscript%3E", "a" * 500])
def test_the_page_of_no_invitation_says_so(server: XmppServer, secret: str) -> None:
    head, body = opened(server, secret)

    assert "404 Not Found" in head
    assert "not valid any more" in body
    assert "guess" not in body
    assert "<script" not in body


def test_the_page_is_well_formed(server: XmppServer) -> None:
    _, body = opened(server, operators_invitation(server, name="mercutio"))

    main = body[body.index("<main>") : body.index("</main>") + len("</main>")]
    assert parse(main.encode()).name == "main"
    assert "mercutio@localhost" in main


def _fail(refusal: Refusal) -> None:
    raise AssertionError(refusal)


def test_a_members_invitation_makes_nobody_an_operator_but_one_of_the_servers_does(tmp_path: Path) -> None:
    server = XmppServer(tmp_path, policy=PolicyConfig(members_invite=True), operators=frozenset({"bard"}))
    server.add("romeo")
    _, secret = invited(server)

    assert condition(register(server, secret, "bard")) == "conflict"
    assert server.services.accounts.find("bard") is None
    assert register(server, operators_invitation(server, name="bard"), "bard").get("type") == "result"
    server.close()
