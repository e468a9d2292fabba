"""Bytes into requests, responses into bytes. Parsing is httptools' (llhttp, strict); the bounds are ours."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import httptools

from sabir.wire.http.errors import HttpSyntaxError
from sabir.wire.http.types import REASONS, HttpRequest, HttpResponse

_BODYLESS: Final = frozenset({204, 304})


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """How big a request may be."""

    target_bytes: int = 8_192
    header_bytes: int = 16_384
    header_count: int = 100
    body_bytes: int = 65_536


class Decoder:
    """Collects requests from whatever chunks they come in. After an error it must not be fed again."""

    def __init__(self, limits: HttpLimits, expects_continue: Callable[[], None]) -> None:
        """Decode one connection.

        Args:
            limits: how big a request may be.
            expects_continue: called when the peer waits for a `100 Continue` before it sends a body.
        """
        self._limits: Final = limits
        self._expects_continue: Final = expects_continue
        self._parser: Final = httptools.HttpRequestParser(self)
        self._requests: list[HttpRequest] = []
        self._target = b""
        self._headers: dict[str, str] = {}
        self._header_bytes = 0
        self._header_count = 0
        self._body = bytearray()
        self._in_head = False
        self._unseen_bytes = 0  # fed since the head began, while no line of it may be complete yet
        self.error: HttpSyntaxError | None = None
        """What is wrong behind the requests that `feed` returned last; nothing comes after it."""
        self.is_idle = True
        """Between two requests."""

    def feed(self, data: bytes) -> list[HttpRequest]:
        """Take `data`; return the requests that it completes.

        Raises:
            HttpSyntaxError: nothing more can be read from this connection. If there are complete requests
                before the fault they are returned, and it is found in `error`.
        """
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # RFC 9110 §7.8: we may ignore the wish; what follows is in the other protocol, so nothing is read.
            pass
        except httptools.HttpParserCallbackError:
            if self.error is None:
                raise  # a fault of ours, not of the peer
        except httptools.HttpParserError as error:
            self.error = HttpSyntaxError(400, str(error))
        if self._in_head and self.error is None:
            self._unseen_bytes += len(data)
            if self._unseen_bytes > self._limits.target_bytes + self._limits.header_bytes:
                self.error = HttpSyntaxError(431, "the head of the request is too long")
        requests, self._requests = self._requests, []
        if self.error is not None and not requests:
            raise self.error
        return requests

    # What httptools calls, under names that it chose

    def on_message_begin(self) -> None:
        """A request begins."""
        self.is_idle = False
        self._in_head = True
        self._unseen_bytes = 0
        self._target = b""
        self._headers = {}
        self._header_bytes = self._header_count = 0
        self._body = bytearray()

    def on_url(self, url: bytes) -> None:
        """A piece of the request target came."""
        self._target += url
        if len(self._target) > self._limits.target_bytes:
            self._fail(414, "the request target is too long")

    def on_header(self, name: bytes, value: bytes | None) -> None:
        """A header field came."""
        self._header_bytes += len(name) + len(value or b"")
        self._header_count += 1
        if self._header_bytes > self._limits.header_bytes or self._header_count > self._limits.header_count:
            self._fail(431, "the header fields are too long, or too many")
        key, text = name.decode("latin-1").lower(), (value or b"").decode("latin-1")
        before = self._headers.get(key)
        if before is not None and key == "host":
            self._fail(400, "more than one Host")  # RFC 9112 §3.2
        self._headers[key] = text if before is None else f"{before}, {text}"

    def on_headers_complete(self) -> None:
        """The head is complete."""
        self._in_head = False
        version = self._parser.get_http_version()
        if version not in {"1.0", "1.1"}:
            self._fail(505, "HTTP/1.1 is spoken here")
        if version == "1.1" and "host" not in self._headers:
            self._fail(400, "no Host")  # RFC 9112 §3.2
        length = self._headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self._limits.body_bytes:
            self._fail(413, "the body is too long")
        if self._headers.get("expect", "").lower() == "100-continue" and version == "1.1":
            self._expects_continue()  # RFC 9110 §10.1.1

    def on_body(self, body: bytes) -> None:
        """A piece of the body came."""
        self._body += body
        if len(self._body) > self._limits.body_bytes:
            self._fail(413, "the body is too long")

    def on_message_complete(self) -> None:
        """The request is complete."""
        target = self._target.decode("latin-1")
        path, _, query = target.partition("?")
        self._requests.append(
            HttpRequest(
                method=self._parser.get_method().decode("ascii"),
                path=path,
                query=query,
                headers=self._headers,
                body=bytes(self._body),
                keeps_alive=self._parser.should_keep_alive() and not self._parser.should_upgrade(),
            )
        )
        self.is_idle = True

    def _fail(self, status: int, what: str) -> None:
        # httptools wraps what a callback raises, so it is kept here for `feed` to find.
        self.error = HttpSyntaxError(status, what)
        raise self.error


def encode(response: HttpResponse, *, date: str, with_body: bool, keeps_alive: bool) -> bytes:
    """Return `response` as bytes.

    Args:
        response: what to send.
        date: the time as RFC 9110 §5.6.7 writes it; empty = no Date field.
        with_body: false for the answer to HEAD: the fields as for GET, and no body (RFC 9110 §9.3.2).
        keeps_alive: whether the connection stays.
    """
    lines = [f"HTTP/1.1 {response.status} {REASONS[response.status]}"]
    if date:
        lines.append(f"Date: {date}")
    if response.status not in _BODYLESS:
        lines.append(f"Content-Type: {response.content_type}")
        lines.append(f"Content-Length: {len(response.body)}")
    lines += [f"{name}: {value}" for name, value in response.headers]
    if not keeps_alive:
        lines.append("Connection: close")
    head = "\r\n".join(lines) + "\r\n\r\n"
    return head.encode("latin-1") + (response.body if with_body else b"")
