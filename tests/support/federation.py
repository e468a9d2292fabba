"""Several whole servers without sockets, and the net between them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.loop import TestLoop
from tests.support.xmpp import Wire, XmppServer

from sabir.core.policy import PolicyConfig
from sabir.gateway.contract import Door
from sabir.net.connection import Handler
from sabir.net.dialer import Call
from sabir.net.listener import Tls
from sabir.net.mutual import PeerCertificate
from sabir.protocols.xmpp.config import FederationConfig, XmppConfig

DOOR = Door(name="xmpp-s2s", port=5269, tls=Tls.STARTTLS, servers=True)
NOTHING = PeerCertificate(frozenset(), "self-signed certificate")


def proof_of(*domains: str) -> PeerCertificate:
    """Return a good certificate for domains and what is below them."""
    return PeerCertificate(frozenset((*domains, *(f"*.{domain}" for domain in domains))), "")


class ServerWire(Wire):
    """One end of a connection between servers."""

    def __init__(self, number: int, loop: TestLoop) -> None:
        super().__init__(number, loop)
        self.handler: Handler | None = None
        self.other: ServerWire | None = None
        self.shown = NOTHING
        """What the peer shows."""
        self.over = False
        self.owner = ""
        """The domain whose server has this end."""

    def rearm(self) -> None:
        """Nothing is armed: tests let time pass by `tick`."""

    def peer_certificate(self) -> PeerCertificate | None:
        return self.shown if self.secure else None

    def move(self) -> bool:
        """Carry what was put to the other end; returns whether anything happened."""
        other = self.other
        if self.over or other is None or other.handler is None or self.handler is None:
            return False
        if self.tls_wanted is not None and other.tls_wanted is not None and not self.out and not other.out:
            self._secure(other)
            return True
        data = self.taken()
        if data and not other.closing:
            other.handler.receive(data)
        if self.closing and not self.out:
            self.over = other.over = other.closing = True
            self.handler.closed("closed by us")
            other.handler.closed("closed by peer")
            return True
        return bool(data)

    def _secure(self, other: ServerWire) -> None:
        then, others = self.tls_wanted, other.tls_wanted
        self.tls_wanted = other.tls_wanted = None
        self.secure = other.secure = True
        assert then is not None
        assert others is not None
        then()
        others()


class Peering:
    """A server of other software, played by a test: it says what it likes on a connection to one of ours."""

    def __init__(self, wire: ServerWire, net: Net) -> None:
        self.wire = wire
        self._net = net

    def say(self, text: str) -> str:
        """Send text, and return what is answered."""
        handler = self.wire.handler
        assert handler is not None
        if not self.wire.closing:
            handler.receive(text.encode())
        self._net.settle()
        return self.hear()

    def hear(self) -> str:
        """Return what was said since the last call."""
        return self.wire.taken().decode()

    def start_tls(self) -> None:
        """Do what the server waits for after `<proceed/>`."""
        then = self.wire.tls_wanted
        assert then is not None
        self.wire.tls_wanted = None
        self.wire.secure = True
        then()
        self._net.settle()

    def drop(self) -> None:
        """Break the connection."""
        self.wire.closing = True
        assert self.wire.handler is not None
        self.wire.handler.closed("lost")
        self._net.settle()


class Net:
    """Servers by their domains, and the connections between them."""

    def __init__(self, folder: Path) -> None:
        self.loop = TestLoop()
        self.servers: dict[str, XmppServer] = {}
        self.certificates: dict[str, PeerCertificate] = {}
        """What the server of a domain shows; nothing that proves anything unless a test says so."""
        self.down: set[str] = set()
        """Domains whose servers cannot be reached."""
        self.calls: list[Call] = []
        """All calls so far."""
        self.answering: Callable[[Call], None] | None = None
        """Takes calls to domains of which no server is here."""
        self._folder = folder
        self._numbers = itertools.count(1)
        self._wires: list[ServerWire] = []

    def server(
        self,
        domain: str,
        *names: str,
        federation: FederationConfig | None = None,
        policy: PolicyConfig | None = None,
        push_sender: bool = False,
        **settings: Any,
    ) -> XmppServer:
        """Return the server of a domain, with accounts; started again over the same data if it was stopped."""
        if domain in self.servers:
            self.stop(domain)
        folder = self._folder / domain
        folder.mkdir(exist_ok=True)
        config = XmppConfig(require_tls=False, federation=federation or FederationConfig(), **settings)
        server = XmppServer(
            folder,
            config,
            policy,
            domain=domain,
            loop=self.loop,
            call=lambda call: self._call(domain, call),
            push_sender=push_sender,
        )
        if names:
            server.add(*names)
        self.servers[domain] = server
        return server

    def stop(self, domain: str) -> None:
        """Kill a server: its connections break, nothing more is said."""
        server = self.servers.pop(domain)
        for wire in list(self._wires):
            if wire.handler is not None and not wire.over and wire.owner == domain:
                wire.over = wire.closing = True
                other = wire.other
                if other is not None and other.handler is not None:
                    other.over = other.closing = True
                    other.handler.closed("connection reset")
                wire.handler = None
        server.close()

    def peering(self, domain: str, certificate: PeerCertificate = NOTHING) -> Peering:
        """Return a connection to the server of `domain` from a server that the test plays."""
        wire = ServerWire(next(self._numbers), self.loop)
        wire.shown = certificate
        wire.handler = self.servers[domain].front_end.connect(wire, DOOR)  # type: ignore[arg-type]  # stands in
        return Peering(wire, self)

    def answer(self, call: Call, certificate: PeerCertificate = NOTHING) -> Peering:
        """Take a call as a server that the test plays."""
        wire = ServerWire(next(self._numbers), self.loop)
        wire.shown = certificate
        wire.handler = call.connected(wire)  # type: ignore[arg-type]  # stands in
        return Peering(wire, self)

    def settle(self) -> None:
        """Let everything happen that is due now."""
        while True:
            for server in list(self.servers.values()):
                server.settle()
            self.loop.run()
            if not self._move():
                self.loop.run()
                for server in list(self.servers.values()):
                    server.settle()
                if not self._move():
                    return

    def _move(self) -> bool:
        moved = [wire.move() for wire in list(self._wires)]
        return any(moved)

    def advance(self, delay_ms: int) -> None:
        """Let time pass."""
        self.loop.advance(delay_ms)
        now_ms = self.loop.now_ms()
        for wire in list(self._wires):
            if wire.handler is not None and not wire.over:
                deadline_ms = wire.handler.next_deadline_ms()
                if 0 < deadline_ms <= now_ms:
                    wire.handler.tick(now_ms)
        self.settle()

    def close(self) -> None:
        for server in self.servers.values():
            server.close()

    def _call(self, caller: str, call: Call) -> None:
        self.calls.append(call)
        self.loop.soon(lambda: self._connect(caller, call))

    def _connect(self, caller: str, call: Call) -> None:
        known = [each for each in self.servers if f".{call.domain}".endswith(f".{each}")]
        domain = known[0] if known else call.domain
        server = self.servers.get(domain)
        if server is None and self.answering is not None:
            self.answering(call)
            return
        if server is None or domain in self.down or caller not in self.servers:
            call.failed("timeout")
            return
        near, far = ServerWire(next(self._numbers), self.loop), ServerWire(next(self._numbers), self.loop)
        near.other, far.other = far, near
        near.owner, far.owner = caller, domain
        near.shown = self.certificates.get(domain, NOTHING)
        far.shown = self.certificates.get(caller, NOTHING)
        self._wires += [near, far]
        far.handler = server.front_end.connect(far, DOOR)  # type: ignore[arg-type]  # stands in
        near.handler = call.connected(near)  # type: ignore[arg-type]  # stands in
