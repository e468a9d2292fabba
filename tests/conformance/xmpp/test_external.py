"""SASL EXTERNAL (RFC 6120 §6.3.4, XEP-0178) and the list of one's certificates (XEP-0257)."""

from __future__ import annotations

import base64
import datetime
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from tests.conformance.xmpp.test_im import condition as stanza_condition
from tests.support.login import (
    PHONE,
    SASL2,
    Caller,
    agent,
    authenticate,
    bind,
    condition,
    encoded,
    identity,
    stream_error,
)
from tests.support.loop import START_MS
from tests.support.xmpp import OPENING, XmppServer

from sabir.core.errors import Refusal
from sabir.net.tls import make_self_signed
from sabir.protocols.xmpp.config import XmppConfig
from sabir.protocols.xmpp.machine.sasl2 import UPGRADE
from sabir.wire.sasl.credentials import make_verifier, to_bytes
from sabir.wire.xml import Element

SASLCERT = "urn:xmpp:saslcert:1"
NOW = datetime.datetime.fromtimestamp(START_MS / 1000, datetime.UTC)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[XmppServer]:
    server = XmppServer(tmp_path, XmppConfig(require_tls=False, client_certificates=True))
    server.add("romeo", "juliet")
    yield server
    server.close()


def certificate(name: str = "romeo", now: datetime.datetime = NOW) -> bytes:
    """Return a certificate that nobody else has signed (DER)."""
    pem, _ = make_self_signed(name, now)
    return x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.DER)


def appended(name: str, der: bytes, more: str = "") -> str:
    return f"<append xmlns='{SASLCERT}'><name>{name}</name>{more}<x509cert>{encoded(der)}</x509cert></append>"


def asked(caller: Caller, payload: str, type: str = "set") -> Element:
    """Return the answer to a request."""
    heard = caller.say(f"<iq type='{type}' id='c'>{payload}</iq>")
    (answer,) = [each for each in heard if each.get("id") == "c"]
    return answer


def logged_in(server: XmppServer, name: str = "romeo") -> Caller:
    """Return somebody who has logged in with the password."""
    caller = Caller(server)
    caller.log_in(name, bind())
    return caller


def calling(server: XmppServer, der: bytes, sender: str = "romeo@localhost") -> Caller:
    """Return somebody who shows a certificate."""
    opening = OPENING.replace(b" to=", f" from='{sender}' to=".encode()) if sender else OPENING
    return Caller(server, opening=opening, certificate=der)


def external(authzid: str = "", inside: str = "") -> str:
    return authenticate("EXTERNAL", encoded(authzid.encode()), inside or bind())


def offered(caller: Caller) -> list[str]:
    authentication = caller.features.find("authentication", SASL2)
    assert authentication is not None
    return [each.text() for each in authentication.find_all("mechanism", SASL2)]


@pytest.mark.spec("RFC 6120 §6.3.4")
@pytest.mark.spec("XEP-0178 §2")
@pytest.mark.parametrize("authzid", ["", "romeo@localhost"])
def test_a_client_logs_in_with_a_certificate_of_its_account(server: XmppServer, authzid: str) -> None:
    der = certificate()
    assert asked(logged_in(server), appended("Phone", der)).get("type") == "result"

    caller = calling(server, der)
    success, _ = caller.say(external(authzid))

    assert offered(caller)[0] == "EXTERNAL"
    assert identity(success).startswith("romeo@localhost/")


@pytest.mark.spec("XEP-0178 §2")
def test_it_is_offered_to_those_only_who_can_use_it(server: XmppServer) -> None:
    der = certificate()
    asked(logged_in(server), appended("Phone", der))

    for other in (
        calling(server, certificate()),  # another certificate of the same name
        calling(server, der, "juliet@localhost"),
        calling(server, der, "nobody@localhost"),
        calling(server, der, ""),
        Caller(server),
    ):
        assert "EXTERNAL" not in offered(other)
        assert condition(other.say(external())[0]) == "invalid-mechanism"


def test_nobody_is_let_in_as_another(server: XmppServer) -> None:
    der = certificate()
    asked(logged_in(server), appended("Phone", der))

    for authzid, expected in (
        ("juliet@localhost", "not-authorized"),
        ("nobody@localhost", "not-authorized"),
        ("\0romeo", "malformed-request"),
        ("x" * 2000, "malformed-request"),
    ):
        assert condition(calling(server, der).say(external(authzid))[0]) == expected


@pytest.mark.spec("XEP-0257 §3")
def test_an_expired_certificate_is_good_for_nothing(server: XmppServer) -> None:
    der = certificate(now=NOW - datetime.timedelta(days=800))
    asked(logged_in(server), appended("Old", der))

    assert "EXTERNAL" not in offered(calling(server, der))


# The list


