"""One connection: bytes in, bytes out, collected and written once per turn of the event loop.

Compiled by mypyc. Life of a connection: open -> (TLS handshake -> open) -> closing -> lost. While closing it
sends what was put before, then reads and forgets what the peer still sends, for a short while: a socket that
is closed with unread bytes is reset by the kernel, and the reset would eat our last words.

A slow reader: when more than the high-water mark is unsent, `lagging` is set. Whoever delivers live events
looks at it before each `put` and leaves a lagging connection out; its handler's `catch_up` is called when the
peer has read enough, and may then put as much as it likes until `lagging` is set again.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final, Protocol

from sabir.net.mutual import PEER, SESSION, PeerCertificate, tls_info_of
from sabir.net.tls import TlsInfo, tls_info
from sabir.net.wheel import Timer, Wheel

READ_BYTES: Final = 65_536
"""Size of the shared read buffer: the most that one connection is given per turn of the loop."""

DRAIN_MS: Final = 2_000
"""How long a closing connection waits for the peer to take our last words."""

_DRAIN_BYTES: Final = 64 * 1024 * 1024
_QUIET_MS: Final = 500

_HELD_BY_HANDLER: Final = 1
_HELD_BY_RATE: Final = 2
_HELD_FOR_A_TURN: Final = 4
_HELD_BY_HANDSHAKE: Final = 8


class Handler(Protocol):
    """Whoever speaks the protocol of a connection. Nothing here may block or raise."""

    def receive(self, data: bytes) -> None:
        """Take `data`, at most 64 KiB, as it came from the peer."""

    def lag(self) -> None:
        """Note that the peer reads too slowly: nothing live is put until `catch_up`."""

    def catch_up(self) -> None:
        """Go on sending: the peer has read most of what was unsent."""

    def tick(self, now_ms: int) -> None:
        """Do what is due at `now_ms` (monotonic clock)."""

    def next_deadline_ms(self) -> int:
        """Return when `tick` is to be called next, 0 = not at all. Asked after each `receive` and `tick`."""

    def shutdown(self) -> None:
        """Say goodbye in the protocol's own words and close: the server stops."""

    def closed(self, reason: str) -> None:
        """Forget the connection; called once, last."""


class Flusher:
    """Collects the connections that something was put on, and lets each write once per turn of the loop."""

    def __init__(self, call_soon: Callable[[Callable[[], object]], object]) -> None:
        """Make a flusher for one event loop.

        Args:
            call_soon: calls its argument in the next turn of that loop.
        """
        self._call_soon: Final = call_soon
        self._run: Final[Callable[[], object]] = self.flush
        self._dirty: list[SocketConnection] = []

    def add(self, connection: "SocketConnection") -> None:
        """Let `connection` have its turn; it sees to it that it is added once."""
        if not self._dirty:
            self._call_soon(self._run)
        self._dirty.append(connection)

    def flush(self) -> None:
        """Give each collected connection its turn."""
        dirty = self._dirty
        self._dirty = []
        served = 0
        try:
            for connection in dirty:
                served += 1
                connection.take_turn()
        finally:
            if served < len(dirty):  # one failed: the loop reports it, the others are served all the same
                if not self._dirty:
                    self._call_soon(self._run)
                self._dirty += dirty[served:]


class Unanswered:
    """The handler of a connection that has none yet, or no more: hears everything, does nothing."""

    def receive(self, data: bytes) -> None:
        """Forget `data`."""

    def lag(self) -> None:
        """Do nothing."""

    def catch_up(self) -> None:
        """Do nothing."""

    def tick(self, now_ms: int) -> None:
        """Do nothing."""

    def next_deadline_ms(self) -> int:
        """Return 0: there is no deadline."""
        return 0

    def shutdown(self) -> None:
        """Do nothing."""

    def closed(self, reason: str) -> None:
        """Do nothing."""


_UNANSWERED: Final = Unanswered()


