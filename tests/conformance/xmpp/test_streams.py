"""RFC 6120: streams, TLS, login, binding, and what ends a stream."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.xmpp import DOMAIN, OPENING, PASSWORD, Wire, XmppServer, server_in, xml

from sabir.core.model.actor import AccountState
from sabir.net.config import LimitsConfig
from sabir.net.connection import Handler
from sabir.protocols.xmpp.client import ClientStream, Phase
from sabir.protocols.xmpp.config import XmppConfig
from sabir.wire.xml import Element


@pytest.fixture
def server(tmp_path: Path) -> Iterator[XmppServer]:
    yield from server_in(tmp_path, "romeo", "juliet")


class Raw:
    """A connection on which bytes are sent as they are."""

    def __init__(self, server: XmppServer, *, secure: bool = False) -> None:
        self.wire = Wire(next(server.numbers), server.loop, secure=secure)
        self.session: Handler = server.front_end.connect(self.wire, None)  # type: ignore[arg-type]  # stands in
        self._server = server

    def say(self, data: bytes) -> bytes:
        """Send `data` and return what comes back."""
        self.session.receive(data)
        self._server.loop.run()
        return self.wire.taken()


def plain(name: str, password: str = PASSWORD, authzid: str = "") -> bytes:
    text = base64.b64encode(f"{authzid}\0{name}\0{password}".encode())
    return b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" + text + b"</auth>"


def features(answer: bytes) -> Element:
    start = answer.index(b"<stream:features>")
    return xml(answer[start:].decode())


def opening(**attributes: str) -> bytes:
    values = {"to": "localhost", "version": "1.0", "xmlns": "jabber:client",
              "xmlns:stream": "http://etherx.jabber.org/streams"} | attributes  # fmt: skip
    written = "".join([f" {key}='{value}'" for key, value in values.items() if value])
    return f"<stream:stream{written}>".encode()


# Opening


@pytest.mark.spec("RFC 6120 §4.3.2")
@pytest.mark.spec("RFC 6120 §4.7.1")
def test_the_answer_to_an_opening_has_our_domain_an_id_and_features(server: XmppServer) -> None:
    first, second = Raw(server).say(OPENING), Raw(server).say(OPENING)

    assert b" from='localhost'" in first
    assert b" version='1.0'" in first
    assert first != second  # RFC 6120 §4.7.3: the id is unique
    assert features(first).find("mechanisms", "urn:ietf:params:xml:ns:xmpp-sasl") is not None


@pytest.mark.spec("RFC 6120 §4.8.2")
@pytest.mark.spec("RFC 6120 §4.9.3")
@pytest.mark.parametrize(
    ("data", "condition"),
    [
        (opening(to="example.com"), "host-unknown"),
        (opening(to=""), "improper-addressing"),
        (opening(version=""), "unsupported-version"),
        (opening(version="0.9"), "unsupported-version"),
        (opening(xmlns="jabber:server"), "invalid-namespace"),
        (opening(xmlns=""), "invalid-namespace"),
        (opening(**{"xmlns:stream": "urn:x"}), "invalid-namespace"),
        (b"<stream/>", "not-well-formed"),
        (b"GET / HTTP/1.1\r\n\r\n", "not-well-formed"),
        (b"\x16\x03\x01", "not-well-formed"),
        (b"<?xml version='1.0' encoding='UTF-16'?>" + opening(), "unsupported-encoding"),
        (b"<!DOCTYPE x>" + opening(), "restricted-xml"),
        (opening() + b"<message><body>x</body></message>", "not-authorized"),
        (opening() + b"<presence/>", "not-authorized"),
        (opening() + b"<iq type='get' id='1'><query xmlns='jabber:iq:roster'/></iq>", "not-authorized"),
        (opening() + b"<iq type='set' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
         "not-authorized"),
        (opening() + b"<foo/>", "unsupported-stanza-type"),
        (opening() + b"<foo xmlns='urn:x'/>", "unsupported-stanza-type"),
    ],
)  # fmt: skip
def test_a_wrong_beginning_ends_the_stream_with_its_error_after_our_opening(
    server: XmppServer, data: bytes, condition: str
) -> None:
    raw = Raw(server)

    answer = raw.say(data)

    assert answer.startswith(b"<?xml version='1.0'?><stream:stream ")
    assert f"<stream:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>".encode() in answer
    assert answer.endswith(b"</stream:error></stream:stream>")
    assert raw.wire.closing


@pytest.mark.spec("RFC 6120 §11.1")
@pytest.mark.spec("RFC 6120 §11.6")
@pytest.mark.spec("RFC 6120 §13.12")
@pytest.mark.parametrize(
    ("data", "condition"),
    [
        (b"<message><body>&lol;</body></message>", b"restricted-xml"),
        (b"<!DOCTYPE lolz [<!ENTITY lol 'lol'>]>", b"restricted-xml"),
        (b"<message><!-- c --></message>", b"restricted-xml"),
        (b"<?php x?>", b"restricted-xml"),
        (b"<message><body>\xff\xfe</body></message>", b"unsupported-encoding"),
        (b"<message><body>x</message>", b"not-well-formed"),
        (b"<message><body>\x00</body></message>", b"not-well-formed"),
        (b"<a>" * 1000, b"policy-violation"),
        (b"<message><body>" + b"x" * 262_144, b"policy-violation"),
        (b"<message from='juliet@localhost' to='juliet@localhost'><body>x</body></message>", b"invalid-from"),
        (b"<message from='@' to='juliet@localhost'><body>x</body></message>", b"invalid-from"),
        (b"<stanza/>", b"unsupported-stanza-type"),
        (b"some text", b"bad-format"),
    ],
)  # fmt: skip
def test_hostile_xml_ends_that_stream_and_nothing_else(
    server: XmppServer, data: bytes, condition: bytes
) -> None:
    romeo, juliet = server.log_in("romeo"), server.log_in("juliet")

    romeo.session.receive(data)
    answer = romeo.wire.taken()

    assert answer.startswith(b"<stream:error><" + condition)
    assert answer.endswith(b"</stream:stream>")
    assert romeo.wire.closing
    juliet.say("<message to='juliet@localhost' type='chat'><body>fine</body></message>")
    assert [message.child_text("body") for message in juliet.hear()] == ["fine"]


@pytest.mark.spec("RFC 6120 §4.4")
def test_a_closed_stream_is_closed_by_us_too(server: XmppServer) -> None:
    romeo = server.log_in("romeo")

    romeo.session.receive(b"</stream:stream>")

    assert romeo.wire.taken() == b"</stream:stream>"
    assert romeo.wire.closing


@pytest.mark.spec("RFC 6120 §4.9.3.19")
def test_a_server_that_stops_says_so(server: XmppServer) -> None:
    romeo = server.log_in("romeo")

    romeo.session.shutdown()

    assert b"<system-shutdown " in romeo.wire.taken()


@pytest.mark.spec("RFC 6120 §4.6")
def test_a_silent_client_is_pinged_and_then_given_up(server: XmppServer) -> None:
    romeo = server.log_in("romeo")
    romeo.session.receive(b" ")
    deadline = romeo.session.next_deadline_ms()

    romeo.session.tick(deadline)
    assert romeo.wire.taken() == b""
    romeo.session.tick(romeo.session.next_deadline_ms())
    assert b"<ping xmlns='urn:xmpp:ping'/>" in romeo.wire.taken()
    romeo.session.tick(romeo.session.next_deadline_ms())

    assert b"<connection-timeout " in romeo.wire.taken()
    assert romeo.wire.closing


def test_a_login_that_takes_too_long_is_given_up(server: XmppServer) -> None:
    raw = Raw(server)
    raw.say(OPENING)

    raw.session.tick(raw.session.next_deadline_ms())

    assert b"<connection-timeout " in raw.wire.taken()


# TLS


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[XmppServer]:
    folder = tmp_path / "strict"
    folder.mkdir()
    server = XmppServer(folder, XmppConfig(), plain_logins=False)
    server.add("romeo")
    yield server
    server.close()


@pytest.mark.spec("RFC 6120 §5.3.1")
@pytest.mark.spec("RFC 6120 §6.5.4")
def test_nobody_logs_in_before_tls_where_it_is_required(strict: XmppServer) -> None:
    raw = Raw(strict)

    offered = features(raw.say(OPENING))

    tls = offered.find("starttls", "urn:ietf:params:xml:ns:xmpp-tls")
    assert tls is not None
    assert tls.find("required") is not None
    assert offered.find("mechanisms", "urn:ietf:params:xml:ns:xmpp-sasl") is None
    assert b"<encryption-required/>" in raw.say(plain("romeo"))


@pytest.mark.spec("RFC 6120 §5.4.3.3")
@pytest.mark.spec("XEP-0440 §2")
def test_the_stream_begins_anew_under_tls_and_forgets_what_came_before(strict: XmppServer) -> None:
    raw = Raw(strict)
    raw.say(OPENING)

    answer = raw.say(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>" + OPENING + plain("romeo"))
    assert answer == b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
    assert raw.wire.tls_wanted is not None
    raw.wire.secure = True
    raw.wire.tls_wanted()
    offered = features(raw.say(OPENING))

    mechanisms = offered.find("mechanisms", "urn:ietf:params:xml:ns:xmpp-sasl")
    assert mechanisms is not None
    assert [each.text() for each in mechanisms.elements()] == [
        "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN",
    ]  # fmt: skip
    bindings = offered.find("sasl-channel-binding", "urn:xmpp:sasl-cb:0")
    assert bindings is not None
    assert [each.get("type") for each in bindings.elements()] == ["tls-server-end-point"]
    assert offered.find("starttls", "urn:ietf:params:xml:ns:xmpp-tls") is None


@pytest.mark.spec("RFC 6120 §5.4.2.2")
def test_tls_twice_fails(strict: XmppServer) -> None:
    raw = Raw(strict, secure=True)
    raw.say(OPENING)

    answer = raw.say(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")

    assert answer == b"<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>"


# Login


@pytest.mark.spec("RFC 6120 §6.4")
@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256"])
def test_a_client_logs_in_with_each_mechanism(server: XmppServer, mechanism: str) -> None:
    peer = server.connect(ClientStream(DOMAIN, "Romeo", PASSWORD, mechanism=mechanism, resource="r"))

    peer.settle()

    assert peer.jid == "romeo@localhost/r"


def test_a_client_logs_in_with_channel_binding(strict: XmppServer) -> None:
    stream = ClientStream(
        DOMAIN, "romeo", PASSWORD, mechanism="SCRAM-SHA-256-PLUS",
        bindings={"tls-server-end-point": b"hash"},
    )  # fmt: skip
    peer = strict.connect(stream, secure=True)

    peer.settle()

    assert stream.phase is Phase.BOUND, stream.failure


@pytest.mark.spec("RFC 6120 §6.5")
@pytest.mark.parametrize(
    ("data", "condition"),
    [
        (plain("romeo", "wrong"), b"not-authorized"),
        (plain("nobody"), b"not-authorized"),
        (plain("romeo", authzid="juliet@localhost"), b"invalid-authzid"),
        (plain("romeo", authzid="@"), b"invalid-authzid"),
        (b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='X-OAUTH'/>", b"invalid-mechanism"),
        (b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>%%%</auth>", b"incorrect-encoding"),
        (b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>YQ==</auth>", b"malformed-request"),
        (b"<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>", b"malformed-request"),
        (b"<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>", b"aborted"),
    ],
)  # fmt: skip
def test_a_failed_login_says_why_and_may_be_tried_again(
    server: XmppServer, data: bytes, condition: bytes
) -> None:
    raw = Raw(server)
    raw.say(OPENING)

    assert b"<" + condition + b"/>" in raw.say(data)

    assert b"<success " in raw.say(plain("romeo", authzid="romeo@localhost"))


@pytest.mark.spec("RFC 6120 §6.4.5")
def test_the_stream_ends_after_a_few_failed_logins(server: XmppServer) -> None:
    raw = Raw(server)
    raw.say(OPENING)

    answers = [raw.say(plain("romeo", "wrong")) for _ in range(5)]

    assert b"<policy-violation " in answers[-1]
    assert raw.wire.closing


def test_a_disabled_account_cannot_log_in_and_loses_its_streams(server: XmppServer) -> None:
    romeo = server.log_in("romeo")
    account = server.services.accounts.find("romeo")
    assert account is not None

    server.services.accounts.set_state(account, AccountState.DISABLED, lambda: None, lambda refusal: None)
    server.loop.run()

    assert b"<not-authorized " in romeo.wire.taken()
    raw = Raw(server)
    raw.say(OPENING)
    assert b"<not-authorized/>" in raw.say(plain("romeo"))


# Binding


def bind(resource: str) -> bytes:
    inner = f"<resource>{resource}</resource>" if resource else ""
    return (
        f"<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>{inner}</bind></iq>"
    ).encode()


def logged_in(server: XmppServer) -> Raw:
    raw = Raw(server)
    raw.say(OPENING)
    raw.say(plain("romeo"))
    raw.say(OPENING)
    return raw


@pytest.mark.spec("RFC 6120 §7.6")
@pytest.mark.spec("RFC 6120 §7.7")
def test_a_resource_is_bound_as_asked_or_made(server: XmppServer) -> None:
    assert b"<jid>romeo@localhost/balcony</jid>" in logged_in(server).say(bind("balcony"))

    made = [logged_in(server).say(bind("")) for _ in range(2)]

    assert made[0] != made[1]


def test_a_login_is_worth_nothing_once_the_password_is_another(server: XmppServer) -> None:
    raw = logged_in(server)
    account = server.services.accounts.find("romeo")
    assert account is not None
    server.services.accounts.set_password(account, "new", lambda: None, pytest.fail)
    server.loop.run()

    assert b"<not-authorized " in raw.say(bind("balcony"))


@pytest.mark.spec("RFC 6120 §7.6.2")
def test_a_resource_that_is_none_is_refused_and_another_may_be_tried(server: XmppServer) -> None:
    raw = logged_in(server)

    assert b"<jid-malformed " in raw.say(bind("x" * 1024))

    assert b"<jid>romeo@localhost/y</jid>" in raw.say(bind("y"))


@pytest.mark.spec("RFC 6120 §7.7.2.2")
def test_the_newer_client_takes_the_resource(server: XmppServer) -> None:
    older = server.log_in("romeo", "one")

    newer = server.log_in("romeo", "one")

    assert older.stream.failure is not None
    assert [each.name for each in older.stream.failure.elements()] == ["conflict", "text"]
    assert older.wire.closing
    newer.say("<message to='romeo@localhost/one' type='chat'><body>me</body></message>")
    assert [message.child_text("body") for message in newer.hear()] == ["me"]


def test_too_many_clients_of_one_account_are_refused(tmp_path: Path) -> None:
    server = XmppServer(tmp_path, XmppConfig(require_tls=False, max_sessions_per_account=2))
    server.add("romeo")
    first, _ = server.log_in("romeo", "1"), server.log_in("romeo", "2")

    assert b"<resource-constraint " in logged_in(server).say(bind("3"))
    first.drop()
    assert b"<jid>romeo@localhost/4</jid>" in logged_in(server).say(bind("4"))
    server.close()


@pytest.mark.spec("RFC 6120 §4.3.3")
def test_a_client_may_send_everything_at_once(server: XmppServer) -> None:
    raw = Raw(server)

    answer = raw.say(
        OPENING + plain("romeo") + OPENING + bind("r") + b"<presence/>"
        b"<message to='romeo@localhost' type='chat'><body>me</body></message>"
    )

    assert b"<jid>romeo@localhost/r</jid>" in answer
    assert b"<body>me</body>" in answer


@pytest.mark.spec("RFC 3921 §3")
@pytest.mark.spec("XEP-0199 §4")
def test_what_every_client_asks_first_is_answered(server: XmppServer) -> None:
    romeo = server.log_in("romeo")

    for payload, kind, to in (
        ("<session xmlns='urn:ietf:params:xml:ns:xmpp-session'/>", "set", ""),
        ("<ping xmlns='urn:xmpp:ping'/>", "get", ""),
        ("<ping xmlns='urn:xmpp:ping'/>", "get", "localhost"),
        ("<ping xmlns='urn:xmpp:ping'/>", "get", "romeo@localhost"),
    ):
        assert romeo.ask(payload, type=kind, to=to).get("type") == "result"


@pytest.mark.spec("XEP-0054 §3")
@pytest.mark.spec("XEP-0092 §3")
def test_cards_and_versions_are_told(server: XmppServer) -> None:
    romeo, juliet = server.log_in("romeo"), server.log_in("juliet")
    card = "<vCard xmlns='vcard-temp'><FN>Romeo</FN></vCard>"

    assert juliet.ask("<vCard xmlns='vcard-temp'/>", to="romeo@localhost").get("type") == "error"
    assert romeo.ask("<vCard xmlns='vcard-temp'/>").elements() == [xml("<vCard xmlns='vcard-temp'/>")]
    assert romeo.ask(card, type="set").get("type") == "result"
    assert juliet.ask(card, type="set", to="romeo@localhost").get("type") == "error"

    assert juliet.ask("<vCard xmlns='vcard-temp'/>", to="romeo@localhost").elements() == [xml(card)]
    version = romeo.ask("<query xmlns='jabber:iq:version'/>", to="localhost").elements()[0]
    assert version.child_text("version") == "1.2.3"


@pytest.mark.spec("XEP-0030 §3")
def test_the_server_and_accounts_say_what_they_can(server: XmppServer) -> None:
    romeo = server.log_in("romeo")
    info = "<query xmlns='http://jabber.org/protocol/disco#info'/>"

    own, ours = romeo.ask(info), romeo.ask(info, to="localhost")

    assert [each.get("category") for each in own.elements()[0].find_all("identity")] == ["account", "pubsub"]
    assert [each.get("category") for each in ours.elements()[0].find_all("identity")] == ["server"]
    assert romeo.ask(info, to="juliet@localhost").get("type") == "error"
    items = romeo.ask("<query xmlns='http://jabber.org/protocol/disco#items'/>", to="localhost")
    assert [each.get("jid") for each in items.elements()[0].elements()] == [
        "rooms.localhost",
        "upload.localhost",
        "pubsub.localhost",
    ]


# Registration


@pytest.mark.spec("XEP-0077 §3.1")
def test_accounts_are_made_where_that_is_allowed(tmp_path: Path) -> None:
    server = XmppServer(tmp_path, XmppConfig(require_tls=False, registration=True))
    raw = Raw(server)

    assert b"<register xmlns='http://jabber.org/features/iq-register'/>" in raw.say(OPENING)
    form = raw.say(b"<iq type='get' id='1'><query xmlns='jabber:iq:register'/></iq>")
    assert b"<username/><password/>" in form
    query = "<query xmlns='jabber:iq:register'><username>{}</username><password>pw</password></query>"
    made = raw.say(f"<iq type='set' id='2'>{query.format('mercutio')}</iq>".encode())
    taken = raw.say(f"<iq type='set' id='3'>{query.format('mercutio')}</iq>".encode())
    wrong = raw.say(b"<iq type='set' id='4'><query xmlns='jabber:iq:register'/></iq>")

    assert made == b"<iq type='result' id='2'></iq>"
    assert b"<conflict " in taken
    assert b"<bad-request " in wrong
    assert b"<success " in raw.say(plain("mercutio", "pw"))
    server.close()


@pytest.mark.spec("XEP-0077 §3.1")
def test_a_stranger_makes_only_so_many_accounts(tmp_path: Path) -> None:
    limits = LimitsConfig(registrations_per_hour_per_peer=2)
    server = XmppServer(tmp_path, XmppConfig(require_tls=False, registration=True), limits=limits)
    raw = Raw(server)
    raw.say(OPENING)
    query = "<query xmlns='jabber:iq:register'><username>u{0}</username><password>pw</password></query>"

    answers = [raw.say(f"<iq type='set' id='{n}'>{query.format(n)}</iq>".encode()) for n in range(3)]

    assert [b"resource-constraint" in answer for answer in answers] == [False, False, True]
    assert server.services.accounts.find("u2") is None
    server.close()


def test_nobody_registers_as_an_operator_who_has_no_account_yet(tmp_path: Path) -> None:
    config = XmppConfig(require_tls=False, registration=True)
    server = XmppServer(tmp_path, config, operators=frozenset({"bard"}))
    raw = Raw(server)
    raw.say(OPENING)

    answer = raw.say(
        b"<iq type='set' id='1'><query xmlns='jabber:iq:register'>"
        b"<username>bard</username><password>pw</password></query></iq>"
    )

    assert b"<conflict " in answer
    assert server.services.accounts.find("bard") is None
    server.close()


@pytest.mark.spec("XEP-0077 §3.3")
def test_a_password_is_changed_and_other_clients_log_in_again(server: XmppServer) -> None:
    romeo, phone = server.log_in("romeo"), server.log_in("romeo", "phone")
    query = "<query xmlns='jabber:iq:register'><username>romeo</username><password>new</password></query>"

    answer = romeo.ask(query, type="set", to="localhost")

    assert answer.get("type") == "result"
    assert phone.stream.failure is not None
    assert phone.stream.failure.elements()[0].name == "reset"
    raw = Raw(server)
    raw.say(OPENING)
    assert b"<success " in raw.say(plain("romeo", "new"))


# A slow client


def test_a_client_that_does_not_read_gets_the_rest_from_the_log(server: XmppServer) -> None:
    romeo, juliet = server.log_in("romeo"), server.log_in("juliet")
    juliet.wire.lagging = True
    juliet.session.lag()

    romeo.say(*[f"<message to='juliet@localhost' type='chat'><body>{n}</body></message>" for n in range(600)])
    assert juliet.hear() == []
    juliet.wire.lagging = False
    juliet.session.catch_up()

    assert [message.child_text("body") for message in juliet.hear()] == [str(n) for n in range(600)]
    romeo.say("<message to='juliet@localhost' type='chat'><body>live</body></message>")
    (message,) = juliet.hear()
    assert message.find("delay", "urn:xmpp:delay") is None
