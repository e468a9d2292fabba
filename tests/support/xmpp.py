"""A whole XMPP server without sockets: real sessions over a real core and a real store."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from tests.support.loop import START_MS, OpenStore, TestLoop

from sabir.app.passwords import Passwords
from sabir.base.ids import EventIds
from sabir.base.secret import Secret
from sabir.core.policy import PolicyConfig
from sabir.core.ports import Waker
from sabir.core.services import assemble
from sabir.gateway.contract import Door, Environment, PublicAddress
from sabir.net.config import LimitsConfig
from sabir.net.dialer import Call
from sabir.net.limits import LoginLimits
from sabir.net.listener import Tls
from sabir.net.tls import TlsInfo
from sabir.protocols.xmpp.client import ClientStream, Phase
from sabir.protocols.xmpp.config import XmppConfig
from sabir.protocols.xmpp.server import XmppFrontEnd, front_end
from sabir.wire.xml import Element, parse

DOMAIN = "localhost"
PASSWORD = "secret"
CLIENTS = Door(name="xmpp", port=5222, tls=Tls.STARTTLS)
OPENING = (
    b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' to='localhost' version='1.0'"
    b" xmlns:stream='http://etherx.jabber.org/streams'>"
)


class Wire:
    """The server's end of a connection that goes nowhere: what `sabir.net.connection.Connection` offers."""

    def __init__(self, number: int, loop: TestLoop, *, secure: bool = False) -> None:
        self.id = number
        self.peer = "127.0.0.1"
        self.secure = secure
        self.lagging = False
        self.closing = False
        self.frames_in = 0
        self.paused = False
        self.out = b""
        self.certificate: bytes | None = None
        """What the client shows (DER)."""
        self.tls_wanted: Callable[[], None] | None = None
        self._loop = loop

    @property
    def now_ms(self) -> int:
        return self._loop.now_ms()

    def put(self, data: bytes) -> None:
        if not self.closing:
            self.out += data

    def put3(self, before: bytes, between: bytes, after: bytes) -> None:
        self.put(before + between + after)

    def close(self, grace_ms: int = 2000) -> None:
        self.closing = True

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def start_tls(self, then: Callable[[], None]) -> None:
        self.tls_wanted = then

    def tls_info(self) -> TlsInfo | None:
        if not self.secure:
            return None
        return TlsInfo("TLSv1.3", "x", "", self.certificate, {"tls-server-end-point": b"hash"})

    def taken(self) -> bytes:
        """Return what was sent, once."""
        out, self.out = self.out, b""
        return out


class Peer:
    """A client at the other end; `say` and `hear` speak XML text."""

    def __init__(self, server: XmppServer, stream: ClientStream, *, secure: bool = False) -> None:
        self.stream = stream
        self.wire = Wire(next(server.numbers), server.loop, secure=secure)
        self.session = server.front_end.connect(self.wire, CLIENTS)  # type: ignore[arg-type]  # stands in
        self._server = server
        self.heard: list[Element] = []

    @property
    def jid(self) -> str:
        return self.stream.jid

    def settle(self) -> None:
        """Carry bytes to and fro until nothing moves."""
        while True:
            data = self.stream.drain()
            if data:
                self.session.receive(data)
            self._server.loop.run()
            answer = self.wire.taken()
            if not data and not answer:
                return
            self.heard += self.stream.receive(answer)

    def say(self, *stanzas: str) -> None:
        """Send stanzas in one piece, and let everything happen that follows."""
        for stanza in stanzas:
            self.stream.send(stanza)
        self._server.settle()

    def hear(self) -> list[Element]:
        """Return what was heard since the last call."""
        self._server.settle()
        heard, self.heard = self.heard, []
        return heard

    def ask(self, payload: str, *, type: str = "get", to: str = "", id: str = "q") -> Element:
        """Send a request and return its answer; what else is heard stays."""
        address = f" to='{to}'" if to else ""
        self.say(f"<iq type='{type}' id='{id}'{address}>{payload}</iq>")
        answers = [each for each in self.heard if each.name == "iq" and each.get("id") == id]
        self.heard = [each for each in self.heard if each not in answers]
        assert len(answers) == 1, answers
        return answers[0]

    def drop(self) -> None:
        """Break the connection."""
        self.wire.closing = True
        self.session.closed("lost")
        self._server.settle()