class Connection(ABC):
    """One connected peer, as its protocol sees it: a socket, or whatever carries the same (a WebSocket)."""

    def __init__(self, connection_id: int, peer: str) -> None:
        """Note who is connected.

        Args:
            connection_id: unique in this process.
            peer: the address of the peer, without port.
        """
        self.id: Final = connection_id
        self.peer: Final = peer
        self.handler: Handler = _UNANSWERED
        self.secure = False
        """TLS is on."""
        self.lagging = False
        """The peer reads too slowly: put nothing live."""
        self.closing = False
        """Nothing that is put from now on is sent."""
        self.bytes_in = 0
        self.bytes_out = 0
        self.frames_in = 0
        """Frames found in what came; the protocol counts them, rate limits look."""

    @property
    @abstractmethod
    def now_ms(self) -> int:
        """The time of the wheel, from which deadlines are counted: behind by up to a granule."""

    @abstractmethod
    def put(self, data: bytes) -> None:
        """Send `data` at the end of this turn of the loop, joined with whatever else is put."""

    @abstractmethod
    def put3(self, before: bytes, between: bytes, after: bytes) -> None:
        """Send three pieces like one: what differs per receiver, spliced between bytes that all share."""

    @abstractmethod
    def close(self, grace_ms: int = DRAIN_MS) -> None:
        """Send what was put, then end the connection.

        Args:
            grace_ms: 0 = close as soon as everything is sent; right after the peer said goodbye itself.
        """

    @abstractmethod
    def abort(self, reason: str = "aborted") -> None:
        """End the connection at once; what is unsent is lost."""

    @abstractmethod
    def pause_reading(self) -> None:
        """Leave what the peer sends in the kernel, which slows it down. At most 64 KiB may still arrive."""

    @abstractmethod
    def resume_reading(self) -> None:
        """Read again, as far as no limit holds the connection back."""

    @abstractmethod
    def hold_reading(self, until_ms: int) -> None:
        """Read nothing before `until_ms` (monotonic clock): how rate limits slow a peer down."""

    @abstractmethod
    def start_tls(self, then: Callable[[], None]) -> None:
        """Turn to TLS, as the server; what was put before goes out in clear first.

        The caller must forget what it has received after the peer's request, and the state that came of it;
        what arrives in clear from now on ends the connection.

        Args:
            then: called when the handshake is done; if it fails the connection is lost.

        Raises:
            RuntimeError: TLS is already on, or under way, or not to be had on this kind of connection.
        """

    @abstractmethod
    def tls_info(self) -> TlsInfo | None:
        """Return what was negotiated, None without TLS."""

    def peer_certificate(self) -> PeerCertificate | None:
        """Return what a peer that is a server has shown, None without TLS or where peers are clients."""
        return None

    @abstractmethod
    def rearm(self) -> None:
        """Ask the handler for its next deadline: after it got an earlier one outside `receive` and `tick`."""


