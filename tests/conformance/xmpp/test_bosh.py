"""XEP-0124 and XEP-0206: XMPP over pairs of HTTP requests."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.xmpp import PASSWORD, XmppServer, server_in

from sabir.gateway.web import Exchange, Page
from sabir.protocols.xmpp.session.binding import MAX_SESSIONS_PER_PEER
from sabir.protocols.xmpp.session.bosh import HIGH_WATER_BYTES, MAX_REPEATS
from sabir.wire.http.types import HttpRequest, HttpResponse
from sabir.wire.xml import Element, parse

HTTPBIND = "http://jabber.org/protocol/httpbind"
STREAM = "http://etherx.jabber.org/streams"
XBOSH = "urn:xmpp:xbosh"
SM = "urn:xmpp:sm:3"


class Request:
    """An HTTP request under way."""

    def __init__(self, page: Page, body: str, *, secure: bool = False, peer: str = "192.0.2.1") -> None:
        self.response: HttpResponse | None = None
        request = HttpRequest(method="POST", path="/http-bind", body=body.encode())
        self.exchange = Exchange(self, request, {}, peer, secure)
        page.serve(self.exchange)

    def answer(self, exchange: Exchange, response: HttpResponse) -> None:
        assert self.response is None, "answered twice"
        self.response = response
        exchange.is_over = True

    def answer_piece(self, exchange: Exchange, data: bytes) -> None:
        raise AssertionError

    def go_ahead(self, exchange: Exchange) -> None:
        raise AssertionError

    def hold_body(self, hold: bool) -> None:
        raise AssertionError

    def cut_off(self) -> None:
        raise AssertionError

    def drop(self) -> None:
        """Let the HTTP connection break."""
        self.exchange.is_over = True
        if self.exchange.when_gone is not None:
            self.exchange.when_gone()

    @property
    def body(self) -> Element | None:
        return None if self.response is None else parse(self.response.body)


class Bosh:
    """A client that counts its requests."""

    def __init__(self, server: XmppServer, rid: int = 1000) -> None:
        offers = server.front_end.offers(lambda connection, connect: connect(connection))
        (self.page,) = (each for each in offers if isinstance(each, Page) and each.path == "/http-bind")
        self.server = server
        self.rid = rid
        self.sid = ""

    def send(self, payload: str = "", *, rid: int = 0, secure: bool = False, **attributes: str) -> Request:
        """Send a request; without `rid`, the next."""
        if not rid:
            rid, self.rid = self.rid, self.rid + 1
        given = {"sid": self.sid} | attributes
        written = "".join([f" {name.replace('__', ':')}='{value}'" for name, value in given.items() if value])
        body = f"<body xmlns='{HTTPBIND}' xmlns:xmpp='{XBOSH}' rid='{rid}'{written}>{payload}</body>"
        request = Request(self.page, body, secure=secure)
        self.server.loop.run()
        return request

    def begin(self, **attributes: str) -> Element:
        """Begin a session; return the answer."""
        given = {
            "to": "localhost",
            "wait": "30",
            "hold": "1",
            "ver": "1.10",
            "xmpp__version": "1.0",
        } | attributes
        answer = told(self.send(**given))
        self.sid = answer.get("sid") or ""
        return answer

    def log_in(self, name: str = "juliet") -> Bosh:
        self.begin()
        text = base64.b64encode(f"\0{name}\0{PASSWORD}".encode()).decode()
        auth = f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{text}</auth>"
        assert told(self.send(auth)).elements()[0].name == "success"
        (features,) = told(self.send(to="localhost", xmpp__restart="true")).elements()
        assert features.find("bind", "urn:ietf:params:xml:ns:xmpp-bind") is not None
        bind = "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>web</resource></bind>"
        (bound,) = told(self.send(f"<iq xmlns='jabber:client' type='set' id='b'>{bind}</iq>")).elements()
        assert bound.get("type") == "result"
        told(self.send("<presence xmlns='jabber:client'/>"))
        return self


def told(request: Request) -> Element:
    """Return the wrapper that answers a request."""
    body = request.body
    assert body is not None, "not answered"
    assert (body.name, body.namespace) == ("body", HTTPBIND)
    return body


def ended(request: Request) -> str | None:
    """Return the condition with which a session ended."""
    body = told(request)
    assert body.get("type") == "terminate"
    return body.get("condition")


def says(text: str) -> str:
    return f"<message xmlns='jabber:client' to='romeo@localhost' type='chat'><body>{text}</body></message>"


def words(elements: list[Element]) -> list[str | None]:
    return [each.child_text("body") for each in elements if each.name == "message"]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[XmppServer]:
    yield from server_in(tmp_path, "romeo", "juliet")


# Sessions begin and end


@pytest.mark.spec("XEP-0124 §7")
@pytest.mark.spec("XEP-0206 §4")
def test_a_session_begins_with_its_terms_and_the_features_of_the_stream(server: XmppServer) -> None:
    answer = Bosh(server).begin()

    expected = {
        "wait": "30",
        "hold": "1",
        "requests": "2",
        "ver": "1.10",
        "from": "localhost",
        "polling": None,
    }
    assert {name: answer.get(name) for name in expected} == expected
    assert len(answer.get("sid") or "") == 40
    assert answer.get(f"{{{XBOSH}}}version") == "1.0"
    assert answer.get(f"{{{XBOSH}}}restartlogic") == "true"
    (features,) = answer.elements()
    assert (features.name, features.namespace) == ("features", STREAM)
    assert features.find("starttls", "urn:ietf:params:xml:ns:xmpp-tls") is None


@pytest.mark.spec("XEP-0124 §7.2")
@pytest.mark.parametrize(
    ("asked", "name", "given"),
    [
        ({"wait": "9999"}, "wait", "60"),
        ({"hold": "9"}, "hold", "2"),
        ({"hold": "9"}, "requests", "3"),
        ({"hold": "x"}, "hold", "1"),
        ({"ver": "1.6"}, "ver", "1.6"),
        ({"ver": "1.99"}, "ver", "1.11"),
        ({"ver": "2.0"}, "ver", "1.11"),
        ({"hold": "0"}, "polling", "2"),
        ({"wait": "0"}, "hold", "0"),
    ],
)
def test_what_a_client_asks_for_is_granted_within_bounds(
    server: XmppServer, asked: dict[str, str], name: str, given: str
) -> None:
    assert Bosh(server).begin(**asked).get(name) == given


def test_the_content_type_is_the_clients_choice_unless_it_is_dangerous(server: XmppServer) -> None:
    for asked, given in (
        ("", "text/xml; charset=utf-8"),
        ("text/plain; charset=utf-8", "text/plain; charset=utf-8"),
        ("text/html", "text/xml; charset=utf-8"),
        ("text/xml&#13;&#10;Set-Cookie: a", "text/xml; charset=utf-8"),
    ):
        response = Bosh(server).send(to="localhost", content=asked).response
        assert response is not None
        assert response.content_type == given


@pytest.mark.spec("XEP-0206 §5")
@pytest.mark.spec("XEP-0124 §8")
def test_a_client_logs_in_and_talks(server: XmppServer) -> None:
    romeo = server.log_in("romeo")
    juliet = Bosh(server).log_in()

    waiting = juliet.send()
    assert waiting.response is None
    romeo.say("<message to='juliet@localhost' type='chat'><body>It is my lady</body></message>")
    (heard,) = told(waiting).elements()
    assert (heard.namespace, heard.child_text("body")) == ("jabber:client", "It is my lady")
    juliet.send(says("Ay me!"))

    assert words(romeo.hear()) == ["Ay me!"]


@pytest.mark.spec("XEP-0206 §2")
def test_stanzas_without_a_namespace_are_taken_for_those_of_clients(server: XmppServer) -> None:
    romeo = server.log_in("romeo")

    Bosh(server).log_in().send("<message to='romeo@localhost' type='chat'><body>Anon</body></message>")

    assert words(romeo.hear()) == ["Anon"]


@pytest.mark.spec("XEP-0124 §13")
def test_a_client_ends_its_session_with_last_words(server: XmppServer) -> None:
    romeo = server.log_in("romeo")
    juliet = Bosh(server).log_in()
    waiting = juliet.send()

    last = juliet.send(says("Good night"), type="terminate")

    assert ended(waiting) is None
    assert told(last).get("type") is None
    assert words(romeo.hear()) == ["Good night"]
    assert server.services.devices.of(juliet_account(server)) == []
    assert ended(juliet.send()) == "item-not-found"


def juliet_account(server: XmppServer):  # type: ignore[no-untyped-def]  # an account
    account = server.services.accounts.find("juliet")
    assert account is not None
    return account


@pytest.mark.spec("XEP-0124 §17.2")
@pytest.mark.spec("XEP-0206 §6")
@pytest.mark.parametrize(
    ("attributes", "condition"),
    [
        ({"to": "elsewhere.example"}, "host-unknown"),
        ({"to": ""}, "improper-addressing"),
        ({"xmpp__version": "0.9"}, "remote-stream-error"),
    ],
)
def test_a_session_that_cannot_begin_says_why(
    server: XmppServer, attributes: dict[str, str], condition: str
) -> None:
    answer = Bosh(server).send(**({"to": "localhost"} | attributes))

    assert ended(answer) == condition
    (error,) = told(answer).elements()
    assert (error.name, error.namespace) == ("error", STREAM)


@pytest.mark.spec("XEP-0206 §6")
def test_an_error_of_the_stream_ends_the_session_after_what_was_said(server: XmppServer) -> None:
    juliet = Bosh(server).log_in()

    answer = juliet.send("<nonsense xmlns='jabber:client'/>")

    assert ended(answer) == "remote-stream-error"
    assert [child.name for child in told(answer).elements()] == ["error"]


@pytest.mark.spec("XEP-0124 §6")
@pytest.mark.spec("XEP-0124 §17.2")
@pytest.mark.parametrize(
    "body",
    [
        "",
        "nonsense",
        "<body/>",
        f"<body xmlns='{HTTPBIND}'/>",
        f"<body xmlns='{HTTPBIND}' rid='x'/>",
        f"<body xmlns='{HTTPBIND}' rid='-1'/>",
        f"<body xmlns='{HTTPBIND}' rid='99999999999999999'/>",
        f"<body xmlns='{HTTPBIND}' rid='1'>text</body>",
        f"<body xmlns='{HTTPBIND}' rid='1'><a></body>",
        f"<!DOCTYPE a []><body xmlns='{HTTPBIND}' rid='1'/>",
        f"<body xmlns='{HTTPBIND}' rid='1'/><body xmlns='{HTTPBIND}' rid='2'/>",
        f"<other xmlns='{HTTPBIND}' rid='1'/>",
    ],
)
def test_what_is_no_request_is_a_bad_one(server: XmppServer, body: str) -> None:
    request = Request(Bosh(server).page, body)

    assert ended(request) == "bad-request"


def test_without_tls_nobody_begins_who_needs_it(tmp_path: Path) -> None:
    from sabir.protocols.xmpp.config import XmppConfig

    server = XmppServer(tmp_path, XmppConfig(), plain_logins=False)
    plain, secret = Bosh(server), Bosh(server)

    assert ended(plain.send(to="localhost")) == "remote-stream-error"
    assert told(secret.send(to="localhost", secure=True)).get("sid")
    server.close()


def test_one_address_has_so_many_sessions(server: XmppServer) -> None:
    bosh = Bosh(server)
    for _ in range(MAX_SESSIONS_PER_PEER):
        bosh.sid = ""
        bosh.begin()

    bosh.sid = ""
    assert ended(bosh.send(to="localhost")) == "policy-violation"


# Waiting


@pytest.mark.spec("XEP-0124 §8")
def test_no_more_requests_wait_than_the_client_wants(server: XmppServer) -> None:
    juliet = Bosh(server).log_in()
    first = juliet.send()
    assert first.response is None

    second = juliet.send()

    assert told(first).elements() == []
    assert second.response is None


@pytest.mark.spec("XEP-0124 §8")
def test_no_request_waits_longer_than_the_client_wants(server: XmppServer) -> None:
    juliet = Bosh(server).log_in()
    waiting = juliet.send()

    server.loop.advance(29_000)
    assert waiting.response is None
    server.loop.advance(2_000)

    assert told(waiting).elements() == []


@pytest.mark.spec("XEP-0124 §10")
def test_a_client_without_a_request_under_way_is_gone_in_time(server: XmppServer) -> None:
    juliet = Bosh(server).log_in()
    waiting = juliet.send()
    server.loop.advance(31_000)
    assert waiting.response is not None

    server.loop.advance(58_000)
    assert len(server.services.devices.of(juliet_account(server))) == 1
    server.loop.advance(5_000)

    assert server.services.devices.of(juliet_account(server)) == []
    assert ended(juliet.send()) == "item-not-found"


@pytest.mark.spec("XEP-0124 §10")
def test_a_pause_is_answered_at_once_and_gives_more_time(server: XmppServer) -> None:
    juliet = Bosh(server).log_in()
    waiting = juliet.send()

    paused = juliet.send(pause="100")

    assert told(waiting).elements() == told(paused).elements() == []
    server.loop.advance(90_000)
    back = juliet.send()
    assert back.response is None
    assert juliet.send(says("again")).response is None


@pytest.mark.spec("XEP-0124 §12")
def test_a_client_that_polls_is_answered_at_once_but_not_too_often(server: XmppServer) -> None:
    bosh = Bosh(server)
    assert bosh.begin(hold="0").get("requests") == "1"

    assert told(bosh.send()).elements() == []
    server.loop.advance(2_000)
    assert told(bosh.send()).elements() == []

    assert ended(bosh.send()) == "policy-violation"


def test_a_login_that_takes_too_long_ends_the_session(server: XmppServer) -> None:
    bosh = Bosh(server)
    bosh.begin()
    server.loop.advance(50_000)
    bosh.send()

    server.loop.advance(15_000)

    assert ended(bosh.send()) in ("remote-stream-error", "item-not-found")


# Ids


@pytest.mark.spec("XEP-0124 §14.2")
def test_requests_are_taken_in_the_order_of_their_ids(server: XmppServer) -> None:
    romeo = server.log_in("romeo")
    juliet = Bosh(server).log_in()
    first, second = juliet.rid, juliet.rid + 1

    late = juliet.send(says("second"), rid=second)
    assert late.response is None
    early = juliet.send(says("first"), rid=first)

    assert words(romeo.hear()) == ["first", "second"]
    assert early.response is not None
    assert late.response is None


@pytest.mark.spec("XEP-0124 §14.2")
def test_an_id_out_of_the_window_ends_the_session(server: XmppServer) -> None:
    juliet = Bosh(server).log_in()

    assert ended(juliet.send(rid=juliet.rid + 3)) == "item-not-found"

    assert ended(juliet.send()) == "item-not-found"
    assert server.services.devices.of(juliet_account(server)) == []


@pytest.mark.spec("XEP-0124 §14.3")
def test_an_answer_that_was_lost_is_given_again_and_the_request_not_done_again(server: XmppServer) -> None:
    romeo = server.log_in("romeo")
    juliet = Bosh(server).log_in()
    rid = juliet.rid
    lost = juliet.send(
        says("once") + "<iq xmlns='jabber:client' type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>"
    )
    assert lost.response is not None

    again = juliet.send(rid=rid)

    assert again.response is not None
    assert again.response.body == lost.response.body
    assert words(romeo.hear()) == ["once"]


@pytest.mark.spec("XEP-0124 §14.3")
def test_a_request_that_is_sent_again_while_it_waits_takes_the_place_of_the_first(server: XmppServer) -> None:
    romeo = server.log_in("romeo")
    juliet = Bosh(server).log_in()
    rid = juliet.rid
    first = juliet.send()

    second = juliet.send(rid=rid)

    assert told(first).get("type") == "error"  # XEP-0124 §17.3
    romeo.say("<message to='juliet@localhost' type='chat'><body>Still there?</body></message>")
    assert words(told(second).elements()) == ["Still there?"]


def test_what_is_said_while_nobody_listens_waits_for_the_next_request(server: XmppServer) -> None:
    romeo = server.log_in("romeo")
    juliet = Bosh(server).log_in()
    broken = juliet.send()
    broken.drop()

    romeo.say("<message to='juliet@localhost' type='chat'><body>Lost?</body></message>")
    again = juliet.send(rid=juliet.rid - 1)

    assert words(told(again).elements()) == ["Lost?"]


@pytest.mark.spec("XEP-0124 §14.3")
def test_who_repeats_too_old_a_request_or_too_often_is_cut_off(server: XmppServer) -> None:
    old, often = Bosh(server).log_in(), Bosh(server).log_in("romeo")

    assert ended(old.send(rid=1000)) == "item-not-found"
    rid = often.rid - 1
    for _ in range(MAX_REPEATS):
        assert told(often.send(rid=rid)).get("type") is None
    assert ended(often.send(rid=rid)) == "policy-violation"


def test_nobody_else_can_use_a_session_without_its_id(server: XmppServer) -> None:
    juliet = Bosh(server).log_in()
    eve = Bosh(server, rid=juliet.rid)
    eve.sid = "0" * 40

    assert ended(eve.send()) == "item-not-found"
    assert juliet.send().response is None


# With the rest of XMPP


def test_a_session_is_resumed_after_it_was_lost(server: XmppServer) -> None:
    romeo = server.log_in("romeo")
    juliet = Bosh(server).log_in()
    (enabled,) = told(juliet.send(f"<enable xmlns='{SM}' resume='true'/>")).elements()
    server.loop.advance(130_000)
    romeo.say("<message to='juliet@localhost' type='chat'><body>Meanwhile</body></message>")

    again = Bosh(server)
    again.begin()
    text = base64.b64encode(f"\0juliet\0{PASSWORD}".encode()).decode()
    told(again.send(f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{text}</auth>"))
    told(again.send(to="localhost", xmpp__restart="true"))
    answer = told(again.send(f"<resume xmlns='{SM}' h='0' previd='{enabled.get('id')}'/>")).elements()

    assert answer[0].name == "resumed"
    assert "Meanwhile" in words(answer)


def test_a_client_that_does_not_fetch_costs_no_more_than_the_high_water_mark(server: XmppServer) -> None:
    romeo = server.log_in("romeo")
    juliet = Bosh(server).log_in()
    text = "x" * 50_000
    for _ in range(30):
        romeo.say(f"<message to='juliet@localhost' type='chat'><body>{text}</body></message>")

    heard = 0
    sizes = []
    while heard < 30:
        request = juliet.send()
        server.loop.run()
        heard += len(words(told(request).elements()))
        assert request.response is not None
        sizes.append(len(request.response.body))

    assert heard == 30
    assert max(sizes) < HIGH_WATER_BYTES + 200_000


def test_a_stopping_server_tells_the_request_that_waits(server: XmppServer) -> None:
    bosh = Bosh(server)
    offers: list[Page] = []
    handlers = []

    def adopt(connection, connect):  # type: ignore[no-untyped-def]  # see `Adopt`
        handlers.append(connect(connection))
        return handlers[-1]

    offers = [each for each in server.front_end.offers(adopt) if isinstance(each, Page)]
    (bosh.page,) = (each for each in offers if each.path == "/http-bind")
    juliet = bosh.log_in()
    waiting = juliet.send()

    handlers[0].shutdown()
    server.loop.run()

    assert ended(waiting) == "remote-stream-error"
    assert told(waiting).elements()[0].elements()[0].name == "system-shutdown"
