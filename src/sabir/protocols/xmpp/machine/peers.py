"""What the machines of streams between servers share: their events, and the bytes both ways.

A stream between servers carries stanzas of *pairs*: a domain of theirs that has proven itself, and one of ours that it
proved itself to. Who called may send; with XEP-0288 both may.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Final

from sabir.protocols.xmpp.codec import (
    SERVER,
    STREAMS,
    Decoder,
    Frame,
    StreamEnd,
    encode_server_opening,
    encode_stream_error,
)
from sabir.protocols.xmpp.config import FederationConfig, Verify
from sabir.protocols.xmpp.errors import StreamCondition, StreamError
from sabir.protocols.xmpp.jid import JidSyntaxError, parse_jid_bytes
from sabir.protocols.xmpp.types import Stanza, StreamClosed, TlsRequested
from sabir.wire.xml import Element, Opening

BIDI: Final = "urn:xmpp:bidi"
BIDI_FEATURE: Final = "urn:xmpp:features:bidi"
TLS: Final = "urn:ietf:params:xml:ns:xmpp-tls"
SASL: Final = "urn:ietf:params:xml:ns:xmpp-sasl"
BYTES_BEFORE_PROOF: Final = 65_536
"""The largest element of a server that has not proven who it is."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Who may speak with whom on a stream: a domain of ours and one of theirs."""

    local: str
    remote: str


@dataclass(frozen=True, slots=True)
class Proven:
    """The pair may use the stream from now on."""

    pair: Pair


@dataclass(frozen=True, slots=True)
class Unproven:
    """The pair may not use the stream: the other side said no."""

    pair: Pair
    reason: str
    is_forged: bool
    """It takes our key for one that is not ours."""


@dataclass(frozen=True, slots=True)
class KeyShown:
    """A server shows a dialback key; answered with `Incoming.answer_key` when its owner was asked."""

    pair: Pair
    stream_id: str
    key: str


@dataclass(frozen=True, slots=True)
class KeyAnswered:
    """The owner of a key says whether it is one of its own (XEP-0220 §2.2.2)."""

    pair: Pair
    stream_id: str
    outcome: str
    """`valid`, `invalid` or `error`."""


PeerEvent = Stanza | StreamClosed | TlsRequested | Proven | Unproven | KeyShown | KeyAnswered


class Flow:
    """The bytes of one stream, and its end."""

    __slots__ = (
        "closed",
        "config",
        "decoder",
        "idle_since_ms",
        "opened",
        "out",
        "put_at_ms",
        "secure",
        "stopped",
    )

    def __init__(self, config: FederationConfig, now_ms: int) -> None:
        self.config: FederationConfig = config
        self.decoder: Decoder = Decoder(BYTES_BEFORE_PROOF, SERVER.encode())
        self.out: list[bytes] = []
        self.closed: bool = False
        self.opened: bool = False
        """Our opening has been sent."""
        self.secure: bool = False
        self.stopped: bool = False
        """Nothing is read before the TLS handshake is done."""
        self.put_at_ms: int = now_ms
        self.idle_since_ms: int = now_ms

    def drain(self) -> bytes:
        """Return the bytes to send, once."""
        data = b"".join(self.out)
        self.out.clear()
        return data

    def next(self) -> Frame | None:
        """Return the next part of the stream, if it is there and may be looked at."""
        return None if self.stopped or self.closed else self.decoder.next()

    def open(self, stream_id: str, sender: str, to: str) -> None:
        """Send our opening."""
        self.out.append(encode_server_opening(stream_id, sender, to))
        self.opened = True

    def restart(self) -> None:
        """Expect a new opening, and owe one (RFC 6120 §4.3.3)."""
        self.decoder.restart()
        self.opened = False

    def secured(self) -> None:
        """Begin anew over TLS."""
        self.secure = True
        self.stopped = False
        self.decoder.clear()
        self.restart()

    def check_opening(self, opening: Opening) -> None:
        """Check what every opening must be.

        Raises:
            StreamError: it is none between servers.
        """
        element = opening.element
        if element.name != "stream" or element.namespace != STREAMS or opening.default_namespace != SERVER:
            raise StreamError(StreamCondition.INVALID_NAMESPACE, f"Servers speak {SERVER} here.")

    def fail(self, error: StreamError, sender: str) -> None:
        """End the stream with an error, after our opening."""
        if self.closed:
            return
        if not self.opened:
            self.open("", sender, "")
        self.out.append(encode_stream_error(error))
        self.closed = True

    def close(self) -> None:
        """End the stream."""
        if not self.closed:
            if self.opened:
                self.out.append(b"</stream:stream>")
            self.closed = True

    def keep_alive(self, now_ms: int) -> bool:
        """Send a blank if it is time (RFC 6120 §4.6.1); return whether the stream has been idle for too long."""
        if now_ms - self.idle_since_ms >= self.config.idle_close_s * 1000:
            return True
        if now_ms - self.put_at_ms >= self.config.keepalive_s * 1000:
            self.out.append(b" ")
            self.put_at_ms = now_ms
        return False

    def next_tick_ms(self) -> int:
        """Return when `keep_alive` is to be called."""
        return min(
            self.put_at_ms + self.config.keepalive_s * 1000,
            self.idle_since_ms + self.config.idle_close_s * 1000,
        )


