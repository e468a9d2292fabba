import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.unit.net.harness import run

from sabir.admin.http import HttpFrontEnd, Probes, answer, is_loopback, routes
from sabir.base.clock import MonotonicClock, SystemClock
from sabir.gateway.connection import Gateway
from sabir.net.admission import Admission
from sabir.net.config import LimitsConfig, NetConfig
from sabir.net.listener import Endpoint, Listener
from sabir.net.runtime import NetRuntime
from sabir.wire.http.types import HttpRequest


class Watched:
    """A server whose state a test can change."""

    def __init__(self) -> None:
        self.objection = ""
        self.port = 0
        self.clients: list[asyncio.StreamWriter] = []
        self.runtime = NetRuntime(asyncio.get_running_loop(), MonotonicClock())
        self.gateway = Gateway(self.runtime.wheel, LimitsConfig())
        self.front_end = HttpFrontEnd(
            Probes(lambda: self.objection, lambda: b"sabir_up 1\n"), MonotonicClock(), SystemClock()
        )

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.clients.append(writer)
        return reader, writer

    async def ask(self, request: str) -> str:
        """Send one request and return all that comes back until the server closes."""
        reader, writer = await self.connect()
        writer.write(request.replace("\n", "\r\n").encode())
        answer = await reader.read()
        writer.close()
        return answer.decode()

    async def get(self, path: str) -> str:
        return await self.ask(f"GET {path} HTTP/1.1\nHost: localhost\nConnection: close\n\n")


@asynccontextmanager
async def watched() -> AsyncIterator[Watched]:
    """Serve on a free port."""
    server = Watched()
    door = server.front_end.doors()[0]
    connector = server.gateway.connector(server.front_end, door)
    listener = Listener(
        Endpoint(name=door.name, host="127.0.0.1", port=0),
        connector,
        runtime=server.runtime,
        admission=Admission(NetConfig(), LimitsConfig()),
        config=NetConfig(),
        certificates=None,
    )
    await listener.open()
    server.port = listener.port
    try:
        yield server
    finally:
        listener.close()
        for client in server.clients:  # of a test that failed; one left open would hang the loop's end
            client.transport.abort()


def test_a_healthy_server_says_so() -> None:
    async def main() -> None:
        async with watched() as server:
            answer = await server.get("/healthz")

            assert answer.startswith("HTTP/1.1 200 OK\r\nDate: ")
            assert answer.endswith("\r\n\r\nok\n")

    run(main())


def test_a_server_whose_log_failed_is_not_ready_until_it_works_again() -> None:
    async def main() -> None:
        async with watched() as server:
            server.objection = "the log cannot be written"
            refused = await server.get("/readyz")
            server.objection = ""
            ready = await server.get("/readyz")

            assert refused.startswith("HTTP/1.1 503 ")
            assert refused.endswith("the log cannot be written\n")
            assert ready.startswith("HTTP/1.1 200 ")

    run(main())


def test_metrics_come_in_the_format_of_prometheus() -> None:
    async def main() -> None:
        async with watched() as server:
            answer = await server.get("/metrics?x=1")

            assert "Content-Type: text/plain; version=" in answer
            assert answer.endswith("\r\n\r\nsabir_up 1\n")
            assert server.front_end.counters.messages_in == 1

    run(main())


@pytest.mark.spec("RFC 9110 §9.3.2")
def test_head_is_get_without_a_body() -> None:
    async def main() -> None:
        async with watched() as server:
            answer = await server.ask("HEAD /healthz HTTP/1.1\nHost: a\nConnection: close\n\n")

            assert "Content-Length: 3" in answer
            assert answer.endswith("\r\n\r\n")

    run(main())


@pytest.mark.spec("RFC 9110 §15.5.6")
def test_another_method_is_told_which_ones_there_are() -> None:
    async def main() -> None:
        async with watched() as server:
            answer = await server.ask("DELETE /metrics HTTP/1.1\nHost: a\nConnection: close\n\n")

            assert answer.startswith("HTTP/1.1 405 ")
            assert "Allow: GET, HEAD\r\n" in answer

    run(main())


def test_an_unknown_page_is_404_and_the_connection_serves_on() -> None:
    async def main() -> None:
        async with watched() as server:
            answer = await server.ask(
                "GET /secret HTTP/1.1\nHost: a\n\nGET /healthz HTTP/1.1\nHost: a\nConnection: close\n\n"
            )

            assert answer.startswith("HTTP/1.1 404 ")
            assert answer.count("HTTP/1.1 200 OK") == 1

    run(main())


def test_a_stopping_server_closes_idle_connections() -> None:
    async def main() -> None:
        async with watched() as server:
            reader, writer = await server.connect()
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            await reader.readuntil(b"ok\n")

            _, rest = await asyncio.gather(server.gateway.drain(5), hear_out(reader, writer))

            assert rest == b""

    run(main())


async def hear_out(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """Return what still comes, and close when the server does."""
    rest = await reader.read()
    writer.close()
    return rest


def test_a_connection_without_a_request_is_closed_in_the_end() -> None:
    async def main() -> None:
        async with watched() as server:
            reader, writer = await server.connect()
            writer.write(b"GET /hea")
            while server.front_end.counters.connections == 0 or not server.gateway.traffic["http"].bytes_in:
                await asyncio.sleep(0)

            server.runtime.wheel.advance(server.runtime.wheel.now_ms + 11_000)

            assert b"408 Request Timeout" in await reader.read()
            writer.close()

    run(main())


def test_a_peer_elsewhere_is_told_403_and_learns_nothing() -> None:
    table = routes(Probes(lambda: "secret trouble", lambda: b"secret"))

    for path in table:
        refused = answer(table, HttpRequest(method="GET", path=path), "192.0.2.1")

        assert (refused.status, b"secret" in refused.body) == (403, False)


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("192.0.2.1", False),
        ("2001:db8::1", False),
        ("", False),
    ],
)
def test_only_loopback_is_local(peer: str, expected: bool) -> None:
    assert is_loopback(peer) is expected
