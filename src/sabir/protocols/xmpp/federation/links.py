"""The ways to other servers: one for each pair of a domain of ours and one of theirs.

A link is idle until something is to be sent; then a server is called, and what is to be sent waits, up to a bound. Once
the stream carries the pair it goes out; if none can be had, whoever sent it is told, and the next try waits longer.
"""

from collections.abc import Callable, Mapping
from typing import Final, Protocol

from sabir.base.log import BoundLogger
from sabir.base.secret import Secret
from sabir.core.ports import Clock, Scheduler
from sabir.net.connection import Connection, Handler
from sabir.net.dialer import Call
from sabir.protocols.xmpp.config import FederationConfig
from sabir.protocols.xmpp.errors import (
    REMOTE_SERVER_NOT_FOUND,
    REMOTE_SERVER_TIMEOUT,
    SERVICE_UNAVAILABLE,
    ErrorType,
    StanzaError,
)
from sabir.protocols.xmpp.features.abroad import Bounce
from sabir.protocols.xmpp.machine.peers import Pair, admits

MAX_WAITING: Final = 500
MAX_WAITING_BYTES: Final = 1 << 20
"""What waits for a stream, per link."""
MAX_ASKED: Final = 200
"""Keys under way to their owners: strangers have us call whomever they name, without having proven anything."""
SERVICES: Final = ("xmpp-server", "xmpps-server")  # RFC 6120 §3.2.1, XEP-0368 §3
PORT: Final = 5269

_BUSY: Final = StanzaError(ErrorType.WAIT, "resource-constraint", "The other server does not keep up.")
_MANY: Final = StanzaError(ErrorType.WAIT, "resource-constraint", "Too many other servers at the moment.")
_DENIED: Final = StanzaError(ErrorType.CANCEL, "not-allowed", "This server does not talk with that one.")


class Carrier(Protocol):
    """A stream that carries a pair."""

    @property
    def lagging(self) -> bool:
        """Whether the peer reads too slowly."""

    def put(self, stanza: bytes) -> None:
        """Send a stanza."""

    def give_up(self, why: str) -> None:
        """End the stream: the peer does not answer."""


class Caller(Protocol):
    """A stream of ours that is being set up, or is up."""

    @property
    def is_wanted(self) -> bool:
        """Whether it is to carry stanzas, not only questions about keys."""

    def want(self) -> None:
        """Prove our domain: there is something to send."""

    def ask(self, pair: Pair, stream_id: str, key: str) -> None:
        """Ask whether a key is one of the peer's (XEP-0220 §2.2.1)."""


class Watcher(Protocol):
    """Who has to know whether another server can be reached."""

    def reached(self, pair: Pair) -> None:
        """Note that stanzas can be sent, before any that waited is."""

    def read_on(self, pair: Pair) -> None:
        """Note that the peer, which was slow, has read."""

    def lost(self, pair: Pair, why: str, *, tried: bool) -> None:
        """Note that the stream is gone; `tried`: or that none could be had, the wait for the next try has begun."""


class Link:
    """The way between two domains."""

    __slots__ = (
        "caller",
        "calling",
        "carrier",
        "last_error",
        "pair",
        "questions",
        "retry_at_ms",
        "retry_ms",
        "waiting",
        "waiting_bytes",
    )

    def __init__(self, pair: Pair) -> None:
        self.pair: Pair = pair
        self.carrier: Carrier | None = None
        self.caller: Caller | None = None
        """Our stream, if there is one."""
        self.calling: bool = False
        """Somebody is being called."""
        self.waiting: list[tuple[bytes, Bounce | None]] = []
        self.waiting_bytes: int = 0
        self.questions: dict[tuple[Pair, str], tuple[str, Callable[[str], None]]] = {}
        """Keys that the peer is asked about, and who wants to know."""
        self.retry_at_ms: int = 0
        self.retry_ms: int = 0
        self.last_error: StanzaError = REMOTE_SERVER_NOT_FOUND

    @property
    def is_idle(self) -> bool:
        """Whether it may be forgotten."""
        return self.carrier is None and self.caller is None and not (self.calling or self.questions)


