"""Accounts from and to other servers (XEP-0227): the store is locked, and the services carry it out."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from sabir.app.offline import opened
from sabir.app.passwords import Passwords
from sabir.app.settings import Settings
from sabir.core.errors import Refusal
from sabir.core.model.actor import Account
from sabir.core.ports import Page, PageQuery
from sabir.core.services import Services
from sabir.core.services.backfill import Backfill, Said
from sabir.protocols.xmpp.pie.archives import Archives
from sabir.protocols.xmpp.pie.arriving import Arrivals
from sabir.protocols.xmpp.pie.leaving import persons
from sabir.protocols.xmpp.pie.person import Person
from sabir.protocols.xmpp.pie.reading import Reader
from sabir.protocols.xmpp.pie.writing import document
from sabir.storage import spool
from sabir.wire.xml import Element

AT_ONCE = 250
"""Accounts that share their commits."""
MOST_REPORTS = 10_000

Advance = Callable[[int], object]
Filed = Callable[[int, int], object]
"""Told how many messages are in the log, and of how many."""
SAID_AT_ONCE = 500
"""Messages that share a commit."""
SAID_BYTES = 256 << 10
"""So many bytes of them, whatever their number."""


@dataclass(slots=True)
class Moved:
    """What came of it."""

    accounts: int = 0
    messages: int = 0
    reports: list[str] = field(default_factory=list)
    """What could not be imported, in words."""
    hosts: dict[str, int] = field(default_factory=dict)
    """Accounts of other hosts, which were left out."""


def export(data: Path, settings: Settings, file: Path, advance: Filed) -> int:
    """Write every account to a new file that only its owner can read; returns how many.

    `advance` is told how many accounts are begun, and of how many.

    Raises:
        Locked: the server runs.
        OSError: a file cannot be read or written, or exists.
    """
    count = 0

    def counted(each: Iterator[Person]) -> Iterator[Person]:
        nonlocal count
        for person in each:
            count += 1
            advance(count, total)
            yield person

    with opened(data, settings) as (services, runner):
        total = len(services.accounts.all())

        async def page(account: Account, query: PageQuery) -> Page:
            answer = asyncio.get_running_loop().create_future()
            services.history.mailbox(account, query, answer.set_result)
            found: Page = await answer
            return found

        found = persons(
            services,
            f"rooms.{services.domain}",
            lambda account, query: runner.run(page(account, query)),
        )
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            for text in document(services.domain, counted(found)):
                out.write(text)
            out.flush()
            os.fsync(out.fileno())
    return count


def import_(
    data: Path, settings: Settings, files: Sequence[Path], host: str, advance: Advance, filed: Filed
) -> Moved:
    """Import the accounts of a host of an export, then what they said.

    `advance` is told of the bytes read, twice the files in all; `filed` of the messages that are in the log.

    Raises:
        PieError: a file is not what it should be; what was read before is imported.
        Locked: the server runs.
        OSError: a file cannot be read or written.
    """
    moved = Moved()

    def report(text: str) -> None:
        if len(moved.reports) < MOST_REPORTS:
            moved.reports.append(text)

    with opened(data, settings) as (services, runner), spool.opened(data) as kept:
        arrivals = Arrivals(services, host, Passwords().make, report)
        archives = Archives(services, arrivals.made, arrivals.ours, kept, settings.policy.max_message_bytes)
        # Whom a contact list names must be there before it is read.
        found = _of_host(Reader(files, advance).persons(), host, moved)
        while some := list(islice(found, AT_ONCE)):
            runner.run(_all(arrivals.create, some))
        moved.accounts = len(arrivals.made)

        def take(person: Person, element: Element) -> None:
            if person.host == host:
                archives.take(person, element)

        found = _of_host(Reader(files, advance, take).persons(), host, None)
        while some := list(islice(found, AT_ONCE)):
            runner.run(_all(arrivals.furnish, some))
        backfill = services.backfill()
        moved.messages = _file(
            services, backfill, runner, archives, kept.count(), filed, arrivals.made.values()
        )
        for (name, what), count in sorted(archives.left_out.items()):
            report(f"{name}: not imported: {count} {what}")
        if backfill.left_out:
            report(f"not imported: {backfill.left_out} messages about others that are not there")
    return moved


def _file(
    services: Services,
    backfill: Backfill,
    runner: asyncio.Runner,
    archives: Archives,
    total: int,
    filed: Filed,
    made: Iterable[Account],
) -> int:
    """Put what was said into the log, in order of time; returns how many messages.

    Raises:
        OSError: the log cannot be written.
    """
    count, before = 0, services.log.appended
    some: list[Said] = []
    size_bytes = 0
    for each in archives.said():
        some.append(each)
        size_bytes += len(each.draft.native)
        if len(some) >= SAID_AT_ONCE or size_bytes >= SAID_BYTES:
            runner.run(_added(backfill, some))
            count += len(some)
            filed(count, total)
            some, size_bytes = [], 0
    runner.run(_added(backfill, some))
    filed(count + len(some), total)
    for account in made:
        if account.id not in archives.waited_for:
            services.devices.delivered(account, services.log.head_seq)
    services.devices.save()
    runner.run(_added(backfill, []))
    return services.log.appended - before


def _of_host(found: Iterator[Person], host: str, moved: Moved | None) -> Iterator[Person]:
    for person in found:
        if person.host == host:
            yield person
        elif moved is not None:
            moved.hosts[person.host] = moved.hosts.get(person.host, 0) + 1


async def _added(backfill: Backfill, said: list[Said]) -> None:
    outcome: asyncio.Future[Refusal | None] = asyncio.get_running_loop().create_future()
    backfill.add(said, lambda: outcome.set_result(None), outcome.set_result)
    refusal = await outcome
    if refusal is not None:
        raise OSError(refusal.value)


async def _all(step: Callable[[Person, Callable[[], None]], None], some: list[Person]) -> None:
    """Queue all, so that they share commits, and wait until all are durable."""
    done = asyncio.Event()
    left = len(some)

    def heard() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            done.set()

    for person in some:
        step(person, heard)
    await done.wait()
