"""Health, readiness and metrics over HTTP, for whoever watches the server from the same machine.

Without login, and therefore for loopback peers only; anybody else is told 403.
"""

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST

from sabir.base.clock import Clock
from sabir.gateway.contract import Counters, Door
from sabir.net.connection import Connection, Handler
from sabir.net.listener import Tls
from sabir.wire.http.machine import Machine
from sabir.wire.http.types import HttpRequest, HttpResponse

_MS_PER_S: Final = 1000

Route = Callable[[HttpRequest], HttpResponse]
"""Answers a request at once."""

Table = Mapping[str, Mapping[str, Route]]
"""Routes by path and method."""


@dataclass(frozen=True, slots=True)
class Probes:
    """What the pages show."""

    objection: Callable[[], str]
    """Why the server cannot do its work now, e.g. that the log cannot be written; empty = it can."""
    metrics: Callable[[], bytes]
    """All metrics, in the text format of Prometheus."""


class HttpFrontEnd:
    """The listeners `http` and `https`."""

    protocol = "http"

    def __init__(self, probes: Probes, monotonic: Clock, wall: Clock) -> None:
        """Serve `probes`.

        Args:
            probes: what the pages show.
            monotonic: for timeouts.
            wall: for the Date field.
        """
        self.counters: Final = Counters(self.protocol)
        """Messages are requests and responses here."""
        self._routes: Final = routes(probes)
        self._monotonic: Final = monotonic
        self._wall: Final = wall

    def doors(self) -> Sequence[Door]:
        """Return the listeners that this protocol wants."""
        return (
            Door(name="http", port=5280, tls=Tls.NONE),
            Door(name="https", port=5443, tls=Tls.DIRECT, alpn=("http/1.1",)),
        )

    def connect(self, connection: Connection, door: Door) -> Handler:
        """Return the session of a new connection."""
        return HttpSession(connection, self._routes, self.counters, self._monotonic, self._wall)


class HttpSession:
    """One connection."""

    def __init__(
        self,
        connection: Connection,
        table: Table,
        counters: Counters,
        monotonic: Clock,
        wall: Clock,
    ) -> None:
        """Serve `connection` from `table`."""
        self._connection: Final = connection
        self._table: Final = table
        self._counters: Final = counters
        self._monotonic: Final = monotonic
        self._wall: Final = wall
        self._machine: Final = Machine(monotonic.now_ms())

    def receive(self, data: bytes) -> None:
        """Answer the requests in `data`."""
        for request in self._machine.receive(data, self._monotonic.now_ms()):
            self._connection.frames_in += 1
            self._counters.messages_in += 1
            date = formatdate(self._wall.now_ms() / _MS_PER_S, usegmt=True)
            self._machine.send_response(request, answer(self._table, request, self._connection.peer), date)
            self._counters.messages_out += 1
        self._flush()

    def tick(self, now_ms: int) -> None:
        """Do what is due."""
        self._machine.tick(now_ms)
        self._flush()

    def next_deadline_ms(self) -> int:
        """Return when `tick` has something to do."""
        return self._machine.next_deadline_ms()

    def lag(self) -> None:
        """Read no further requests while the answers to these are not taken."""
        self._connection.pause_reading()

    def catch_up(self) -> None:
        """Read on."""
        self._connection.resume_reading()

    def shutdown(self) -> None:
        """Close: every request that came was answered at once."""
        self._connection.close()

    def closed(self, reason: str) -> None:
        """Do nothing: a session leaves nothing behind."""

    def _flush(self) -> None:
        out = self._machine.drain()
        if out:
            self._connection.put(out)
        if self._machine.is_over:
            self._connection.close()


def routes(probes: Probes) -> Table:
    """Return the pages by path and method."""

    def health(request: HttpRequest) -> HttpResponse:
        return HttpResponse(status=200, body=b"ok\n")

    def readiness(request: HttpRequest) -> HttpResponse:
        objection = probes.objection()
        if objection:
            return HttpResponse(status=503, body=f"{objection}\n".encode())
        return HttpResponse(status=200, body=b"ready\n")

    def metrics(request: HttpRequest) -> HttpResponse:
        return HttpResponse(status=200, body=probes.metrics(), content_type=CONTENT_TYPE_LATEST)

    return {"/healthz": {"GET": health}, "/readyz": {"GET": readiness}, "/metrics": {"GET": metrics}}


def answer(table: Table, request: HttpRequest, peer: str) -> HttpResponse:
    """Return the answer of `table` to a `request` from the address `peer`."""
    methods = table.get(request.path)
    if methods is None:
        return HttpResponse(status=404, body=b"no such page\n")
    if not is_loopback(peer):
        return HttpResponse(status=403, body=b"for the machine that the server runs on only\n")
    route = methods.get("GET" if request.method == "HEAD" else request.method)
    if route is None:
        allowed = ", ".join(sorted({*methods, "HEAD"}))
        return HttpResponse(status=405, body=b"not this way\n", headers=(("Allow", allowed),))
    return route(request)


def is_loopback(peer: str) -> bool:
    """Say whether `peer` is an address of this machine that no other can have."""
    try:
        return ipaddress.ip_address(peer).is_loopback
    except ValueError:
        return False
