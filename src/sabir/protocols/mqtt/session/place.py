"""What the connections share beside the broker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sabir.base.clock import MonotonicClock
from sabir.base.secret import Secret
from sabir.net.limits import LoginLimits
from sabir.protocols.mqtt.codec.decoder import Names
from sabir.protocols.mqtt.features.boards import Boards
from sabir.protocols.mqtt.features.broker import Broker
from sabir.protocols.mqtt.features.rendered import Rendered
from sabir.protocols.mqtt.machine import Limits


class Place:
    """See the module's text."""

    def __init__(
        self,
        broker: Broker,
        limits: Limits,
        logins: LoginLimits,
        secret: Secret,
        domain: str,
        *,
        plain_logins: bool,
    ) -> None:
        self.broker: Final = broker
        self.limits: Final = limits
        self.logins: Final = logins
        self.secret: Final = secret
        self.domain: Final = domain
        self.plain_logins: Final = plain_logins
        self.names: Final = Names()
        self.rendered: Final = Rendered(broker.services)
        self.boards: Final = Boards(broker.services)
        self.clock: Final = MonotonicClock()
        self.stalled: Final[dict[int, Callable[[], None]]] = {}
        """What publishers do who wait until a full session has room, by their connection."""
        broker.quotas.room = self._room

    def _room(self) -> None:
        if self.stalled:
            self.broker.services.scheduler.soon(self._go_on)

    def _go_on(self) -> None:
        stalled = list(self.stalled.values())
        self.stalled.clear()
        for go_on in stalled:
            go_on()
