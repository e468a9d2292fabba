"""One HTTP/1.1 connection of a server.

States: waiting for a request (idle) -> in a request -> answered -> waiting ... -> over. It is over after an
error, after a response to a request that asked for the end, and when the peer takes too long; nothing is read
then. Requests may be sent without waiting for answers (pipelining, RFC 9112 §9.3.2); they are answered in order,
because every request that `receive` returns must be answered before the next `receive`.
"""

from typing import Final

from sabir.wire.http.codec import Decoder, HttpLimits, encode
from sabir.wire.http.errors import HttpSyntaxError
from sabir.wire.http.types import HttpRequest, HttpResponse

REQUEST_TIMEOUT_MS: Final = 10_000
"""How long a request may take to arrive, from its first byte (or, for the first one, from the connection)."""

IDLE_TIMEOUT_MS: Final = 60_000
"""How long a connection is kept without a request."""

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class Machine:
    """The server's side of one connection."""

    def __init__(self, now_ms: int, limits: HttpLimits | None = None) -> None:
        """Start.

        Args:
            now_ms: the time, of any monotonic clock; that of all calls.
            limits: how big a request may be.
        """
        self._decoder: Final = Decoder(limits or HttpLimits(), self._continue)
        self._deadline_ms = now_ms + REQUEST_TIMEOUT_MS
        self._unanswered = 0
        self._out: list[bytes] = []
        self.is_over = False
        """Nothing more is read; the connection is to be closed when everything is sent."""

    def receive(self, data: bytes, now_ms: int) -> list[HttpRequest]:
        """Take `data`; return the requests it completes. Nonsense is answered here, and is the end."""
        if self.is_over:
            return []
        was_idle = self._decoder.is_idle
        try:
            requests = self._decoder.feed(data)
        except HttpSyntaxError as error:
            self._end(error.status, str(error))
            return []
        self._unanswered += len(requests)
        if self._decoder.is_idle:
            self._deadline_ms = now_ms + IDLE_TIMEOUT_MS
        elif was_idle or requests:
            self._deadline_ms = now_ms + REQUEST_TIMEOUT_MS
        return requests

    def send_response(self, request: HttpRequest, response: HttpResponse, date: str = "") -> None:
        """Answer `request`, the oldest one that is not answered."""
        if self.is_over:
            return
        self._unanswered -= 1
        self._out.append(
            encode(response, date=date, with_body=request.method != "HEAD", keeps_alive=request.keeps_alive)
        )
        if not request.keeps_alive:
            self.is_over = True
        elif self._unanswered == 0 and self._decoder.error is not None:
            self._end(self._decoder.error.status, str(self._decoder.error))

    def tick(self, now_ms: int) -> None:
        """End the connection if the peer took too long."""
        if self.is_over or now_ms < self._deadline_ms:
            return
        if self._decoder.is_idle:
            self.is_over = True  # RFC 9112 §9.5: an idle connection may be closed without a word
        else:
            self._end(408, "the request took too long")

    def next_deadline_ms(self) -> int:
        """Return when `tick` has something to do, 0 = never."""
        return 0 if self.is_over else self._deadline_ms

    def drain(self) -> bytes:
        """Return what is to be sent."""
        out = b"".join(self._out)
        self._out.clear()
        return out

    def _continue(self) -> None:
        self._out.append(_CONTINUE)

    def _end(self, status: int, what: str) -> None:
        response = HttpResponse(status=status, body=f"{what}\n".encode())
        self._out.append(encode(response, date="", with_body=True, keeps_alive=False))
        self.is_over = True
