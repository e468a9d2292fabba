import asyncio
import gc

import pytest
from tests.unit.gateway.website import hear_out, website
from tests.unit.net.harness import run

from sabir.admin.health import Probes, pages
from sabir.gateway.config import HttpConfig
from sabir.gateway.http import is_loopback
from sabir.gateway.web import Exchange, Page
from sabir.wire.http.machine import Machine
from sabir.wire.http.types import HttpResponse


class Watched:
    """A server whose state a test can change."""

    def __init__(self) -> None:
        self.objection = ""
        self.pages = pages(Probes(lambda: self.objection, lambda: b"sabir_up 1\n"))


class Body:
    """A sink that answers with the size of what came; it wants a break after each piece, if told so."""

    def __init__(self, exchange: Exchange, *, breaks: bool = False) -> None:
        self.exchange = exchange
        self.breaks = breaks
        self.size_bytes = 0
        self.was_broken = False

    def piece(self, data: bytes) -> None:
        self.size_bytes += len(data)
        if self.breaks:
            self.exchange.pause_body()
            asyncio.get_running_loop().call_soon(self.exchange.resume_body)

    def end(self) -> None:
        self.exchange.respond(HttpResponse(status=201, body=str(self.size_bytes).encode()))

    def broken(self) -> None:
        self.was_broken = True


def test_a_healthy_server_says_so() -> None:
    async def main() -> None:
        async with website(*Watched().pages) as server:
            answer = await server.get("/healthz")

            assert answer.startswith("HTTP/1.1 200 OK\r\nDate: ")
            assert answer.endswith("\r\n\r\nok\n")

    run(main())


def test_a_server_whose_log_failed_is_not_ready_until_it_works_again() -> None:
    async def main() -> None:
        watched = Watched()
        async with website(*watched.pages) as server:
            watched.objection = "the log cannot be written"
            refused = await server.get("/readyz")
            watched.objection = ""
            ready = await server.get("/readyz")

            assert refused.startswith("HTTP/1.1 503 ")
            assert refused.endswith("the log cannot be written\n")
            assert ready.startswith("HTTP/1.1 200 ")

    run(main())


def test_metrics_come_in_the_format_of_prometheus() -> None:
    async def main() -> None:
        async with website(*Watched().pages) as server:
            answer = await server.get("/metrics?x=1")

            assert "Content-Type: text/plain; version=" in answer
            assert answer.endswith("\r\n\r\nsabir_up 1\n")
            assert server.front_end.counters.messages_in == 1

    run(main())


@pytest.mark.spec("RFC 9110 §9.3.2")
def test_head_is_get_without_a_body() -> None:
    async def main() -> None:
        async with website(*Watched().pages) as server:
            answer = await server.ask("HEAD /healthz HTTP/1.1\nHost: a\nConnection: close\n\n")

            assert "Content-Length: 3" in answer
            assert answer.endswith("\r\n\r\n")

    run(main())


@pytest.mark.spec("RFC 9110 §15.5.6")
def test_another_method_is_told_which_ones_there_are() -> None:
    async def main() -> None:
        async with website(*Watched().pages) as server:
            answer = await server.ask("DELETE /metrics HTTP/1.1\nHost: a\nConnection: close\n\n")

            assert answer.startswith("HTTP/1.1 405 ")
            assert "Allow: GET, HEAD\r\n" in answer

    run(main())


def test_an_unknown_page_is_404_and_the_connection_serves_on() -> None:
    async def main() -> None:
        async with website(*Watched().pages) as server:
            answer = await server.ask(
                "GET /secret HTTP/1.1\nHost: a\n\nGET /healthz HTTP/1.1\nHost: a\nConnection: close\n\n"
            )

            assert answer.startswith("HTTP/1.1 404 ")
            assert answer.count("HTTP/1.1 200 OK") == 1

    run(main())


def test_a_stopping_server_closes_idle_connections() -> None:
    async def main() -> None:
        async with website(*Watched().pages) as server:
            reader, writer = await server.connect()
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            await reader.readuntil(b"ok\n")

            _, rest = await asyncio.gather(server.gateway.drain(5), hear_out(reader, writer))

            assert rest == b""

    run(main())


def test_a_connection_without_a_request_is_closed_in_the_end() -> None:
    async def main() -> None:
        async with website(*Watched().pages) as server:
            reader, writer = await server.connect()
            writer.write(b"GET /hea")
            while server.front_end.counters.connections == 0 or not server.gateway.traffic["http"].bytes_in:
                await asyncio.sleep(0)

            server.runtime.wheel.advance(server.runtime.wheel.now_ms + 11_000)

            assert b"408 Request Timeout" in await reader.read()
            writer.close()

    run(main())


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


def test_a_request_that_came_through_a_proxy_is_not_local() -> None:
    async def main() -> None:
        async with website(*Watched().pages) as server:
            for field in ("X-Forwarded-For: 192.0.2.1", "Forwarded: for=192.0.2.1", "X-Real-IP: 127.0.0.1"):
                answer = await server.ask(f"GET /metrics HTTP/1.1\nHost: a\nConnection: close\n{field}\n\n")

                assert answer.startswith("HTTP/1.1 403 ")
                assert "sabir" not in answer

    run(main())


@pytest.mark.parametrize(
    ("proxies", "expected"), [((), "127.0.0.1 False"), (("127.0.0.0/8",), "192.0.2.9 True")]
)
def test_only_a_trusted_proxy_says_for_whom_it_asks(proxies: tuple[str, ...], expected: str) -> None:
    def who(exchange: Exchange) -> None:
        exchange.respond(HttpResponse(status=200, body=f"{exchange.peer} {exchange.secure}".encode()))

    async def main() -> None:
        async with website(
            Page(path="/who", serve=who), config=HttpConfig(trusted_proxies=proxies)
        ) as server:
            answer = await server.ask(
                "GET /who HTTP/1.1\nHost: a\nConnection: close\n"
                "X-Forwarded-For: 127.0.0.1, 192.0.2.9\nX-Forwarded-Proto: https\n\n"
            )

            assert answer.endswith(expected)

    run(main())


