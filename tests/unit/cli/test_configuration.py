"""`sabir quickstart` and `sabir config`."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer.main
from tests.unit.cli.typed import sabir

from sabir.cli.main import app


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def test_quickstart_writes_a_file_that_works_and_says_what_comes_next(data: Path) -> None:
    result = sabir("quickstart", "--data", data, "--domain", "chat.example.org")

    assert result.exit_code == 0
    assert f"sabir user add ada --data {data}" in result.stdout
    assert "ada@chat.example.org" in result.stdout
    chosen = tomllib.loads((data / "sabir.toml").read_text())["server"]
    assert chosen == {"domain": "chat.example.org", "listen": ["0.0.0.0", "::"]}
    assert data.stat().st_mode & 0o777 == 0o700
    assert sabir("config", "check", "--data", data).exit_code == 0


def test_what_quickstart_says_can_be_typed_where_it_was_typed(tmp_path: Path) -> None:
    program = tmp_path / "sabir"
    program.write_text("from sabir.cli import main; main()")

    told = subprocess.run(
        [sys.executable, program, "quickstart", "--data", tmp_path / "data"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert f"  {program} user add ada --data {tmp_path / 'data'}\n" in told


def test_quickstart_touches_no_file_that_is_there(data: Path) -> None:
    sabir("quickstart", "--data", data)
    (data / "sabir.toml").write_text("# mine\n")

    result = sabir("quickstart", "--data", data)

    assert result.exit_code == 1
    assert "is there already" in result.stderr
    assert (data / "sabir.toml").read_text() == "# mine\n"


def test_quickstart_refuses_what_is_no_domain(data: Path) -> None:
    result = sabir("quickstart", "--data", data, "--domain", "Not a domain")

    assert result.exit_code == 2
    assert not data.exists()


def test_check_tells_every_problem_with_its_place(data: Path) -> None:
    data.mkdir()
    (data / "sabir.toml").write_text('[irc]\nguest = true\n[log]\nlevel = "loud"\n')

    result = sabir("config", "check", "--data", data)

    assert result.exit_code == 2
    assert f"{data}/sabir.toml:2: irc.guest: no such setting; did you mean guests?" in result.stderr
    assert f"{data}/sabir.toml:4: log.level: must be one of" in result.stderr


def test_check_without_a_file_says_so(data: Path) -> None:
    assert "every setting has its default" in sabir("config", "check", "--data", data).stdout


def test_show_marks_what_differs_from_the_default(data: Path) -> None:
    shown = sabir("config", "show", "--data", data, "--set", "limits.enabled=false").stdout

    assert "enabled = false  # default: true" in shown
    assert 'domain = "localhost"\n' in shown
    assert tomllib.loads(shown)["limits"]["enabled"] is False


def test_the_environment_counts(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SABIR_SERVER__DOMAIN", "env.example")

    assert 'domain = "env.example"' in sabir("config", "show", "--data", data).stdout


def test_a_command_that_does_not_exist_is_a_usage_error() -> None:
    assert sabir("frobnicate").exit_code == 2


def test_every_command_teaches_with_an_example() -> None:
    def commands(group: object, words: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
        found: list[tuple[str, ...]] = []
        for name, command in getattr(group, "commands", {}).items():
            found += commands(command, (*words, name)) or [(*words, name)]
        return found

    for words in commands(typer.main.get_command(app)):
        assert f" sabir {' '.join(words)}" in sabir(*words, "--help").stdout, words
