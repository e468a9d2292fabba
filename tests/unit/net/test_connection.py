import asyncio
import socket
from pathlib import Path
from typing import ClassVar

import pytest
from tests.unit.net.harness import Noting, connected, run, serving, trusting

from sabir.net.config import NetConfig
from sabir.net.connection import READ_BYTES, Connection
from sabir.net.listener import Tls

MIB = 1024 * 1024


async def turns(count: int) -> None:
    """Let the event loop turn."""
    for _ in range(count):
        await asyncio.sleep(0)


def test_what_is_put_in_one_turn_is_written_at_once() -> None:
    async def main() -> None:
        async with serving() as served:
            reader, writer = await connected(served)
            connection = (await served.handler()).connection

            connection.put(b"one ")
            connection.put3(b"two ", b"three ", b"four")
            assert connection.bytes_out == 0
            await reader.readexactly(18)

            assert connection.bytes_out == 18
            writer.close()

    run(main())


def test_both_directions_are_counted() -> None:
    async def main() -> None:
        async with serving() as served:
            reader, writer = await connected(served)
            writer.write(b"hello")
            handler = await served.handler()
            await handler.until(lambda noting: noting.received == b"hello")

            handler.connection.put(b"hi")
            assert await reader.readexactly(2) == b"hi"

            assert (handler.connection.bytes_in, handler.connection.bytes_out) == (5, 2)
            assert handler.connection.peer == "127.0.0.1"
            assert handler.connection.tls_info() is None
            writer.close()
            await handler.until_happened("closed")
            assert handler.reason == "closed by peer"

    run(main())


def test_a_failing_connection_does_not_keep_the_others_from_their_turn() -> None:
    class Failing(Noting):
        def lag(self) -> None:
            raise ValueError("broken")

    async def main() -> None:
        problems: list[object] = []
        asyncio.get_running_loop().set_exception_handler(
            lambda loop, context: problems.append(context["exception"])
        )
        async with serving(make=Failing) as served:
            clients = [await connected(served) for _ in range(2)]
            await served.handler(2)

            served.handlers[0].connection.put(b"x" * 1_000_000)  # makes it lag
            served.handlers[1].connection.put(b"sound")

            assert await clients[1][0].readexactly(5) == b"sound"
            assert [str(problem) for problem in problems] == ["broken"]
            for _, writer in clients:
                writer.close()

    run(main())


class Scolding(Noting):
    """Refuses the first bytes that come with a last word."""

    def receive(self, data: bytes) -> None:
        super().receive(data)
        self.connection.put(b"<stream:error/></stream:stream>")
        self.connection.close()


@pytest.mark.parametrize("tls", [Tls.NONE, Tls.DIRECT])
@pytest.mark.spec("RFC 6120 §4.9.1.1")
def test_the_last_word_reaches_a_peer_that_is_still_sending(tls: Tls, tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path, tls=tls, make=Scolding) as served:
            reader, writer = await connected(served, trusting(served) if tls is Tls.DIRECT else None)
            for _ in range(160):  # 10 MiB, none of it read before the server has made up its mind
                writer.write(b"x" * 65536)
            await writer.drain()
            heard = await reader.readuntil(b"</stream:stream>")
            handler = await served.handler()

            assert heard == b"<stream:error/></stream:stream>"
            writer.close()
            await handler.until_happened("closed")
            assert handler.connection.bytes_in == 10 * MIB
            assert len(handler.received) <= READ_BYTES
            assert handler.reason == "closed by us"

    run(main())


@pytest.mark.parametrize("tls", [Tls.NONE, Tls.DIRECT])
def test_a_peer_that_never_closes_is_closed_by_the_wheel(tls: Tls, tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path, tls=tls, make=Scolding) as served:
            _, writer = await connected(served, trusting(served) if tls is Tls.DIRECT else None)
            writer.write(b"hello")
            handler = await served.handler()
            await handler.until(lambda noting: bool(noting.received))

            wheel = served.listener.runtime.wheel
            for _ in range(12):
                wheel.advance(wheel.now_ms + wheel.granularity_ms)
            await handler.until_happened("closed")

            writer.close()

    run(main())


def test_nothing_is_received_and_nothing_sent_after_close() -> None:
    async def main() -> None:
        async with serving() as served:
            reader, writer = await connected(served)
            handler = await served.handler()

            handler.connection.put(b"bye")
            handler.connection.close(grace_ms=0)
            handler.connection.put(b"more")
            handler.connection.close()

            assert await reader.read() == b"bye"
            await handler.until_happened("closed")
            assert handler.happened == ["closed"]
            writer.close()

    run(main())