@pytest.mark.spec("RFC 9112 §9.3.2")
def test_answers_that_come_late_keep_the_order_of_the_requests() -> None:
    waiting: list[Exchange] = []

    async def main() -> None:
        async with website(Page(path="/{name}", serve=waiting.append)) as server:
            reader, writer = await server.connect()
            for name in ("a", "b", "c"):
                writer.write(f"GET /{name} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            for name in ("a", "b", "c"):
                while not waiting:
                    await asyncio.sleep(0)
                (exchange,) = waiting
                waiting.clear()
                assert exchange.parameters == {"name": name}
                exchange.respond(HttpResponse(status=200, body=name.encode()))
                assert (await reader.readuntil(b"\r\n\r\n" + name.encode())).startswith(b"HTTP/1.1 200")
            writer.close()

    run(main())


def test_a_page_is_told_that_its_client_is_gone() -> None:
    waiting: list[Exchange] = []
    gone: list[str] = []

    async def main() -> None:
        async with website(Page(path="/", serve=waiting.append)) as server:
            _, writer = await server.connect()
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            while not waiting:
                await asyncio.sleep(0)
            waiting[0].when_gone = lambda: gone.append("gone")
            writer.transport.abort()
            while not gone:
                await asyncio.sleep(0)

            waiting[0].respond(HttpResponse(status=200))

    run(main())
    assert gone == ["gone"]


@pytest.mark.parametrize("breaks", [False, True])
def test_a_body_goes_to_its_page_piece_by_piece(breaks: bool) -> None:
    bodies: list[Body] = []

    def take(exchange: Exchange) -> None:
        bodies.append(Body(exchange, breaks=breaks))
        exchange.take_body(bodies[-1])

    async def main() -> None:
        page = Page(path="/", methods=("PUT",), serve=take, max_body_bytes=1_000_000, in_pieces=True)
        async with website(page) as server:
            reader, writer = await server.connect()
            writer.write(
                b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\nExpect: 100-continue\r\n\r\n"
            )
            await reader.readuntil(b"100 Continue\r\n\r\n")
            writer.write(bytes(500_000) + b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n!")
            await reader.readuntil(b"\r\n\r\n500000")
            await reader.readuntil(b"\r\n\r\n1")
            writer.write(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n")
            assert b"413 Content Too Large" in await hear_out(reader, writer)

    run(main())
    assert len(bodies) == 2


def test_a_page_whose_body_breaks_off_is_told() -> None:
    bodies: list[Body] = []

    def take(exchange: Exchange) -> None:
        bodies.append(Body(exchange))
        exchange.take_body(bodies[-1])

    async def main() -> None:
        page = Page(path="/", methods=("PUT",), serve=take, in_pieces=True)
        async with website(page) as server:
            reader, writer = await server.connect()
            writer.write(b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n")
            assert (await hear_out(reader, writer)).count(b"HTTP/1.1 400") == 1
            assert bodies[0].was_broken

            _, writer = await server.connect()
            writer.write(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
            while len(bodies) < 2 or bodies[1].size_bytes < 3:
                await asyncio.sleep(0)
            writer.transport.abort()
            while not bodies[1].was_broken:
                await asyncio.sleep(0)

    run(main())


def test_a_fault_in_a_page_ends_its_connection_only(error_log: list[object]) -> None:
    def fail(exchange: Exchange) -> None:
        raise ValueError("told to fail")

    async def main() -> None:
        async with website(Page(path="/", serve=fail), *Watched().pages) as server:
            assert await server.get("/") == ""
            assert "200 OK" in await server.get("/healthz")

    run(main())
    assert len(error_log) == 1
    error_log.clear()


def test_other_web_sites_may_use_the_pages_that_say_so() -> None:
    def serve(exchange: Exchange) -> None:
        exchange.respond(HttpResponse(status=200))

    open_, closed = Page(path="/open", serve=serve, cors=True), Page(path="/closed", serve=serve)

    async def main() -> None:
        async with website(open_, closed) as server:
            ask = "OPTIONS {} HTTP/1.1\nHost: a\nConnection: close\nAccess-Control-Request-Method: GET\n\n"
            allowed = await server.ask(ask.format("/open"))
            assert allowed.startswith("HTTP/1.1 204 ")
            assert "Access-Control-Allow-Methods: GET, HEAD, OPTIONS\r\n" in allowed
            assert "Access-Control-Allow-Origin: *\r\n" in await server.get("/open")
            assert (await server.ask(ask.format("/closed"))).startswith("HTTP/1.1 405 ")
            assert "Access-Control" not in await server.get("/closed")

    run(main())


def test_a_connection_that_is_gone_leaves_nothing_for_the_collector() -> None:
    def machines() -> int:
        return sum(isinstance(each, Machine) for each in gc.get_objects())

    async def main() -> None:
        async with website(*Watched().pages) as server:
            gc.collect()
            before = machines()
            gc.disable()
            try:
                await server.get("/healthz")
                _, writer = await server.connect()
                writer.write(b"POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
                while server.front_end.counters.connections < 2 or machines() == before:
                    await asyncio.sleep(0)
                writer.transport.abort()
                while any(traffic.live for traffic in server.gateway.traffic.values()):
                    await asyncio.sleep(0)
                assert machines() == before
            finally:
                gc.enable()

    run(main())
