import asyncio
import logging
from collections.abc import Callable

import pytest
from tests.unit.gateway.harness import Echo, EchoFrontEnd, running
from tests.unit.net.harness import run

from sabir.gateway.contract import Counters
from sabir.net.config import LimitsConfig
from sabir.net.connection import Connection


@pytest.mark.logs_errors
def test_a_fault_is_logged_once_and_ends_that_connection_only(error_log: list[logging.LogRecord]) -> None:
    async def main() -> None:
        async with running() as server:
            healthy_reader, healthy = await server.connect()
            reader, writer = await server.connect()
            writer.write(b"please fail\n")
            assert await reader.read() == b"please fail\n"  # what was put before the fault still goes out
            writer.close()
            await server.front_end.sessions[1].gone.wait()

            healthy.write(b"hello\n")
            assert await healthy_reader.readline() == b"hello\n"
            assert server.gateway.traffic["echo"].faults == 1
            healthy.close()

    run(main())

    assert len(error_log) == 1
    assert error_log[0].getMessage() == "fault in a session"
    assert error_log[0].exc_info is not None
    assert vars(error_log[0])["conn"] == 2


@pytest.mark.logs_errors
@pytest.mark.parametrize(
    "provoke",
    [
        lambda session: session.connection.handler.lag(),
        lambda session: session.connection.handler.catch_up(),
        lambda session: session.connection.handler.tick(0),
        lambda session: setattr(session, "deadline_ms", -1) or session.connection.rearm(),
    ],
)
def test_no_fault_passes_the_guard(provoke: Callable[[Echo], object]) -> None:
    async def main() -> None:
        async with running() as server:
            reader, writer = await server.connect()
            writer.write(b"hello\n")
            await reader.readline()
            session = server.front_end.sessions[0]

            provoke(session)

            assert session.connection.closing
            assert server.gateway.traffic["echo"].faults == 1
            writer.close()

    run(main())


@pytest.mark.logs_errors
def test_a_session_that_cannot_be_made_leaves_no_connection_behind() -> None:
    def broken(connection: Connection, counters: Counters) -> Echo:
        raise ValueError("broken")

    async def main() -> None:
        async with running(EchoFrontEnd(broken)) as server:
            reader, writer = await server.connect()

            assert await reader.read() == b""
            traffic = server.gateway.traffic["echo"]
            assert (traffic.faults, len(traffic.live), server.admission.connected) == (1, 0, 0)
            writer.close()

    run(main())


@pytest.mark.parametrize(
    "limits",
    [
        LimitsConfig(frames_per_s=1, burst_frames=1),
        LimitsConfig(bytes_per_s=10, burst_bytes=10),
    ],
)
def test_a_peer_that_sends_too_fast_is_read_more_slowly(limits: LimitsConfig) -> None:
    async def main() -> None:
        async with running(limits=limits) as server:
            reader, writer = await server.connect()
            wheel = server.runtime.wheel
            writer.write(b"one\ntwo\nthree\n")
            await reader.readexactly(14)
            writer.write(b"four\n")
            for _ in range(20):
                await asyncio.sleep(0)
            session = server.front_end.sessions[0]
            assert session.heard == b"one\ntwo\nthree\n"

            wheel.advance(wheel.now_ms + 4000)
            assert await reader.readline() == b"four\n"

            writer.close()

    run(main())


def test_a_stopping_server_lets_every_session_say_goodbye() -> None:
    async def main() -> None:
        async with running() as server:
            clients = [await server.connect() for _ in range(3)]
            for reader, writer in clients:
                writer.write(b"hello\n")
                await reader.readline()
            server.listener.close()

            async def leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
                heard = await reader.read()
                writer.close()
                return heard

            heard = await asyncio.gather(server.gateway.drain(5), *(leave(*client) for client in clients))

            assert heard == [None, b"bye\n", b"bye\n", b"bye\n"]
            assert server.admission.connected == 0

    run(main())


def test_a_client_that_stays_is_cut_off_in_the_end() -> None:
    async def main() -> None:
        async with running() as server:
            reader, writer = await server.connect()
            writer.write(b"hello\n")
            await reader.readline()

            await server.gateway.drain(0)
            await server.front_end.sessions[0].gone.wait()

            assert await reader.readline() == b"bye\n"
            writer.close()

    run(main())


def test_nobody_to_wait_for_is_no_wait() -> None:
    async def main() -> None:
        async with running() as server:
            await server.gateway.drain(5)

    run(main())
