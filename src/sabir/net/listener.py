"""Listening sockets: accept, admit, encrypt, and hand each connection to its protocol.

Sockets are accepted here and not by the event loop's server, so that a peer is counted and limited before it
costs a TLS handshake, and a renewed certificate serves the next handshake without a new listening socket.
"""

import asyncio
import enum
import errno
import logging
import socket
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Final

from sabir.net.admission import Admission
from sabir.net.config import NetConfig
from sabir.net.connection import Connection, Handler
from sabir.net.mutual import Mutual, Trust
from sabir.net.runtime import NetRuntime
from sabir.net.sockets import Socket, secure
from sabir.net.tls import Certificates, Credentials

log = logging.getLogger(__name__)

_TLS_SHUTDOWN_S: Final = 2.0
_ACCEPTS_PER_TURN: Final = 64
_PAUSE_MS: Final = 1_000
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_IPV4_MAPPED: Final = "::ffff:"


class Tls(enum.Enum):
    """How a listener is encrypted; the values are those of the ready file."""

    NONE = "none"
    STARTTLS = "starttls"
    DIRECT = "direct"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a protocol listens."""

    name: str
    """The listener's name, e.g. `xmpp-tls`."""
    host: str
    port: int
    """0 = the kernel chooses; `Listener.port` tells."""
    tls: Tls = Tls.NONE
    alpn: tuple[str, ...] = ()
    """Protocol names offered under TLS, e.g. `("xmpp-client",)`."""
    mutual: bool = False
    """Peers are servers: they are asked for a certificate too (`net.mutual`)."""


