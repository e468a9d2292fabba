"""The page `/http-bind`: which BOSH session a request is for, and beginning new ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sabir.gateway.web import Exchange, Page
from sabir.net.connection import Connection, Handler
from sabir.net.limits import peer_key
from sabir.protocols.xmpp.bosh import BoshRequest, BoshSyntaxError, encode_terminate, read
from sabir.protocols.xmpp.session.bosh import CONTENT_TYPE, BoshConnection
from sabir.protocols.xmpp.session.hub import Hub
from sabir.protocols.xmpp.session.stream import Stream
from sabir.wire.http.types import HttpResponse

PATH: Final = "/http-bind"
MAX_SESSIONS: Final = 10_000
MAX_SESSIONS_PER_PEER: Final = 200
SID_BYTES: Final = 20

_WRAPPER_BYTES: Final = 8_192

Adopt = Callable[[Connection, Callable[[Connection], Handler]], Handler | None]
"""Takes a connection in that no listener made; see `Gateway.adopt`."""


class Binding:
    """All BOSH sessions."""

    def __init__(self, hub: Hub, adopt: Adopt) -> None:
        self._hub: Final = hub
        self._adopt: Final = adopt
        self._sessions: Final[dict[str, BoshConnection]] = {}
        self._of_peer: Final[dict[str, int]] = {}
        self._last = 0

    def page(self) -> Page:
        """Return the page."""
        return Page(
            path=PATH,
            serve=self.serve,
            methods=("POST",),
            # Clients put several stanzas into one request.
            max_body_bytes=2 * self._hub.config.max_stanza_bytes + _WRAPPER_BYTES,
            cors=True,
        )

    def serve(self, exchange: Exchange) -> None:
        """Give a request to its session."""
        try:
            request = read(exchange.request.body)
        except BoshSyntaxError:
            _refuse(exchange, "bad-request")  # XEP-0124 §17.2
            return
        if not request.sid:
            self._begin(request, exchange)
            return
        session = self._sessions.get(request.sid)
        if session is None:
            _refuse(exchange, "item-not-found")
        else:
            session.take(request, exchange)

    def _begin(self, request: BoshRequest, exchange: Exchange) -> None:
        key = peer_key(exchange.peer)
        if len(self._sessions) >= MAX_SESSIONS or self._of_peer.get(key, 0) >= MAX_SESSIONS_PER_PEER:
            _refuse(exchange, "policy-violation")
            return
        self._last += 1
        services = self._hub.environment.services
        session = BoshConnection(
            -self._last,  # other connections have positive numbers
            self._hub.randomness(SID_BYTES).hex(),
            request,
            exchange,
            self._hub.place.domain,
            services.scheduler,
            services.clock,
            self._forget,
        )
        handler = self._adopt(session, lambda connection: Stream(self._hub, connection, framed=True))
        if handler is None:
            _refuse(exchange, "internal-server-error")
            return
        session.handler = handler
        self._sessions[session.sid] = session
        self._of_peer[key] = self._of_peer.get(key, 0) + 1
        session.begin(request, exchange)

    def _forget(self, session: BoshConnection) -> None:
        if self._sessions.pop(session.sid, None) is None:
            return
        key = peer_key(session.peer)
        self._of_peer[key] -= 1
        if not self._of_peer[key]:
            del self._of_peer[key]


def _refuse(exchange: Exchange, condition: str) -> None:
    exchange.respond(HttpResponse(status=200, body=encode_terminate(condition), content_type=CONTENT_TYPE))
