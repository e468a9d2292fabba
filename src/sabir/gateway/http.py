"""The listeners `http` and `https`: every request of every protocol that is spoken over HTTP comes in here."""

from __future__ import annotations

import ipaddress
from collections import deque
from collections.abc import Sequence
from email.utils import formatdate
from typing import Final

from sabir.base.clock import Clock
from sabir.gateway.config import HttpConfig
from sabir.gateway.connection import Gateway
from sabir.gateway.contract import Counters, Door
from sabir.gateway.web import CORS, Exchange, Found, Page, Site, Socket, preflight
from sabir.gateway.websocket import WebSocketConnection
from sabir.net.connection import Connection, Handler
from sabir.net.listener import Tls
from sabir.wire.http.machine import MAX_BODY_BYTES, Machine
from sabir.wire.http.types import (
    BodyBroken,
    BodyEnd,
    BodyPiece,
    BodyPlan,
    Event,
    HttpRequest,
    HttpResponse,
)
from sabir.wire.websocket import handshake
from sabir.wire.websocket.errors import HandshakeError

_MS_PER_S: Final = 1000
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class HttpFrontEnd:
    """See `gateway.contract.FrontEnd`."""

    protocol: Final = "http"

    def __init__(
        self, config: HttpConfig, site: Site, gateway: Gateway, monotonic: Clock, wall: Clock
    ) -> None:
        """Serve `site`.

        Args:
            config: what is believed and allowed.
            site: the pages and web sockets.
            gateway: which web sockets are given to.
            monotonic: for timeouts.
            wall: for the Date field.
        """
        self.counters: Final = Counters(self.protocol)
        """Messages are requests and responses here."""
        self.site: Final = site
        self.gateway: Final = gateway
        self.monotonic: Final = monotonic
        self.origins: Final = config.allowed_origins
        self._wall: Final = wall
        self._proxies: Final = [ipaddress.ip_network(each, strict=False) for each in config.trusted_proxies]
        self._date = ""
        self._date_s = 0

    def doors(self) -> Sequence[Door]:
        """See `FrontEnd.doors`."""
        return (
            Door(name="http", port=5280, tls=Tls.NONE, is_bulk=True),
            Door(name="https", port=5443, tls=Tls.DIRECT, alpn=("http/1.1",), is_bulk=True),
        )

    def connect(self, connection: Connection, door: Door) -> Handler:
        """See `FrontEnd.connect`."""
        return HttpSession(self, connection)

    def date(self) -> str:
        """Return the time as RFC 9110 §5.6.7 writes it."""
        now_s = self._wall.now_ms() // _MS_PER_S
        if now_s != self._date_s:
            self._date_s = now_s
            self._date = formatdate(now_s, usegmt=True)
        return self._date

    def client_of(self, request: HttpRequest, connection: Connection) -> tuple[str, bool]:
        """Return the address of who sent `request` and whether they speak TLS, looking through our proxies."""
        peer, secure = connection.peer, connection.secure
        if not self._proxies or not _is_in(peer, self._proxies):
            return peer, secure
        # The last address is the one that our own proxy has seen; those before it are anybody's claim.
        last = request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
        proto = request.headers.get("x-forwarded-proto", "").rpartition(",")[2].strip()
        return last or peer, secure or proto.lower() == "https"


