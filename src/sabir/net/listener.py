"""Listening sockets: accept, admit, encrypt, and hand each connection to its protocol.

Every listener accepts in clear. For direct TLS the handshake starts at once, so that a peer is counted and
limited before it costs a handshake, and a renewed certificate needs no new socket.
"""

import asyncio
import enum
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

from sabir.net.admission import Admission
from sabir.net.config import NetConfig
from sabir.net.connection import Connection, Handler
from sabir.net.runtime import NetRuntime
from sabir.net.tls import Certificates

log = logging.getLogger(__name__)

_TLS_SHUTDOWN_S: Final = 2.0
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
        self._server: asyncio.Server | None = None
        self._handshakes: Final[set[asyncio.Task[None]]] = set()

    async def open(self) -> None:
        """Bind and accept.

        Raises:
            OSError: the address is in use or not ours.
        """
        loop = self.runtime.loop
        self._server = await loop.create_server(
            lambda: _Socket(self),
            self.endpoint.host,
            self.endpoint.port,
            backlog=self.config.backlog,
            reuse_port=self.config.reuse_port or None,
        )
        self.port = self._server.sockets[0].getsockname()[1]
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
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in self._handshakes:
            task.cancel()

    def upgrade(self, socket: "_Socket", transport: asyncio.Transport, then: Callable[[], None]) -> None:
        """Run the TLS handshake of `socket` over `transport`, then call `then`."""
        # The only task a connection ever has; it ends with the handshake, in time or not.
        task = self.runtime.loop.create_task(self._handshake(socket, transport, then))
        self._handshakes.add(task)
        task.add_done_callback(self._handshakes.discard)

    async def _handshake(
        self, socket: "_Socket", transport: asyncio.Transport, then: Callable[[], None]
    ) -> None:
        if self._certificates is None:
            raise ValueError(f"listener {self.endpoint.name} has no certificate")
        credentials = self._certificates.current
        connection = socket.connection
        try:
            secured = await self.runtime.loop.start_tls(
                transport,
                socket,
                credentials.context(self.endpoint.alpn),
                server_side=True,
                ssl_handshake_timeout=self.config.handshake_timeout_s,
                ssl_shutdown_timeout=_TLS_SHUTDOWN_S,
            )
        except (OSError, asyncio.CancelledError) as error:  # OSError: ssl, reset, timeout
            reason = getattr(error, "reason", None) or str(error) or type(error).__name__
            log.info(
                "TLS handshake failed",
                extra={"listener": self.endpoint.name, "conn": connection.id, "peer": connection.peer}
                | {"reason": reason},
            )
            transport.abort()
            socket.connection_lost(None)
            if isinstance(error, asyncio.CancelledError):
                raise
            return
        if secured is None:  # the loop's way to say that the connection went away meanwhile
            socket.connection_lost(None)
            return
        secured.set_write_buffer_limits(self.config.high_water_bytes, self.config.low_water_bytes)
        connection.secured(secured, credentials.endpoint_hash)
        then()


class _Socket(asyncio.BufferedProtocol):
    """What the event loop calls; passes everything on to the `Connection`."""

    __slots__ = ("_buffer", "_gone", "_listener", "connection")

    connection: Connection

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._buffer = listener.runtime.buffer
        self._gone = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Admit the peer, or hang up."""
        made = cast(asyncio.Transport, transport)
        listener = self._listener
        runtime, config = listener.runtime, listener.config
        peer = _address(made)
        refusal = listener.admission.admit(peer, runtime.clock.now_ms())
        self.connection = Connection(
            runtime.next_id(),
            peer,
            made,
            runtime.flusher,
            runtime.wheel,
            config.high_water_bytes,
            lambda then: listener.upgrade(self, made, then),
        )
        if refusal:
            log.info(
                "connection refused",
                extra={"listener": listener.endpoint.name, "peer": peer, "reason": refusal},
            )
            self.connection.abort(refusal)
            return
        self._gone = False
        made.set_write_buffer_limits(config.high_water_bytes, config.low_water_bytes)
        if listener.endpoint.tls is Tls.DIRECT:
            self.connection.start_tls(self._begin)
        else:
            self._begin()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the buffer that all connections share."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Pass on what was read."""
        self.connection.received(self._buffer[:nbytes].tobytes())

    def eof_received(self) -> None:
        """Pass on that the peer sends no more; the transport closes itself."""
        self.connection.eof()

    def pause_writing(self) -> None:
        """Pass on that the peer reads too slowly."""
        self.connection.write_paused()

    def resume_writing(self) -> None:
        """Pass on that the peer has read."""
        self.connection.write_resumed()

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass on that the connection is gone."""
        if self._gone:
            return
        self._gone = True
        self._listener.admission.left(self.connection.peer)
        self.connection.lost("connection reset" if exc else "connection closed")

    def _begin(self) -> None:
        self.connection.handler = self._listener.connect(self.connection)
        self.connection.rearm()


def _address(transport: asyncio.Transport) -> str:
    name = transport.get_extra_info("peername")
    if not name:
        return ""  # it hung up between accept and here
    address = str(name[0]).partition("%")[0]
    return address.removeprefix(_IPV4_MAPPED) if "." in address else address
