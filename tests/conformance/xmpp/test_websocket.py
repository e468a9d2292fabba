"""RFC 7395: XMPP in the messages of a WebSocket."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.xmpp import PASSWORD, Wire, XmppServer, server_in

from sabir.gateway.web import Socket
from sabir.net.connection import Handler
from sabir.protocols.xmpp.config import XmppConfig
from sabir.wire.xml import Element, parse

OPEN = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>"
STREAM = "http://etherx.jabber.org/streams"
FRAMING = "urn:ietf:params:xml:ns:xmpp-framing"


class Framed(Wire):
    """The server's end of a WebSocket: what is put on it stays in pieces."""

    def __init__(self, socket: Socket, number: int, server: XmppServer, *, secure: bool) -> None:
        super().__init__(number, server.loop, secure=secure)
        self.messages: list[bytes] = []
        self._socket = socket

    def put(self, data: bytes) -> None:
        assert self._socket.dress is not None
        if not self.closing:
            self.messages.append(self._socket.dress(data))


class Browser:
    """A client that speaks in messages."""

    def __init__(self, server: XmppServer, *, secure: bool = False) -> None:
        offers = server.front_end.offers(lambda connection, connect: connect(connection))
        (socket,) = (each for each in offers if isinstance(each, Socket) and each.path == "/xmpp-websocket")
        self.wire = Framed(socket, next(server.numbers), server, secure=secure)
        self.session: Handler = socket.connect(self.wire)  # type: ignore[arg-type]  # stands in
        self._server = server

    def say(self, *messages: str) -> list[Element]:
        """Send messages and return what comes back; each is a document of its own."""
        for message in messages:
            self.session.receive(message.encode())
        self._server.loop.run()
        self._server.settle()
        return self.heard()

    def heard(self) -> list[Element]:
        messages, self.wire.messages = self.wire.messages, []
        return [parse(message) for message in messages]

    def log_in(self, name: str) -> list[Element]:
        text = base64.b64encode(f"\0{name}\0{PASSWORD}".encode()).decode()
        auth = f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{text}</auth>"
        bind = (
            "<iq xmlns='jabber:client' type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
            "<resource>web</resource></bind></iq>"
        )
        return self.say(OPEN, auth, OPEN, bind)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[XmppServer]:
    yield from server_in(tmp_path, "romeo", "juliet")


def test_the_socket_is_offered_as_xmpp_at_two_paths(server: XmppServer) -> None:
    sockets = [
        offer
        for offer in server.front_end.offers(lambda connection, connect: connect(connection))
        if isinstance(offer, Socket)
    ]

    assert [(each.path, each.protocol, each.is_text) for each in sockets] == [
        ("/xmpp-websocket", "xmpp", True),
        ("/ws", "xmpp", True),
    ]


@pytest.mark.spec("RFC 7395 §3.3")
@pytest.mark.spec("RFC 7395 §3.4")
def test_a_stream_is_opened_by_messages_that_are_documents(server: XmppServer) -> None:
    opened, features = Browser(server).say(OPEN)

    assert (opened.name, opened.namespace) == ("open", FRAMING)
    assert (opened.get("from"), opened.get("version")) == ("localhost", "1.0")
    assert opened.get("id")
    assert (features.name, features.namespace) == ("features", STREAM)
    assert features.find("mechanisms", "urn:ietf:params:xml:ns:xmpp-sasl") is not None


@pytest.mark.spec("RFC 7395 §3.9")
def test_tls_is_not_offered_and_without_it_nobody_logs_in_who_needs_it(tmp_path: Path) -> None:
    server = XmppServer(tmp_path, XmppConfig(), plain_logins=False)
    _, features = Browser(server, secure=True).say(OPEN)
    assert [child.name for child in features.elements()].count("starttls") == 0

    opened, error, close = Browser(server).say(OPEN)

    assert (opened.name, error.name, close.name) == ("open", "error", "close")
    assert error.elements()[0].name == "policy-violation"
    server.close()