class HttpSession:
    """One connection. One request at a time is in the hands of a page; those sent behind it wait."""

    __slots__ = (
        "_connection",
        "_exchange",
        "_front_end",
        "_going_on",
        "_holds_body",
        "_lagging",
        "_machine",
        "_paused",
        "_queue",
        "_stopping",
        "_switched",
    )

    def __init__(self, front_end: HttpFrontEnd, connection: Connection) -> None:
        """Serve `connection`."""
        self._front_end: Final = front_end
        self._connection: Final = connection
        self._machine: Final = Machine(front_end.monotonic.now_ms(), self._plan)
        self._queue: Final[deque[Event]] = deque()
        self._exchange: Exchange | None = None
        self._going_on = False
        self._holds_body = False
        self._lagging = False
        self._paused = False
        self._stopping = False
        self._switched = False

    # From the net: see `Handler`

    def receive(self, data: bytes) -> None:
        """See `Handler.receive`."""
        self._queue.extend(self._machine.receive(data, self._now_ms()))
        self._go_on()

    def tick(self, now_ms: int) -> None:
        """See `Handler.tick`."""
        self._queue.extend(self._machine.tick(now_ms))
        self._go_on()

    def next_deadline_ms(self) -> int:
        """See `Handler.next_deadline_ms`."""
        return self._machine.next_deadline_ms()

    def lag(self) -> None:
        """Read no further requests while the answers to these are not taken."""
        self._lagging = True
        if self._exchange is not None:
            self._exchange.has_room = False
        self._regulate()

    def catch_up(self) -> None:
        """Read on, and let the page send on whose answer is not complete."""
        self._lagging = False
        self._regulate()
        exchange = self._exchange
        if exchange is not None and not exchange.has_room:
            exchange.has_room = True
            if exchange.when_room is not None:
                exchange.when_room()

    def shutdown(self) -> None:
        """Close, once the request at hand is answered."""
        self._stopping = True
        if self._exchange is None:
            self._connection.close()

    def closed(self, reason: str) -> None:
        """Tell the page that its client is gone."""
        self._queue.clear()
        self._machine.forget()
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.is_over = True
            if exchange.sink is not None:
                exchange.sink.broken()
            if exchange.when_gone is not None:
                exchange.when_gone()
            exchange.forget()

    # From a page: see `web.Carrier`

    def answer(self, exchange: Exchange, response: HttpResponse) -> None:
        """See `Carrier.answer`."""
        self._front_end.counters.messages_out += 1
        self._machine.send_response(exchange.request, response, self._now_ms(), self._front_end.date())
        self._sent(exchange)

    def answer_piece(self, exchange: Exchange, data: bytes) -> None:
        """See `Carrier.answer_piece`."""
        self._machine.send_piece(data, self._now_ms())
        self._sent(exchange)

    def go_ahead(self, exchange: Exchange) -> None:
        """See `Carrier.go_ahead`."""
        self._machine.send_continue(exchange.request)
        self._flush()

    def hold_body(self, hold: bool) -> None:
        """See `Carrier.hold_body`."""
        self._holds_body = self._machine.is_held = hold
        self._regulate()

    def cut_off(self) -> None:
        """See `Carrier.cut_off`."""
        self._connection.abort("answer cut off")

    # One event after the other

    def _go_on(self) -> None:
        if self._going_on:
            return
        self._going_on = True
        try:
            while self._queue and not (
                self._exchange is not None and isinstance(self._queue[0], HttpRequest)
            ):
                event = self._queue.popleft()
                if isinstance(event, HttpRequest):
                    self._begin(event)
                else:
                    self._pass_on(event)
        finally:
            self._going_on = False
        if self._switched:
            return
        self._regulate()
        self._flush()

    def _begin(self, request: HttpRequest) -> None:
        front_end, connection = self._front_end, self._connection
        connection.frames_in += 1
        front_end.counters.messages_in += 1
        peer, secure = front_end.client_of(request, connection)
        found, parameters = front_end.site.find(request.path)
        exchange = self._exchange = Exchange(self, request, parameters, peer, secure)
        exchange.has_room = not self._lagging
        if found is None:
            exchange.respond(HttpResponse(status=404, body=b"no such page\n"))
        elif found.sockets and (request.upgrades or not found.pages):
            self._upgrade(exchange, found)
        else:
            _serve(exchange, found)

    def _pass_on(self, event: BodyPiece | BodyEnd | BodyBroken) -> None:
        exchange = self._exchange
        if exchange is None:
            return  # it was answered without a look at its body
        sink = exchange.sink
        if isinstance(event, BodyPiece):
            if sink is not None:
                sink.piece(event.data)
            return
        self._holds_body = False
        exchange.sink = None
        if isinstance(event, BodyEnd):
            if sink is not None:
                sink.end()
            return
        if sink is not None:
            sink.broken()
        exchange.respond(HttpResponse(status=event.status, body=f"{event.what}\n".encode()))

    def _sent(self, exchange: Exchange) -> None:
        """Flush; if the answer is complete, go on to the next request."""
        if self._machine.is_answering:
            self._flush()
            return
        exchange.is_over = True
        exchange.forget()
        self._exchange = None
        self._holds_body = False
        self._go_on()
        if not self._connection.closing:
            self._connection.rearm()

    def _flush(self) -> None:
        if self._going_on:
            return
        out = self._machine.drain()
        if out:
            self._connection.put(out)
        if self._exchange is None and (self._machine.is_over or (self._stopping and not self._queue)):
            self._connection.close()

    def _regulate(self) -> None:
        """Read only while what comes can be put to use."""
        if self._going_on:
            return
        pause = self._lagging or self._holds_body or bool(self._queue)
        if pause != self._paused:
            self._paused = pause
            if pause:
                self._connection.pause_reading()
            else:
                self._connection.resume_reading()

    def _plan(self, request: HttpRequest) -> BodyPlan:
        found, _ = self._front_end.site.find(request.path)
        page = found.pages.get(request.method) if found is not None else None
        if page is None:
            return BodyPlan(max_bytes=MAX_BODY_BYTES)
        return BodyPlan(max_bytes=page.max_body_bytes, in_pieces=page.in_pieces)

    def _now_ms(self) -> int:
        return self._front_end.monotonic.now_ms()

    # Web sockets

    def _upgrade(self, exchange: Exchange, found: Found) -> None:
        request = exchange.request
        try:
            handshake.check(request.method, request.headers)
            socket = _wanted(request, found)
            origin = request.headers.get("origin")
            if origin is not None and not {"*", origin}.intersection(self._front_end.origins):
                raise HandshakeError(403, "not from this web page")  # RFC 6455 §10.2
        except HandshakeError as error:
            exchange.respond(
                HttpResponse(status=error.status, body=f"{error}\n".encode(), headers=error.headers)
            )
            return
        accept = handshake.accept_key(request.headers["sec-websocket-key"])
        headers = (
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Accept", accept),
            ("Sec-WebSocket-Protocol", socket.protocol),
        )
        rest = self._machine.switch(request, headers)
        self._front_end.counters.messages_out += 1
        exchange.is_over = True
        self._exchange = None
        self._queue.clear()
        self._switched = True
        carrier = self._connection
        carrier.put(self._machine.drain())
        self._machine.forget()
        made = WebSocketConnection(
            carrier,
            exchange.peer,
            exchange.secure,
            is_text=socket.is_text,
            max_message_bytes=socket.max_message_bytes,
            dress=socket.dress,
        )
        self._front_end.gateway.hand_over(carrier, socket.front_end, made, made, socket.connect)
        if rest:
            carrier.handler.receive(rest)


