"""A listener on a free port with a handler that notes what happens; tests wait on it instead of sleeping."""

import asyncio
import datetime
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvloop

from sabir.base.clock import Clock, MonotonicClock
from sabir.net.admission import Admission
from sabir.net.config import LimitsConfig, NetConfig
from sabir.net.connection import Connection
from sabir.net.listener import Endpoint, Listener, Tls
from sabir.net.runtime import NetRuntime
from sabir.net.tls import Certificates, ensure_self_signed

TIMEOUT_S = 10


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run `main` under uvloop, in bounded time."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.wait_for(main, TIMEOUT_S))


class Noting:
    """A handler that notes everything."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.received = bytearray()
        self.happened: list[str] = []
        self.reason = ""
        self.deadline_ms = 0
        self._changed = asyncio.Event()

    async def until(self, condition: Callable[["Noting"], bool]) -> None:
        """Wait until `condition` holds."""
        while not condition(self):
            self._changed.clear()
            await self._changed.wait()

    async def until_happened(self, what: str) -> None:
        await self.until(lambda noting: what in noting.happened)

    def receive(self, data: bytes) -> None:
        self.received += data
        self._changed.set()

    def lag(self) -> None:
        self._note("lag")

    def catch_up(self) -> None:
        self._note("catch up")

    def tick(self, now_ms: int) -> None:
        self.deadline_ms = 0
        self._note("tick")

    def next_deadline_ms(self) -> int:
        return self.deadline_ms

    def shutdown(self) -> None:
        self._note("shutdown")

    def closed(self, reason: str) -> None:
        self.reason = reason
        self._note("closed")

    def _note(self, what: str) -> None:
        self.happened.append(what)
        self._changed.set()


class Serving:
    """A listener that is open, with the handlers it made."""

    def __init__(self, listener: Listener, certificates: Certificates | None) -> None:
        self.listener = listener
        self.certificates = certificates
        self.handlers: list[Noting] = []
        self.clients: list[asyncio.StreamWriter] = []
        self._made = asyncio.Event()

    async def handler(self, count: int = 1) -> Noting:
        """Wait for the `count`-th connection."""
        while len(self.handlers) < count:
            self._made.clear()
            await self._made.wait()
        return self.handlers[count - 1]

    def add(self, handler: Noting) -> Noting:
        self.handlers.append(handler)
        self._made.set()
        return handler


@asynccontextmanager
async def serving(
    folder: Path | None = None,
    *,
    tls: Tls = Tls.NONE,
    alpn: tuple[str, ...] = (),
    make: Callable[[Connection], Noting] = Noting,
    net: NetConfig | None = None,
    limits: LimitsConfig | None = None,
    clock: Clock | None = None,
) -> AsyncIterator[Serving]:
    """Open a listener on a free port of 127.0.0.1; `folder` is where its certificate goes."""
    config = net or NetConfig()
    runtime = NetRuntime(asyncio.get_running_loop(), clock or MonotonicClock())
    certificates = Certificates(*ensure_self_signed(folder, "localhost", now)) if folder else None
    listener = Listener(
        Endpoint(name="test", host="127.0.0.1", port=0, tls=tls, alpn=alpn),
        lambda connection: served.add(make(connection)),
        runtime=runtime,
        admission=Admission(config, limits or LimitsConfig()),
        config=config,
        certificates=certificates,
    )
    served = Serving(listener, certificates)
    await listener.open()
    runtime.start()
    try:
        yield served
    finally:
        listener.close()
        for handler in served.handlers:
            handler.connection.abort()
        for client in served.clients:  # of a test that failed; one left open would hang the loop's end
            client.transport.abort()
        runtime.stop()


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def trusting(served: Serving, alpn: tuple[str, ...] = ()) -> ssl.SSLContext:
    """Return a client's context that trusts the certificate of `served` and nothing else."""
    assert served.certificates is not None
    context = ssl.create_default_context(cafile=str(served.certificates.current.certificate_path))
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


async def connected(
    served: Serving, context: ssl.SSLContext | None = None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect a client, with TLS if there is a `context`."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1",
        served.listener.port,
        ssl=context,
        server_hostname="localhost" if context else None,
    )
    served.clients.append(writer)
    return reader, writer
