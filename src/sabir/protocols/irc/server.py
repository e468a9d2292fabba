"""The IRC front end: its listeners, and what its connections share."""

from collections.abc import Sequence
from typing import Final

from sabir.base.clock import MonotonicClock
from sabir.gateway.contract import Counters, Door, Environment
from sabir.net.connection import Connection, Handler
from sabir.net.listener import Tls
from sabir.protocols.irc.config import IrcConfig
from sabir.protocols.irc.features.client import Network
from sabir.protocols.irc.machine import Limits
from sabir.protocols.irc.session import IrcSession
from sabir.protocols.irc.translate.accept import PROTOCOL
from sabir.protocols.irc.translate.content import IrcTranslator

_MS: Final = 1000


class IrcFrontEnd:
    """See `gateway.contract.FrontEnd`."""

    protocol: Final = PROTOCOL

    def __init__(self, config: IrcConfig, environment: Environment) -> None:
        self.counters = Counters(PROTOCOL)
        self._clock: Final = MonotonicClock()
        self._limits: Final = Limits(
            registration_timeout_ms=config.registration_timeout_s * _MS,
            ping_after_ms=config.ping_after_s * _MS,
            ping_timeout_ms=config.ping_timeout_s * _MS,
            flood_burst_lines=config.flood_burst_lines,
            flood_lines_per_s=config.flood_lines_per_s if environment.limited else 0,
            max_waiting_lines=config.max_waiting_lines,
            max_multiline_bytes=config.max_multiline_bytes,
            max_multiline_lines=config.max_multiline_lines,
        )
        self._network: Final = Network(
            config,
            environment.services,
            self.counters,
            domain=environment.domain,
            version=environment.version,
            started_ms=environment.started_ms,
            logins=environment.logins,
            secret=environment.secret,
            plain_logins=environment.plain_logins,
        )
        environment.services.contents.register(PROTOCOL, IrcTranslator(environment.services.people))

    def doors(self) -> Sequence[Door]:
        """See `FrontEnd.doors`."""
        return (
            Door(name="irc", port=6667, tls=Tls.NONE),
            Door(name="irc-tls", port=6697, tls=Tls.DIRECT),  # RFC 7194
        )

    def connect(self, connection: Connection, door: Door) -> Handler:
        """See `FrontEnd.connect`."""
        return IrcSession(self._network, connection, self._limits, self._clock)


def front_end(config: IrcConfig, environment: Environment) -> IrcFrontEnd:
    """Return the IRC front end over the services of `environment`."""
    return IrcFrontEnd(config, environment)
