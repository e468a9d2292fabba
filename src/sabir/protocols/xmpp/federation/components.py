"""Components (XEP-0114): services of others on this server, such as gateways, each with a domain of its own."""

import ipaddress
from typing import Final

from sabir.net.connection import Connection
from sabir.protocols.xmpp.errors import StreamCondition, StreamError
from sabir.protocols.xmpp.federation.streams import Shared
from sabir.protocols.xmpp.machine.component import Component, ComponentEvent
from sabir.protocols.xmpp.machine.peers import Pair
from sabir.protocols.xmpp.types import Stanza, StreamClosed


class ComponentStream:
    """The handler of a component's connection. See `links.Carrier`."""

    def __init__(self, shared: Shared, connection: Connection, own: str) -> None:
        self._shared: Final = shared
        self._connection: Final = connection
        self._own: Final = own
        self._turnstile: Final = shared.turnstile()
        self._is_known: bool = False
        self._machine: Final = Component(
            shared.links.config, shared.links.secrets.get, shared.new_id, connection.now_ms
        )
        if not ipaddress.ip_address(connection.peer).is_loopback:
            # Neither the secret's hash nor what follows is encrypted.
            self._end(StreamError(StreamCondition.POLICY_VIOLATION, "Components run on this machine."))

    # See `net.connection.Handler`

    def receive(self, data: bytes) -> None:
        """See `Handler.receive`."""
        self._handle(self._machine.receive(data, self._connection.now_ms))

    def lag(self) -> None:
        """See `Handler.lag`."""

    def catch_up(self) -> None:
        """See `Handler.catch_up`."""
        if self._is_known:
            self._shared.links.component_reads_on(self._pair())

    def tick(self, now_ms: int) -> None:
        """See `Handler.tick`."""
        self._handle(self._machine.tick(now_ms))

    def next_deadline_ms(self) -> int:
        """See `Handler.next_deadline_ms`."""
        return self._machine.next_deadline_ms()

    def shutdown(self) -> None:
        """See `Handler.shutdown`."""
        self._end(StreamError(StreamCondition.SYSTEM_SHUTDOWN))

    def closed(self, reason: str) -> None:
        """See `Handler.closed`."""
        self._machine.close()
        if self._is_known:
            self._is_known = False
            self._shared.links.component_left(self._pair(), reason)

    # See `links.Carrier`

    @property
    def lagging(self) -> bool:
        """See `Carrier.lagging`."""
        return self._connection.lagging

    def put(self, stanza: bytes) -> None:
        """See `Carrier.put`."""
        self._connection.put(stanza)

    def give_up(self, why: str) -> None:
        """See `Carrier.give_up`."""
        self._end(StreamError(StreamCondition.CONNECTION_TIMEOUT, why))

    def _pair(self) -> Pair:
        return Pair(self._own, self._machine.domain)

    def _handle(self, events: list[ComponentEvent]) -> None:
        for event in events:
            if isinstance(event, Stanza):
                if not self._enter():
                    return
                self._connection.frames_in += 1
                self._shared.post.take(event, self._turnstile)
            else:
                self._leave(event)
        self._enter()
        self._flush()

    def _enter(self) -> bool:
        """Let the component be reached, once it has proven itself; returns whether it can be."""
        if self._is_known or not self._machine.is_proven or self._machine.is_closed:
            return self._is_known
        if self._machine.domain in self._shared.links.components:
            # RFC 6120 §4.9.3.3: the one that is there stays.
            self._machine.drain()
            self._end(StreamError(StreamCondition.CONFLICT, "That component is connected already."))
            return False
        self._flush()
        self._is_known = True
        self._shared.links.component_came(self._pair(), self)
        return True

    def _leave(self, event: StreamClosed) -> None:
        self._flush()
        if event.error is not None:
            self._shared.log.info(
                "component refused",
                extra={"domain": self._machine.domain, "reason": event.error.condition.value},
            )
        self._connection.close()

    def _end(self, error: StreamError) -> None:
        self._machine.fail(error)
        self._flush()
        self._connection.close()

    def _flush(self) -> None:
        data = self._machine.drain()
        if data:
            self._connection.put(data)
