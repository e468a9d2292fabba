"""Between the event loop and the `Connection`: what asyncio calls for each socket."""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol, cast

from OpenSSL import SSL

from sabir.net.config import NetConfig
from sabir.net.connection import Connection, Handler, SocketConnection
from sabir.net.mutual import Mutual, SecureTransport
from sabir.net.runtime import NetRuntime
from sabir.net.tls import Credentials

_MS_PER_S: Final = 1000


class SocketOwner(Protocol):
    """Who made a socket: a listener, or whoever called out."""

    @property
    def runtime(self) -> NetRuntime:
        """The one of the loop."""

    @property
    def config(self) -> NetConfig:
        """Sizes and timeouts."""

    @property
    def connect(self) -> Callable[[Connection], Handler]:
        """What returns the handler of a new connection."""

    def upgrade(self, taker: "Socket", transport: asyncio.Transport, then: Callable[[], None]) -> None:
        """Run the TLS handshake of `taker` over `transport`, then call `then`."""

    def left(self, peer: str) -> None:
        """Take note that a connection is gone."""

    def handshake_failed(self, peer: str, reason: str) -> None:
        """Say that a handshake failed."""


class Socket(asyncio.BufferedProtocol):
    """What the event loop calls; passes everything on to the `Connection`."""

    __slots__ = (
        "_buffer",
        "_connection",
        "_gone",
        "_made",
        "_secure_first",
        "_transport",
        "credentials",
        "owner",
        "peer",
    )

    # From `connection_made` on; until then only `connection_lost` and `give_up` are called.
    _connection: SocketConnection
    _transport: asyncio.Transport

    def __init__(
        self, owner: SocketOwner, peer: str, credentials: Credentials | None, *, secure_first: bool = False
    ) -> None:
        self.peer = peer
        self.credentials = credentials
        self.owner = owner
        self._buffer = owner.runtime.buffer
        self._secure_first = secure_first
        self._made = False
        self._gone = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Make the connection and its handler."""
        made = cast(asyncio.Transport, transport)
        runtime, config = self.owner.runtime, self.owner.config
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
        if self._secure_first:
            connection.start_tls(self._answer)
            return
        if self.credentials is None:
            made.set_write_buffer_limits(config.high_water_bytes, config.low_water_bytes)
        else:
            self.secured(made, self.credentials)
        self._answer()

    def _answer(self) -> None:
        self._connection.handler = self.owner.connect(self._connection)
        self._connection.rearm()

    def secured(self, transport: asyncio.Transport, credentials: Credentials) -> None:
        """Note that `transport` is encrypted, with `credentials`."""
        config = self.owner.config
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

    def taken(self, data: bytes) -> None:
        """Pass on what was read and decrypted elsewhere (`net.mutual`)."""
        self._connection.received(data)

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
        self.owner.left(self.peer)
        if self._made:
            self._connection.lost("connection reset" if exc else "connection closed")

    def _upgrade(self, then: Callable[[], None]) -> None:
        self.owner.upgrade(self, self._transport, then)


def secure(
    taker: Socket,
    transport: asyncio.Transport,
    session: SSL.Connection,
    mutual: Mutual,
    then: Callable[[], None],
) -> None:
    """Run a handshake in which both sides show a certificate; what fails ends the connection of `taker`."""
    owner = taker.owner

    def done(secured: SecureTransport, problem: str) -> None:
        timeout.cancel()
        if problem:
            owner.handshake_failed(taker.peer, problem)
            taker.connection_lost(None)
            return
        taker.secured(secured, mutual.credentials)
        then()

    def late() -> None:
        secured.give_up("timeout")

    timeout = owner.runtime.later(owner.config.handshake_timeout_s * _MS_PER_S, late)
    secured = SecureTransport(transport, session, mutual.trust, taker, owner.runtime.buffer, done)
