"""The loop between the net and the front ends: every connection of every protocol goes through here.

A `Guard` stands between a connection and its session. It is the one place that catches `Exception`: a fault
is logged once, with its traceback, and ends that connection only. It slows down peers that send too fast, and
it is what a stopping server says goodbye to.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from sabir.base.log import BoundLogger, bind
from sabir.gateway.contract import Door, FrontEnd
from sabir.net.config import LimitsConfig
from sabir.net.connection import Connection, Handler, Unanswered
from sabir.net.limits import Rate, TokenBucket
from sabir.net.wheel import Wheel

log = logging.getLogger(__name__)

SERVER_WEIGHT: Final = 20
"""A server may send so many times what one client may."""


class Traffic:
    """What is counted per protocol without the help of its sessions."""

    def __init__(self, front_end: FrontEnd) -> None:
        self.front_end: Final = front_end
        self.live: Final[set[Guard]] = set()
        self.faults = 0
        self._bytes_in = 0
        self._bytes_out = 0

    @property
    def bytes_in(self) -> int:
        """All bytes received; adding them up costs a look at every live connection."""
        return self._bytes_in + sum(guard.connection.bytes_in for guard in self.live)

    @property
    def bytes_out(self) -> int:
        """All bytes sent."""
        return self._bytes_out + sum(guard.connection.bytes_out for guard in self.live)

    @property
    def lagging(self) -> int:
        """How many clients read too slowly at the moment."""
        return sum(guard.connection.lagging for guard in self.live)

    def left(self, guard: "Guard") -> None:
        """Note that a connection is gone."""
        self.live.discard(guard)
        self._bytes_in += guard.connection.bytes_in
        self._bytes_out += guard.connection.bytes_out


class Gateway:
    """All live connections. One per event loop."""

    def __init__(self, wheel: Wheel, limits: LimitsConfig) -> None:
        self._wheel: Final = wheel
        self._limits: Final = limits if limits.enabled else None
        self._empty = asyncio.Event()
        self._stopping = False
        self.traffic: Final[dict[str, Traffic]] = {}
        """By name of the protocol."""

    def connector(self, front_end: FrontEnd, door: Door) -> Callable[[Connection], Handler]:
        """Return what a listener calls for each connection that comes in through `door`."""
        traffic = self._traffic_of(front_end)
        return lambda connection: self._connect(traffic, door, connection)

    def calling(
        self, protocol: str, connect: Callable[[Connection], Handler]
    ) -> Callable[[Connection], Handler]:
        """Return what is called with a connection that a front end made to another server."""

        def take(connection: Connection) -> Handler:
            traffic = self.traffic[protocol]
            session = self._session(traffic, connection, connect)
            if session is None:
                return Unanswered()
            return self._guard(traffic, connection, session, weight=SERVER_WEIGHT)

        return take

    def adopt(
        self, front_end: FrontEnd, connection: Connection, connect: Callable[[Connection], Handler]
    ) -> "Guard | None":
        """Take in a connection of `front_end` that no listener made, and give it the session that `connect` returns.

        Whoever made the connection gives what happens to it to the guard that is returned; None: it failed.
        """
        traffic = self._traffic_of(front_end)
        session = self._session(traffic, connection, connect)
        if session is None:
            return None
        return self._guard(traffic, connection, session)

    def hand_over(
        self,
        carrier: Connection,
        front_end: FrontEnd,
        connection: Connection,
        handler: Handler,
        connect: Callable[[Connection], Handler],
    ) -> None:
        """Let another protocol be spoken over `carrier` from now on.

        Args:
            carrier: a live connection.
            front_end: whose protocol it is.
            connection: what carries it over `carrier`, for the session that `connect` returns.
            handler: the same object, as the one that hears what comes over `carrier`.
            connect: returns the session.
        """
        before = carrier.handler
        if isinstance(before, Guard):
            before.release()
        traffic = self._traffic_of(front_end)
        session = self._session(traffic, connection, connect)
        if session is not None:
            connection.handler = session
        carrier.handler = self._guard(traffic, connection, handler)

    def _traffic_of(self, front_end: FrontEnd) -> Traffic:
        return self.traffic.setdefault(front_end.protocol, Traffic(front_end))

    async def drain(self, timeout_s: float) -> None:
        """Let every session say goodbye, and wait until all have; what is left after `timeout_s` is cut off.

        The listeners must be closed before.
        """
        self._stopping = True
        self._empty.clear()
        guards = [guard for traffic in self.traffic.values() for guard in traffic.live]
        if not guards:
            return
        log.info("draining", extra={"connections": len(guards)})
        for guard in guards:
            guard.shutdown()
        try:
            await asyncio.wait_for(self._empty.wait(), timeout_s)
        except TimeoutError:
            left = [guard for traffic in self.traffic.values() for guard in traffic.live]
            log.warning("connections cut off", extra={"connections": len(left)})
            for guard in left:
                guard.connection.abort("server stopped")

    def gone(self, traffic: Traffic, guard: "Guard") -> None:
        """Note that a connection is gone."""
        traffic.left(guard)
        if self._stopping and not any(each.live for each in self.traffic.values()):
            self._empty.set()

    def _connect(self, traffic: Traffic, door: Door, connection: Connection) -> Handler:
        front_end = traffic.front_end
        session = self._session(traffic, connection, lambda made: front_end.connect(made, door))
        if session is None:
            return Unanswered()
        weight = SERVER_WEIGHT if door.servers else 1
        return self._guard(traffic, connection, session, is_bulk=door.is_bulk, weight=weight)

    def _session(
        self, traffic: Traffic, connection: Connection, connect: Callable[[Connection], Handler]
    ) -> Handler | None:
        traffic.front_end.counters.connections += 1
        try:
            return connect(connection)
        except Exception:
            traffic.faults += 1
            connection_log(connection, traffic.front_end.protocol).exception("session cannot be made")
            connection.abort("fault")
            return None

    def _guard(
        self,
        traffic: Traffic,
        connection: Connection,
        handler: Handler,
        *,
        is_bulk: bool = False,
        weight: int = 1,
    ) -> "Guard":
        allowance = (
            Allowance(self._limits, self._wheel, is_bulk, weight) if self._limits is not None else None
        )
        guard = Guard(self, traffic, connection, handler, allowance)
        traffic.live.add(guard)
        if self._stopping:
            guard.shutdown()
        return guard


class Allowance:
    """How much one connection may send: bytes and frames, each with a burst. Time is that of the wheel."""

    def __init__(self, limits: LimitsConfig, wheel: Wheel, is_bulk: bool, weight: int) -> None:
        bytes_per_s = limits.bulk_bytes_per_s if is_bulk else limits.bytes_per_s
        self._wheel: Final = wheel
        self._bytes: Final = TokenBucket(
            Rate(bytes_per_s * weight, limits.burst_bytes * weight), wheel.now_ms
        )
        self._frames: Final = TokenBucket(
            Rate(limits.frames_per_s * weight, limits.burst_frames * weight), wheel.now_ms
        )
        self._counted = 0

    def charge(self, size_bytes: int, frames: int) -> int:
        """Count `size_bytes`, and the `frames` so far; return how long to read nothing, 0 = go on."""
        now_ms = self._wheel.now_ms
        wait_ms = self._bytes.charge(now_ms, size_bytes)
        if frames != self._counted:
            wait_ms = max(wait_ms, self._frames.charge(now_ms, frames - self._counted))
            self._counted = frames
        return wait_ms


class Guard:
    """Between one connection and its session; see the module's text."""

    def __init__(
        self,
        gateway: Gateway,
        traffic: Traffic,
        connection: Connection,
        handler: Handler,
        allowance: Allowance | None,
    ) -> None:
        self.connection: Final = connection
        self._gateway: Final = gateway
        self._traffic: Final = traffic
        self._handler: Final = handler
        self._allowance: Final = allowance

    def receive(self, data: bytes) -> None:
        """Pass `data` on; then slow the peer down if it was too much."""
        try:
            self._handler.receive(data)
        except Exception:
            self._fault()
        if self._allowance is not None:
            connection = self.connection
            wait_ms = self._allowance.charge(len(data), connection.frames_in)
            if wait_ms:
                connection.hold_reading(connection.now_ms + wait_ms)

    def lag(self) -> None:
        """Pass it on."""
        try:
            self._handler.lag()
        except Exception:
            self._fault()

    def catch_up(self) -> None:
        """Pass it on."""
        try:
            self._handler.catch_up()
        except Exception:
            self._fault()

    def tick(self, now_ms: int) -> None:
        """Pass it on."""
        try:
            self._handler.tick(now_ms)
        except Exception:
            self._fault()

    def next_deadline_ms(self) -> int:
        """Return that of the session."""
        try:
            return self._handler.next_deadline_ms()
        except Exception:
            self._fault()
            return 0

    def shutdown(self) -> None:
        """Pass it on."""
        try:
            self._handler.shutdown()
        except Exception:
            self._fault()

    def release(self) -> None:
        """Forget the connection: another guard stands before it from now on."""
        self._traffic.left(self)

    def closed(self, reason: str) -> None:
        """Pass it on, and forget the connection."""
        try:
            self._handler.closed(reason)
        except Exception:
            self._fault()
        self._gateway.gone(self._traffic, self)
        connection = self.connection
        self._log().info(
            "connection closed",
            extra={"reason": reason, "bytes_in": connection.bytes_in, "bytes_out": connection.bytes_out},
        )

    def _fault(self) -> None:
        self._traffic.faults += 1
        self._log().exception("fault in a session")
        # Not an abort: what the session had put before it failed is good, and may say why it ends.
        self.connection.close()

    def _log(self) -> BoundLogger:
        return connection_log(self.connection, self._traffic.front_end.protocol)


def connection_log(connection: Connection, protocol: str) -> BoundLogger:
    """Return a logger whose lines name the connection; made when there is something to say, not kept."""
    return bind(log, conn=connection.id, peer=connection.peer, protocol=protocol)
