import asyncio
import contextlib
import hashlib
import logging
import os
import resource
import socket
import ssl
from pathlib import Path

import pytest
from tests.unit.net.harness import Noting, connected, now, run, serving, trusting

from sabir.base.clock import MonotonicClock
from sabir.net.admission import Admission
from sabir.net.config import LimitsConfig, NetConfig
from sabir.net.connection import Connection, Handler
from sabir.net.listener import Endpoint, Listener, Tls, has_ipv6
from sabir.net.runtime import NetRuntime
from sabir.net.tls import ensure_self_signed


class Upgrading(Noting):
    """Turns to TLS when asked, as a machine does: what it had before is forgotten."""

    def receive(self, data: bytes) -> None:
        if b"STARTTLS\n" in data and not self.connection.secure:
            self.connection.put(b"proceed\n")
            self.connection.start_tls(self.received.clear)
            return
        super().receive(data)
        self.connection.put(b"heard\n")


def test_starttls_answers_in_clear_and_goes_on_encrypted(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path, tls=Tls.STARTTLS, make=Upgrading) as served:
            reader, writer = await connected(served)
            writer.write(b"STARTTLS\n")
            assert await reader.readline() == b"proceed\n"

            await writer.start_tls(trusting(served), server_hostname="localhost")
            writer.write(b"secret\n")

            assert await reader.readline() == b"heard\n"
            handler = await served.handler()
            assert handler.received == b"secret\n"
            assert handler.connection.secure
            with pytest.raises(RuntimeError, match="already on"):
                handler.connection.start_tls(handler.shutdown)
            writer.close()
            await handler.until_happened("closed")

    run(main())


@pytest.mark.spec("RFC 6120 §5.4.3.3")
def test_what_is_sent_in_clear_after_starttls_is_never_processed(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path, tls=Tls.STARTTLS, make=Upgrading) as served:
            reader, writer = await connected(served)
            writer.write(b"STARTTLS\n" + b"injected\n")
            assert await reader.readline() == b"proceed\n"
            writer.write(b"injected in a segment of its own\n")

            handler = await served.handler()
            await handler.until_happened("closed")

            assert handler.received == b""
            assert handler.reason.startswith("connection")
            writer.close()

    run(main())


def test_direct_tls_agrees_on_a_protocol_and_binds_the_channel(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path, tls=Tls.DIRECT, alpn=("xmpp-client",)) as served:
            _, writer = await connected(served, trusting(served, ("h2", "xmpp-client")))
            info = (await served.handler()).connection.tls_info()
            tls = writer.get_extra_info("ssl_object")

            assert info is not None
            assert (info.version, info.alpn, info.peer_certificate) == ("TLSv1.3", "xmpp-client", None)
            shown = tls.getpeercert(True)
            assert info.channel_binding("tls-server-end-point") == hashlib.sha256(shown).digest()
            assert info.channel_binding("tls-unique") is None
            writer.close()

    run(main())


@pytest.mark.spec("RFC 5929 §3")
def test_tls_1_2_has_the_unique_binding_too(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path, tls=Tls.DIRECT) as served:
            context = trusting(served)
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            _, writer = await connected(served, context)
            info = (await served.handler()).connection.tls_info()

            assert info is not None
            assert info.version == "TLSv1.2"
            expected = writer.get_extra_info("ssl_object").get_channel_binding("tls-unique")
            assert info.channel_binding("tls-unique") == expected
            writer.close()

    run(main())


def test_a_new_certificate_serves_new_handshakes_and_drops_nobody(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path / "live", tls=Tls.DIRECT) as served:
            reader, writer = await connected(served, trusting(served))
            old = (await served.handler()).connection.tls_info()
            for fresh in ensure_self_signed(tmp_path / "fresh", "localhost", now):
                fresh.replace(tmp_path / "live" / fresh.name)
            assert served.certificates is not None
            assert served.certificates.reload_if_changed()

            _, second = await connected(served, trusting(served))
            new = (await served.handler(2)).connection.tls_info()

            assert old is not None
            assert new is not None
            assert old.bindings != new.bindings
            first = served.handlers[0]
            first.connection.put(b"still here")
            assert await reader.readexactly(10) == b"still here"
            assert first.connection.tls_info() == old
            writer.close()
            second.close()

    run(main())


def test_a_peer_that_speaks_no_tls_never_becomes_a_connection(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path, tls=Tls.DIRECT) as served:
            reader, writer = await connected(served)
            writer.write(b"GET / HTTP/1.1\r\n\r\n")

            await reader.read()

            assert served.handlers == []
            assert served.listener.admission.connected == 0
            writer.close()

    run(main())


