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
    COLUMNS,
    GUEST,
    HISTORY,
    READER,
    ROWS,
    WRITER,
    HistoryRow,
    Row,
    Scene,
    Stage,
)
from tests.crossing.words import InPieces, Joined, Observation, Said, Where, direct, fits

PAIRS: Final = [(writer, reader) for writer in COLUMNS for reader in COLUMNS]
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
