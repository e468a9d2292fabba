"""Requests and responses."""

from dataclasses import dataclass, field
from typing import Final

REASONS: Final = {
    101: "Switching Protocols",
    200: "OK",
    201: "Created",
    204: "No Content",
    206: "Partial Content",
    303: "See Other",
    304: "Not Modified",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    409: "Conflict",
    410: "Gone",
    411: "Length Required",
    413: "Content Too Large",
    414: "URI Too Long",
    415: "Unsupported Media Type",
    416: "Range Not Satisfiable",
    426: "Upgrade Required",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
    507: "Insufficient Storage",
}
"""The reason phrases of RFC 9110 §15 and RFC 6585 that this server has a use for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """One request: complete, or its head only if its body comes in pieces."""

    method: str
    path: str
    """The path as sent, without the query; percent-encoding is left alone."""
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    """Names in lower case; the values of a repeated one are joined by a comma (RFC 9110 §5.3)."""
    body: bytes = b""
    keeps_alive: bool = True
    """The connection serves further requests after this one (RFC 9112 §9.3)."""
    upgrades: bool = False
    """The peer would rather speak another protocol from here on (RFC 9110 §7.8)."""
    expects_continue: bool = False
    """The peer waits for `100 Continue` before it sends the body (RFC 9110 §10.1.1)."""


@dataclass(frozen=True, slots=True)
class BodyPiece:
    """A piece of the body of the request whose head came before."""

    data: bytes


@dataclass(frozen=True, slots=True)
class BodyEnd:
    """That body is complete."""


@dataclass(frozen=True, slots=True)
class BodyBroken:
    """That body will never be complete. `status` is what to answer with, if nothing was answered yet."""

    status: int
    what: str


Event = HttpRequest | BodyPiece | BodyEnd | BodyBroken
"""What comes from a peer, in the order it was sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyPlan:
    """What to do with the body of one request, decided when its head is known."""

    max_bytes: int
    """A longer one is refused with 413."""
    in_pieces: bool = False
    """Pass it on as it comes, instead of collecting it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """One response."""

    status: int
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()
    """Further header fields; length, type, date and connection are added by the machine."""
    later_bytes: int = 0
    """How much of the body comes in pieces, after `body`."""

    @property
    def size_bytes(self) -> int:
        """The size of the whole body."""
        return len(self.body) + self.later_bytes