def test_one_connection_too_many_is_closed_and_the_place_of_one_that_left_is_free() -> None:
    async def main() -> None:
        async with serving(net=NetConfig(max_connections=1)) as served:
            _, writer = await connected(served)
            first = await served.handler()
            reader, refused = await connected(served)
            assert await reader.read() == b""

            writer.close()
            await first.until_happened("closed")
            _, third = await connected(served)
            await served.handler(2)

            assert served.listener.admission.refused == {"too many connections": 1}
            refused.close()
            third.close()

    run(main())


def test_connections_are_numbered_and_send_without_delay() -> None:
    async def main() -> None:
        async with serving() as served:
            writers = [(await connected(served))[1] for _ in range(2)]
            ids = [(await served.handler(count)).connection.id for count in (1, 2)]

            assert ids == [1, 2]
            accepted = served.handlers[0].connection._transport.get_extra_info("socket")
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            for writer in writers:
                writer.close()

    run(main())


def listener(config: NetConfig, port: int, host: str = "127.0.0.1") -> Listener:
    def connect(connection: Connection) -> Handler:
        return Noting(connection)

    return Listener(
        Endpoint(name="test", host=host, port=port),
        connect,
        runtime=NetRuntime(asyncio.get_running_loop(), MonotonicClock()),
        admission=Admission(config, LimitsConfig()),
        config=config,
        certificates=None,
    )


def test_a_port_in_use_is_an_error_unless_it_is_shared_on_purpose() -> None:
    async def main() -> None:
        first = listener(NetConfig(reuse_port=True), 0)
        await first.open()
        try:
            with pytest.raises(OSError, match="in use"):
                await listener(NetConfig(), first.port).open()
            second = listener(NetConfig(reuse_port=True), first.port)
            await second.open()
            second.close()
        finally:
            first.close()

    run(main())


def test_all_addresses_of_a_host_get_one_port() -> None:
    async def main() -> None:
        everywhere = listener(NetConfig(), 0, host="localhost")
        await everywhere.open()

        assert {bound.getsockname()[1] for bound in everywhere._sockets} == {everywhere.port}
        everywhere.close()

    run(main())


def test_tls_without_a_certificate_is_refused_before_anything_is_bound() -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match="irc-tls needs a certificate"):
            Listener(
                Endpoint(name="irc-tls", host="127.0.0.1", port=0, tls=Tls.DIRECT),
                Noting,
                runtime=NetRuntime(asyncio.get_running_loop(), MonotonicClock()),
                admission=Admission(NetConfig(), LimitsConfig()),
                config=NetConfig(),
                certificates=None,
            )

    run(main())


@pytest.mark.parametrize("tls", [Tls.STARTTLS, Tls.DIRECT])
def test_a_handshake_under_way_is_given_up_when_the_listener_closes(tls: Tls, tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path, tls=tls, make=Upgrading) as served:
            reader, writer = await connected(served)
            if tls is Tls.STARTTLS:
                writer.write(b"STARTTLS\n")
                assert await reader.readline() == b"proceed\n"
            while served.listener.admission.connected == 0:
                await turn()

            served.listener.close()
            assert await reader.read() == b""

            while served.listener.admission.connected:
                await turn()
            writer.close()

    run(main())


def test_what_is_put_or_closed_during_a_handshake_is_safe(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path, tls=Tls.STARTTLS, make=Upgrading) as served:
            reader, writer = await connected(served)
            writer.write(b"STARTTLS\n")
            assert await reader.readline() == b"proceed\n"
            connection = (await served.handler()).connection

            connection.put(b"never in clear")
            connection.close()

            assert await reader.read() == b""
            writer.close()

    run(main())


@pytest.mark.logs_errors
def test_without_file_descriptors_accepting_pauses_and_goes_on(error_log: list[logging.LogRecord]) -> None:
    async def main() -> None:
        async with serving() as served:
            client = socket.socket()
            client.setblocking(False)
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            with contextlib.ExitStack() as taken:
                taken.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
                resource.setrlimit(resource.RLIMIT_NOFILE, (client.fileno() + 1, hard))
                with contextlib.suppress(OSError):
                    while True:
                        taken.callback(os.close, os.dup(client.fileno()))
                await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", served.listener.port))
                while not error_log:
                    await turn()
                for _ in range(20):
                    await turn()
            assert [record.getMessage() for record in error_log] == ["cannot accept"]
            assert served.handlers == []

            wheel = served.listener.runtime.wheel
            wheel.advance(wheel.now_ms + 1500)
            await served.handler()

            client.close()

    run(main())


async def turn() -> None:
    """Let the event loop turn once."""
    await asyncio.sleep(0)


def test_a_machine_with_ipv6_says_so() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        assert not has_ipv6()
    else:
        assert has_ipv6()
