"""Mutated HTTP requests and WebSocket frames: whatever comes, the peer is answered or closed, and nothing fails."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from tests.unit.gateway.harness import Echo, EchoFrontEnd

from sabir.base.clock import MonotonicClock, SystemClock
from sabir.gateway.config import HttpConfig
from sabir.gateway.connection import Gateway
from sabir.gateway.http import HttpFrontEnd
from sabir.gateway.web import Exchange, Page, Site, Socket
from sabir.net.config import LimitsConfig
from sabir.net.connection import Connection
from sabir.net.tls import TlsInfo
from sabir.net.wheel import Wheel
from sabir.wire.http.types import HttpResponse
from sabir.wire.websocket.codec import BINARY, CLOSE, CONTINUATION, PING, TEXT, encode_masked

ROUNDS = 3_000
KEY = b"\x01\x02\x03\x04"
HANDSHAKE = (
    b"GET /echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: echo\r\n\r\n"
)
REQUESTS = [
    HANDSHAKE,
    b"GET /page?x=1 HTTP/1.1\r\nHost: a\r\nRange: bytes=0-\r\n\r\n",
    b"POST /page HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello world",
    b"PUT /body/a%20b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"PUT /body/x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",
    b"OPTIONS /page HTTP/1.1\r\nHost: a\r\nAccess-Control-Request-Method: GET\r\n\r\n",
    b"HEAD http://a/page HTTP/1.0\r\n\r\n",
]
FRAMES = [
    encode_masked(TEXT, "zwölf Boxkämpfer".encode(), KEY),
    encode_masked(TEXT, b"a" * 300, KEY, is_last=False),
    encode_masked(CONTINUATION, b"b" * 10, KEY),
    encode_masked(BINARY, bytes(range(256)), KEY),
    encode_masked(PING, b"there?", KEY),
    encode_masked(CLOSE, b"\x03\xe8", KEY),
]


class Loose(Connection):
    """A connection of no socket."""

    def __init__(self) -> None:
        super().__init__(1, "192.0.2.1")
        self.out = b""

    @property
    def now_ms(self) -> int:
        return 1

    def put(self, data: bytes) -> None:
        if not self.closing:
            self.out += data

    def put3(self, before: bytes, between: bytes, after: bytes) -> None:
        self.put(before + between + after)

    def close(self, grace_ms: int = 0) -> None:
        self.closing = True

    def abort(self, reason: str = "") -> None:
        self.closing = True

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def hold_reading(self, until_ms: int) -> None:
        pass

    def start_tls(self, then: Callable[[], None]) -> None:
        raise AssertionError

    def tls_info(self) -> TlsInfo | None:
        return None

    def rearm(self) -> None:
        pass


class Body:
    """A sink that counts."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.size = 0

    def piece(self, data: bytes) -> None:
        self.size += len(data)

    def end(self) -> None:
        self.exchange.respond(HttpResponse(status=201, body=str(self.size).encode()))

    def broken(self) -> None:
        self.size = -1


def serve(exchange: Exchange) -> None:
    exchange.respond(HttpResponse(status=200, body=exchange.request.body))


def front_end() -> HttpFrontEnd:
    echo = EchoFrontEnd()
    site = Site(
        (
            Page(path="/page", serve=serve, methods=("GET", "POST"), cors=True),
            Page(
                path="/body/{name}",
                serve=lambda exchange: exchange.take_body(Body(exchange)),
                methods=("PUT",),
                in_pieces=True,
            ),
            Socket(
                path="/echo",
                protocol="echo",
                front_end=echo,
                connect=lambda connection: Echo(connection, echo.counters),
                max_message_bytes=1_000,
            ),
        )
    )
    gateway = Gateway(Wheel(0), LimitsConfig())
    return HttpFrontEnd(HttpConfig(), site, gateway, MonotonicClock(), SystemClock())


def mutated(dice: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(dice.randrange(4)):
        at = dice.randrange(len(changed) + 1)
        what = dice.randrange(4)
        if what == 0 and at < len(changed):
            changed[at] = dice.randrange(256)
        elif what == 1:
            del changed[at : at + dice.randrange(1, 8)]
        elif what == 2:
            changed[at:at] = dice.choice(
                [b"\r\n", b"\0", b" ", b"%2f", b"\xff", b"Transfer-Encoding: chunked\r\n", b"9"]
            )
        else:
            changed[at:at] = changed[at : at + dice.randrange(40)]
    return bytes(changed)


@pytest.mark.parametrize("seed", range(4))
def test_whatever_comes_nothing_fails(seed: int) -> None:
    dice = random.Random(seed)
    front = front_end()
    connector = front.gateway.connector(front, front.doors()[0])
    for _ in range(ROUNDS // 4):
        parts = [dice.choice(REQUESTS) for _ in range(dice.randrange(1, 4))]
        if dice.randrange(2):
            parts = [HANDSHAKE, *(mutated(dice, dice.choice(FRAMES)) for _ in range(dice.randrange(1, 6)))]
        else:
            parts = [mutated(dice, part) for part in parts]
        data = b"".join(parts)
        connection = Loose()
        connection.handler = connector(connection)
        step = dice.choice([1, 7, 100, 10_000])
        for at in range(0, len(data), step):
            if connection.closing:
                break
            connection.handler.receive(data[at : at + step])
        connection.handler.closed("test over")

    assert [traffic.faults for traffic in front.gateway.traffic.values()] == [0, 0]
    assert all(not traffic.live for traffic in front.gateway.traffic.values())
