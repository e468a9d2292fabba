"""Calling other servers: where they are looked for, and where they are not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.support.neighbours import Authority
from tests.unit.net.harness import Noting, now, run

from sabir.base.clock import MonotonicClock
from sabir.net.admission import Admission
from sabir.net.config import LimitsConfig, NetConfig
from sabir.net.connection import Connection, Handler
from sabir.net.dialer import Call, Dialer
from sabir.net.listener import Endpoint, Listener, Tls
from sabir.net.mutual import Trust
from sabir.net.resolver import Target
from sabir.net.runtime import NetRuntime
from sabir.net.tls import Certificates, ensure_self_signed

HERE, THERE = "here.example", "there.example"
SERVICES = ("xmpp-server", "xmpps-server")


class Table:
    """Says for every domain the same."""

    def __init__(self, targets: Sequence[Target], error: Exception | None = None) -> None:
        self._targets = targets
        self._error = error

    async def targets(self, domain: str, services: tuple[str, str], default_port: int) -> Sequence[Target]:
        if self._error is not None:
            raise self._error
        return self._targets

    def close(self) -> None:
        pass


class Answering:
    """A server of another domain on loopback, with a certificate of `authority`."""

    def __init__(self, folder: Path, authority: Authority, tls: Tls) -> None:
        self.handlers: list[Noting] = []
        self.runtime = NetRuntime(asyncio.get_running_loop(), MonotonicClock())
        self.trust = Trust([authority.file])
        config = NetConfig()
        self.listener = Listener(
            Endpoint(name="s2s", host="127.0.0.1", port=0, tls=tls, alpn=("xmpp-server",), mutual=True),
            self._connect,
            runtime=self.runtime,
            admission=Admission(config, LimitsConfig()),
            config=config,
            certificates=Certificates(*authority.certify(THERE)),
            trust=self.trust,
        )

    def _connect(self, connection: Connection) -> Handler:
        self.handlers.append(Noting(connection))
        return self.handlers[-1]

    def target(self, host: str = "127.0.0.1", *, direct: bool = False, chosen: bool = False) -> Target:
        return Target(host, self.listener.port, direct, chosen)


@asynccontextmanager
async def answering(folder: Path, authority: Authority, tls: Tls = Tls.STARTTLS) -> AsyncIterator[Answering]:
    server = Answering(folder, authority, tls)
    await server.listener.open()
    server.runtime.start()
    try:
        yield server
    finally:
        server.listener.close()
        for handler in server.handlers:
            handler.connection.abort()
        server.runtime.stop()


async def call(
    server: Answering,
    certificate: tuple[Path, Path],
    targets: Sequence[Target] = (),
    error: Exception | None = None,
    *,
    private: bool = False,
) -> Noting | str:
    """Call `THERE`, and return the handler of the connection, or why there is none."""
    outcome: asyncio.Future[Noting | str] = asyncio.get_running_loop().create_future()
    certificates = Certificates(*certificate)
    dialer = Dialer(
        server.runtime,
        NetConfig(),
        certificates,
        server.trust,
        Table(targets, error),
        "xmpp-server",
        private_addresses=private,
    )

    def connected(connection: Connection) -> Handler:
        handler = Noting(connection)
        outcome.set_result(handler)
        return handler

    dialer.call(Call(THERE, SERVICES, 5269, connected, outcome.set_result))
    try:
        return await outcome
    finally:
        dialer.close()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])
def test_nobody_has_us_call_ourselves_or_the_network_around_us(
    tmp_path: Path, authority: Authority, host: str
) -> None:
    async def main() -> None:
        async with answering(tmp_path, authority) as server:
            assert await call(server, authority.certify(HERE), [server.target(host)]) == (
                "its address is not public"
            )
            assert server.handlers == []

    run(main())


def test_what_the_operator_names_or_allows_is_called(tmp_path: Path, authority: Authority) -> None:
    async def main() -> None:
        async with answering(tmp_path, authority) as server:
            named = await call(server, authority.certify(HERE), [server.target(chosen=True)])
            allowed = await call(server, authority.certify(HERE), [server.target()], private=True)

            for handler in (named, allowed):
                assert isinstance(handler, Noting)
                handler.connection.abort()

    run(main())


def test_the_next_server_is_tried_when_one_cannot_be_reached(tmp_path: Path, authority: Authority) -> None:
    async def main() -> None:
        async with answering(tmp_path, authority) as server:
            private = Target("10.0.0.1", 5269)
            silent = Target("127.0.0.1", 1, chosen=True)
            handler = await call(
                server, authority.certify(HERE), [private, silent, server.target(chosen=True)]
            )

            assert isinstance(handler, Noting)
            handler.connection.abort()
            assert isinstance(await call(server, authority.certify(HERE), [private, silent]), str)
            assert await call(server, authority.certify(HERE)) == "no address"

    run(main())


@pytest.mark.parametrize("error", [OSError("DNS: timeout"), UnicodeError("label too long")])
def test_whoever_cannot_be_looked_up_fails_and_is_not_waited_for(
    tmp_path: Path, authority: Authority, error: Exception
) -> None:
    async def main() -> None:
        async with answering(tmp_path, authority) as server:
            assert await call(server, authority.certify(HERE), error=error) == str(error)
            nowhere = Target("x" * 70 + ".example", 5269)
            assert isinstance(await call(server, authority.certify(HERE), [nowhere]), str)

    run(main())


@pytest.mark.spec("RFC 6120 §13.7.1.2")
def test_both_sides_of_direct_tls_see_whom_the_other_proves_to_be(
    tmp_path: Path, authority: Authority
) -> None:
    async def main() -> None:
        async with answering(tmp_path, authority, Tls.DIRECT) as server:
            handler = await call(server, authority.certify(HERE), [server.target(direct=True, chosen=True)])
            assert isinstance(handler, Noting)
            handler.connection.put(b"hello")
            while not server.handlers:
                await asyncio.sleep(0)
            theirs = server.handlers[0]
            await theirs.until(lambda noting: noting.received == b"hello")

            seen, shown = handler.connection.peer_certificate(), theirs.connection.peer_certificate()
            assert seen is not None
            assert shown is not None
            assert (seen.problem, shown.problem) == ("", "")
            assert seen.proves(THERE)
            assert seen.proves(f"rooms.{THERE}")
            assert not seen.proves(HERE)
            assert shown.proves(HERE)
            info = handler.connection.tls_info()
            assert info is not None
            assert info.alpn == "xmpp-server"
            handler.connection.close()
            await theirs.until_happened("closed")

    run(main())


def test_a_certificate_of_nobody_whom_we_trust_is_let_in_and_proves_nothing(
    tmp_path: Path, authority: Authority
) -> None:
    async def main() -> None:
        async with answering(tmp_path, authority, Tls.DIRECT) as server:
            alone = ensure_self_signed(tmp_path / "alone", HERE, now)
            handler = await call(server, alone, [server.target(direct=True, chosen=True)])
            assert isinstance(handler, Noting)
            while not server.handlers:
                await asyncio.sleep(0)

            shown = server.handlers[0].connection.peer_certificate()
            assert shown is not None
            assert shown.problem
            assert HERE in shown.names
            assert not shown.proves(HERE)
            handler.connection.abort()

    run(main())


def test_who_does_not_speak_tls_is_not_reached(tmp_path: Path, authority: Authority) -> None:
    async def main() -> None:
        async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"SSH-2.0-x\r\n")
            await writer.drain()
            writer.close()

        async with answering(tmp_path, authority) as server:
            other = await asyncio.start_server(greet, "127.0.0.1", 0)
            port = other.sockets[0].getsockname()[1]
            why = await call(
                server, authority.certify(HERE), [Target("127.0.0.1", port, direct=True, chosen=True)]
            )
            other.close()

            assert isinstance(why, str)
            assert why.startswith("TLS:")

    run(main())
