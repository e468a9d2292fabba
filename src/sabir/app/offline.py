"""The operator's commands without a server: the store is locked, and the same services carry them out."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from sabir import __version__
from sabir.admin.commands import Answer, Command
from sabir.admin.operator import Facts, Operator
from sabir.app.passwords import Passwords
from sabir.app.settings import Settings
from sabir.base.clock import SystemClock
from sabir.base.ids import EventIds
from sabir.core.ports import Handle
from sabir.core.services import Services, assemble
from sabir.protocols.irc.translate.accept import PROTOCOL as IRC
from sabir.protocols.irc.translate.content import IrcTranslator
from sabir.protocols.mqtt.translate.content import MqttTranslator
from sabir.protocols.mqtt.translate.said import PROTOCOL as MQTT
from sabir.protocols.xmpp.features.chat import PROTOCOL as XMPP
from sabir.protocols.xmpp.translate import XmppTranslator
from sabir.storage import lock
from sabir.storage.config import StorageConfig
from sabir.storage.sqlite.store import SqliteStore

_S_PER_MS = 0.001


class LoopScheduler:
    """Calls back on an event loop (`sabir.core.ports.Scheduler`)."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def soon(self, callback: Callable[[], object]) -> object:
        """See `Scheduler.soon`."""
        return self._loop.call_soon(callback)

    def shortly(self, callback: Callable[[], object]) -> object:
        """See `Scheduler.shortly`."""
        return self._loop.call_later(_S_PER_MS, callback)

    def later(self, delay_ms: int, callback: Callable[[], object]) -> Handle:
        """See `Scheduler.later`."""
        return self._loop.call_later(delay_ms * _S_PER_MS, callback)


@contextmanager
def operator(data: Path, settings: Settings) -> Iterator[Callable[[Command], Answer]]:
    """Yield what carries out commands on the store of a data folder.

    Raises:
        Locked: a server, or another command, works on it.
        OSError: it cannot be read or written.
    """
    with lock.acquire(data) as held, asyncio.Runner() as runner:
        loop = runner.get_loop()
        store = SqliteStore(held, _without_search(settings), loop.call_soon_threadsafe)
        try:
            services = _services(store, settings, loop)
            carried_out_by = Operator(services, lambda: Facts(__version__, os.getpid(), 0, (), ()))

            async def asked(command: Command) -> Answer:
                answer = loop.create_future()
                carried_out_by.execute(command, answer.set_result)
                result: Answer = await answer
                return result

            yield lambda command: runner.run(asked(command))
        finally:
            store.close()


@contextmanager
def opened(data: Path, settings: Settings) -> Iterator[tuple[Services, asyncio.Runner]]:
    """Yield the services over the store of a data folder, without rate limits, and what runs their loop.

    Raises:
        Locked: a server, or another command, works on it.
        OSError: it cannot be read or written.
    """
    with lock.acquire(data) as held, asyncio.Runner() as runner:
        loop = runner.get_loop()
        store = SqliteStore(held, _without_search(settings), loop.call_soon_threadsafe)
        try:
            yield _services(store, settings, loop, limited=False), runner
        finally:
            store.close()


def _without_search(settings: Settings) -> StorageConfig:
    """Return how to open the store: what is to be searched is indexed when the server runs."""
    return replace(settings.storage, search=False)


def _services(
    store: SqliteStore, settings: Settings, loop: asyncio.AbstractEventLoop, *, limited: bool = True
) -> Services:
    services = assemble(
        store,
        LoopScheduler(loop),
        SystemClock(),
        lambda last_ms: EventIds(os.urandom, last_ms),
        os.urandom,
        Passwords(),
        b"",  # keys occupant ids, which no command makes
        domain=settings.server.domain,
        policy=settings.policy,
        limited=limited,
    )
    services.contents.register(XMPP, XmppTranslator(services.people))
    services.contents.register(IRC, IrcTranslator(services.people))
    services.contents.register(MQTT, MqttTranslator(services.people))
    return services