def test_an_aborted_connection_is_gone_at_once() -> None:
    async def main() -> None:
        async with serving() as served:
            reader, writer = await connected(served)
            handler = await served.handler()

            handler.connection.put(b"never sent")
            handler.connection.abort("fault")
            await handler.until_happened("closed")

            assert handler.reason == "fault"
            assert await reader.read() == b""
            writer.close()

    run(main())


SMALL = NetConfig(high_water_bytes=64 * 1024, low_water_bytes=16 * 1024)


class Cursor(Noting):
    """Sends 36 MiB like a session does: live while it may, from the log after it lagged."""

    total = 36 * MIB
    chunk = b"m" * 1024

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.sent = 0
        self.most_unsent = 0

    def go_on(self) -> None:
        while self.sent < self.total and not self.connection.lagging:
            self.connection.put(self.chunk)
            self.sent += len(self.chunk)

    def catch_up(self) -> None:
        super().catch_up()
        self.most_unsent = max(self.most_unsent, self.sent - self.connection.bytes_out)
        self.go_on()


@pytest.mark.parametrize("tls", [Tls.NONE, Tls.DIRECT])
def test_a_slow_reader_lags_and_is_served_as_it_reads(tls: Tls, tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path, tls=tls, make=Cursor, net=SMALL) as served:
            reader, writer = await connected(served, trusting(served) if tls is Tls.DIRECT else None)
            handler = await served.handler()
            assert isinstance(handler, Cursor)

            handler.go_on()
            assert handler.connection.lagging
            assert handler.sent <= SMALL.high_water_bytes + 2 * len(Cursor.chunk)
            assert handler.happened == []  # told in the next turn, never from inside a put
            await handler.until_happened("lag")
            got = 0
            while got < Cursor.total:
                got += len(await reader.read(MIB))

            assert got == handler.sent == handler.connection.bytes_out
            assert handler.happened.count("lag") == handler.happened.count("catch up")
            assert handler.most_unsent <= SMALL.high_water_bytes + 2 * len(Cursor.chunk)
            writer.close()

    run(main())


def test_a_reader_that_sleeps_costs_no_more_than_the_high_water_mark() -> None:
    async def main() -> None:
        async with serving(make=Cursor, net=SMALL) as served:
            sleeper = socket.create_connection(("127.0.0.1", served.listener.port))
            handler = await served.handler()
            assert isinstance(handler, Cursor)

            handler.go_on()
            before = -1
            while handler.sent != before:  # until the kernel takes no more
                before = handler.sent
                await turns(50)

            assert handler.sent == before < Cursor.total
            assert handler.connection.lagging
            sleeper.close()

    run(main())


def test_reading_stops_while_anybody_holds_it() -> None:
    async def main() -> None:
        async with serving() as served:
            _, writer = await connected(served)
            handler = await served.handler()
            connection, wheel = handler.connection, served.listener.runtime.wheel

            connection.pause_reading()
            connection.hold_reading(wheel.now_ms + 10 * wheel.granularity_ms)
            writer.write(b"later")
            await writer.drain()
            connection.resume_reading()
            await turns(20)
            assert handler.received == b""

            wheel.advance(wheel.now_ms + 11 * wheel.granularity_ms)
            await handler.until(lambda noting: noting.received == b"later")
            writer.close()

    run(main())


def test_a_busy_peer_gets_one_buffer_per_turn() -> None:
    class Turns(Noting):
        turn = 0
        per_turn: ClassVar[dict[int, int]] = {}

        def receive(self, data: bytes) -> None:
            super().receive(data)
            self.per_turn[Turns.turn] = self.per_turn.get(Turns.turn, 0) + len(data)

    async def main() -> None:
        async with serving(make=Turns) as served:
            _, writer = await connected(served)
            handler = await served.handler()
            writer.write(b"x" * 4 * MIB)
            while len(handler.received) < 4 * MIB:
                Turns.turn += 1
                await asyncio.sleep(0)

            assert max(Turns.per_turn.values()) <= READ_BYTES
            writer.close()

    run(main())


def test_a_deadline_of_the_handler_ticks() -> None:
    class Pinging(Noting):
        def __init__(self, connection: Connection) -> None:
            super().__init__(connection)
            self.deadline_ms = 1

    async def main() -> None:
        async with serving(make=Pinging) as served:
            _, writer = await connected(served)
            handler = await served.handler()

            served.listener.runtime.wheel.advance(served.listener.runtime.wheel.now_ms + 250)

            assert handler.happened == ["tick"]
            writer.close()

    run(main())
