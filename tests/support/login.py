"""A client that logs in step by step, as a test tells it: for logins that no client of ours makes."""

from __future__ import annotations

import base64

from tests.support.xmpp import OPENING, PASSWORD, Wire, XmppServer

from sabir.net.connection import Handler
from sabir.protocols.xmpp.codec import Decoder, StreamEnd, element_of
from sabir.wire.sasl.client import client_mechanism
from sabir.wire.sasl.types import ClientMechanism
from sabir.wire.xml import Element, Opening

SASL2 = "urn:xmpp:sasl:2"
BIND2 = "urn:xmpp:bind:0"
PHONE = "d4565fa7-4d72-4749-b3d3-740edbf87770"
LAPTOP = "8d3c2a1e-0f5b-4c6d-9e7f-a1b2c3d4e5f6"
BINDINGS = {"tls-server-end-point": b"hash"}
"""What `Wire` says that the connection is bound to."""


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def plain(name: str, password: str = PASSWORD, authzid: str = "") -> str:
    """Return the message of PLAIN."""
    return encoded(f"{authzid}\0{name}\0{password}".encode())


def agent(device: str = PHONE) -> str:
    return f"<user-agent id='{device}'><software>Test</software><device>Desk</device></user-agent>"


def bind(inside: str = "", tag: str = "Test") -> str:
    return f"<bind xmlns='{BIND2}'><tag>{tag}</tag>{inside}</bind>"


def authenticate(mechanism: str, initial: str | None, inside: str = "") -> str:
    """Return `<authenticate/>`; `inside` is what is asked for with it."""
    response = "" if initial is None else f"<initial-response>{initial}</initial-response>"
    return f"<authenticate xmlns='{SASL2}' mechanism='{mechanism}'>{response}{inside}</authenticate>"


class Caller:
    """One connection; `say` sends XML and returns what came back."""

    def __init__(
        self,
        server: XmppServer,
        *,
        secure: bool = True,
        opening: bytes = OPENING,
        certificate: bytes | None = None,
    ) -> None:
        self.wire = Wire(next(server.numbers), server.loop, secure=secure)
        self.wire.certificate = certificate
        self.session: Handler = server.front_end.connect(self.wire, None)  # type: ignore[arg-type]  # stands in
        self.ended = False
        self._server = server
        self._decoder = Decoder(1 << 20)
        (self.features,) = self.say(opening.decode())

    def say(self, text: str = "") -> list[Element]:
        """Send `text` and return the elements that came back."""
        self.session.receive(text.encode())
        return self.hear()

    def hear(self) -> list[Element]:
        """Return what came since."""
        self._server.loop.run()
        self._server.settle()
        self._decoder.feed(self.wire.taken())
        heard: list[Element] = []
        while (frame := self._decoder.next()) is not None:
            if isinstance(frame, StreamEnd):
                self.ended = True
            elif not isinstance(frame, Opening):
                heard.append(element_of(frame))
        return heard

    def log_in(self, name: str, inside: str = "", password: str = PASSWORD) -> list[Element]:
        """Log in with PLAIN and XEP-0388, and return what came back."""
        return self.say(authenticate("PLAIN", plain(name, password), inside))

    def begin(
        self, mechanism: str, name: str, inside: str = "", **options: object
    ) -> tuple[ClientMechanism, list[Element]]:
        """Begin a login of any mechanism with XEP-0388, and return what came back."""
        client = client_mechanism(mechanism, name, PASSWORD, **options)  # type: ignore[arg-type]  # the test's word
        return client, self.say(authenticate(mechanism, encoded(client.start()), inside))

    def answer(self, client: ClientMechanism, challenge: Element) -> list[Element]:
        """Answer a challenge."""
        data = client.respond(base64.b64decode(challenge.text()))
        return self.say(f"<response xmlns='{SASL2}'>{encoded(data)}</response>")

    def drop(self) -> None:
        """Break the connection."""
        self.wire.closing = True
        self.session.closed("lost")
        self._server.settle()


def identity(success: Element) -> str:
    """Return who the client is."""
    assert success.name == "success", success.serialise()
    return success.child_text("authorization-identifier", SASL2) or ""


def condition(failure: Element) -> str:
    """Return why a login failed."""
    assert (failure.name, failure.namespace) == ("failure", SASL2), failure.serialise()
    return failure.elements()[0].name


def stream_error(heard: list[Element]) -> str:
    """Return why the stream ended."""
    error = heard[-1]
    assert error.name == "error", error.serialise()
    return error.elements()[0].name
