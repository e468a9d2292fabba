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
from typing import Final, cast

from sabir.net.admission import Admission
from sabir.net.config import NetConfig
from sabir.net.connection import Connection, Handler, SocketConnection
from sabir.net.runtime import NetRuntime
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
    ) -> None:
        """Prepare; `open` binds.

        Args:
            endpoint: where to listen.
            connect: returns the handler of a new connection (with direct TLS: after the handshake).
            runtime: of the loop that listens.
            admission: shared by all listeners of the process.
            config: sizes and timeouts.
            certificates: needed unless `endpoint.tls` is none.

        Raises:
            ValueError: TLS is asked for and there are no certificates.
        """
        if endpoint.tls is not Tls.NONE and certificates is None:
            raise ValueError(f"listener {endpoint.name} needs a certificate")
        self.endpoint: Final = endpoint
        self.port = endpoint.port
        """The port in use; of interest after `open` if the kernel chose it."""
        self.connect: Final = connect
        self.runtime: Final = runtime
        self.admission: Final = admission
        self.config: Final = config
        self._certificates: Final = certificates
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
        credentials = self._credentials() if self.endpoint.tls is Tls.DIRECT else None
        self._start(self._connect(_Socket(self, peer, credentials), accepted))

    async def _connect(self, taker: "_Socket", accepted: socket.socket) -> None:
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
            self._handshake_failed(taker.peer, error)
            taker.connection_lost(error)
        except asyncio.CancelledError:
            accepted.close()
            taker.give_up()
            raise

    def upgrade(self, taker: "_Socket", transport: asyncio.Transport, then: Callable[[], None]) -> None:
        """Run the TLS handshake of `taker` over `transport`, then call `then`."""
        self._start(self._upgrade(taker, transport, then))

    async def _upgrade(
        self, taker: "_Socket", transport: asyncio.Transport, then: Callable[[], None]
    ) -> None:
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
            self._handshake_failed(taker.peer, error)
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

    def _handshake_failed(self, peer: str, error: OSError) -> None:
        reason = getattr(error, "reason", None) or str(error) or type(error).__name__
        log.info(
            "TLS handshake failed",
            extra={"listener": self.endpoint.name, "peer": peer, "reason": reason},
        )

    def _start(self, work: Coroutine[None, None, None]) -> None:
        # The only tasks that a connection ever has: they end with its handshake, in time or not.
        task = self.runtime.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Socket(asyncio.BufferedProtocol):
    """What the event loop calls; passes everything on to the `Connection`."""

    __slots__ = ("_buffer", "_connection", "_gone", "_listener", "_made", "_transport", "credentials", "peer")

    # From `connection_made` on; until then only `connection_lost` and `give_up` are called.
    _connection: SocketConnection
    _transport: asyncio.Transport

    def __init__(self, listener: Listener, peer: str, credentials: Credentials | None) -> None:
        self.peer = peer
        self.credentials = credentials
        self._listener = listener
        self._buffer = listener.runtime.buffer
        self._made = False
        self._gone = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Make the connection and its handler."""
        made = cast(asyncio.Transport, transport)
        runtime, config = self._listener.runtime, self._listener.config
        self._made = True
        self._transport = made
        connection = self._connection = SocketConnection(
            runtime.next_id(),
            self.peer,
            made,
            runtime.flusher,
            runtime.wheel,
            config.high_water_bytes,
            self._upgrade,
        )
        if self.credentials is None:
            made.set_write_buffer_limits(config.high_water_bytes, config.low_water_bytes)
        else:
            self.secured(made, self.credentials)
        connection.handler = self._listener.connect(connection)
        connection.rearm()

    def secured(self, transport: asyncio.Transport, credentials: Credentials) -> None:
        """Note that `transport` is encrypted, with `credentials`."""
        config = self._listener.config
        transport.set_write_buffer_limits(config.high_water_bytes, config.low_water_bytes)
        self._connection.secured(transport, credentials.endpoint_hash)

    def give_up(self) -> None:
        """End what may not have begun: the listener closes."""
        if self._made:
            self._connection.abort("server stopped")
        else:
            self.connection_lost(None)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the buffer that all connections share."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Pass on what was read."""
        self._connection.received(self._buffer[:nbytes].tobytes())

    def eof_received(self) -> None:
        """Pass on that the peer sends no more; the transport closes itself."""
        self._connection.eof()

    def pause_writing(self) -> None:
        """Pass on that the peer reads too slowly."""
        self._connection.write_paused()

    def resume_writing(self) -> None:
        """Pass on that the peer has read."""
        self._connection.write_resumed()

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass on that the connection is gone; only the first call counts."""
        if self._gone:
            return
        self._gone = True
        self._listener.admission.left(self.peer)
        if self._made:
            self._connection.lost("connection reset" if exc else "connection closed")

    def _upgrade(self, then: Callable[[], None]) -> None:
        self._listener.upgrade(self, self._transport, then)


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