class SocketConnection(Connection):
    """A connection of its own socket. Made by `net.listener`."""

    def __init__(
        self,
        connection_id: int,
        peer: str,
        transport: asyncio.Transport,
        flusher: Flusher,
        wheel: Wheel,
        high_water_bytes: int,
        upgrade: Callable[[Callable[[], None]], None],
    ) -> None:
        """Wrap `transport`.

        Args:
            connection_id: unique in this process.
            peer: the address of the peer, without port.
            transport: where bytes go; its own high-water mark is set by whoever made it.
            flusher: that of the event loop.
            wheel: that of the event loop.
            high_water_bytes: how much may be collected in one turn before the connection counts as lagging.
            upgrade: runs a TLS handshake, then calls `secured` or `lost`.
        """
        super().__init__(connection_id, peer)
        self._transport = transport
        self._flusher: Final = flusher
        self._wheel: Final = wheel
        self._timer: Final = Timer(self._due)
        self._high_water_bytes: Final = high_water_bytes
        self._upgrade: Final = upgrade
        self._out: list[bytes] = []
        self._out_bytes = 0
        self._queued = False
        self._stuffed = False  # the transport is over its high-water mark
        self._told_to_lag = False
        self._holds = 0  # why reading is paused: a set of _HELD_... bits
        self._held_until_ms = 0
        self._drain_bytes = _DRAIN_BYTES
        self._drained_bytes_in = -1
        self._close_by_ms = 0
        self._endpoint_hash = b""
        self._reason = ""
        self._lost = False

    # What protocols call

    @property
    def now_ms(self) -> int:
        """See `Connection.now_ms`."""
        return self._wheel.now_ms

    def put(self, data: bytes) -> None:
        """See `Connection.put`."""
        if self.closing:
            return
        self._out.append(data)
        self._out_bytes += len(data)
        if not self._queued:
            self._queued = True
            self._flusher.add(self)
        if self._out_bytes > self._high_water_bytes:
            self.lagging = True

    def put3(self, before: bytes, between: bytes, after: bytes) -> None:
        """See `Connection.put3`."""
        if self.closing:
            return
        out = self._out
        out.append(before)
        out.append(between)
        out.append(after)
        self._out_bytes += len(before) + len(between) + len(after)
        if not self._queued:
            self._queued = True
            self._flusher.add(self)
        if self._out_bytes > self._high_water_bytes:
            self.lagging = True

    def flush_now(self) -> None:
        """Write what was put, without waiting for the end of the turn; seldom a good idea."""
        if not self._out or self._holds & _HELD_BY_HANDSHAKE:
            return
        data = self._out[0] if len(self._out) == 1 else b"".join(self._out)
        self._out.clear()
        self._out_bytes = 0
        self.bytes_out += len(data)
        self._transport.write(data)

    def close(self, grace_ms: int = DRAIN_MS) -> None:
        """See `Connection.close`.

        Without TLS the sending side is shut down at once, so that the peer sees the end. What the peer still
        sends is read and forgotten until it closes too, so that our last words reach a peer that is busy
        sending; after `grace_ms`, 64 MiB, or (with TLS) half a second of silence the connection is closed.
        """
        if self.closing:
            return
        self.flush_now()
        self.closing = True
        self._reason = "closed by us"
        if self._holds & _HELD_BY_HANDSHAKE:
            self._transport.abort()
            return
        self._close_by_ms = self._wheel.now_ms + (grace_ms or DRAIN_MS)
        self._wheel.set(self._timer, min(self._close_by_ms, self._wheel.now_ms + _QUIET_MS))
        if grace_ms == 0:
            self._transport.close()
            return
        if self._holds:
            self._holds = 0
            self._transport.resume_reading()
        if self._transport.can_write_eof():
            self._transport.write_eof()

    def abort(self, reason: str = "aborted") -> None:
        """See `Connection.abort`."""
        if not self._lost:
            self.closing = True
            self._reason = reason
            self._out.clear()
            self._transport.abort()

    def pause_reading(self) -> None:
        """See `Connection.pause_reading`."""
        self._hold(_HELD_BY_HANDLER)

    def resume_reading(self) -> None:
        """See `Connection.resume_reading`."""
        self._release(_HELD_BY_HANDLER)

    def hold_reading(self, until_ms: int) -> None:
        """See `Connection.hold_reading`."""
        if self.closing:
            return
        self._held_until_ms = max(self._held_until_ms, until_ms)
        self._hold(_HELD_BY_RATE)
        self.rearm()

    def start_tls(self, then: Callable[[], None]) -> None:
        """See `Connection.start_tls`."""
        if self.secure or self._holds & _HELD_BY_HANDSHAKE:
            raise RuntimeError("TLS is already on")
        if self.closing:
            return
        self.flush_now()
        # Reading stops here, so that no byte sent in clear can pass for one sent under TLS (CVE-2011-0411).
        self._hold(_HELD_BY_HANDSHAKE)
        self._upgrade(then)

    def tls_info(self) -> TlsInfo | None:
        """See `Connection.tls_info`."""
        if not self.secure:
            return None
        session = self._transport.get_extra_info(SESSION)
        if session is not None:
            return tls_info_of(session, self._endpoint_hash)
        return tls_info(self._transport.get_extra_info("ssl_object"), self._endpoint_hash)

    def peer_certificate(self) -> PeerCertificate | None:
        """Return what a peer that is a server has shown, None without TLS or where peers are clients."""
        return self._transport.get_extra_info(PEER) if self.secure else None

    def rearm(self) -> None:
        """See `Connection.rearm`."""
        if self.closing:
            return
        deadline_ms = self.handler.next_deadline_ms()
        if self._held_until_ms and (deadline_ms == 0 or self._held_until_ms < deadline_ms):
            deadline_ms = self._held_until_ms
        armed_ms = self._timer.deadline_ms
        if deadline_ms and (armed_ms == 0 or deadline_ms < armed_ms):
            self._wheel.set(self._timer, deadline_ms)  # a later one is seen when the timer is due

    # What the listener and the flusher call

    def received(self, data: bytes) -> None:
        """Take `data` from the socket."""
        self.bytes_in += len(data)
        if self.closing:
            self._drain_bytes -= len(data)
            if self._drain_bytes < 0:
                self._transport.abort()
            return
        if self._holds & _HELD_BY_HANDSHAKE:
            return  # RFC 6120 §5.4.3.3: what came in clear beside the request is not processed
        if len(data) >= READ_BYTES:
            # libuv reads on while a read fills the buffer, up to 32 times: let the others have a turn.
            self._hold(_HELD_FOR_A_TURN)
            self._queue()
        self.handler.receive(data)
        self.rearm()

    def take_turn(self) -> None:
        """Write what was put in this turn of the loop, and tell the handler about lag and its end."""
        self._queued = False
        self.flush_now()
        if self._holds & _HELD_FOR_A_TURN:
            self._release(_HELD_FOR_A_TURN)
        if not self.lagging or self.closing:
            return
        if not self._told_to_lag:
            self._told_to_lag = True
            self.handler.lag()
        if not self._stuffed and not self._holds & _HELD_BY_HANDSHAKE:
            self.lagging = False
            self._told_to_lag = False
            self.handler.catch_up()

    def write_paused(self) -> None:
        """Note that the transport is over its high-water mark."""
        self._stuffed = True
        self.lagging = True
        self._queue()

    def write_resumed(self) -> None:
        """Note that the transport is below its low-water mark."""
        self._stuffed = False
        self._queue()

    def eof(self) -> None:
        """Note that the peer will send no more; the transport closes when everything is written."""
        self.flush_now()
        if not self.closing:
            self.closing = True
            self._reason = "closed by peer"

    def secured(self, transport: asyncio.Transport, endpoint_hash: bytes) -> None:
        """Go on over `transport`, which is encrypted.

        Args:
            transport: the TLS transport.
            endpoint_hash: the hash of the certificate that was shown to the peer (RFC 5929 §4.1).
        """
        self._transport = transport
        self._endpoint_hash = endpoint_hash
        self.secure = True
        self._holds &= ~_HELD_BY_HANDSHAKE
        if self._holds:
            transport.pause_reading()
        self._queue()

    def lost(self, reason: str) -> None:
        """Note that the connection is gone; only the first call counts."""
        if self._lost:
            return
        self._lost = True
        self.closing = True
        self._out.clear()
        self._wheel.cancel(self._timer)
        handler = self.handler
        self.handler = _UNANSWERED  # breaks the cycle, so that memory is freed at once
        handler.closed(self._reason or reason)

    def _due(self, now_ms: int) -> None:
        if self.closing:
            self._see_to_the_end(now_ms)
            return
        if self._held_until_ms and self._held_until_ms <= now_ms:
            self._held_until_ms = 0
            self._release(_HELD_BY_RATE)
        deadline_ms = self.handler.next_deadline_ms()
        if 0 < deadline_ms <= now_ms:
            self.handler.tick(now_ms)
        self.rearm()

    def _see_to_the_end(self, now_ms: int) -> None:
        if now_ms >= self._close_by_ms:
            self._transport.abort()
            return
        if self.secure:
            # TLS has no half-close that peers understand, so a silent peer is taken to have read everything.
            if self._drained_bytes_in == self.bytes_in and not self._transport.get_write_buffer_size():
                self._transport.close()
            self._drained_bytes_in = self.bytes_in
        self._wheel.set(self._timer, min(self._close_by_ms, now_ms + _QUIET_MS))

    def _queue(self) -> None:
        if not self._queued:
            self._queued = True
            self._flusher.add(self)

    def _hold(self, why: int) -> None:
        if self._holds == 0 and not self.closing:
            self._transport.pause_reading()
        self._holds |= why

    def _release(self, why: int) -> None:
        before = self._holds
        self._holds &= ~why
        if before and not self._holds and not self.closing:
            self._transport.resume_reading()
