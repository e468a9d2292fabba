"""A BOSH session (XEP-0124): a connection made of HTTP requests, of which one waits for what there is to say.

Compiled by mypyc. Requests are taken in the order of their ids, whatever order they come in, and answered in it. An
answer is kept until a few later ones are given: a client that did not get it asks again with the same id.

States: open -> closing (what is left to say is told to the next request) -> over.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from sabir.core.ports import Clock, Handle, Scheduler
from sabir.gateway.web import Exchange
from sabir.net.connection import DRAIN_MS, Connection, Unanswered
from sabir.net.tls import TlsInfo
from sabir.protocols.xmpp.bosh import RECOVERABLE, BoshRequest, encode, encode_terminate, opening
from sabir.protocols.xmpp.codec import attribute
from sabir.protocols.xmpp.framing import declared
from sabir.wire.http.types import HttpResponse

CONTENT_TYPE: Final = "text/xml; charset=utf-8"
MAX_WAIT_S: Final = 60
MAX_HOLD: Final = 2
INACTIVITY_S: Final = 60
"""How long a client may have no request under way."""
POLLING_S: Final = 2
"""A client that polls, instead of letting a request wait, may do so this often."""
MAX_PAUSE_S: Final = 120
HIGH_WATER_BYTES: Final = 524_288
"""A client that has this much to fetch stops receiving live."""
MAX_REPEATS: Final = 10
"""How often the same request may be sent again."""

_MS_PER_S: Final = 1000


class _Held:
    """A request that was taken and not answered."""

    __slots__ = ("exchange", "rid", "since_ms")

    def __init__(self, rid: int, since_ms: int) -> None:
        self.rid: Final = rid
        self.exchange: Exchange | None = None
        """None: its HTTP connection broke; the client will ask again."""
        self.since_ms: Final = since_ms


class BoshConnection(Connection):
    """One session. Its `handler` hears one message per `receive`, and each `put` is one."""

    def __init__(
        self,
        number: int,
        sid: str,
        request: BoshRequest,
        exchange: Exchange,
        domain: str,
        scheduler: Scheduler,
        clock: Clock,
        forget: Callable[[BoshConnection], None],
    ) -> None:
        """Begin the session that `request` asks for; `begin` takes that request.

        Args:
            number: unique in this process.
            sid: which the client cannot guess.
            request: the first.
            exchange: the one it came in.
            domain: of the server.
            scheduler: calls back when something is due.
            clock: for timeouts.
            forget: called when it is over.
        """
        super().__init__(number, exchange.peer)
        self.secure = exchange.secure
        self.sid: Final = sid
        self._domain: Final = domain
        self._scheduler: Final = scheduler
        self._clock: Final = clock
        self._forget: Final = forget
        self._wait_s: Final = request.number("wait", MAX_WAIT_S, MAX_WAIT_S)
        self._hold: Final = request.number("hold", MAX_HOLD, 1) if self._wait_s else 0
        self._requests: Final = self._hold + 1
        self._content_type: Final = _sane(request.element.get("content")) or CONTENT_TYPE
        self._version: Final = _version(request.element.get("ver"))
        self._expected = request.rid
        self._early: dict[int, tuple[BoshRequest, Exchange]] = {}
        self._held: deque[_Held] = deque()
        self._answers: dict[int, bytes] = {}
        self._repeats = 0
        self._created = False
        self._out: list[bytes] = []
        self._out_bytes = 0
        self._flushing = False
        self._paused = False
        self._held_until_ms = 0
        self._told_to_lag = False
        self._condition = ""
        self._idle_since_ms = clock.now_ms()
        self._idle_ms = INACTIVITY_S * _MS_PER_S
        self._emptied_ms = 0
        self._timer: Handle | None = None
        self._timer_ms = 0
        self._over = False

    # What the session calls: see `Connection`

    @property
    def now_ms(self) -> int:
        """See `Connection.now_ms`."""
        return self._clock.now_ms()

    def put(self, data: bytes) -> None:
        """Send a message with the next answer."""
        if self.closing or data.startswith((b"<open ", b"<close ")):
            return  # what these say the wrapper says
        data = declared(data)
        self._out.append(data)
        self._out_bytes += len(data)
        self.bytes_out += len(data)
        if self._out_bytes > HIGH_WATER_BYTES:
            self.lagging = True
        self._flush_soon()

    def put3(self, before: bytes, between: bytes, after: bytes) -> None:
        """Send three pieces as a message."""
        self.put(before + between + after)

    def close(self, grace_ms: int = DRAIN_MS) -> None:
        """End the session: whatever was put, and that it ended, is told by the answer to the next request."""
        if self.closing:
            return
        self.closing = True
        for data in self._out:
            if data.startswith(b"<stream:error"):
                self._condition = _condition_of(data)
        self._flush_soon()

    def abort(self, reason: str = "aborted") -> None:
        """See `Connection.abort`."""
        self.closing = True
        self._out.clear()
        self._finish(reason)

    def pause_reading(self) -> None:
        """Let further requests wait: no more than the client may have under way."""
        self._paused = True

    def resume_reading(self) -> None:
        """Take the requests that waited."""
        if self._paused:
            self._paused = False
            self._scheduler.soon(self._take_early)

    def hold_reading(self, until_ms: int) -> None:
        """See `Connection.hold_reading`."""
        self._held_until_ms = max(self._held_until_ms, until_ms)
        self._arm()

    def start_tls(self, then: Callable[[], None]) -> None:
        """See `Connection.start_tls`: it is too late for TLS."""
        raise RuntimeError("TLS is below HTTP, not above it")

    def tls_info(self) -> TlsInfo | None:
        """Return None: requests may come over any number of connections, so that none can be bound to."""
        return None

    def rearm(self) -> None:
        """See `Connection.rearm`."""
        self._arm()

    # What the page calls

    def begin(self, request: BoshRequest, exchange: Exchange) -> None:
        """Take the first request."""
        self.take(request, exchange)
        # Whatever the stream has to say is said by now: the session is told of in any case.
        self._flush_soon()

    def take(self, request: BoshRequest, exchange: Exchange) -> None:
        """Take a request, at once or when its turn comes."""
        rid = request.rid
        if rid < self._expected:
            self._repeat(rid, exchange)
            return
        if rid >= self._expected + self._requests + 1:
            self.closing = True
            self._respond(exchange, encode_terminate("item-not-found"))  # XEP-0124 §14.2
            self._finish("request out of the window")
            return
        before = self._early.get(rid)
        if before is not None:
            self._respond(before[1], RECOVERABLE)
        self._early[rid] = (request, exchange)
        self._take_early()

    # In order

    def _take_early(self) -> None:
        while not self._paused and not self._held_until_ms and self._expected in self._early:
            request, exchange = self._early.pop(self._expected)
            self._expected += 1
            self._take_next(request, exchange)
        self._flush_soon()
        self._arm()

    def _take_next(self, request: BoshRequest, exchange: Exchange) -> None:
        now_ms = self.now_ms
        held = _Held(request.rid, now_ms)
        self._hold_for(held, exchange)
        self._held.append(held)
        self._idle_ms = INACTIVITY_S * _MS_PER_S
        if self.closing:
            return
        if self._polls_too_often(request, now_ms):
            self.closing = True
            self._condition = "policy-violation"  # XEP-0124 §12
            return
        if not self._created or request.restarts:
            self.handler.receive(opening(request))
        if not request.restarts:
            for message in request.messages:
                self.bytes_in += len(message)
                self.handler.receive(message)
        pause_s = request.number("pause", MAX_PAUSE_S, 0)
        if request.terminates:
            self.handler.receive(b"<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>")
        elif pause_s:
            # XEP-0124 §10: everything is answered at once, without payloads.
            self._idle_ms = pause_s * _MS_PER_S
            while self._held:
                self._answer(b"")

    def _polls_too_often(self, request: BoshRequest, now_ms: int) -> bool:
        if self._hold or request.messages or not self._created or request.restarts or request.terminates:
            self._emptied_ms = 0
            return False
        return self._emptied_ms > 0 and now_ms - self._emptied_ms < POLLING_S * _MS_PER_S

    def _repeat(self, rid: int, exchange: Exchange) -> None:
        self._repeats += 1
        answer = self._answers.get(rid)
        if self._repeats > MAX_REPEATS:
            self._respond(exchange, encode_terminate("policy-violation"))  # XEP-0124 §14.3
            self._finish("too many repeats")
            return
        if answer is not None:
            self._respond(exchange, answer)
            return
        for held in self._held:
            if held.rid == rid:
                if held.exchange is not None:
                    self._respond(held.exchange, RECOVERABLE)
                self._hold_for(held, exchange)
                self._flush_soon()
                return
        self._respond(exchange, encode_terminate("item-not-found"))
        self._finish("request repeated too late")

    def _hold_for(self, held: _Held, exchange: Exchange) -> None:
        held.exchange = exchange
        exchange.when_gone = lambda: self._gone(held)

    def _gone(self, held: _Held) -> None:
        held.exchange = None
        self._idle_since_ms = self.now_ms
        self._arm()

    # Answers

    def _flush_soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            self._scheduler.soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        if self._over:
            return
        if self.closing:
            self._say_goodbye()
            return
        while self._held:
            must = len(self._held) > self._hold or not self._created
            if not must and not (self._out and self._is_waiting()):
                break
            self._answer(b"")
        self._tell_lag()
        self._arm()

    def _is_waiting(self) -> bool:
        """Return whether there is a client at the other end of a request: what is said is not lost then."""
        return any(held.exchange is not None for held in self._held)

    def _answer(self, body: bytes) -> None:
        """Answer the oldest request, with what there is to say unless its client is gone or the `body` is given."""
        held = self._held.popleft()
        if not body:
            payloads: list[bytes] = []
            if held.exchange is not None or not self._is_waiting():
                payloads, self._out = self._out, []
                self._out_bytes = 0
            self._emptied_ms = 0 if payloads else self.now_ms
            body = encode(payloads, "" if self._created else self._creation())
            self._created = True
        self._answers[held.rid] = body
        while len(self._answers) > self._requests + 1:
            del self._answers[next(iter(self._answers))]
        if held.exchange is not None:
            self._respond(held.exchange, body)
        self._idle_since_ms = self.now_ms

    def _creation(self) -> str:
        """Return what a session begins with (XEP-0124 §7.2, XEP-0206 §4)."""
        told = {
            "sid": self.sid,
            "wait": str(self._wait_s),
            "requests": str(self._requests),
            "hold": str(self._hold),
            "ver": self._version,
            "inactivity": str(INACTIVITY_S),
            "maxpause": str(MAX_PAUSE_S),
            "from": self._domain,
        }
        if not self._hold:
            told["polling"] = str(POLLING_S)
        written = "".join([attribute(name, value) for name, value in told.items()])
        return written + " xmlns:xmpp='urn:xmpp:xbosh' xmpp:version='1.0' xmpp:restartlogic='true'"

    def _say_goodbye(self) -> None:
        """Tell the oldest request that the session ended, and let the others go (XEP-0124 §13)."""
        if not self._held:
            self._arm()  # the next one is told
            return
        body = encode_terminate(self._condition, self._out)
        self._out = []
        self._answer(body)
        while self._held:
            self._answer(encode([]))
        self._finish("closed by us")

    def _respond(self, exchange: Exchange, body: bytes) -> None:
        exchange.when_gone = None
        exchange.respond(HttpResponse(status=200, body=body, content_type=self._content_type))

    def _tell_lag(self) -> None:
        if not self.lagging:
            return
        if self._out_bytes > HIGH_WATER_BYTES // 4:
            if not self._told_to_lag:
                self._told_to_lag = True
                self.handler.lag()
            return
        self.lagging = False
        if self._told_to_lag:
            self._told_to_lag = False
            self.handler.catch_up()

    # Time

    def _arm(self) -> None:
        """See to it that `_due` is called when something is due next."""
        if self._over:
            return
        due_ms = self._idle_since_ms + self._idle_ms
        if self._is_waiting():
            due_ms = self._held[0].since_ms + self._wait_s * _MS_PER_S
        deadline_ms = 0 if self.closing else self.handler.next_deadline_ms()
        if deadline_ms:
            due_ms = min(due_ms, deadline_ms)
        if self._held_until_ms:
            due_ms = min(due_ms, self._held_until_ms)
        if self._timer is not None:
            if self._timer_ms <= due_ms:
                return  # it looks again then
            self._timer.cancel()
        self._timer_ms = due_ms
        self._timer = self._scheduler.later(max(0, due_ms - self.now_ms), self._due)

    def _due(self) -> None:
        self._timer = None
        if self._over:
            return
        now_ms = self.now_ms
        if self._held_until_ms and self._held_until_ms <= now_ms:
            self._held_until_ms = 0
            self._take_early()
        if not self._is_waiting() and now_ms >= self._idle_since_ms + self._idle_ms:
            self.closing = True
            self._finish("inactive")  # XEP-0124 §10
            return
        while self._is_waiting() and now_ms >= self._held[0].since_ms + self._wait_s * _MS_PER_S:
            self._answer(b"")
        deadline_ms = 0 if self.closing else self.handler.next_deadline_ms()
        if 0 < deadline_ms <= now_ms:
            self.handler.tick(now_ms)
        self._arm()

    def _finish(self, reason: str) -> None:
        if self._over:
            return
        self._over = self.closing = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for held in self._held:
            if held.exchange is not None:
                self._respond(held.exchange, encode_terminate(""))
        for _, exchange in self._early.values():
            self._respond(exchange, encode_terminate(""))
        self._held.clear()
        self._early.clear()
        self._forget(self)
        handler = self.handler
        self.handler = Unanswered()
        handler.closed(reason)


def _condition_of(error: bytes) -> str:
    # XEP-0124 §17.2 has words of its own for these two.
    for condition in ("host-unknown", "improper-addressing"):
        if f"<{condition} ".encode() in error:
            return condition
    return "remote-stream-error"  # XEP-0206 §6


def _version(asked: str | None) -> str:
    """Return the lower of the client's version of BOSH and ours, 1.11."""
    major, _, minor = (asked or "1.6").partition(".")
    if major == "1" and minor.isdecimal() and len(minor) < 4 and int(minor) < 11:
        return f"1.{int(minor)}"
    return "1.11"


def _sane(content_type: str | None) -> str:
    """Return the type that a client wants for answers, unless it could be taken for another header or a web page."""
    if content_type is None or len(content_type) > 100 or not content_type.isascii():
        return ""
    kind = content_type.partition(";")[0].strip().lower()
    sane = content_type.isprintable() and kind in ("text/xml", "application/xml", "text/plain")
    return content_type if sane else ""
