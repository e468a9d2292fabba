"""Components (XEP-0114): services of others on this server, such as gateways, each with a domain of its own."""

import ipaddress
from collections.abc import Sequence
from typing import Final

from sabir.net.connection import Connection
from sabir.protocols.xmpp.errors import StreamCondition, StreamError
from sabir.protocols.xmpp.federation.streams import Shared, StreamHandler
from sabir.protocols.xmpp.machine.component import Component
from sabir.protocols.xmpp.machine.peers import Pair, PeerEvent
from sabir.protocols.xmpp.types import Stanza, StreamClosed


class ComponentStream(StreamHandler[Component]):
    """The handler of a component's connection. See `links.Carrier`."""

    def __init__(self, shared: Shared, connection: Connection, own: str) -> None:
        machine = Component(shared.links.config, shared.links.secrets.get, shared.new_id, connection.now_ms)
        super().__init__(shared, connection, machine)
        self._own: Final = own
        self._is_known: bool = False
        if not ipaddress.ip_address(connection.peer).is_loopback:
            # Neither the secret's hash nor what follows is encrypted.
            self._end(StreamError(StreamCondition.POLICY_VIOLATION, "Components run on this machine."))

    def catch_up(self) -> None:
        """See `Handler.catch_up`."""
        if self._is_known:
            self._shared.links.component_reads_on(self._pair())

    def closed(self, reason: str) -> None:
        """See `Handler.closed`."""
        self._machine.close()
        if self._is_known:
            self._is_known = False
            self._shared.links.component_left(self._pair(), reason)

    def put(self, stanza: bytes) -> None:
        """See `Carrier.put`."""
        self._connection.put(stanza)

    def _pair(self) -> Pair:
        return Pair(self._own, self._machine.domain)

    def _handle(self, events: Sequence[PeerEvent]) -> None:
        for event in events:
            if isinstance(event, Stanza):
                if not self._enter():
                    return
                self._connection.frames_in += 1
                self._shared.post.take(event, self._turnstile)
            elif isinstance(event, StreamClosed):
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