@pytest.mark.spec("RFC 7395 §3.7")
@pytest.mark.spec("RFC 7395 §3.3.3")
def test_a_client_logs_in_binds_and_its_stanzas_name_their_namespace(server: XmppServer) -> None:
    browser = Browser(server)
    romeo = server.log_in("romeo")

    names = [message.name for message in browser.log_in("juliet")]
    assert names == ["open", "features", "success", "open", "features", "iq"]
    browser.say("<presence xmlns='jabber:client'/>")
    romeo.say("<message to='juliet@localhost' type='chat'><body>Good night</body></message>")
    browser.say("<message xmlns='jabber:client' to='romeo@localhost' type='chat'><body>Anon</body></message>")

    (heard,) = [each for each in browser.heard() if each.name == "message"] or [None]
    assert heard is None or heard.namespace == "jabber:client"
    (answer,) = romeo.hear()
    assert (answer.get("from"), answer.child_text("body")) == ("juliet@localhost/web", "Anon")


def test_every_stanza_that_is_sent_names_its_namespace(server: XmppServer) -> None:
    browser = Browser(server)
    browser.log_in("juliet")

    answers = browser.say(
        "<presence xmlns='jabber:client'/>",
        "<iq xmlns='jabber:client' type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>",
        "<enable xmlns='urn:xmpp:sm:3' resume='true'/>",
        "<r xmlns='urn:xmpp:sm:3'/>",
        "<message xmlns='jabber:client' to='juliet@localhost'><body>me</body></message>",
    )

    assert {answer.name: answer.namespace for answer in answers} == {
        "presence": "jabber:client",
        "iq": "jabber:client",
        "message": "jabber:client",
        "enabled": "urn:xmpp:sm:3",
        "a": "urn:xmpp:sm:3",
    }


@pytest.mark.spec("RFC 7395 §3.6")
def test_a_close_is_answered_and_ends_the_connection(server: XmppServer) -> None:
    browser = Browser(server)
    browser.log_in("juliet")

    (close,) = browser.say(f"<close xmlns='{FRAMING}'/>", "<presence xmlns='jabber:client'/>")

    assert (close.name, close.namespace) == ("close", FRAMING)
    assert browser.wire.closing


@pytest.mark.spec("RFC 7395 §3.5")
@pytest.mark.parametrize(
    ("messages", "condition"),
    [
        (
            ["<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='elsewhere.example' version='1.0'/>"],
            "host-unknown",
        ),
        (
            ["<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"],
            "not-well-formed",
        ),
        (["<iq xmlns='jabber:client' type='get' id='a'/>"], "invalid-namespace"),
        ([OPEN, "<iq type='get' id='a'/>"], "invalid-namespace"),
        ([OPEN, OPEN], "bad-format"),
        ([OPEN.replace("/>", "><a/></open>")], "bad-format"),
        ([OPEN, "<presence xmlns='jabber:client'/><presence xmlns='jabber:client'/>"], "not-well-formed"),
        ([OPEN, "<presence xmlns='jabber:client'>"], "not-well-formed"),
        ([OPEN, "nonsense"], "not-well-formed"),
        ([OPEN, "<!DOCTYPE a []><a/>"], "not-well-formed"),
        ([OPEN, f"<a xmlns='jabber:client'>{'x' * 70_000}</a>"], "policy-violation"),
    ],
)
def test_what_is_wrong_ends_the_stream_with_an_error_and_a_close(
    server: XmppServer, messages: list[str], condition: str
) -> None:
    browser = Browser(server)

    opened, *_, error, close = browser.say(*messages)

    assert (opened.name, error.name, error.namespace, close.name) == ("open", "error", STREAM, "close")
    assert error.elements()[0].name == condition
    assert browser.wire.closing


def test_white_space_is_no_message(server: XmppServer) -> None:
    browser = Browser(server)
    browser.log_in("juliet")

    assert browser.say(" ", "\n") == []
    assert not browser.wire.closing
