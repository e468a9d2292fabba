"""The HTTP front end with the pages and sockets of a test, on a real listener."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sabir.base.clock import MonotonicClock, SystemClock
from sabir.gateway.config import HttpConfig
from sabir.gateway.connection import Gateway
from sabir.gateway.http import HttpFrontEnd
from sabir.gateway.web import Offer, Site
from sabir.net.admission import Admission
from sabir.net.config import LimitsConfig, NetConfig
from sabir.net.listener import Endpoint, Listener
from sabir.net.runtime import NetRuntime


class Website:
    """What `website` opened."""

    def __init__(self, offers: tuple[Offer, ...], config: HttpConfig) -> None:
        self.port = 0
        self.clients: list[asyncio.StreamWriter] = []
        self.runtime = NetRuntime(asyncio.get_running_loop(), MonotonicClock())
        self.gateway = Gateway(self.runtime.wheel, LimitsConfig())
        self.front_end = HttpFrontEnd(config, Site(offers), self.gateway, MonotonicClock(), SystemClock())

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.clients.append(writer)
        return reader, writer

    async def ask(self, request: str) -> str:
        """Send one request and return all that comes back until the server closes."""
        reader, writer = await self.connect()
        writer.write(request.replace("\n", "\r\n").encode())
        return (await hear_out(reader, writer)).decode()

    async def get(self, path: str) -> str:
        return await self.ask(f"GET {path} HTTP/1.1\nHost: localhost\nConnection: close\n\n")


@asynccontextmanager
async def website(*offers: Offer, config: HttpConfig | None = None) -> AsyncIterator[Website]:
    """Serve on a free port."""
    server = Website(offers, config or HttpConfig())
    door = server.front_end.doors()[0]
    listener = Listener(
        Endpoint(name=door.name, host="127.0.0.1", port=0),
        server.gateway.connector(server.front_end, door),
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


async def hear_out(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """Return what still comes, and close when the server does."""
    rest = await reader.read()
    writer.close()
    return rest
