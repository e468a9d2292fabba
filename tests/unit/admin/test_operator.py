"""`sabir.admin.operator`, over the services and a real store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sabir.admin import commands
from sabir.admin.commands import Answer, Command, Done, Imported, NewUser, Refused
from sabir.app import offline
from sabir.app.settings import Settings

Ask = Callable[[Command], Answer]


@pytest.fixture
def ask(tmp_path: Path) -> Iterator[Ask]:
    with offline.operator(tmp_path, Settings()) as carry_out:
        yield carry_out


def test_an_import_makes_what_it_can_and_says_why_not_the_rest(ask: Ask) -> None:
    ask(commands.AddUser("ada", "x"))
    verifiers = [("SCRAM-SHA-256", b"stored")]

    answer = ask(commands.ImportUsers([NewUser(name, verifiers) for name in ("ada", "bob", "bob", "No")]))

    assert isinstance(answer, Imported)
    assert answer.made == 1
    assert [name for name, _ in answer.refused] == ["ada", "bob", "No"]


def test_an_import_of_nobody_is_answered_too(ask: Ask) -> None:
    assert ask(commands.ImportUsers([])) == Imported(0, [])


def test_users_and_rooms_are_listed_by_name(ask: Ask) -> None:
    for name in ("bob", "ada"):
        assert ask(commands.AddUser(name, "x")) == Done()
        assert ask(commands.CreateRoom(f"of_{name}", name)) == Done()

    users, rooms = ask(commands.ListUsers()), ask(commands.ListRooms())

    assert isinstance(users, commands.Users)
    assert isinstance(rooms, commands.Rooms)
    assert [user.name for user in users.users] == ["ada", "bob"]
    assert [room.name for room in rooms.rooms] == ["of_ada", "of_bob"]


def test_a_refusal_names_what_it_is_about(ask: Ask) -> None:
    answer = ask(commands.SetEnabled("nobody", enabled=False))

    assert isinstance(answer, Refused)
    assert answer.text.startswith("nobody: no account has that name")


def test_the_status_counts_what_there_is(ask: Ask) -> None:
    ask(commands.AddUser("ada", "x"))
    ask(commands.CreateRoom("lobby", "ada"))

    answer = ask(commands.AskStatus())

    assert isinstance(answer, commands.Status)
    assert (answer.accounts, answer.rooms, answer.domain) == (1, 1, "localhost")
    assert answer.entries > 0
    assert answer.sessions == {}


def test_what_was_done_is_there_when_the_store_is_opened_again(tmp_path: Path) -> None:
    with offline.operator(tmp_path, Settings()) as carry_out:
        carry_out(commands.AddUser("ada", "x"))

    with offline.operator(tmp_path, Settings()) as carry_out:
        answer = carry_out(commands.ListUsers())

    assert isinstance(answer, commands.Users)
    assert [(user.name, user.enabled) for user in answer.users] == [("ada", True)]