def _serve(exchange: Exchange, found: Found) -> None:
    request = exchange.request
    page: Page | None = found.pages.get(request.method)
    if page is None and request.method == "HEAD":
        page = found.pages.get("GET")
    if page is None:
        wanted = request.headers.get("access-control-request-method", "")
        if request.method == "OPTIONS" and (response := preflight(found, wanted)) is not None:
            exchange.respond(response)
            return
        exchange.respond(
            HttpResponse(status=405, body=b"not this way\n", headers=(("Allow", found.methods),))
        )
        return
    if not page.for_anyone and not is_local(exchange):
        exchange.respond(HttpResponse(status=403, body=b"for the machine that the server runs on only\n"))
        return
    if page.cors:
        exchange.add_headers(CORS)
    page.serve(exchange)


def _wanted(request: HttpRequest, found: Found) -> Socket:
    """Return the socket whose sub-protocol the client asks for; what it likes best comes first."""
    for protocol in handshake.listed(request.headers.get("sec-websocket-protocol", "")):
        socket = found.sockets.get(protocol)
        if socket is not None:
            return socket
    spoken = ", ".join(found.sockets)
    raise HandshakeError(400, f"ask for one of these sub-protocols: {spoken}")


def is_local(exchange: Exchange) -> bool:
    """Say whether a request comes from this machine, and not from elsewhere through a proxy on it."""
    headers = exchange.request.headers
    if "x-forwarded-for" in headers or "forwarded" in headers or "x-real-ip" in headers:
        return False
    return is_loopback(exchange.peer)


def is_loopback(peer: str) -> bool:
    """Say whether `peer` is an address of this machine that no other can have."""
    try:
        return ipaddress.ip_address(peer).is_loopback
    except ValueError:
        return False


def _is_in(peer: str, networks: Sequence[_Network]) -> bool:
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return False
    return any(address in network for network in networks)
