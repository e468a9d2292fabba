"""The contract between the server and its protocols.

A protocol package's `server.py` has one public function, `front_end(config, environment) -> FrontEnd`. The
app opens a listener for each of its `doors`, and gives each new connection to `connect`, which returns the
handler that hears the bytes (`sabir.net.connection.Handler`): the session. A session is that handler on the
side of the net and `sabir.core.ports.Session` on the side of the core.

Order. What the client sent first takes effect first (DATAMODEL 1.5). Posts, and whatever else a service does
through the log's queue (all of `rooms`, `moderation`, `roster`, `accounts`, `reads.mark`), keep their order
by themselves. Anything else (presence, relays, typing, queries) goes through the session's `Turnstile`, which
lets it pass at once if nothing of this session waits, and puts it into the log's queue if something does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from sabir.base.secret import Secret
from sabir.core.errors import Refusal
from sabir.core.ports import Waker
from sabir.core.services import Services
from sabir.gateway.turnstile import Turnstile as Turnstile
from sabir.net.connection import Connection, Handler
from sabir.net.dialer import Call
from sabir.net.limits import LoginLimits
from sabir.net.listener import Tls


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """A listener that a protocol wants. `name` is the one in the ready file, `port` the default one."""

    name: str
    port: int
    tls: Tls
    alpn: tuple[str, ...] = ()
    asks_certificate: bool = False
    """Peers are asked for a certificate, and may do without."""
    servers: bool = False
    """Peers are servers: asked for a certificate, too, and allowed to send as much as many people."""
    is_bulk: bool = False
    """Big things come in here: `limits.bulk_bytes_per_s` is the limit, not `bytes_per_s`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What a front end is given.

    `plain_logins`: passwords may travel without TLS (`--ports auto`, on loopback).
    """

    services: Services
    domain: str
    rooms_domain: str
    plain_logins: bool
    logins: LoginLimits
    secret: Secret
    """64 hex digits kept with the data; keys whatever must be the same after a restart (fake salts)."""
    version: str
    started_ms: int
    public: PublicAddress
    operators: frozenset[str] = frozenset()
    """Names of the accounts that may administer the server from their client."""
    contacts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """URIs of those who are responsible, by what for (XEP-0157)."""
    waker: Waker | None = None
    """Reaches devices that are not connected, through the services of their makers."""
    push_sender: bool = False
    """Those services are told who wrote."""
    limited: bool = True
    """False: rate limits are off (`limits.enabled=false`), a protocol's own flood control too."""
    call: Callable[[Call], None] | None = None
    """Calls another server; None where that is not possible."""


class PublicAddress:
    """Where clients reach the listeners `http` and `https`; known once these are open."""

    def __init__(self, configured: str) -> None:
        self.configured: Final = configured.rstrip("/")
        """What the operator says; may be empty."""
        self.url = self.configured
        """The same, or what the listeners say; without a slash at its end."""


class FrontEnd(Protocol):
    """One protocol. `counters` are read by the metrics endpoint."""

    @property
    def protocol(self) -> str:
        """The name of the protocol."""
        ...

    @property
    def counters(self) -> Counters:
        """Counted by its sessions."""
        ...

    def doors(self) -> Sequence[Door]:
        """Return the listeners that this protocol wants."""
        ...

    def connect(self, connection: Connection, door: Door) -> Handler:
        """Return the session of a new connection."""
        ...


class Counters:
    """Plain integers that sessions raise, per protocol: nothing else is done per message.

    `connections`, all since the start, is raised by the gateway.
    """

    def __init__(self, protocol: str) -> None:
        self.protocol = protocol
        self.connections = 0
        self.logins = 0
        self.messages_in = 0
        self.messages_out = 0
        self.refusals: dict[Refusal, int] = {}

    def refused(self, refusal: Refusal) -> None:
        """Count a refusal."""
        self.refusals[refusal] = self.refusals.get(refusal, 0) + 1
