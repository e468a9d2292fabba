"""One HTTP/1.1 connection of a server.

States: waiting for a request (idle) -> in a head -> in a body -> unanswered -> idle ... -> over. It is over after an
error, after a response to a request that asked for the end or whose body was not awaited, when the peer takes
too long, and when it is given to another protocol; nothing is read then. Requests may be sent without waiting
for answers (pipelining, RFC 9112 §9.3.2); they must be answered in order.
"""

from collections.abc import Callable
from typing import Final

from sabir.wire.http.codec import Decoder, HttpLimits, encode
from sabir.wire.http.types import BodyPlan, Event, HttpRequest, HttpResponse

REQUEST_TIMEOUT_MS: Final = 10_000
"""How long the head of a request may take to arrive, from its first byte (or from the connection)."""

BODY_WINDOW_MS: Final = 20_000
BODY_BYTES_PER_WINDOW: Final = 8_192
"""A body must go on by this much in each such time, or come to its end."""

IDLE_TIMEOUT_MS: Final = 60_000
"""How long a connection is kept without a request."""

MAX_BODY_BYTES: Final = 65_536
"""The longest body of a request that nobody has another plan for."""

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


def collect(request: HttpRequest) -> BodyPlan:
    """Return the plan for a body that is nothing special."""
    return BodyPlan(max_bytes=MAX_BODY_BYTES)


class Machine:
    """The server's side of one connection."""

    def __init__(
        self,
        now_ms: int,
        plan: Callable[[HttpRequest], BodyPlan] = collect,
        limits: HttpLimits | None = None,
    ) -> None:
        """Start.

        Args:
            now_ms: the time, of any monotonic clock; that of all calls.
            plan: says, from the head of a request, what to do with its body.
            limits: how big the head of a request may be.
        """
        self._decoder: Final = Decoder(limits or HttpLimits(), plan, self._continue)
        self._deadline_ms = now_ms + REQUEST_TIMEOUT_MS
        self._unanswered = 0
        self._later_bytes = 0
        self._keeps_alive = True
        self._body_bytes_before = 0
        self._out: list[bytes] = []
        self.is_held = False
        """It is us who keep the peer from sending: no body is late."""
        self.is_over = False
        """Nothing more is read; the connection is to be closed when everything is sent."""

    def receive(self, data: bytes, now_ms: int) -> list[Event]:
        """Take `data`; return what it completes. Nonsense is answered here, and is the end."""
        decoder = self._decoder
        if self.is_over or decoder.error is not None:
            return []
        was_idle, was_in_body = decoder.is_idle, decoder.is_in_body
        events = decoder.feed(data)
        begun = sum(isinstance(event, HttpRequest) for event in events)
        self._unanswered += begun
        if decoder.is_idle:
            self._deadline_ms = now_ms + IDLE_TIMEOUT_MS
        elif decoder.is_in_body:
            if not was_in_body or begun:
                self._begin_window(now_ms)
        elif was_idle or was_in_body or begun:
            self._deadline_ms = now_ms + REQUEST_TIMEOUT_MS
        self._end_if_wrong()
        return events

    def send_response(
        self, request: HttpRequest, response: HttpResponse, now_ms: int, date: str = ""
    ) -> None:
        """Answer `request`, the oldest one that is not answered; what comes later of the body, by `send_piece`."""
        if self.is_over:
            return
        is_read = self._unanswered > 1 or not (self._decoder.in_pieces or self._decoder.is_broken)
        keeps_alive = request.keeps_alive and is_read
        with_body = request.method != "HEAD"
        self._out.append(encode(response, date=date, with_body=with_body, keeps_alive=keeps_alive))
        self._later_bytes = response.later_bytes if with_body else 0
        self._keeps_alive = keeps_alive
        if self._later_bytes == 0:
            self._answered(now_ms)

    def send_piece(self, data: bytes, now_ms: int) -> None:
        """Send a piece of the body of the response that was begun."""
        if self.is_over:
            return
        self._out.append(data)
        self._later_bytes -= len(data)
        if self._later_bytes == 0:
            self._answered(now_ms)

    def send_continue(self, request: HttpRequest) -> None:
        """Let the peer send the body of `request`, if it waits for that."""
        if request.expects_continue and not self.is_over:
            self._continue()

    def switch(self, request: HttpRequest, headers: tuple[tuple[str, str], ...]) -> bytes:
        """Agree to the protocol that `request` asks for; return what the peer has sent in it already."""
        response = HttpResponse(status=101, headers=headers)
        self._out.append(encode(response, date="", with_body=False, keeps_alive=True))
        self.is_over = True
        return self._decoder.rest

    def forget(self) -> None:
        """Let go of everything: the connection is gone, or another's."""
        self.is_over = True
        self._decoder.forget()

    @property
    def is_answering(self) -> bool:
        """Whether pieces of a response are still to come."""
        return self._later_bytes > 0

    def tick(self, now_ms: int) -> list[Event]:
        """End the connection if the peer took too long; return what follows for a body that was coming."""
        decoder = self._decoder
        if not 0 < self.next_deadline_ms() <= now_ms:
            return []
        if decoder.is_idle:
            self.is_over = True  # RFC 9112 §9.5: an idle connection may be closed without a word
            return []
        if decoder.is_in_body and (
            self.is_held or decoder.body_bytes_total - self._body_bytes_before >= BODY_BYTES_PER_WINDOW
        ):
            self._begin_window(now_ms)
            return []
        events = decoder.give_up(408, "the request took too long")
        self._end_if_wrong()
        return events

    def next_deadline_ms(self) -> int:
        """Return when `tick` has something to do, 0 = never."""
        waits_for_us = self._decoder.is_idle and self._unanswered > 0
        if self.is_over or waits_for_us or self._decoder.error is not None:
            return 0
        return self._deadline_ms

    def drain(self) -> bytes:
        """Return what is to be sent."""
        out = b"".join(self._out)
        self._out.clear()
        return out

    def _begin_window(self, now_ms: int) -> None:
        self._deadline_ms = now_ms + BODY_WINDOW_MS
        self._body_bytes_before = self._decoder.body_bytes_total

    def _answered(self, now_ms: int) -> None:
        self._unanswered -= 1
        if not self._keeps_alive:
            self.is_over = True
            return
        if self._decoder.is_idle:
            self._deadline_ms = now_ms + IDLE_TIMEOUT_MS
        self._end_if_wrong()

    def _end_if_wrong(self) -> None:
        """Answer what is wrong, once everything before it is answered."""
        error = self._decoder.error
        if error is None or self._unanswered or self.is_over:
            return
        response = HttpResponse(status=error.status, body=f"{error}\n".encode())
        self._out.append(encode(response, date="", with_body=True, keeps_alive=False))
        self.is_over = True

    def _continue(self) -> None:
        self._out.append(_CONTINUE)
