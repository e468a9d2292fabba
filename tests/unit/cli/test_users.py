"""`sabir user`, on a real store that no server holds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.cli.typed import sabir

from sabir.storage import lock


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def names(data: Path) -> list[str]:
    return [
        user["name"] for user in json.loads(sabir("user", "list", "--json", "--data", data).stdout)["users"]
    ]


def test_an_account_that_was_added_is_listed(data: Path) -> None:
    result = sabir("user", "add", "ada", "--password", "secret", "--data", data)

    assert result.exit_code == 0
    assert result.stdout == "ada@localhost can log in.\n"
    assert names(data) == ["ada"]
    assert "ada" in sabir("user", "list", "--data", data).stdout


def test_at_a_terminal_the_password_is_asked_for_twice_and_not_shown(data: Path) -> None:
    keys, terminal = os.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", "from sabir.cli import main; main()", "user", "add", "ada", "--data", data],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    ) as command:
        os.close(terminal)
        shown = b""
        for asked in (b"Password: ", b"Repeat for confirmation: "):
            while not shown.endswith(asked):
                shown += os.read(keys, 1024)
            os.write(keys, b"secret\n")
        while b"can log in" not in shown:
            shown += os.read(keys, 1024)
    os.close(keys)

    assert command.returncode == 0
    assert b"secret" not in shown
    assert names(data) == ["ada"]


def test_without_a_terminal_the_password_is_a_line_of_standard_input(data: Path) -> None:
    result = sabir("user", "add", "ada", "--data", data, said="secret\n")

    assert result.exit_code == 0
    assert result.stdout == "ada@localhost can log in.\n"


def test_who_names_the_wrong_folder_is_told_that_nothing_was_there(data: Path) -> None:
    first, second = (sabir("user", "list", "--data", data) for _ in range(2))

    assert first.stderr == f"There was nothing in {data}; a new store is made.\n"
    assert second.stderr == ""


@pytest.mark.parametrize("words", [("--password", ""), ()])
def test_an_empty_password_is_refused(data: Path, words: tuple[str, ...]) -> None:
    result = sabir("user", "add", "ada", *words, "--data", data, said="\n")

    assert result.exit_code == 1
    assert "the password is empty" in result.stderr


@pytest.mark.parametrize(
    ("name", "told"),
    [("ada", "that name is taken"), ("Not A Name", "use a small letter"), ("root", "a few are reserved")],
)
def test_a_name_that_will_not_do_is_refused_with_advice(data: Path, name: str, told: str) -> None:
    sabir("user", "add", "ada", "--password", "secret", "--data", data)

    result = sabir("user", "add", name, "--password", "secret", "--data", data)

    assert result.exit_code == 1
    assert told in result.stderr
    assert names(data) == ["ada"]


def test_a_disabled_account_says_so_until_it_is_enabled(data: Path) -> None:
    sabir("user", "add", "ada", "--password", "secret", "--data", data)

    assert sabir("user", "disable", "ada", "--data", data).exit_code == 0
    assert "disabled" in sabir("user", "list", "--data", data).stdout

    assert sabir("user", "enable", "ada", "--data", data).exit_code == 0
    assert "disabled" not in sabir("user", "list", "--data", data).stdout


def test_a_password_can_be_changed(data: Path) -> None:
    sabir("user", "add", "ada", "--password", "secret", "--data", data)

    result = sabir("user", "passwd", "ada", "--password", "new", "--data", data)

    assert result.exit_code == 0
    assert result.stdout == "ada has a new password.\n"


@pytest.mark.parametrize("command", ["passwd", "disable", "enable"])
def test_an_account_that_does_not_exist_is_refused(data: Path, command: str) -> None:
    password = ["--password", "new"] if command == "passwd" else []

    result = sabir("user", command, "bob", *password, "--data", data)

    assert result.exit_code == 1
    assert "no account has that name" in result.stderr


def test_a_file_of_people_is_imported_and_what_is_taken_is_told(data: Path, tmp_path: Path) -> None:
    sabir("user", "add", "ada", "--password", "secret", "--data", data)
    people = tmp_path / "people.csv"
    people.write_text('name,password\nada,x\nbob,"a, b"\n\ncleo,y\n')

    result = sabir("user", "import", people, "--data", data)

    assert result.exit_code == 1
    assert result.stdout == "Imported 2 accounts.\n"
    assert "ada: that name is taken" in result.stderr
    assert names(data) == ["ada", "bob", "cleo"]


def test_people_can_be_imported_from_standard_input(data: Path) -> None:
    result = sabir("user", "import", "-", "--data", data, said="ada,x\nbob,y\n")

    assert result.exit_code == 0
    assert names(data) == ["ada", "bob"]


def test_a_line_that_is_not_name_and_password_is_a_usage_error_and_imports_nobody(data: Path) -> None:
    result = sabir("user", "import", "-", "--data", data, said="ada,x\nbob\n")

    assert result.exit_code == 2
    assert "-:2: write a name, a comma and a password" in result.stderr
    assert not data.exists()


def test_while_another_process_holds_the_data_the_command_says_so(data: Path) -> None:
    with lock.acquire(data):
        result = sabir("user", "list", "--data", data)

    assert result.exit_code == 1
    assert "is starting or stopping" in result.stderr


def test_a_data_folder_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    result = sabir("user", "list", "--data", tmp_path / "file")

    assert result.exit_code == 1
    assert "Choose another folder with --data" in result.stderr


def test_a_deleted_account_is_listed_no_more_and_its_name_stays_taken(data: Path) -> None:
    sabir("user", "add", "ada", "--password", "secret", "--data", data)

    result = sabir("user", "delete", "ada", "--data", data)

    assert (result.exit_code, result.stdout) == (0, "ada is deleted.\n")
    assert names(data) == []
    assert sabir("user", "delete", "ada", "--data", data).exit_code == 1
    assert sabir("user", "add", "ada", "--password", "secret", "--data", data).exit_code == 1


def test_an_invitation_is_a_link_by_which_clients_make_an_account(data: Path) -> None:
    result = sabir("user", "invite", "--name", "ada", "--days", "3", "--data", data)
    shown = json.loads(sabir("user", "invite", "--uses", "2", "--json", "--data", data).stdout)

    assert result.exit_code == 0
    assert result.stdout.startswith("xmpp:ada@localhost?register;preauth=")
    assert (shown["name"], shown["uses"]) == ("", 2)
    assert len(shown["secret"]) == 32
    assert sabir("user", "add", "ada", "--password", "secret", "--data", data).exit_code == 1  # it is kept


@pytest.mark.parametrize("options", [("--uses", "0"), ("--name", "No Name"), ("--days", "-1")])
def test_an_invitation_that_makes_no_sense_is_refused(data: Path, options: tuple[str, str]) -> None:
    assert sabir("user", "invite", *options, "--data", data).exit_code == 1
