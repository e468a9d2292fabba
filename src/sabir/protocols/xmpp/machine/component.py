"""The machine of a component's stream (XEP-0114): an opening, a handshake, then stanzas of the component's domain."""

import hashlib
import hmac
from collections.abc import Callable
from typing import Final

from sabir.base.secret import Secret
from sabir.protocols.xmpp.codec import STREAMS, Decoder, StreamEnd, attribute, element_of, encode_stream_error
from sabir.protocols.xmpp.config import FederationConfig
from sabir.protocols.xmpp.errors import StreamCondition, StreamError
from sabir.protocols.xmpp.jid import domain_of
from sabir.protocols.xmpp.machine.peers import is_stanza, pair_of_stanza
from sabir.protocols.xmpp.types import Stanza, StreamClosed
from sabir.wire.xml import Opening

NAMESPACE: Final = "jabber:component:accept"
_BYTES_BEFORE_HANDSHAKE: Final = 10_000

ComponentEvent = Stanza | StreamClosed


class Component:
    """One stream, the server's side of it. Its bytes to send are got by `drain`."""

    def __init__(
        self,
        config: FederationConfig,
        secret_of: Callable[[str], Secret | None],
        stream_id: Callable[[], str],
        now_ms: int,
    ) -> None:
        """Begin.

        Args:
            config: limits.
            secret_of: the secret of a component, None if there is none of that domain.
            stream_id: makes a new id.
            now_ms: the time.
        """
        self.domain: str = ""
        """The component's, once it has said it."""
        self.is_proven: bool = False
        self.is_closed: bool = False
        self._config: Final = config
        self._secret_of: Final = secret_of
        self._new_id: Final = stream_id
        self._decoder: Final = Decoder(_BYTES_BEFORE_HANDSHAKE, NAMESPACE.encode())
        self._out: Final[list[bytes]] = []
        self._id: str = ""
        self._deadline_ms: int = now_ms + config.negotiation_timeout_s * 1000

    def receive(self, data: bytes, now_ms: int) -> list[ComponentEvent]:
        """Take bytes and return what they mean."""
        events: list[ComponentEvent] = []
        self._decoder.feed(data)
        try:
            while not self.is_closed and (frame := self._decoder.next()) is not None:
                if isinstance(frame, Stanza):
                    self._take(frame, now_ms, events)
                elif isinstance(frame, StreamEnd):
                    self.close()
                    events.append(StreamClosed())
                else:
                    self._open(frame)
        except StreamError as error:
            self.fail(error)
            events.append(StreamClosed(error))
        return events

    def tick(self, now_ms: int) -> list[ComponentEvent]:
        """Do what is due: a blank to one that is there, an end to one that proves nothing."""
        if self.is_closed or now_ms < self._deadline_ms:
            return []
        if not self.is_proven:
            error = StreamError(StreamCondition.CONNECTION_TIMEOUT)
            self.fail(error)
            return [StreamClosed(error)]
        self._out.append(b" ")
        self._deadline_ms = now_ms + self._config.keepalive_s * 1000
        return []

    def next_deadline_ms(self) -> int:
        """Return when `tick` is to be called; 0 for never."""
        return 0 if self.is_closed else self._deadline_ms

    def drain(self) -> bytes:
        """Return the bytes to send, once."""
        data = b"".join(self._out)
        self._out.clear()
        return data

    def fail(self, error: StreamError) -> None:
        """End the stream with an error, after our opening."""
        if not self.is_closed:
            if not self._id:
                self._send_opening("")
            self._out.append(encode_stream_error(error))
            self.is_closed = True

    def close(self) -> None:
        """End the stream."""
        if not self.is_closed:
            self._out.append(b"</stream:stream>")
            self.is_closed = True

    def _send_opening(self, domain: str) -> None:
        self._id = self._new_id()
        sender = attribute("from", domain) if domain else ""
        self._out.append(
            f"<?xml version='1.0'?><stream:stream xmlns='{NAMESPACE}' xmlns:stream='{STREAMS}'"
            f"{sender}{attribute('id', self._id)}>".encode()
        )

    def _open(self, opening: Opening) -> None:
        element = opening.element
        domain = domain_of(element.get("to") or "")
        known = self._secret_of(domain) is not None
        self._send_opening(domain if known else "")
        if element.namespace != STREAMS or opening.default_namespace != NAMESPACE:
            raise StreamError(StreamCondition.INVALID_NAMESPACE, f"Components speak {NAMESPACE} here.")
        if not known:
            raise StreamError(StreamCondition.HOST_UNKNOWN, "No such component in the settings.")
        self.domain = domain

    def _take(self, stanza: Stanza, now_ms: int, events: list[ComponentEvent]) -> None:
        if self.is_proven:
            if not is_stanza(stanza):
                raise StreamError(StreamCondition.UNSUPPORTED_STANZA_TYPE)
            if pair_of_stanza(stanza).remote != self.domain:
                raise StreamError(StreamCondition.INVALID_FROM)  # XEP-0114 §3
            events.append(stanza)
            return
        if stanza.namespace or stanza.name != b"handshake":
            raise StreamError(StreamCondition.NOT_AUTHORIZED)
        secret = self._secret_of(self.domain)
        # XEP-0114 §3: the SHA-1 of the id and the secret, in small letters.
        expected = hashlib.sha1(f"{self._id}{secret.reveal() if secret else ''}".encode()).hexdigest()
        shown = element_of(stanza).text().strip()
        if secret is None or not hmac.compare_digest(shown.encode(), expected.encode()):
            raise StreamError(StreamCondition.NOT_AUTHORIZED)
        self.is_proven = True
        self._decoder.max_bytes = self._config.max_stanza_bytes
        self._deadline_ms = now_ms + self._config.keepalive_s * 1000
        self._out.append(b"<handshake/>")
