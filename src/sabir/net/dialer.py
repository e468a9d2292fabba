"""Calling out: connections that this server makes, which then are like those that come in."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Final

from sabir.net.addresses import public_addresses
from sabir.net.config import NetConfig
from sabir.net.connection import Connection, Handler
from sabir.net.mutual import Mutual, Trust
from sabir.net.resolver import Resolver, Target
from sabir.net.runtime import NetRuntime
from sabir.net.sockets import Socket, secure
from sabir.net.tls import Certificates

log = logging.getLogger(__name__)

CONNECT_S: Final = 10
"""How long one address may take to answer."""


@dataclass(frozen=True, slots=True)
class Call:
    """Whom to call, and who hears of it. Exactly one of the two functions is called, once."""

    domain: str
    """Whose server; the name under which it has to know itself (RFC 6066 §3)."""
    services: tuple[str, str]
    """Names of the service for SRV: with TLS later and at once, e.g. `xmpp-server` and `xmpps-server`."""
    default_port: int
    connected: Callable[[Connection], Handler]
    """Given the connection (with direct TLS: secured), returns its handler."""
    failed: Callable[[str], None]
    """Told why nobody could be reached."""


class Dialer:
    """Resolves, connects, encrypts. Tasks live from the call to the connection."""

    def __init__(
        self,
        runtime: NetRuntime,
        config: NetConfig,
        certificates: Certificates,
        trust: Trust,
        resolver: Resolver,
        alpn: str,
        *,
        private_addresses: bool,
    ) -> None:
        """Prepare.

        Args:
            runtime: the loop and what comes with it.
            config: of connections.
            certificates: what we show.
            trust: whose signatures count.
            resolver: finds servers.
            alpn: the name of the protocol in direct TLS.
            private_addresses: call also where the DNS names an address that is not public. Who owns a domain could
                have us call what only this machine can reach.
        """
        self._private_addresses: Final = private_addresses
        self.runtime: Final = runtime
        self.config: Final = config
        self._certificates: Final = certificates
        self._trust: Final = trust
        self._resolver: Final = resolver
        self._alpn: Final = alpn
        self._mutual: Mutual | None = None
        self._tasks: Final[set[asyncio.Task[None]]] = set()

    def call(self, call: Call) -> None:
        """Reach a server of a domain, whichever of its addresses answers first in their order."""
        self._start(self._call(call))

    def close(self) -> None:
        """Give up the calls under way."""
        for task in self._tasks:
            task.cancel()
        self._resolver.close()

    def mutual(self) -> Mutual:
        """Return what makes handshakes with the certificate of now."""
        if self._mutual is None or self._mutual.credentials is not self._certificates.current:
            self._mutual = Mutual(self._certificates.current, self._trust, self._alpn)
        return self._mutual

    async def _call(self, call: Call) -> None:
        try:
            targets = await self._resolver.targets(call.domain, call.services, call.default_port)
        except (OSError, UnicodeError) as error:  # a name that the DNS cannot have is a Unicode error
            call.failed(str(error) or "not found")
            return
        problem = "no address"
        for target in targets:
            problem = await self._try(call, target)
            if not problem:
                return
        call.failed(problem)

    async def _try(self, call: Call, target: Target) -> str:
        """Try the addresses of a target; return why that failed, empty if it did not."""
        try:
            async with asyncio.timeout(CONNECT_S):
                hosts = await self._hosts(target)
        except (OSError, UnicodeError) as error:
            return str(error) or "timeout"
        problem = "no address"
        for host in hosts:
            outgoing = _Outgoing(self, call, target)
            try:
                async with asyncio.timeout(CONNECT_S):
                    await self.runtime.loop.create_connection(outgoing.socket, host, target.port)
            except (OSError, UnicodeError) as error:
                problem = str(error) or "timeout"
                continue
            problem = await outgoing.outcome
            if not problem:
                return ""
        return problem

    async def _hosts(self, target: Target) -> list[str]:
        if target.chosen or self._private_addresses:
            return [target.host]
        return await public_addresses(target.host, target.port)

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = self.runtime.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Outgoing:
    """One try at one address; see `net.sockets.SocketOwner`."""

    def __init__(self, dialer: Dialer, call: Call, target: Target) -> None:
        self.runtime: NetRuntime = dialer.runtime
        self.config: NetConfig = dialer.config
        self.connect: Callable[[Connection], Handler] = self._connected
        self.outcome: Final[asyncio.Future[str]] = dialer.runtime.loop.create_future()
        """Why the try failed, empty if it did not."""
        self._dialer: Final = dialer
        self._call: Final = call
        self._target: Final = target

    def socket(self) -> Socket:
        """Return what the event loop is to call."""
        return Socket(self, self._target.host, None, secure_first=self._target.direct)

    def upgrade(self, taker: Socket, transport: asyncio.Transport, then: Callable[[], None]) -> None:
        """See `SocketOwner.upgrade`."""
        mutual = self._dialer.mutual()
        session = mutual.connect(self._call.domain, direct=self._target.direct)
        secure(taker, transport, session, mutual, then)

    def left(self, peer: str) -> None:
        """See `SocketOwner.left`."""
        self._settle("connection closed")

    def handshake_failed(self, peer: str, reason: str) -> None:
        """See `SocketOwner.handshake_failed`."""
        log.info("TLS handshake failed", extra={"domain": self._call.domain, "peer": peer, "reason": reason})
        self._settle(f"TLS: {reason}")

    def _connected(self, connection: Connection) -> Handler:
        self._settle("")
        return self._call.connected(connection)

    def _settle(self, problem: str) -> None:
        if not self.outcome.done():
            self.outcome.set_result(problem)
