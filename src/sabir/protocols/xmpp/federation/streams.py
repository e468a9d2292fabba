"""The handlers of streams between servers: bytes to and from the machines, and what these make of them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Final, Generic, Protocol, TypeVar, assert_never

from sabir.base.log import BoundLogger
from sabir.gateway.turnstile import Turnstile
from sabir.net.connection import Connection
from sabir.protocols.xmpp.errors import (
    REMOTE_SERVER_TIMEOUT,
    ErrorType,
    StanzaError,
    StreamCondition,
    StreamError,
)
from sabir.protocols.xmpp.federation.links import Links
from sabir.protocols.xmpp.machine.incoming import Incoming
from sabir.protocols.xmpp.machine.outgoing import Outgoing
from sabir.protocols.xmpp.machine.peers import (
    KeyAnswered,
    KeyShown,
    Pair,
    PeerEvent,
    Proven,
    Unproven,
)
from sabir.protocols.xmpp.types import Stanza, StreamClosed, TlsRequested

_INVALID: Final = StanzaError(ErrorType.CANCEL, "internal-server-error")  # XEP-0220 §2.1.1


class Post(Protocol):
    """Takes what arrives from other servers."""

    def take(self, stanza: Stanza, turnstile: Turnstile) -> None:
        """Take a stanza whose addresses the stream has vouched for; effects of one turnstile keep their order."""


class Shared:
    """What all streams between servers share."""

    def __init__(
        self,
        links: Links,
        post: Post,
        secret: bytes,
        randomness: Callable[[int], bytes],
        turnstile: Callable[[], Turnstile],
        log: BoundLogger,
    ) -> None:
        self.links: Final = links
        self.post: Final = post
        self.secret: Final = secret
        self.randomness: Final = randomness
        self.turnstile: Final = turnstile
        self.log: Final = log
        self.unproven: int = 0
        """Streams of servers that have proven nothing yet."""

    def new_id(self) -> str:
        """Return an id for a stream, which nobody can guess."""
        return self.randomness(20).hex()


class Machine(Protocol):
    """What drives a stream: see `PeerMachine` and `Component`."""

    def receive(self, data: bytes, now_ms: int) -> Sequence[PeerEvent]:
        """Take bytes and return what they mean."""

    def tick(self, now_ms: int) -> Sequence[PeerEvent]:
        """Do what is due at `now_ms`."""

    def next_deadline_ms(self) -> int:
        """Return when `tick` is to be called; 0 for never."""

    def drain(self) -> bytes:
        """Return the bytes to send, once."""

    def fail(self, error: StreamError) -> None:
        """End the stream with an error."""


Driver = TypeVar("Driver", bound=Machine)


class StreamHandler(ABC, Generic[Driver]):
    """What all of them do alike: see `net.connection.Handler` and `links.Carrier`."""

    def __init__(self, shared: Shared, connection: Connection, machine: Driver) -> None:
        """Serve `connection`.

        Args:
            shared: what all streams share.
            connection: to the other server, or to the component.
            machine: of the stream.
        """
        self._shared: Final = shared
        self._connection: Final = connection
        self._machine: Final[Driver] = machine
        self._turnstile: Final = shared.turnstile()

    def receive(self, data: bytes) -> None:
        """See `Handler.receive`."""
        self._handle(self._machine.receive(data, self._connection.now_ms))

    def lag(self) -> None:
        """See `Handler.lag`."""

    def tick(self, now_ms: int) -> None:
        """See `Handler.tick`."""
        self._handle(self._machine.tick(now_ms))

    def next_deadline_ms(self) -> int:
        """See `Handler.next_deadline_ms`."""
        return self._machine.next_deadline_ms()

    def shutdown(self) -> None:
        """See `Handler.shutdown`."""
        self._end(StreamError(StreamCondition.SYSTEM_SHUTDOWN))

    @property
    def lagging(self) -> bool:
        """See `Carrier.lagging`."""
        return self._connection.lagging

    def give_up(self, why: str) -> None:
        """See `Carrier.give_up`."""
        self._end(StreamError(StreamCondition.CONNECTION_TIMEOUT, why))

    @abstractmethod
    def _handle(self, events: Sequence[PeerEvent]) -> None:
        """Do what the events call for, and send what they gave rise to."""

    def _end(self, error: StreamError) -> None:
        self._machine.fail(error)
        self._flush()
        self._connection.close()

    def _flush(self) -> None:
        data = self._machine.drain()
        if data:
            self._connection.put(data)


class IncomingStream(StreamHandler[Incoming]):
    """The handler of a connection that another server has made."""

    def __init__(self, shared: Shared, connection: Connection) -> None:
        links = shared.links
        machine = Incoming(links.config, links.serves, shared.secret, shared.new_id, connection.now_ms)
        super().__init__(shared, connection, machine)
        self._unproven: bool = True
        shared.unproven += 1
        if connection.secure:
            self._machine.secured(_proof_of(connection))
        if shared.unproven > links.config.max_unproven:
            self._prove()  # it counts no longer
            self._end(StreamError(StreamCondition.RESOURCE_CONSTRAINT, "Too many strangers: try later."))

    def catch_up(self) -> None:
        """See `Handler.catch_up`."""
        for pair in self._machine.pairs:
            self._shared.links.read_on(pair, self)

    def closed(self, reason: str) -> None:
        """See `Handler.closed`."""
        self._prove()
        self._machine.close()
        for pair in self._machine.pairs:
            self._shared.links.gone(pair, self, None, reason)

    def put(self, stanza: bytes) -> None:
        """See `Carrier.put`."""
        self._machine.sent(self._connection.now_ms)
        self._connection.put(stanza)

    def _handle(self, events: Sequence[PeerEvent]) -> None:
        for event in events:
            match event:
                case Stanza():
                    self._connection.frames_in += 1
                    self._shared.post.take(event, self._turnstile)
                case StreamClosed():
                    self._flush()
                    _close(self._connection, event, self._shared.log, self._machine.remote)
                case TlsRequested():
                    self._flush()
                    self._connection.start_tls(self._secured)
                case Proven():
                    self._flush()
                    self._prove()
                    if self._machine.bidi:
                        self._shared.links.carries(event.pair, self)
                case KeyShown():
                    self._check(event)
                case Unproven() | KeyAnswered():
                    pass  # said by those who were called
                case _:
                    assert_never(event)
        self._flush()

    def _check(self, shown: KeyShown) -> None:
        """Ask the owner of a key (XEP-0220 §2.2)."""
        self._shared.links.ask(
            shown.pair,
            shown.stream_id,
            shown.key,
            lambda outcome: self._handle(self._machine.answer_key(shown.pair, outcome)),
        )

    def _prove(self) -> None:
        if self._unproven:
            self._unproven = False
            self._shared.unproven -= 1

    def _secured(self) -> None:
        self._machine.secured(_proof_of(self._connection))
        self._connection.rearm()


class OutgoingStream(StreamHandler[Outgoing]):
    """The handler of a connection that we made to another server."""

    def __init__(self, shared: Shared, pair: Pair, connection: Connection) -> None:
        machine = Outgoing(shared.links.config, pair, shared.secret, connection.now_ms)
        super().__init__(shared, connection, machine)
        if connection.secure:
            self._machine.secured(_proof_of(connection))
        shared.links.opened(pair, self)
        self._flush()

    def catch_up(self) -> None:
        """See `Handler.catch_up`."""
        self._shared.links.read_on(self._machine.pair, self)

    def closed(self, reason: str) -> None:
        """See `Handler.closed`."""
        self._machine.close()
        self._shared.links.gone(self._machine.pair, self, self, reason)

    def put(self, stanza: bytes) -> None:
        """See `Carrier.put`."""
        self._machine.sent(self._connection.now_ms)
        self._connection.put(stanza)

    @property
    def is_wanted(self) -> bool:
        """See `Caller.is_wanted`."""
        return self._machine.is_wanted

    def want(self) -> None:
        """See `Caller.want`."""
        self._handle(self._machine.want(self._connection.now_ms))
        self._connection.rearm()

    def ask(self, pair: Pair, stream_id: str, key: str) -> None:
        """See `Caller.ask`."""
        self._machine.ask(pair, stream_id, key, self._connection.now_ms)
        self._flush()
        self._connection.rearm()

    def _handle(self, events: Sequence[PeerEvent]) -> None:
        links = self._shared.links
        for event in events:
            match event:
                case Stanza():
                    self._connection.frames_in += 1
                    self._shared.post.take(event, self._turnstile)
                case StreamClosed():
                    self._flush()
                    _close(self._connection, event, self._shared.log, self._machine.pair.remote)
                case TlsRequested():
                    self._flush()
                    self._connection.start_tls(self._secured)
                case Proven():
                    self._flush()
                    links.carries(event.pair, self)
                case Unproven():
                    links.failed(
                        event.pair, event.reason, _INVALID if event.is_forged else REMOTE_SERVER_TIMEOUT
                    )
                case KeyAnswered():
                    links.answered(event.pair, event.stream_id, event.outcome)
                case KeyShown():
                    pass  # said by those who call
                case _:
                    assert_never(event)
        self._flush()

    def _secured(self) -> None:
        self._machine.secured(_proof_of(self._connection))
        self._flush()
        self._connection.rearm()


def _proof_of(connection: Connection) -> Callable[[str], bool]:
    """Return what says for which domains the peer's certificate is good."""
    certificate = connection.peer_certificate()
    if certificate is None:
        return lambda domain: False
    return certificate.proves


def _close(connection: Connection, event: StreamClosed, log: BoundLogger, domain: str) -> None:
    if event.error is None:
        connection.close(grace_ms=0)
        return
    log.info(
        "stream between servers ended",
        extra={
            "conn": connection.id,
            "peer": connection.peer,
            "domain": domain,
            "reason": event.error.condition.value,
            "text": event.error.text,
        },
    )
    connection.close()
