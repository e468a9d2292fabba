"""Accounts from and to other servers (XEP-0227): the store is locked, and the services carry it out."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from sabir.app.offline import opened
from sabir.app.passwords import Passwords
from sabir.app.settings import Settings
from sabir.protocols.xmpp.pie.arriving import Arrivals
from sabir.protocols.xmpp.pie.leaving import persons
from sabir.protocols.xmpp.pie.person import Person
from sabir.protocols.xmpp.pie.reading import Reader
from sabir.protocols.xmpp.pie.writing import document

AT_ONCE = 250
"""Accounts that share their commits."""
MOST_REPORTS = 10_000

Advance = Callable[[int], object]


@dataclass(slots=True)
class Moved:
    """What came of it."""

    accounts: int = 0
    reports: list[str] = field(default_factory=list)
    """What could not be imported, in words."""
    hosts: dict[str, int] = field(default_factory=dict)
    """Accounts of other hosts, which were left out."""


def export(data: Path, settings: Settings, file: Path) -> int:
    """Write every account to a new file that only its owner can read; returns how many.

    Raises:
        Locked: the server runs.
        OSError: a file cannot be read or written, or exists.
    """
    count = 0

    def counted(each: Iterator[Person]) -> Iterator[Person]:
        nonlocal count
        for person in each:
            count += 1
            yield person

    with opened(data, settings) as (services, _):
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            for text in document(services.domain, counted(persons(services))):
                out.write(text)
            out.flush()
            os.fsync(out.fileno())
    return count


def import_(data: Path, settings: Settings, files: Sequence[Path], host: str, advance: Advance) -> Moved:
    """Import the accounts of a host of an export; `advance` is told of the bytes read, twice the files in all.

    Raises:
        PieError: a file is not what it should be; what was read before is imported.
        Locked: the server runs.
        OSError: a file cannot be read or written.
    """
    moved = Moved()

    def report(text: str) -> None:
        if len(moved.reports) < MOST_REPORTS:
            moved.reports.append(text)

    with opened(data, settings) as (services, runner):
        arrivals = Arrivals(services, host, Passwords().make, report)
        # Whom a contact list names must be there before it is read.
        for step in (arrivals.create, arrivals.furnish):
            found = _of_host(
                Reader(files, advance).persons(), host, moved if step == arrivals.create else None
            )
            while some := list(islice(found, AT_ONCE)):
                runner.run(_all(step, some))
        moved.accounts = len(arrivals.made)
    return moved


def _of_host(found: Iterator[Person], host: str, moved: Moved | None) -> Iterator[Person]:
    for person in found:
        if person.host == host:
            yield person
        elif moved is not None:
            moved.hosts[person.host] = moved.hosts.get(person.host, 0) + 1


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
