"""What protocols offer on the shared listeners `http` and `https`: pages and web sockets.

Whoever has something to offer returns a sequence of `Page` and `Socket`; the app puts them all into one `Site`.
A page is given an `Exchange` and answers it at once or later, exactly once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Protocol
from urllib.parse import unquote

from sabir.gateway.contract import FrontEnd
from sabir.net.connection import Connection, Handler
from sabir.wire.http.machine import MAX_BODY_BYTES
from sabir.wire.http.types import HttpRequest, HttpResponse

CORS: Final = (("Access-Control-Allow-Origin", "*"),)
"""Lets any web page read an answer; nothing here depends on cookies."""

_PREFLIGHT: Final = (
    *CORS,
    ("Access-Control-Allow-Headers", "Content-Type, Authorization, Range, If-None-Match, If-Range"),
    ("Access-Control-Max-Age", "86400"),
)


class Sink(Protocol):
    """Takes the body of a request as it comes."""

    def piece(self, data: bytes) -> None:
        """Take a piece of the body; `Exchange.pause_body` keeps more from coming."""

    def end(self) -> None:
        """Note that the body is complete."""

    def broken(self) -> None:
        """Note that the body will never be complete: the peer is gone, or broke a limit; nothing is to answer."""


class Carrier(Protocol):
    """The connection of an exchange, as far as the exchange needs it."""

    def answer(self, exchange: Exchange, response: HttpResponse) -> None:
        """Send the response to `exchange`."""

    def answer_piece(self, exchange: Exchange, data: bytes) -> None:
        """Send a piece of the body of that response."""

    def go_ahead(self, exchange: Exchange) -> None:
        """Let the peer of `exchange` send the body."""

    def hold_body(self, hold: bool) -> None:
        """Keep the peer from sending more of the body, or let it go on."""

    def cut_off(self) -> None:
        """End the connection in the middle of a response that cannot be completed."""


class Exchange:
    """One request and its answer."""

    __slots__ = (
        "_carrier",
        "_headers",
        "has_room",
        "is_over",
        "parameters",
        "peer",
        "request",
        "secure",
        "sink",
        "when_gone",
        "when_room",
    )

    def __init__(
        self, carrier: Carrier, request: HttpRequest, parameters: Mapping[str, str], peer: str, secure: bool
    ) -> None:
        self.request: Final = request
        self.parameters: Final = parameters
        """What stood for the names in the path of the page, decoded; never with a slash, never `..`."""
        self.peer: Final = peer
        """The address of the client, without port."""
        self.secure: Final = secure
        """The client speaks TLS, to us or to the proxy before us."""
        self.sink: Sink | None = None
        self.when_gone: Callable[[], None] | None = None
        """Called if the client goes away before it was answered; nothing is to answer then."""
        self.when_room: Callable[[], None] | None = None
        """Called when the client has taken most of the pieces that it was sent, if it was slow."""
        self.has_room = True
        """The client takes what it is sent: send more pieces of the answer."""
        self.is_over = False
        """It was answered, or the client is gone."""
        self._carrier: Final = carrier
        self._headers: tuple[tuple[str, str], ...] = ()

    def forget(self) -> None:
        """Let go of those who waited: breaks cycles, so that memory is freed at once."""
        self.sink = None
        self.when_gone = self.when_room = None

    def add_headers(self, headers: tuple[tuple[str, str], ...]) -> None:
        """Add header fields to whatever will be the answer."""
        self._headers += headers

    def respond(self, response: HttpResponse) -> None:
        """Answer; if `later_bytes` are announced `respond_piece` must follow until all are sent."""
        if self.is_over:
            return
        if self._headers:
            response = replace(response, headers=(*response.headers, *self._headers))
        self._carrier.answer(self, response)

    def respond_piece(self, data: bytes) -> None:
        """Send a piece of the body of the answer."""
        if not self.is_over:
            self._carrier.answer_piece(self, data)

    def cut_off(self) -> None:
        """End the connection: the rest of the answer cannot be sent."""
        if not self.is_over:
            self._carrier.cut_off()

    def take_body(self, sink: Sink) -> None:
        """Take the body, piece by piece, of a page that is served `in_pieces`; at once, or never."""
        self.sink = sink
        self._carrier.go_ahead(self)

    def pause_body(self) -> None:
        """Let no more of the body come for now. What was on its way still comes."""
        self._carrier.hold_body(True)

    def resume_body(self) -> None:
        """Let the body go on."""
        if not self.is_over:
            self._carrier.hold_body(False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Something that answers requests."""

    path: str
    """`/invite/{token}`: `{token}` stands for one segment of a path that is not empty."""
    serve: Callable[[Exchange], None]
    """Answers."""
    methods: tuple[str, ...] = ("GET",)
    """With GET goes HEAD, for which the same is answered and the body is left out."""
    max_body_bytes: int = MAX_BODY_BYTES
    in_pieces: bool = False
    """`serve` is called as soon as the head of the request is there, and may `take_body`."""
    for_anyone: bool = True
    """False: for clients on the machine that the server runs on only."""
    cors: bool = False
    """Other web sites may use it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Socket:
    """Where a protocol is spoken over a WebSocket."""

    path: str
    protocol: str
    """The name of the sub-protocol; a client must ask for it."""
    front_end: FrontEnd
    """Whose counters and limits count."""
    connect: Callable[[Connection], Handler]
    """Returns the session of a new connection. It hears one message per `receive`; each `put` sends one."""
    is_text: bool = True
    max_message_bytes: int = 65_536
    dress: Callable[[bytes], bytes] | None = None
    """Applied to each message that is sent, or the first part of it."""


Offer = Page | Socket


@dataclass(slots=True)
class Found:
    """What there is at a path."""

    pages: dict[str, Page] = field(default_factory=dict)
    """By method."""
    sockets: dict[str, Socket] = field(default_factory=dict)
    """By sub-protocol."""

    @property
    def methods(self) -> str:
        """The methods that are answered, for the field Allow."""
        return ", ".join(sorted({*self.pages, *(("HEAD",) if "GET" in self.pages else ())}))


class Site:
    """All pages and sockets, by path."""

    def __init__(self, offers: Iterable[Offer] = ()) -> None:
        self._exact: Final[dict[str, Found]] = {}
        self._patterns: Final[dict[int, list[tuple[list[str], Found]]]] = {}
        for offer in offers:
            self.add(offer)

    def add(self, offer: Offer) -> None:
        """Add a page or socket.

        Raises:
            ValueError: there is another one for the same requests.
        """
        found = self._found(offer.path)
        if isinstance(offer, Socket):
            if found.sockets.setdefault(offer.protocol, offer) is not offer:
                raise ValueError(f"two sockets for {offer.protocol} at {offer.path}")
            return
        for method in offer.methods:
            if found.pages.setdefault(method, offer) is not offer:
                raise ValueError(f"two pages for {method} {offer.path}")

    def find(self, target: str) -> tuple[Found | None, dict[str, str]]:
        """Return what there is at the path of a request, and what stands there for the names in its pattern."""
        path = path_of(target)
        found = self._exact.get(path)
        if found is not None:
            return found, {}
        segments = path.split("/")[1:]
        for pattern, found in self._patterns.get(len(segments), ()):
            parameters = _match(pattern, segments)
            if parameters is not None:
                return found, parameters
        return None, {}

    def _found(self, path: str) -> Found:
        if "{" not in path:
            return self._exact.setdefault(path, Found())
        segments = path.split("/")[1:]
        patterns = self._patterns.setdefault(len(segments), [])
        for pattern, found in patterns:
            if pattern == segments:
                return found
        patterns.append((segments, Found()))
        return patterns[-1][1]


def preflight(found: Found, wanted: str) -> HttpResponse | None:
    """Return the answer to OPTIONS if other web sites may use what is at the path (Fetch §3.2.2)."""
    page = found.pages.get(wanted)
    if page is None or not page.cors:
        return None
    return HttpResponse(
        status=204, headers=(("Access-Control-Allow-Methods", f"{found.methods}, OPTIONS"), *_PREFLIGHT)
    )


def path_of(target: str) -> str:
    """Return the path of a request target, which a proxy may have sent in full (RFC 9112 §3.2.2)."""
    if target.startswith("/"):
        return target
    scheme, mark, rest = target.partition("://")
    if not mark or scheme.lower() not in ("http", "https"):
        return ""
    _, slash, path = rest.partition("/")
    return slash + path


def _match(pattern: list[str], segments: list[str]) -> dict[str, str] | None:
    parameters = {}
    for expected, segment in zip(pattern, segments, strict=True):
        if not expected.startswith("{"):
            if segment != expected:
                return None
            continue
        try:
            value = unquote(segment, errors="strict")
        except UnicodeDecodeError:
            return None
        # No name is a way out of the folder it is looked up in, whoever may use it as a file name.
        if value in ("", ".", "..") or "/" in value or "\\" in value or "\0" in value:
            return None
        parameters[expected[1:-1]] = value
    return parameters
