"""Every protocol reaches every other one: the table, cell by cell."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import pytest
from tests.crossing.conftest import PASSWORD
from tests.crossing.driver import Driver, Login, Server
from tests.crossing.table import (
    ALL,
    COLUMNS,
    GIVEN_MISSED,
    GUEST,
    HISTORY,
    PAIRS,
    READER,
    ROWS,
    WRITER,
    HistoryRow,
    Row,
    Scene,
    Stage,
)
from tests.crossing.words import InPieces, Joined, Left, Observation, Said, Where, direct, fits

_rooms: Final = itertools.count(1)


def _cells(rows: tuple[Row, ...] | tuple[HistoryRow, ...]) -> pytest.MarkDecorator:
    cells = [(row, writer, reader) for row in rows for writer, reader in PAIRS if writer not in row.beyond]
    names = [f"{row.name}: {writer} to {reader}" for row, writer, reader in cells]
    return pytest.mark.parametrize(("row", "writer", "reader"), cells, ids=names)


@asynccontextmanager
async def _online(server: Server, make: Callable[[], Driver], name: str) -> AsyncIterator[Driver]:
    driver = make()
    await driver.connect(server, Login(name, PASSWORD))
    try:
        yield driver
    finally:
        await driver.close()


async def _enter(driver: Driver, where: Where, name: str, witness: Driver) -> None:
    """Bring `driver` in, and wait until `witness` has noticed."""
    before = len(witness.inbox.seen(where))
    await driver.join(where)
    await witness.inbox.until(lambda: Joined(name) in witness.inbox.seen(where, before), f"{name} coming in")


@_cells(ROWS)
def test_what_is_done_in_one_protocol_is_seen_in_the_other(
    row: Row, writer: str, reader: str, server: Server
) -> None:
    seen, told = asyncio.run(_play(row, writer, reader, server))

    assert fits(seen, row.expected(reader)), f"{seen}\n{told}"


async def _play(
    row: Row, writer_kind: str, reader_kind: str, server: Server
) -> tuple[list[Observation], str]:
    """Return what the reader saw of the act, and its whole tale."""
    expected = row.expected(reader_kind)
    room = Where(f"room{next(_rooms)}")
    two_devices = row.stage in (Stage.TWO_DEVICES, Stage.TWO_DIRECT)
    reader_name = WRITER if two_devices else READER
    guest_kind = writer_kind if two_devices else reader_kind
    async with (
        _online(server, COLUMNS[writer_kind], WRITER) as writer,
        _online(server, COLUMNS[reader_kind], reader_name) as reader,
        _online(server, COLUMNS[guest_kind], GUEST) as guest,
    ):
        here, there = room, room
        match row.stage:
            case Stage.TOGETHER | Stage.WITH_GUEST:
                await writer.join(room)
                await _enter(reader, room, READER, writer)
                if row.stage is Stage.WITH_GUEST:
                    await _enter(guest, room, GUEST, reader)
            case Stage.WRITER_ALONE | Stage.READER_LATE:
                await writer.join(room)
            case Stage.READER_ALONE:
                await reader.join(room)
            case Stage.DIRECT:
                here, there = direct(READER), direct(WRITER)
            case Stage.TWO_DIRECT:
                here, there = direct(GUEST), direct(GUEST)
                await guest.say(direct(WRITER), "read me")
            case Stage.TWO_DEVICES:
                await guest.join(room)
                await _enter(writer, room, WRITER, guest)
                await reader.join(room)
                await guest.say(room, "read me")
        if two_devices:
            for device in (writer, reader):
                await _until_said(device, there, GUEST, "read me")
        for text in row.before:
            await writer.say(here, text)
            await _until_said(reader, there, WRITER, text)
        for text in row.asked:
            await reader.say(there, text)
            await _until_said(writer, here, READER, text)
        since = len(reader.inbox.seen(there))

        await row.act(Scene(writer, here))
        if row.stage is Stage.READER_LATE:
            await reader.join(room)

        if expected:
            await reader.inbox.until(
                lambda: _grown(reader.inbox.seen(there, since), expected), str(expected)[:200]
            )
        # Whatever else the act did arrives before what is said afterwards.
        speaker, name = (guest, GUEST) if two_devices else (writer, WRITER)
        end = Said(name, f"end of {room}")
        await speaker.say(direct(reader_name), end.text)
        await _until_said(reader, direct(name), name, end.text)
        return [one for one in reader.inbox.seen(there, since) if one != end], reader.inbox.told()


def _grown(seen: list[Observation], expected: tuple[Observation | InPieces, ...]) -> bool:
    """Say whether as much was seen as is expected."""
    return fits(seen, expected) or (len(seen) >= len(expected) and not isinstance(expected[0], InPieces))


async def _until_said(driver: Driver, where: Where, author: str, text: str) -> None:
    await driver.inbox.until(
        lambda: Said(author, text) in driver.inbox.seen(where), f"{author} saying {text!r}"
    )


@_cells(HISTORY)
def test_what_was_done_in_one_protocol_is_found_in_the_history_of_the_other(
    row: HistoryRow, writer: str, reader: str, server: Server
) -> None:
    found, told = asyncio.run(_look_back(row, writer, reader, server))

    assert fits(found, row.expected(reader)), f"{found}\n{told}"


async def _look_back(
    row: HistoryRow, writer_kind: str, reader_kind: str, server: Server
) -> tuple[list[Observation], str]:
    """Return what the reader found of the act, and its whole tale."""
    room = Where(f"room{next(_rooms)}")
    here, there = (direct(READER), direct(WRITER)) if row.direct else (room, room)
    start, end = Said(WRITER, f"start of {room}"), Said(WRITER, f"end of {room}")
    async with _online(server, COLUMNS[writer_kind], WRITER) as writer:
        if not row.direct:
            await writer.join(room)
        await writer.say(here, start.text)
        await row.act(Scene(writer, here))
        await writer.say(here, end.text)
        async with _online(server, COLUMNS[reader_kind], READER) as reader:
            if not row.direct:
                await reader.join(room)
            found = await reader.history(there, end)
            assert start in found, f"{found}\n{reader.inbox.told()}"
            return found[found.index(start) + 1 : found.index(end)], reader.inbox.told()


PEOPLE: Final = pytest.mark.parametrize(
    ("first", "second", "reader"),
    [(first, second, reader) for first in ALL for second in ALL if first != second for reader in ALL],
)


@PEOPLE
def test_one_person_with_two_clients_comes_and_goes_once(
    first: str, second: str, reader: str, server: Server
) -> None:
    seen, told = asyncio.run(_come_and_go(first, second, reader, server))

    assert seen == [Joined(WRITER), Said(WRITER, "one"), Said(WRITER, "two"), Left(WRITER)], told


async def _come_and_go(
    first_kind: str, second_kind: str, reader_kind: str, server: Server
) -> tuple[list[Observation], str]:
    room = Where(f"room{next(_rooms)}")
    async with (
        _online(server, COLUMNS[first_kind], WRITER) as first,
        _online(server, COLUMNS[second_kind], WRITER) as second,
        _online(server, COLUMNS[reader_kind], READER) as reader,
    ):
        await reader.join(room)
        await first.join(room)
        await second.join(room)
        await first.say(room, "one")
        await _until_said(second, room, WRITER, "one")
        await second.say(room, "two")
        await _until_said(first, room, WRITER, "two")
        await _until_said(reader, room, WRITER, "two")
        await first.leave(room)
        await second.leave(room)
        await reader.inbox.until(lambda: Left(WRITER) in reader.inbox.seen(room), "the last one leaving")
        await second.say(direct(READER), f"end of {room}")
        await _until_said(reader, direct(WRITER), WRITER, f"end of {room}")
        return reader.inbox.seen(room), reader.inbox.told()


@pytest.mark.parametrize(("writer", "reader"), [pair for pair in PAIRS if pair[1] in GIVEN_MISSED])
def test_what_was_missed_is_given_once_to_clients_that_do_not_ask(
    writer: str, reader: str, server: Server
) -> None:
    seen, told = asyncio.run(_write_to_absent(COLUMNS[writer], COLUMNS[reader], server))

    assert len(seen) == 1, told


async def _write_to_absent(
    writer_kind: Callable[[], Driver], reader_kind: Callable[[], Driver], server: Server
) -> tuple[list[Observation], str]:
    """Return how often the reader was shown what was written before it came, and its whole tale."""
    seen: list[Observation] = []
    told = ""
    missed = Said(WRITER, f"while you were away {next(_rooms)}")
    async with _online(server, writer_kind, WRITER) as writer:
        await writer.say(direct(READER), missed.text)
    for _ in range(2):
        async with (
            _online(server, writer_kind, WRITER) as writer,
            _online(server, reader_kind, READER) as reader,
        ):
            end = f"end of {next(_rooms)}"
            await writer.say(direct(READER), end)
            await _until_said(reader, direct(WRITER), WRITER, end)
            seen += [one for one in reader.inbox.seen(direct(WRITER)) if one == missed]
            told = reader.inbox.told()
    return seen, told
