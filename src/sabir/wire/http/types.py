"""Requests and responses."""

from dataclasses import dataclass, field
from typing import Final

REASONS: Final = {
    200: "OK",
    204: "No Content",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    413: "Content Too Large",
    414: "URI Too Long",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}
"""The reason phrases of RFC 9110 §15 and RFC 6585 that this server has a use for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """One request, complete."""

    method: str
    path: str
    """The path as sent, without the query; percent-encoding is left alone."""
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    """Names in lower case; the values of a repeated one are joined by a comma (RFC 9110 §5.3)."""
    body: bytes = b""
    keeps_alive: bool = True
    """The connection serves further requests after this one (RFC 9112 §9.3)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """One response."""

    status: int
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()
    """Further header fields; length, type, date and connection are added by the machine."""