@pytest.mark.spec("XEP-0257 §2.2")
def test_the_list_says_who_is_logged_in_with_what(server: XmppServer) -> None:
    caller, der = logged_in(server), certificate()
    asked(caller, appended("Phone", der))
    success, _ = calling(server, der).say(external())

    (item,) = asked(caller, f"<items xmlns='{SASLCERT}'/>", "get").elements()[0].elements()

    assert item.child_text("name", SASLCERT) == "Phone"
    assert base64.b64decode(item.child_text("x509cert", SASLCERT) or "") == der
    users = item.find("users", SASLCERT)
    assert users is not None
    assert users.child_text("resource", SASLCERT) == identity(success).partition("/")[2]


@pytest.mark.spec("XEP-0257 §2.3")
@pytest.mark.spec("XEP-0257 §2.4")
def test_what_is_removed_is_good_no_longer_and_what_is_revoked_ends_at_once(server: XmppServer) -> None:
    caller, der = logged_in(server), certificate()
    asked(caller, appended("Phone", der))
    phone = calling(server, der)
    phone.say(external())

    asked(caller, f"<disable xmlns='{SASLCERT}'><name>Phone</name></disable>")
    assert "EXTERNAL" not in offered(calling(server, der))
    assert not phone.ended
    asked(caller, appended("Phone", der))
    asked(caller, f"<revoke xmlns='{SASLCERT}'><name>Phone</name></revoke>")

    assert stream_error(phone.hear()) == "reset"  # it has to log in again, and cannot


@pytest.mark.spec("XEP-0257 §2.1")
def test_names_are_unique_and_certificates_are_some(server: XmppServer) -> None:
    caller, der = logged_in(server), certificate()
    asked(caller, appended("Phone", der))

    for payload, expected in (
        (appended("Phone", certificate()), "conflict"),
        (appended("Other", der), "conflict"),
        (appended("", certificate()), "bad-request"),
        (appended("Other", b"no certificate"), "bad-request"),
        (appended("Other", b"x" * 9000), "not-acceptable"),
        (f"<append xmlns='{SASLCERT}'><name>x</name><x509cert>?</x509cert></append>", "bad-request"),
        (f"<revoke xmlns='{SASLCERT}'><name>Unknown</name></revoke>", "item-not-found"),
    ):
        assert stanza_condition(asked(caller, payload)) == expected


@pytest.mark.spec("XEP-0257 §2.1")
@pytest.mark.spec("XEP-0257 §5.2")
def test_a_bot_changes_neither_the_list_nor_the_password(server: XmppServer) -> None:
    der = certificate()
    asked(logged_in(server), appended("Bot", der, "<no-cert-management/>"))
    bot = calling(server, der)
    bot.say(external())

    query = "<query xmlns='jabber:iq:register'><username>romeo</username><password>new</password></query>"
    assert stanza_condition(asked(bot, appended("Mine", certificate()))) == "forbidden"
    assert stanza_condition(asked(bot, query)) == "not-authorized"
    remove = "<query xmlns='jabber:iq:register'><remove/></query>"
    assert stanza_condition(asked(bot, remove)) == "not-authorized"
    assert asked(bot, f"<items xmlns='{SASLCERT}'/>", "get").get("type") == "result"


@pytest.mark.spec("XEP-0257 §5.1")
def test_without_tls_the_list_cannot_be_seen(server: XmppServer) -> None:
    romeo = server.log_in("romeo")

    assert stanza_condition(romeo.ask(f"<items xmlns='{SASLCERT}'/>")) == "not-allowed"


@pytest.mark.spec("XEP-0257 §5.2")
def test_a_certificate_gets_neither_a_token_nor_a_new_password(server: XmppServer) -> None:
    """Both would be good when it is revoked, and may do what it may not."""
    old = to_bytes(make_verifier("pw", "SCRAM-SHA-1", salt=b"an old salt"))
    server.services.accounts.create_with("mercutio", [("SCRAM-SHA-1", old)], lambda account: None, _fail)
    server.loop.run()
    der = certificate("mercutio")
    caller = Caller(server)
    caller.log_in("mercutio", bind(), password="pw")
    asked(caller, appended("Bot", der, "<no-cert-management/>"))
    wanted = (
        "<request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-NONE'/>"
        f"<upgrade xmlns='{UPGRADE}'>UPGR-SCRAM-SHA-256</upgrade>"
    )

    success, *_ = calling(server, der, "mercutio@localhost").say(
        external(inside=agent(PHONE) + bind() + wanted)
    )

    assert identity(success).startswith("mercutio@localhost/")
    assert success.find("token", "urn:xmpp:fast:0") is None


def test_a_password_set_by_an_operator_is_the_only_way_in_and_one_set_by_the_owner_is_not(
    server: XmppServer,
) -> None:
    der = certificate()
    caller = logged_in(server)
    asked(caller, appended("Phone", der))
    romeo = server.services.accounts.find("romeo")
    assert romeo is not None

    server.services.accounts.set_password(romeo, "new", lambda: None, _fail)
    server.loop.run()
    assert identity(calling(server, der).say(external())[0])

    server.services.accounts.reset_password(romeo, "newer", lambda: None, _fail)
    server.loop.run()
    assert condition(calling(server, der).say(external())[0]) == "invalid-mechanism"


def _fail(refusal: Refusal) -> None:
    raise AssertionError(refusal)