class PeerMachine(ABC):
    """One stream between servers, what both sides of it do alike. Its bytes to send are got by `drain`."""

    def __init__(self, config: FederationConfig, now_ms: int) -> None:
        """Begin.

        Args:
            config: limits and policy.
            now_ms: the time.
        """
        self.bidi: bool = False
        """Stanzas go both ways (XEP-0288)."""
        self._config: Final = config
        self._flow: Final = Flow(config, now_ms)
        self._id: str = ""
        self._deadline_ms: int = now_ms + config.negotiation_timeout_s * 1000
        self._now_ms: int = now_ms

    def receive(self, data: bytes, now_ms: int) -> list[PeerEvent]:
        """Take bytes and return what they mean."""
        events: list[PeerEvent] = []
        flow = self._flow
        self._now_ms = now_ms
        if data and not flow.closed:
            flow.decoder.feed(data)
        try:
            while (frame := flow.next()) is not None:
                if isinstance(frame, Stanza):
                    self._take(frame, events)
                elif isinstance(frame, StreamEnd):
                    flow.close()
                    events.append(StreamClosed())
                else:
                    self._open(frame)
        except StreamError as error:
            self.fail(error)
            events.append(StreamClosed(error))
        return events

    @abstractmethod
    def tick(self, now_ms: int) -> list[PeerEvent]:
        """Do what is due at `now_ms`."""

    @abstractmethod
    def next_deadline_ms(self) -> int:
        """Return when `tick` is to be called; 0 for never."""

    def drain(self) -> bytes:
        """Return the bytes to send, once."""
        return self._flow.drain()

    def sent(self, now_ms: int) -> None:
        """Note that a stanza was sent on the stream."""
        self._flow.put_at_ms = self._flow.idle_since_ms = now_ms

    @abstractmethod
    def fail(self, error: StreamError) -> None:
        """End the stream with an error."""

    def close(self) -> None:
        """End the stream."""
        self._flow.close()

    @abstractmethod
    def _open(self, opening: Opening) -> None:
        """Take the opening of the other side."""

    @abstractmethod
    def _take(self, stanza: Stanza, events: list[PeerEvent]) -> None:
        """Take a stanza, or what else is said at the top of a stream."""


def verify_of(config: FederationConfig, domain: str) -> Verify:
    """Return how a domain has to prove itself."""
    return config.verify_by_domain.get(domain, config.verify)


def admits(config: FederationConfig, domain: str) -> bool:
    """Return whether a domain may be talked with."""
    if any(_is_within(domain, each) for each in config.deny):
        return False
    return not config.allow or any(_is_within(domain, each) for each in config.allow)


def _is_within(domain: str, other: str) -> bool:
    return domain == other or domain.endswith("." + other)


def pair_of_stanza(stanza: Stanza) -> Pair:
    """Return the domains between which a stanza travels.

    Raises:
        StreamError: an address is missing (RFC 6120 §8.1.1.2, §8.1.2.2) or malformed.
    """
    if stanza.to is None or stanza.sender is None:
        raise StreamError(StreamCondition.IMPROPER_ADDRESSING)  # RFC 6120 §4.9.3.7
    try:
        sender = parse_jid_bytes(stanza.sender)
    except JidSyntaxError:
        raise StreamError(StreamCondition.INVALID_FROM) from None
    try:
        to = parse_jid_bytes(stanza.to)
    except JidSyntaxError:
        raise StreamError(StreamCondition.IMPROPER_ADDRESSING) from None
    return Pair(to.domain, sender.domain)


def is_stanza(stanza: Stanza) -> bool:
    """Return whether it is one of the three kinds, and not part of the negotiation."""
    return not stanza.namespace and stanza.name in (b"message", b"presence", b"iq")


def check_stanza(stanza: Stanza, pairs: "set[Pair] | frozenset[Pair]") -> None:
    """Let a stanza pass that a proven domain sends to the domain that it proved itself to.

    Raises:
        StreamError: RFC 6120 §4.9.3.9 `invalid-from`: the sender's domain has not proven itself on this stream.
    """
    pair = pair_of_stanza(stanza)
    if pair in pairs:
        return
    if any(known.remote == pair.remote for known in pairs):
        raise StreamError(StreamCondition.HOST_UNKNOWN)  # proven, but not to that domain of ours
    raise StreamError(StreamCondition.INVALID_FROM)


def text_of(element: Element, limit: int) -> str:
    """Return the text of an element, cut to a sane length."""
    return element.text().strip()[:limit]