class Links:
    """All links. See `features.abroad.Abroad`."""

    def __init__(
        self,
        config: FederationConfig,
        clock: Clock,
        scheduler: Scheduler,
        log: BoundLogger,
        *,
        enabled: bool,
        serves: Callable[[str], bool],
        secrets: Mapping[str, Secret],
    ) -> None:
        self.config: Final = config
        self.serves: Final = serves
        """Says whether a domain is one of ours."""
        self.components: Final[dict[str, Carrier]] = {}
        """Those that are connected, by domain."""
        self.secrets: Final = secrets
        """All components that may connect, with their secrets."""
        self.watchers: Final[list[Watcher]] = []
        self.call: Callable[[Call], None] | None = None
        """Calls another server."""
        self.connected: Callable[[Pair, Connection], Handler] | None = None
        """Makes the handler of a connection that we made."""
        self._enabled: Final = enabled
        self._clock: Final = clock
        self._scheduler: Final = scheduler
        self._log: Final = log
        self._links: Final[dict[Pair, Link]] = {}
        self._asked = 0
        """Questions about keys that nobody has answered yet."""

    # For features

    def refusal(self, domain: str) -> StanzaError | None:
        """See `Abroad.refusal`."""
        if domain in self.secrets:
            return None if domain in self.components else SERVICE_UNAVAILABLE
        if not self._enabled or self.serves(domain):
            return REMOTE_SERVER_NOT_FOUND
        return None if admits(self.config, domain) else _DENIED

    def services(self) -> list[str]:
        """See `Abroad.services`."""
        return sorted(self.components)

    def send(self, local: str, remote: str, stanza: bytes, bounce: Bounce | None = None) -> None:
        """See `Abroad.send`."""
        refusal = self.refusal(remote)
        if refusal is not None:
            _bounce(bounce, refusal)
            return
        component = self.components.get(remote)
        if component is not None:
            self._put(component, stanza, bounce)
            return
        link = self.link(Pair(local, remote))
        if link is None:
            _bounce(bounce, _MANY)
        elif link.carrier is not None:
            self._put(link.carrier, stanza, bounce)
        elif self._clock.now_ms() < link.retry_at_ms:
            _bounce(bounce, link.last_error)
        elif len(link.waiting) >= MAX_WAITING or link.waiting_bytes + len(stanza) > MAX_WAITING_BYTES:
            _bounce(bounce, _BUSY)
        else:
            link.waiting.append((stanza, bounce))
            link.waiting_bytes += len(stanza)
            self.want(link)

    def is_slow(self, local: str, remote: str) -> bool:
        """Return whether what is sent to a domain only piles up."""
        carrier = self.components.get(remote)
        if carrier is None:
            link = self._links.get(Pair(local, remote))
            carrier = None if link is None else link.carrier
        return carrier is not None and carrier.lagging

    # For what waits in the store, and for dialback

    def carrier_of(self, pair: Pair) -> Carrier | None:
        """Return the stream that carries a pair now."""
        component = self.components.get(pair.remote)
        if component is not None:
            return component
        link = self._links.get(pair)
        return None if link is None else link.carrier

    def link(self, pair: Pair) -> Link | None:
        """Return the link of a pair, made if need be; None if there are too many."""
        link = self._links.get(pair)
        if link is None:
            if len(self._links) >= self.config.max_links:
                self._forget_idle()
            if len(self._links) >= self.config.max_links:
                return None
            link = self._links[pair] = Link(pair)
        return link

    def want(self, link: Link) -> None:
        """Have a stream that carries the link's pair."""
        if link.carrier is not None or self._clock.now_ms() < link.retry_at_ms:
            return
        if link.caller is not None:
            link.caller.want()
        else:
            self._call(link)

    def ask(self, pair: Pair, stream_id: str, key: str, then: Callable[[str], None]) -> None:
        """Ask the servers of `pair.remote` whether a key is theirs; `then` is told what they say, or `error`."""
        link = None if self._asked >= MAX_ASKED else self.link(pair)
        if link is None or self._clock.now_ms() < link.retry_at_ms or (pair, stream_id) in link.questions:
            then("error")
            return
        link.questions[(pair, stream_id)] = (key, then)
        self._asked += 1
        if link.caller is not None:
            link.caller.ask(pair, stream_id, key)
        else:
            self._call(link)

    def _call(self, link: Link) -> None:
        if link.calling:
            return
        call, connected = self.call, self.connected
        if call is None or connected is None:
            self.failed(link.pair, "calls are not possible")
            return
        link.calling = True
        pair = link.pair
        call(
            Call(
                pair.remote,
                SERVICES,
                PORT,
                lambda connection: connected(pair, connection),
                lambda why: self.failed(pair, why),
            )
        )

    # For streams

    def opened(self, pair: Pair, caller: Caller) -> None:
        """Note that a server answers our call."""
        link = self.link(pair)
        if link is None:
            return
        link.caller, link.calling = caller, False
        for (asked, stream_id), (key, _) in link.questions.items():
            caller.ask(asked, stream_id, key)
        if link.waiting or not link.questions:
            caller.want()

    def answered(self, pair: Pair, stream_id: str, outcome: str) -> None:
        """Note what a server says of a key."""
        link = self._links.get(pair)
        question = None if link is None else link.questions.pop((pair, stream_id), None)
        if question is not None:
            self._asked -= 1
            question[1](outcome)

    def carries(self, pair: Pair, carrier: Carrier) -> None:
        """Note that a stream carries a pair: send what waited."""
        link = self.link(pair)
        if link is None or link.carrier is not None:
            return
        link.carrier = carrier
        link.retry_ms = link.retry_at_ms = 0
        self._log.info("other server reached", extra={"domain": pair.remote, "own": pair.local})
        for watcher in self.watchers:
            watcher.reached(pair)
        waiting, link.waiting = link.waiting, []
        link.waiting_bytes = 0
        for stanza, bounce in waiting:
            self._put(carrier, stanza, bounce)

    def read_on(self, pair: Pair, carrier: Carrier) -> None:
        """Note that a slow peer has read."""
        link = self._links.get(pair)
        if link is not None and link.carrier is carrier:
            for watcher in self.watchers:
                watcher.read_on(pair)

    def gone(self, pair: Pair, carrier: Carrier, caller: Caller | None, why: str) -> None:
        """Note that a stream has ended."""
        link = self._links.get(pair)
        if link is None:
            return
        if caller is not None and link.caller is caller:
            link.caller = None
            if link.carrier is not carrier:
                if caller.is_wanted or link.questions:
                    self.failed(pair, why)  # it never got so far
                return  # else it has done what it was for: to ask about a key
        if link.carrier is carrier:
            link.carrier = None
            self._log.info(
                "other server left", extra={"domain": pair.remote, "own": pair.local, "reason": why}
            )
            for watcher in self.watchers:
                watcher.lost(pair, why, tried=False)

    def failed(self, pair: Pair, why: str, error: StanzaError | None = None) -> None:
        """Note that no stream could be had: those who wait are told, and the next try waits longer."""
        link = self._links.get(pair)
        if link is None:
            return
        link.calling = False
        questions, link.questions = link.questions, {}
        self._asked -= len(questions)
        for _, then in questions.values():
            then("error")
        if link.carrier is not None:
            return  # the peer's own stream carries the pair meanwhile
        config = self.config
        link.retry_ms = min(max(link.retry_ms * 2, config.retry_s * 1000), config.max_retry_s * 1000)
        link.retry_at_ms = self._clock.now_ms() + link.retry_ms
        not_found = "not found" in why or "no such service" in why
        link.last_error = error or (REMOTE_SERVER_NOT_FOUND if not_found else REMOTE_SERVER_TIMEOUT)
        self._log.info(
            "other server not reached", extra={"domain": pair.remote, "own": pair.local, "reason": why}
        )
        waiting, link.waiting = link.waiting, []
        link.waiting_bytes = 0
        for _, bounce in waiting:
            _bounce(bounce, link.last_error)
        for watcher in self.watchers:
            watcher.lost(pair, why, tried=True)

    # For components

    def component_came(self, pair: Pair, carrier: Carrier) -> None:
        """Note that a component is there."""
        self.components[pair.remote] = carrier
        self._log.info("component connected", extra={"domain": pair.remote})
        for watcher in self.watchers:
            watcher.reached(pair)

    def component_reads_on(self, pair: Pair) -> None:
        """Note that a slow component has read."""
        for watcher in self.watchers:
            watcher.read_on(pair)

    def component_left(self, pair: Pair, why: str) -> None:
        """Note that a component is gone."""
        del self.components[pair.remote]
        self._log.info("component left", extra={"domain": pair.remote, "reason": why})
        for watcher in self.watchers:
            watcher.lost(pair, why, tried=True)

    def retry_in_ms(self, pair: Pair) -> int:
        """Return how long the next try has to wait."""
        link = self._links.get(pair)
        return 0 if link is None else max(0, link.retry_at_ms - self._clock.now_ms())

    def later(self, delay_ms: int, callback: Callable[[], None]) -> None:
        """Call back after a while."""
        self._scheduler.later(delay_ms, callback)

    def _put(self, carrier: Carrier, stanza: bytes, bounce: Bounce | None) -> None:
        if carrier.lagging:
            _bounce(bounce, _BUSY)
        else:
            carrier.put(stanza)

    def _forget_idle(self) -> None:
        """Make room, by half of those that wait for their next try if need be.

        Or whoever names enough domains that do not exist would keep us from calling any other.
        """
        now_ms = self._clock.now_ms()
        idle = [pair for pair, link in self._links.items() if link.is_idle]
        over = [pair for pair in idle if self._links[pair].retry_at_ms <= now_ms]
        for pair in over or idle[: (len(idle) + 1) // 2]:
            del self._links[pair]


def _bounce(bounce: Bounce | None, error: StanzaError) -> None:
    if bounce is not None:
        bounce(error)
