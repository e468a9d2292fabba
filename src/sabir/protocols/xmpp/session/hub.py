"""What the streams of one front end share."""

from collections.abc import Callable
from typing import Final

from sabir.base.log import BoundLogger
from sabir.gateway.contract import Counters, Environment
from sabir.protocols.xmpp.config import XmppConfig
from sabir.protocols.xmpp.features.context import Place
from sabir.protocols.xmpp.session.client import Client


class Hub:
    """What the streams of one front end share, and the clients that may come back."""

    def __init__(
        self,
        config: XmppConfig,
        environment: Environment,
        place: Place,
        counters: Counters,
        randomness: Callable[[int], bytes],
        log: BoundLogger,
    ) -> None:
        self.config: Final = config
        self.environment: Final = environment
        self.place: Final = place
        self.counters: Final = counters
        self.randomness: Final = randomness
        self.log: Final = log
        self.secret: Final = environment.secret.reveal().encode()
        self.resumable: dict[str, Client] = {}
        """Clients whose streams may be resumed, by the token of the stream (XEP-0198 §5)."""

    def hibernate(self, client: Client) -> None:
        """Keep a client whose stream broke for a while."""
        client.detach()
        absence = client.absences
        resume_s = self.config.resume_s if client.management is None else client.management.resume_s
        self.environment.services.scheduler.later(resume_s * 1000, lambda: self._give_up(client, absence))

    def _give_up(self, client: Client, absence: int) -> None:
        if client.link is None and client.absences == absence:
            client.leave()
