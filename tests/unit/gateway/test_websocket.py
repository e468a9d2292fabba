import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.unit.gateway.harness import Echo, EchoFrontEnd
from tests.unit.gateway.website import Website, hear_out, website
from tests.unit.net.harness import run

from sabir.gateway.config import HttpConfig
from sabir.gateway.web import Page, Socket
from sabir.gateway.websocket import WebSocketConnection
from sabir.net.connection import Connection
from sabir.wire.websocket.codec import BINARY, CLOSE, PING, PONG, TEXT, Decoder, encode_close, encode_masked

KEY = b"abcd"
ASK = (
    "GET /echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: {protocol}\r\n{more}\r\n"
)


class Peer:
    """The client's end of a web socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.decoder = Decoder(1_000_000, masked=False)

    async def hear(self) -> tuple[int, bytes]:
        while (message := self.decoder.next()) is None:
            data = await self.reader.read(65536)
            if not data:
                return -1, b""
            self.decoder.feed(data)
        return message.opcode, message.payload

    def say(self, payload: bytes, opcode: int = TEXT) -> None:
        self.writer.write(encode_masked(opcode, payload, KEY))


def echo(front_end: EchoFrontEnd, **more: object) -> Socket:
    def connect(connection: Connection) -> Echo:
        session = Echo(connection, front_end.counters)
        front_end.sessions.append(session)
        return session

    return Socket(path="/echo", protocol="echo", front_end=front_end, connect=connect, **more)  # type: ignore[arg-type]  # the fields are those of a socket


async def upgraded(server: Website, ask: str = "") -> Peer:
    reader, writer = await server.connect()
    writer.write((ask or ASK.format(protocol="other, echo", more="")).encode())
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: echo\r\n" in head
    return Peer(reader, writer)


@asynccontextmanager
async def echoing(**more: object) -> AsyncIterator[tuple[Website, EchoFrontEnd, Peer]]:
    front_end = EchoFrontEnd()
    async with website(echo(front_end, **more)) as server:
        peer = await upgraded(server)
        yield server, front_end, peer
        peer.writer.close()


def test_a_session_hears_messages_and_each_of_its_puts_is_one() -> None:
    async def main() -> None:
        async with echoing(dress=lambda data: b"<" + data) as (server, front_end, peer):
            peer.say(b"one\n")
            peer.say("zwölf".encode())

            assert await peer.hear() == (TEXT, b"<one\n")
            assert await peer.hear() == (TEXT, "<zwölf".encode())
            front_end.sessions[0].connection.put3(b"a", b"b", b"c")
            assert await peer.hear() == (TEXT, b"<abc")

            traffic = server.gateway.traffic
            assert (len(traffic["http"].live), len(traffic["echo"].live)) == (0, 1)
            assert traffic["echo"].front_end.counters.messages_in == 1
            assert traffic["echo"].bytes_in == 4 + 6 + 2 * 6
            assert front_end.sessions[0].connection.peer == "127.0.0.1"

    run(main())


def test_what_comes_with_the_handshake_is_heard() -> None:
    async def main() -> None:
        async with website(echo(EchoFrontEnd())) as server:
            reader, writer = await server.connect()
            writer.write(ASK.format(protocol="echo", more="").encode() + encode_masked(TEXT, b"at once", KEY))
            await reader.readuntil(b"\r\n\r\n")

            assert await Peer(reader, writer).hear() == (TEXT, b"at once")
            writer.close()

    run(main())


@pytest.mark.spec("RFC 6455 §5.5.2")
def test_a_ping_is_answered_and_counts_as_a_frame() -> None:
    async def main() -> None:
        async with echoing() as (_, front_end, peer):
            peer.say(b"there?", PING)

            assert await peer.hear() == (PONG, b"there?")
            assert front_end.sessions[0].connection.frames_in == 1

    run(main())


@pytest.mark.spec("RFC 6455 §5.5.1")
@pytest.mark.parametrize(("sent", "answered"), [(b"", b"\x03\xe8"), (b"\x0f\xa0bye", b"\x0f\xa0")])
def test_a_close_is_answered_with_its_code_and_the_connection_ends(sent: bytes, answered: bytes) -> None:
    async def main() -> None:
        async with echoing() as (_, front_end, peer):
            peer.say(sent, CLOSE)
            peer.say(b"unheard")

            assert await peer.hear() == (CLOSE, answered)
            assert await peer.hear() == (-1, b"")
            await front_end.sessions[0].gone.wait()
            assert front_end.sessions[0].heard == b""

    run(main())


@pytest.mark.spec("RFC 6455 §7.4.1")
@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x81\x05Hello", 1002),  # not masked
        (encode_masked(TEXT, b"\xff", KEY), 1007),
        (encode_masked(TEXT, bytes(1001), KEY), 1009),
        (encode_masked(BINARY, b"a", KEY), 1003),
        (encode_masked(CLOSE, b"\x03", KEY), 1002),
    ],
)
def test_what_is_wrong_is_told_with_its_code_after_what_was_right(data: bytes, code: int) -> None:
    async def main() -> None:
        async with echoing(max_message_bytes=1000) as (_, front_end, peer):
            peer.say(b"right")
            peer.writer.write(data)

            assert await peer.hear() == (TEXT, b"right")
            opcode, payload = await peer.hear()
            assert (opcode, payload[:2]) == (CLOSE, code.to_bytes(2, "big"))
            peer.writer.close()
            await front_end.sessions[0].gone.wait()

    run(main())


@pytest.mark.logs_errors
def test_a_fault_in_a_session_ends_it_after_its_last_words() -> None:
    async def main() -> None:
        async with echoing() as (server, _, peer):
            peer.say(b"fail")

            assert await peer.hear() == (TEXT, b"fail")
            assert (await peer.hear())[0] == CLOSE
            assert server.gateway.traffic["echo"].faults == 1

    run(main())


class Slow:
    """A carrier whose peer does not read."""

    id, peer, lagging = 1, "192.0.2.1", True

    def __init__(self) -> None:
        self.out = b""

    def put(self, data: bytes) -> None:
        self.out += data


def test_pings_of_one_who_does_not_read_are_not_answered_and_pile_up_nothing() -> None:
    carrier = Slow()
    socket = WebSocketConnection(carrier, "192.0.2.1", False, is_text=True, max_message_bytes=1000)  # type: ignore[arg-type]  # stands in
    socket.lag()

    for _ in range(100):
        socket.receive(encode_masked(PING, bytes(125), KEY))
    assert carrier.out == b""
    socket.catch_up()
    carrier.lagging = False
    socket.receive(encode_masked(PING, b"now", KEY))

    assert carrier.out == b"\x8a\x03now"
    assert socket.frames_in == 101


@pytest.mark.spec("RFC 6455 §7.4.1")
def test_a_stopping_server_says_goodbye_and_goes_away() -> None:
    async def main() -> None:
        async with echoing() as (server, _, peer):
            stopping = asyncio.create_task(server.gateway.drain(5))

            assert await peer.hear() == (TEXT, b"bye\n")
            assert await peer.hear() == (CLOSE, b"\x03\xe9")
            peer.writer.close()
            await stopping

    run(main())


@pytest.mark.spec("RFC 6455 §4.2.2", "RFC 6455 §10.2")
@pytest.mark.parametrize(
    ("ask", "status"),
    [
        (ASK.format(protocol="other", more=""), 400),
        (ASK.format(protocol="echo", more="Origin: https://evil.example\r\n"), 403),
        (ASK.format(protocol="echo", more="").replace("websocket", "h2c"), 426),
        (ASK.format(protocol="echo", more="").replace("Version: 13", "Version: 12"), 426),
        (ASK.format(protocol="echo", more="").replace("Upgrade: websocket\r\n", ""), 426),
        (ASK.format(protocol="echo", more="").replace("/echo", "/other"), 404),
    ],
)
def test_who_asks_wrongly_gets_no_web_socket(ask: str, status: int) -> None:
    async def main() -> None:
        config = HttpConfig(allowed_origins=("https://chat.example",))
        async with website(echo(EchoFrontEnd()), config=config) as server:
            reader, writer = await server.connect()
            writer.write(ask.encode())

            answer = await reader.readuntil(b"\r\n\r\n")
            assert answer.startswith(f"HTTP/1.1 {status} ".encode())
            writer.close()
            peer = await upgraded(
                server, ASK.format(protocol="echo", more="Origin: https://chat.example\r\n")
            )
            peer.writer.close()

    run(main())


def test_a_page_and_a_socket_may_share_a_path() -> None:
    async def main() -> None:
        page = Page(path="/echo", serve=lambda exchange: exchange.cut_off())
        async with website(echo(EchoFrontEnd()), page) as server:
            peer = await upgraded(server)
            peer.say(b"", CLOSE)
            await hear_out(peer.reader, peer.writer)

            reader, writer = await server.connect()
            writer.write(b"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n")
            assert await reader.read() == b""
            writer.close()

    run(main())


def test_encode_close_without_a_code_is_empty() -> None:
    assert encode_close(1005) == b"\x88\x00"