class Listener:
    """One listening socket and the connections that came through it."""

    def __init__(
        self,
        endpoint: Endpoint,
        connect: Callable[[Connection], Handler],
        *,
        runtime: NetRuntime,
        admission: Admission,
        config: NetConfig,
        certificates: Certificates | None,
        trust: Trust | None = None,
    ) -> None:
        """Prepare; `open` binds.

        Args:
            endpoint: where to listen.
            connect: returns the handler of a new connection (with direct TLS: after the handshake).
            runtime: of the loop that listens.
            admission: shared by all listeners of the process.
            config: sizes and timeouts.
            certificates: needed unless `endpoint.tls` is none.
            trust: judges certificates of peers; needed if `endpoint.mutual`.

        Raises:
            ValueError: TLS is asked for and there are no certificates.
        """
        if endpoint.tls is not Tls.NONE and certificates is None:
            raise ValueError(f"listener {endpoint.name} needs a certificate")
        if endpoint.mutual and trust is None:
            raise ValueError(f"listener {endpoint.name} must know whom to trust")
        self.endpoint: Final = endpoint
        self.port = endpoint.port
        """The port in use; of interest after `open` if the kernel chose it."""
        self.connect: Final = connect
        self.runtime: Final = runtime
        self.admission: Final = admission
        self.config: Final = config
        self._certificates: Final = certificates
        self._trust: Final = trust
        self._mutual: Mutual | None = None
        if certificates is not None:
            certificates.offer(endpoint.alpn)
        self._sockets: list[socket.socket] = []
        self._tasks: Final[set[asyncio.Task[None]]] = set()

    async def open(self) -> None:
        """Bind every address that `endpoint.host` has, and accept.

        Raises:
            OSError: the address is in use or not ours; nothing is bound then.
        """
        loop = self.runtime.loop
        found = await loop.getaddrinfo(
            self.endpoint.host or None, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        try:
            for family, *_, address in found:
                self._sockets.append(self._bind(family, str(address[0])))
        except OSError:
            self.close()
            raise
        for bound in self._sockets:
            loop.add_reader(bound, self._accept, bound)
        log.info(
            "listening",
            extra={
                "listener": self.endpoint.name,
                "host": self.endpoint.host,
                "port": self.port,
                "tls": self.endpoint.tls.value,
            },
        )

    def close(self) -> None:
        """Accept no more. Connections stay; handshakes under way are given up."""
        for bound in self._sockets:
            self.runtime.loop.remove_reader(bound)
            bound.close()
        self._sockets.clear()
        for task in self._tasks:
            task.cancel()

    def _bind(self, family: int, host: str) -> socket.socket:
        bound = socket.socket(family, socket.SOCK_STREAM)
        try:
            bound.setblocking(False)
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if self.config.reuse_port:
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            bound.bind((host, self.port))  # 0 only for the first: the others get the port it was given
            bound.listen(self.config.backlog)
        except OSError:
            bound.close()
            raise
        self.port = bound.getsockname()[1]
        return bound

    def _accept(self, bound: socket.socket) -> None:
        for _ in range(_ACCEPTS_PER_TURN):
            try:
                accepted, address = bound.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._accept_failed(bound, error)
                return
            accepted.setblocking(False)
            self._admit(accepted, _peer(address))

    def _accept_failed(self, bound: socket.socket, error: OSError) -> None:
        log.error("cannot accept", extra={"listener": self.endpoint.name, "reason": str(error)})
        if error.errno in _EXHAUSTED:
            # The socket stays readable, so the loop would do nothing but try again: wait for some to close.
            self.runtime.loop.remove_reader(bound)
            self.runtime.later(_PAUSE_MS, lambda: self._accept_again(bound))

    def _accept_again(self, bound: socket.socket) -> None:
        if bound in self._sockets:
            self.runtime.loop.add_reader(bound, self._accept, bound)

    def _admit(self, accepted: socket.socket, peer: str) -> None:
        refusal = self.admission.admit(peer, self.runtime.clock.now_ms())
        if refusal:
            accepted.close()
            log.info(
                "connection refused",
                extra={"listener": self.endpoint.name, "peer": peer, "reason": refusal},
            )
            return
        # Writes are collected per turn of the loop already; Nagle would only add a wait.
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        direct = self.endpoint.tls is Tls.DIRECT
        credentials = self._credentials() if direct and not self.endpoint.mutual else None
        taker = Socket(self, peer, credentials, secure_first=direct and self.endpoint.mutual)
        self._start(self._connect(taker, accepted))

    def left(self, peer: str) -> None:
        """See `SocketOwner.left`."""
        self.admission.left(peer)

    async def _connect(self, taker: Socket, accepted: socket.socket) -> None:
        credentials = taker.credentials
        try:
            await self.runtime.loop.connect_accepted_socket(
                lambda: taker,
                accepted,
                ssl=credentials.context(self.endpoint.alpn) if credentials else None,
                ssl_handshake_timeout=self.config.handshake_timeout_s if credentials else None,
                ssl_shutdown_timeout=_TLS_SHUTDOWN_S if credentials else None,
            )
        except OSError as error:  # of TLS, of the socket, or that the time is up
            self.handshake_failed(taker.peer, _why(error))
            taker.connection_lost(error)
        except asyncio.CancelledError:
            accepted.close()
            taker.give_up()
            raise

    def upgrade(self, taker: Socket, transport: asyncio.Transport, then: Callable[[], None]) -> None:
        """Run the TLS handshake of `taker` over `transport`, then call `then`."""
        if self._trust is not None and self.endpoint.mutual:
            credentials = self._credentials()
            if self._mutual is None or self._mutual.credentials is not credentials:
                self._mutual = Mutual(credentials, self._trust, "".join(self.endpoint.alpn[:1]))
            secure(taker, transport, self._mutual.accept(), self._mutual, then)
        else:
            self._start(self._upgrade(taker, transport, then))

    async def _upgrade(self, taker: Socket, transport: asyncio.Transport, then: Callable[[], None]) -> None:
        credentials = self._credentials()
        try:
            secured = await self.runtime.loop.start_tls(
                transport,
                taker,
                credentials.context(self.endpoint.alpn),
                server_side=True,
                ssl_handshake_timeout=self.config.handshake_timeout_s,
                ssl_shutdown_timeout=_TLS_SHUTDOWN_S,
            )
        except OSError as error:
            self.handshake_failed(taker.peer, _why(error))
            transport.abort()
            taker.connection_lost(error)
            return
        except asyncio.CancelledError:
            transport.abort()
            taker.connection_lost(None)
            raise
        if secured is None:  # the loop's way to say that the connection went away meanwhile
            taker.connection_lost(None)
            return
        taker.secured(secured, credentials)
        then()

    def _credentials(self) -> Credentials:
        if self._certificates is None:
            raise ValueError(f"listener {self.endpoint.name} has no certificate")
        return self._certificates.current

    def handshake_failed(self, peer: str, reason: str) -> None:
        """See `SocketOwner.handshake_failed`."""
        log.info(
            "TLS handshake failed",
            extra={"listener": self.endpoint.name, "peer": peer, "reason": reason},
        )

    def _start(self, work: Coroutine[None, None, None]) -> None:
        # The only tasks that a connection ever has: they end with its handshake, in time or not.
        task = self.runtime.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _why(error: OSError) -> str:
    return str(getattr(error, "reason", None) or str(error) or type(error).__name__)


def has_ipv6() -> bool:
    """Say whether this machine speaks IPv6; many containers do not."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def _peer(address: tuple[str, ...]) -> str:
    host = address[0].partition("%")[0]
    return host.removeprefix(_IPV4_MAPPED) if "." in host else host