class XmppServer:
    """The front end over a store in `folder`."""

    def __init__(
        self,
        folder: Path,
        config: XmppConfig | None = None,
        policy: PolicyConfig | None = None,
        *,
        plain_logins: bool = True,
        domain: str = DOMAIN,
        loop: TestLoop | None = None,
        call: Callable[[Call], None] | None = None,
        operators: frozenset[str] = frozenset(),
        contacts: Mapping[str, Sequence[str]] | None = None,
        waker: Waker | None = None,
        push_sender: bool = False,
        limits: LimitsConfig | None = None,
    ) -> None:
        self.domain = domain
        self.opened = OpenStore(folder, loop)
        self.loop = self.opened.loop
        self.numbers = itertools.count(1)
        self._peers: list[Peer] = []
        self.discarded: list[str] = []
        """Keys of files whose bytes were deleted."""
        random = itertools.count(1)
        self.services = assemble(
            self.opened.store,
            self.loop,
            self.loop,
            lambda last_ms: EventIds(lambda size: next(random).to_bytes(size, "big"), max(last_ms, START_MS)),
            lambda size: next(random).to_bytes(size, "big"),
            Passwords(),
            bytes(32),
            domain=domain,
            policy=policy or PolicyConfig(),
            limited=False,
            discard=self.discarded.extend,
        )
        environment = Environment(
            services=self.services,
            domain=domain,
            rooms_domain=f"rooms.{domain}",
            plain_logins=plain_logins,
            logins=LoginLimits(limits or LimitsConfig(enabled=False)),
            secret=Secret("00" * 32),
            version="1.2.3",
            started_ms=START_MS,
            public=PublicAddress("https://chat.example.org"),
            operators=operators,
            contacts=contacts or {},
            waker=waker,
            push_sender=push_sender,
            call=call,
        )
        self.front_end: XmppFrontEnd = front_end(config or XmppConfig(require_tls=False), environment)

    def add(self, *names: str) -> None:
        """Make accounts."""
        for name in names:
            self.services.accounts.create(name, PASSWORD, lambda account: None, _fail)
        self.loop.run()

    def connect(self, stream: ClientStream, *, secure: bool = False) -> Peer:
        """Return a client that has only connected."""
        peer = Peer(self, stream, secure=secure)
        self._peers.append(peer)
        return peer

    def log_in(self, name: str, resource: str = "r", presence: str = "<presence/>") -> Peer:
        """Return a client that is logged in, and available unless `presence` is empty."""
        peer = self.connect(ClientStream(self.domain, name, PASSWORD, resource=resource, mechanism="PLAIN"))
        self.settle()
        assert peer.stream.phase is Phase.BOUND, peer.stream.failure
        if presence:
            peer.say(presence)
            peer.hear()
        return peer

    def settle(self) -> None:
        """Let everything happen that is due now."""
        for _ in range(3):
            for peer in self._peers:
                peer.settle()

    def close(self) -> None:
        self.opened.close()


def server_in(folder: Path, *names: str, config: XmppConfig | None = None) -> Iterator[XmppServer]:
    """Yield a server with accounts, closed afterwards: the body of a fixture."""
    server = XmppServer(folder, config)
    server.add(*names)
    yield server
    server.close()


def xml(text: str) -> Element:
    """Return `text` as an element of a client's stream."""
    return parse(text.encode(), b" xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'")


def _fail(refusal: object) -> None:
    raise AssertionError(refusal)
