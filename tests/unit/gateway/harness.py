"""A front end that echoes lines, on a real listener."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from sabir.base.clock import MonotonicClock
from sabir.gateway.connection import Gateway
from sabir.gateway.contract import Counters, Door
from sabir.net.admission import Admission
from sabir.net.config import LimitsConfig, NetConfig
from sabir.net.connection import Connection, Handler
from sabir.net.listener import Endpoint, Listener, Tls
from sabir.net.runtime import NetRuntime


class Echo:
    """A session that sends back what it hears, and fails when told to."""

    def __init__(self, connection: Connection, counters: Counters) -> None:
        self.connection = connection
        self.counters = counters
        self.heard = b""
        self.reason = ""
        self.deadline_ms = 0
        self.gone = asyncio.Event()

    def receive(self, data: bytes) -> None:
        self.heard += data
        lines = data.count(b"\n")
        self.connection.frames_in += lines
        self.counters.messages_in += lines
        self.connection.put(data)
        if b"fail" in data:
            raise ValueError("told to fail")

    def lag(self) -> None:
        raise ValueError("lag")

    def catch_up(self) -> None:
        raise ValueError("catch up")

    def tick(self, now_ms: int) -> None:
        raise ValueError("tick")

    def next_deadline_ms(self) -> int:
        if self.deadline_ms < 0:
            raise ValueError("deadline")
        return self.deadline_ms

    def shutdown(self) -> None:
        self.connection.put(b"bye\n")
        self.connection.close()

    def closed(self, reason: str) -> None:
        self.reason = reason
        self.gone.set()


class EchoFrontEnd:
    """Makes `Echo` sessions."""

    protocol = "echo"

    def __init__(self, make: Callable[[Connection, Counters], Echo] = Echo) -> None:
        self.counters = Counters(self.protocol)
        self.sessions: list[Echo] = []
        self.make = make

    def doors(self) -> Sequence[Door]:
        return (Door(name="echo", port=7, tls=Tls.NONE),)

    def connect(self, connection: Connection, door: Door) -> Handler:
        session = self.make(connection, self.counters)
        self.sessions.append(session)
        return session


class Running:
    """A gateway with one listener."""

    def __init__(self, front_end: EchoFrontEnd, limits: LimitsConfig) -> None:
        self.front_end = front_end
        self.clients: list[asyncio.StreamWriter] = []
        self.runtime = NetRuntime(asyncio.get_running_loop(), MonotonicClock())
        self.gateway = Gateway(self.runtime.wheel, limits)
        self.admission = Admission(NetConfig(), limits)
        door = front_end.doors()[0]
        self.listener = Listener(
            Endpoint(name=door.name, host="127.0.0.1", port=0),
            self.gateway.connector(front_end, door),
            runtime=self.runtime,
            admission=self.admission,
            config=NetConfig(),
            certificates=None,
        )

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.listener.port)
        self.clients.append(writer)
        return reader, writer


@asynccontextmanager
async def running(
    front_end: EchoFrontEnd | None = None, limits: LimitsConfig | None = None
) -> AsyncIterator[Running]:
    made = Running(front_end or EchoFrontEnd(), limits or LimitsConfig())
    await made.listener.open()
    try:
        yield made
    finally:
        made.listener.close()
        for session in made.front_end.sessions:
            session.connection.abort()
        for client in made.clients:  # of a test that failed; one left open would hang the loop's end
            client.transport.abort()
