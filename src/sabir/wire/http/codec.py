"""Bytes into requests, responses into bytes. Parsing is httptools' (llhttp, strict); the bounds are ours."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import httptools

from sabir.wire.http.errors import HttpSyntaxError
from sabir.wire.http.types import (
    REASONS,
    BodyBroken,
    BodyEnd,
    BodyPiece,
    BodyPlan,
    Event,
    HttpRequest,
    HttpResponse,
)

_SWITCHING: Final = 101
_MAX_DIGITS: Final = 18
"""Of the length of a body."""
_BODYLESS: Final = frozenset({_SWITCHING, 204, 304})


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """How big a request may be, its body aside."""

    target_bytes: int = 8_192
    header_bytes: int = 16_384
    header_count: int = 100


class Decoder:
    """Collects requests from whatever chunks they come in. After an error it must not be fed again."""

    def __init__(
        self,
        limits: HttpLimits,
        plan: Callable[[HttpRequest], BodyPlan],
        expects_continue: Callable[[], None],
    ) -> None:
        """Decode one connection.

        Args:
            limits: how big the head of a request may be.
            plan: says, from the head of a request, what to do with its body.
            expects_continue: called when the peer waits for a `100 Continue` before it sends a body that is
                collected here.
        """
        self._limits: Final = limits
        self._plan: Callable[[HttpRequest], BodyPlan] | None = plan
        self._expects_continue: Callable[[], None] | None = expects_continue
        self._parser: Any = httptools.HttpRequestParser(self)
        self._events: list[Event] = []
        self._target = b""
        self._headers: dict[str, str] = {}
        self._header_bytes = 0
        self._header_count = 0
        self._request: HttpRequest | None = None
        self._max_bytes = 0
        self._body_bytes = 0
        self._body: list[bytes] = []
        self._in_head = False
        self._unseen_bytes = 0  # fed since the head, or the last piece of a body, with nothing to show for it
        self.error: HttpSyntaxError | None = None
        """What is wrong behind what `feed` returned last; nothing comes after it."""
        self.is_idle = True
        """Between two requests."""
        self.is_in_body = False
        self.in_pieces = False
        """The head of a request was returned, the end of its body was not."""
        self.is_broken = False
        """That end will never come."""
        self.body_bytes_total = 0
        """Bytes of bodies so far."""
        self.rest = b""
        """What came behind a request for another protocol."""

    def feed(self, data: bytes) -> list[Event]:
        """Take `data`; return what it completes. What is wrong behind that is found in `error`."""
        before = self.body_bytes_total
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            # What follows is in the other protocol, for whoever speaks it.
            self.rest = data[upgrade.args[0] :]
        except httptools.HttpParserCallbackError:
            if self.error is None:
                raise  # a fault of ours, not of the peer
        except httptools.HttpParserError as error:
            self.error = HttpSyntaxError(400, str(error))
        if not self._in_head and self.body_bytes_total != before:
            self._unseen_bytes = 0
        elif not self.is_idle and self.error is None:
            # Of what has no end yet, a field of the head or behind the body, only the parser knows.
            self._unseen_bytes += len(data)
            if self._unseen_bytes > self._limits.target_bytes + self._limits.header_bytes:
                self.error = HttpSyntaxError(431, "the head of the request is too long")
        if self.error is not None:
            self._break_off(self.error)
        events, self._events = self._events, []
        return events

    def forget(self) -> None:
        """Let go of everything: nothing is fed any more. Breaks cycles, so that memory is freed at once."""
        self._parser = self._plan = self._expects_continue = None

    def give_up(self, status: int, what: str) -> list[Event]:
        """Note that the peer took too long; return what follows from it."""
        self.error = HttpSyntaxError(status, what)
        self._break_off(self.error)
        events, self._events = self._events, []
        return events

    def _break_off(self, error: HttpSyntaxError) -> None:
        if self.in_pieces:
            self.in_pieces = False
            self.is_broken = True
            self._events.append(BodyBroken(error.status, str(error)))

    # What httptools calls, under names that it chose

    def on_message_begin(self) -> None:
        """A request begins."""
        self.is_idle = False
        self._in_head = True
        self._unseen_bytes = 0
        self._target = b""
        self._headers = {}
        self._header_bytes = self._header_count = 0
        self._body_bytes = 0
        self._body = []

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
        if not self._in_head:
            return  # RFC 9110 §6.5.1: fields behind a body are not those of the head
        key, text = name.decode("latin-1").lower(), (value or b"").decode("latin-1")
        before = self._headers.get(key)
        if before is not None and key == "host":
            self._fail(400, "more than one Host")  # RFC 9112 §3.2
        self._headers[key] = text if before is None else f"{before}, {text}"

    def on_headers_complete(self) -> None:
        """The head is complete."""
        self._in_head = False
        self._unseen_bytes = 0
        version = self._parser.get_http_version()
        if version not in {"1.0", "1.1"}:
            self._fail(505, "HTTP/1.1 is spoken here")
        if version == "1.1" and "host" not in self._headers:
            self._fail(400, "no Host")  # RFC 9112 §3.2
        if version == "1.0" and "transfer-encoding" in self._headers:
            self._fail(400, "HTTP/1.0 has no transfer codings")  # RFC 9112 §6.1
        others, _, coding = self._headers.get("transfer-encoding", "").lower().rpartition(",")
        if others and coding.strip() == "chunked":
            self._fail(501, "the only transfer coding here is chunked")  # RFC 9112 §6.1
        path, _, query = self._target.decode("latin-1").partition("?")
        upgrades = self._parser.should_upgrade()
        self._request = HttpRequest(
            method=self._parser.get_method().decode("ascii"),
            path=path,
            query=query,
            headers=self._headers,
            keeps_alive=self._parser.should_keep_alive() and not upgrades,
            upgrades=upgrades,
            # RFC 9110 §10.1.1: from a client of HTTP/1.0 the expectation is ignored.
            expects_continue=version == "1.1" and self._headers.get("expect", "").lower() == "100-continue",
        )
        assert self._plan is not None  # nothing is parsed after `forget`
        plan = self._plan(self._request)
        self._max_bytes = plan.max_bytes
        length = self._headers.get("content-length", "0").lstrip("0") or "0"
        if length.isdecimal() and (len(length) > _MAX_DIGITS or int(length) > self._max_bytes):
            self._fail(413, "the body is too long")
        self.is_in_body = True
        self.in_pieces = plan.in_pieces
        if self.in_pieces:
            self._events.append(self._request)
        elif self._request.expects_continue and self._expects_continue is not None:
            self._expects_continue()

    def on_body(self, body: bytes) -> None:
        """A piece of the body came."""
        self._body_bytes += len(body)
        self.body_bytes_total += len(body)
        if self._body_bytes > self._max_bytes:
            self._fail(413, "the body is too long")
        if self.in_pieces:
            self._events.append(BodyPiece(body))
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        """The request is complete."""
        assert self._request is not None  # its head was
        if self.in_pieces:
            self._events.append(BodyEnd())
        elif self._body:
            self._events.append(replace(self._request, body=b"".join(self._body)))
        else:
            self._events.append(self._request)
        self._request = None
        self._body = []
        self.is_idle = True
        self.is_in_body = self.in_pieces = False

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
        lines.append(f"Content-Length: {response.size_bytes}")
    lines += [f"{name}: {value}" for name, value in response.headers]
    if response.status == _SWITCHING:
        lines.append("Connection: Upgrade")
    elif not keeps_alive:
        lines.append("Connection: close")
    head = "\r\n".join(lines) + "\r\n\r\n"
    return head.encode("latin-1") + (response.body if with_body else b"")
