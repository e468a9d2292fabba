"""`sabir.admin.control`: commands and answers over a real socket."""

from __future__ import annotations

import asyncio
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from sabir.admin import commands, control
from sabir.admin.commands import Answer, Command, Done, Refused

Answering = Callable[[Answer], None]


def at_once(command: Command, answer: Answering) -> None:
    match command:
        case commands.AddUser(name="ada"):
            answer(Done())
        case _:
            answer(Refused("not ada"))


def talk(path: Path, execute: control.Execute, *said: Command) -> list[Answer]:
    def ask() -> list[Answer]:
        client = control.ControlClient(path)
        try:
            return [client.ask(command) for command in said]
        finally:
            client.close()

    async def both() -> list[Answer]:
        server = await control.listen(path, execute)
        async with server:
            return await asyncio.to_thread(ask)

    return asyncio.run(both())


def talk_bytes(path: Path, data: bytes) -> bytes:
    async def both() -> bytes:
        async with await control.listen(path, at_once):
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(data)
            writer.write_eof()
            heard = await reader.read()
            writer.close()
            return heard

    return asyncio.run(both())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "control.sock"


def test_commands_are_answered_in_the_order_asked(path: Path) -> None:
    heard = talk(path, at_once, commands.AddUser("ada", "x"), commands.AddUser("bob", "x"))

    assert heard == [Done(), Refused("not ada")]


def test_an_answer_may_come_later(path: Path) -> None:
    def later(command: Command, answer: Answering) -> None:
        asyncio.get_running_loop().call_soon(answer, commands.Imported(1, [("x", "y")]))

    heard = talk(path, later, commands.ImportUsers([commands.NewUser("x", [("SCRAM-SHA-256", b"\x00")])]))

    assert heard == [commands.Imported(1, [("x", "y")])]


def test_only_the_owner_may_open_the_socket(path: Path) -> None:
    async def mode() -> int:
        async with await control.listen(path, at_once):
            return stat.S_IMODE(path.stat().st_mode)

    assert asyncio.run(mode()) == 0o600


def test_a_socket_left_by_a_killed_server_is_replaced(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))

    assert talk(path, at_once, commands.AddUser("ada", "x")) == [Done()]


def test_a_folder_too_deep_for_a_socket_address_works(tmp_path: Path) -> None:
    deep = tmp_path / ("a" * 60) / ("b" * 60)
    deep.mkdir(parents=True)

    assert talk(deep / "control.sock", at_once, commands.AddUser("ada", "x")) == [Done()]


def test_what_is_not_a_command_is_refused_and_the_next_one_is_heard(path: Path) -> None:
    deep = b'{"command": ' + b'{"a": ' * 5000
    first, deepest, second = talk_bytes(
        path,
        b'{"command": "user.rename"}\n'
        + deep
        + b'\n{"command": "user.add", "name": "ada", "password": "x"}\n',
    ).splitlines()

    assert b"does not understand" in first
    assert b"does not understand" in deepest
    assert second == b'{"answer":"done"}'


def test_a_line_without_end_is_refused_and_the_connection_closed(path: Path) -> None:
    heard = talk_bytes(path, b"x" * (control.MAX_LINE_BYTES + 1))

    assert b"a command of more than" in heard


def test_without_a_server_there_is_nothing_to_connect_to(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        control.ControlClient(path)
