"""A WebSocket as a `Connection`: a session that speaks over a socket speaks over this one alike.

Compiled by mypyc. It stands on the connection of its socket: of that one it is the handler (behind a `Guard`), for
its session it is the connection. Each `put` is one message; each message is one `receive`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sabir.net.connection import DRAIN_MS, Connection, Unanswered
from sabir.net.tls import TlsInfo
from sabir.wire.websocket.codec import (
    BINARY,
    CLOSE,
    GOING_AWAY,
    NO_STATUS,
    NORMAL,
    PING,
    PONG,
    TEXT,
    UNSUPPORTED_DATA,
    Decoder,
    Message,
    encode,
    encode_close,
    frame_head,
    read_close,
)
from sabir.wire.websocket.errors import FrameError


class WebSocketConnection(Connection):
    """One WebSocket."""

    def __init__(
        self,
        carrier: Connection,
        peer: str,
        secure: bool,
        *,
        is_text: bool,
        max_message_bytes: int,
        dress: Callable[[bytes], bytes] | None = None,
    ) -> None:
        """Speak over `carrier`, whose handshake is done.

        Args:
            carrier: the connection of the socket.
            peer: the address of the client, which a proxy may stand before.
            secure: the client speaks TLS, to us or to that proxy.
            is_text: messages are text, not binary, in both directions.
            max_message_bytes: a longer message ends the connection.
            dress: applied to each message that is sent, or the first part of it.
        """
        super().__init__(carrier.id, peer)
        self.secure = secure
        self._carrier: Final = carrier
        self._decoder: Final = Decoder(max_message_bytes)
        self._opcode: Final = TEXT if is_text else BINARY
        self._dress: Final = dress
        self._stopping = False

    # What the session calls: see `Connection`

    @property
    def now_ms(self) -> int:
        """See `Connection.now_ms`."""
        return self._carrier.now_ms

    def put(self, data: bytes) -> None:
        """Send `data` as a message."""
        if self.closing or not data:
            return
        if self._dress is not None:
            data = self._dress(data)
        size = len(data)
        self.bytes_out += size
        carrier = self._carrier
        carrier.put3(frame_head(self._opcode, size), data, b"")
        self.lagging = carrier.lagging

    def put3(self, before: bytes, between: bytes, after: bytes) -> None:
        """Send three pieces as a message."""
        if self.closing:
            return
        if self._dress is not None:
            before = self._dress(before)
        size = len(before) + len(between) + len(after)
        self.bytes_out += size
        carrier = self._carrier
        carrier.put(frame_head(self._opcode, size))
        carrier.put3(before, between, after)
        self.lagging = carrier.lagging

    def close(self, grace_ms: int = DRAIN_MS) -> None:
        """See `Connection.close`; a close frame goes last (RFC 6455 §7.1.2)."""
        # RFC 6455 §7.4.1: 1001 = this end goes away.
        self._close(GOING_AWAY if self._stopping else NORMAL, "", grace_ms)

    def abort(self, reason: str = "aborted") -> None:
        """See `Connection.abort`."""
        self.closing = True
        self._carrier.abort(reason)

    def pause_reading(self) -> None:
        """See `Connection.pause_reading`."""
        self._carrier.pause_reading()

    def resume_reading(self) -> None:
        """See `Connection.resume_reading`."""
        self._carrier.resume_reading()

    def hold_reading(self, until_ms: int) -> None:
        """See `Connection.hold_reading`."""
        self._carrier.hold_reading(until_ms)

    def start_tls(self, then: Callable[[], None]) -> None:
        """See `Connection.start_tls`: it is too late for TLS."""
        raise RuntimeError("TLS is below a WebSocket, not above it")

    def tls_info(self) -> TlsInfo | None:
        """See `Connection.tls_info`."""
        return self._carrier.tls_info()

    def rearm(self) -> None:
        """See `Connection.rearm`."""
        self._carrier.rearm()

    # What the socket's connection calls: see `Handler`

    def receive(self, data: bytes) -> None:
        """Pass on the messages in `data`."""
        self.bytes_in += len(data)
        decoder = self._decoder
        decoder.feed(data)
        try:
            while not self.closing:
                message = decoder.next()
                if message is None:
                    break
                if message.opcode == self._opcode:
                    self.handler.receive(message.payload)
                else:
                    self._control(message)
        except FrameError as error:
            self._close(error.code, str(error), DRAIN_MS)

    def lag(self) -> None:
        """See `Handler.lag`."""
        self.lagging = True
        self.handler.lag()

    def catch_up(self) -> None:
        """See `Handler.catch_up`."""
        self.lagging = False
        self.handler.catch_up()

    def tick(self, now_ms: int) -> None:
        """See `Handler.tick`."""
        self.handler.tick(now_ms)

    def next_deadline_ms(self) -> int:
        """See `Handler.next_deadline_ms`."""
        return self.handler.next_deadline_ms()

    def shutdown(self) -> None:
        """See `Handler.shutdown`."""
        self._stopping = True
        self.handler.shutdown()

    def closed(self, reason: str) -> None:
        """See `Handler.closed`."""
        self.closing = True
        handler = self.handler
        self.handler = Unanswered()  # breaks the cycle, so that memory is freed at once
        handler.closed(reason)

    def _control(self, message: Message) -> None:
        self.frames_in += 1  # so that a flood of pings is slowed down as one of messages
        if message.opcode == PING:
            if not self.lagging:  # else the answers of one who does not read them would pile up
                self._carrier.put(encode(PONG, message.payload))  # RFC 6455 §5.5.2
                self.lagging = self._carrier.lagging
        elif message.opcode == CLOSE:
            code = read_close(message.payload)
            # RFC 6455 §5.5.1: the answer repeats the code; then it is us who close.
            self._close(NORMAL if code == NO_STATUS else code, "", 0)
        elif message.opcode != PONG:
            what = "text" if self._opcode == TEXT else "binary"
            raise FrameError(UNSUPPORTED_DATA, f"messages are {what} here")  # RFC 6455 §7.4.1

    def _close(self, code: int, what: str, grace_ms: int) -> None:
        if self.closing:
            return
        self.closing = True
        self._carrier.put(encode_close(code, what))
        self._carrier.close(grace_ms)
