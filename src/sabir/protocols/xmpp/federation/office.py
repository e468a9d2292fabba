"""Puts the parts together: everything of this front end that has to do with other servers."""

from collections.abc import Callable
from typing import Final

from sabir.base.log import BoundLogger
from sabir.gateway.contract import Counters, Environment, Turnstile
from sabir.net.connection import Connection, Handler
from sabir.protocols.xmpp.config import XmppConfig
from sabir.protocols.xmpp.features.chat import PROTOCOL
from sabir.protocols.xmpp.features.context import Place
from sabir.protocols.xmpp.features.pubsub.distant import DistantReaders
from sabir.protocols.xmpp.federation.arriving import Arrivals
from sabir.protocols.xmpp.federation.components import ComponentStream
from sabir.protocols.xmpp.federation.links import Links
from sabir.protocols.xmpp.federation.lists import START_MS, LiveLists
from sabir.protocols.xmpp.federation.outbox import Outbox
from sabir.protocols.xmpp.federation.streams import IncomingStream, OutgoingStream, Shared
from sabir.protocols.xmpp.machine.peers import Pair

_LOCAL: Final = "localhost"


def links_of(config: XmppConfig, environment: Environment, log: BoundLogger) -> Links:
    """Return the ways to other servers; nothing goes there before `Office.open`."""
    federation = config.federation
    pubsub = pubsub_domain_of(config, environment) or environment.domain
    ours = frozenset((environment.domain, environment.rooms_domain, pubsub, *config.components))
    services = environment.services
    return Links(
        federation,
        services.clock,
        services.scheduler,
        log,
        enabled=is_enabled(config, environment.domain),
        serves=ours.__contains__,
        secrets=config.components,
    )


def pubsub_domain_of(config: XmppConfig, environment: Environment) -> str:
    """Return the address of the pubsub service; empty where a component of others has it."""
    domain = f"pubsub.{environment.domain}"
    return "" if domain in config.components else domain


def is_enabled(config: XmppConfig, domain: str) -> bool:
    """Return whether there are other servers: for `localhost`, which is nobody's address, only those in the table."""
    federation = config.federation
    return federation.enabled and (domain != _LOCAL or bool(federation.hosts))


class Office:
    """Other servers."""

    def __init__(
        self,
        links: Links,
        place: Place,
        environment: Environment,
        counters: Counters,
        randomness: Callable[[int], bytes],
        log: BoundLogger,
    ) -> None:
        services = environment.services
        self._outbox: Final = Outbox(place, links, randomness(8).hex())
        readers = DistantReaders(place)
        lists = LiveLists(place, links.config.block_lists, log)
        services.pubsub.outlets.append(readers.publish)
        self._arrivals: Final = Arrivals(
            place,
            counters,
            self._outbox.answered,
            links.serves,
            readers,
            lists.heard,
            limited=environment.limited,
        )
        self._shared: Final = Shared(
            links,
            self._arrivals,
            environment.secret.reveal().encode(),
            randomness,
            lambda: Turnstile(services.log),
            log,
        )
        services.peers.keep_ms = links.config.keep_messages_h * 3_600_000
        services.peers.max_waiting = links.config.max_waiting
        services.peers.register(PROTOCOL, self._outbox)
        self._domain: Final = environment.domain
        self._rooms_domain: Final = environment.rooms_domain
        self._secrets: Final = links.secrets
        links.watchers.extend((self._outbox, self, lists))
        links.connected = self._connected
        links.call = environment.call
        services.scheduler.soon(self._outbox.start)
        services.scheduler.later(START_MS, lists.start)

    def incoming(self, connection: Connection) -> Handler:
        """Return the handler of a connection of another server."""
        return IncomingStream(self._shared, connection)

    def component(self, connection: Connection) -> Handler:
        """Return the handler of a component's connection."""
        return ComponentStream(self._shared, connection, self._domain)

    def _connected(self, pair: Pair, connection: Connection) -> Handler:
        return OutgoingStream(self._shared, pair, connection)

    # See `links.Watcher`

    def reached(self, pair: Pair) -> None:
        """See `Watcher.reached`."""

    def read_on(self, pair: Pair) -> None:
        """See `Watcher.read_on`."""
        for local in self._locals(pair):
            self._arrivals.read_on(local, pair.remote)

    def lost(self, pair: Pair, why: str, *, tried: bool) -> None:
        """See `Watcher.lost`."""
        if tried:
            for local in self._locals(pair):
                self._arrivals.lost(local, pair.remote)

    def _locals(self, pair: Pair) -> tuple[str, ...]:
        """Return the domains of ours that a stream is for: a component's is for all."""
        return (self._domain, self._rooms_domain) if pair.remote in self._secrets else (pair.local,)
