"""The client's side of a stream, without I/O: it logs in, binds a resource, then gives and takes stanzas."""

import base64
from collections.abc import Mapping
from enum import Enum
from typing import Final

from sabir.protocols.xmpp.codec import STREAMS, Decoder, StreamEnd, attribute, element_of
from sabir.protocols.xmpp.machine.sasl import NAMESPACE as SASL
from sabir.protocols.xmpp.machine.stream import BIND, TLS
from sabir.wire.sasl.client import client_mechanism
from sabir.wire.sasl.types import ClientMechanism
from sabir.wire.xml import Element, Opening, escape_text

MAX_STANZA_BYTES: Final = 1_048_576


class Phase(Enum):
    """How far the client is."""

    NEGOTIATING = "negotiating"
    TLS = "the connection must be encrypted now, then `secured` called"
    BOUND = "stanzas flow"
    FAILED = "the login was refused"
    CLOSED = "the stream has ended"


class ClientStream:
    """One client's stream. Give it bytes by `receive`, take bytes by `drain`."""

    def __init__(
        self,
        domain: str,
        name: str,
        password: str,
        *,
        resource: str = "",
        mechanism: str = "SCRAM-SHA-256",
        use_tls: bool = False,
        bindings: Mapping[str, bytes] | None = None,
    ) -> None:
        self.phase = Phase.NEGOTIATING
        self.jid = ""
        """The full address, once a resource is bound."""
        self.features: Element | None = None
        self.failure: Element | None = None
        """What the server said when it refused the login or ended the stream."""
        self._domain = domain
        self._name = name
        self._password = password
        self._resource = resource
        self._mechanism_name = mechanism
        self._use_tls = use_tls
        self._bindings = bindings
        self._mechanism: ClientMechanism | None = None
        self._logged_in = False
        self._decoder = Decoder(MAX_STANZA_BYTES)
        self._out: list[bytes] = []
        self._open()

    def receive(self, data: bytes) -> list[Element]:
        """Take bytes of the server; return the stanzas, and what is not a stanza, that it sent once bound.

        Raises:
            StreamError: if the server's XML cannot be read.
        """
        received: list[Element] = []
        self._decoder.feed(data)
        while (frame := self._decoder.next()) is not None:
            if isinstance(frame, Opening):
                continue
            if isinstance(frame, StreamEnd):
                self.phase = Phase.CLOSED
                continue
            element = element_of(frame)
            if element.namespace == STREAMS and element.name == "error":
                self.failure = element
            elif self.phase is Phase.BOUND:
                received.append(element)
            else:
                self._negotiate(element)
        return received

    def drain(self) -> bytes:
        """Return the bytes to send, once."""
        data = b"".join(self._out)
        self._out.clear()
        return data

    def send(self, stanza: Element | str) -> None:
        """Send a stanza."""
        self._out.append(stanza.encode() if isinstance(stanza, str) else stanza.to_bytes("jabber:client"))

    def secured(self, bindings: Mapping[str, bytes] | None = None) -> None:
        """Go on: the connection is encrypted."""
        self._bindings = bindings
        self.phase = Phase.NEGOTIATING
        self._use_tls = False
        self._restart()

    def close(self) -> None:
        """End the stream."""
        self._out.append(b"</stream:stream>")

    def _open(self) -> None:
        self._out.append(
            (
                f"<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='{STREAMS}'"
                f"{attribute('to', self._domain)} version='1.0' xml:lang='en'>"
            ).encode()
        )

    def _restart(self) -> None:
        self._decoder.restart()
        self._open()

    def _negotiate(self, element: Element) -> None:
        if element.name == "features":
            self._take_features(element)
        elif element.name == "proceed" and element.namespace == TLS:
            self.phase = Phase.TLS
        elif element.namespace == SASL:
            self._take_login(element)
        elif element.name == "iq":
            self._take_binding(element)

    def _take_features(self, features: Element) -> None:
        self.features = features
        if self._use_tls and features.find("starttls", TLS) is not None:
            self._out.append(f"<starttls xmlns='{TLS}'/>".encode())
        elif self._logged_in:
            wanted = f"<resource>{escape_text(self._resource)}</resource>" if self._resource else ""
            self._out.append(f"<iq type='set' id='bind'><bind xmlns='{BIND}'>{wanted}</bind></iq>".encode())
        else:
            mechanisms = features.find("mechanisms", SASL)
            offered = [] if mechanisms is None else [each.text() for each in mechanisms.elements()]
            self._mechanism = client_mechanism(
                self._mechanism_name,
                self._name,
                self._password,
                bindings=self._bindings,
                plus_offered=any(name.endswith("-PLUS") for name in offered),
            )
            initial = base64.b64encode(self._mechanism.start()).decode()
            self._out.append(
                f"<auth xmlns='{SASL}'{attribute('mechanism', self._mechanism_name)}>{initial}</auth>".encode()
            )

    def _take_login(self, element: Element) -> None:
        mechanism = self._mechanism
        data = base64.b64decode(element.text())
        if element.name == "challenge" and mechanism is not None:
            answer = base64.b64encode(mechanism.respond(data)).decode()
            self._out.append(f"<response xmlns='{SASL}'>{answer}</response>".encode())
        elif element.name == "success" and mechanism is not None:
            mechanism.finish(data or None)
            self._logged_in = True
            self._restart()
        else:
            self.phase = Phase.FAILED
            self.failure = element

    def _take_binding(self, iq: Element) -> None:
        bind = iq.find("bind", BIND)
        jid = None if bind is None else bind.child_text("jid")
        if iq.get("type") == "result" and jid is not None:
            self.jid = jid
            self.phase = Phase.BOUND
        else:
            self.phase = Phase.FAILED
            self.failure = iq
