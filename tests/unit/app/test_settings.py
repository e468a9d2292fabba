"""`sabir.app.settings`: what is wrong is said with the place and the way out."""

from __future__ import annotations

from pathlib import Path

import pytest

from sabir.app import settings
from sabir.base.log import LogStyle


def told(file: Path | None = None, environment: dict[str, str] | None = None, *overrides: str) -> list[str]:
    with pytest.raises(settings.SettingsError) as error:
        settings.load(file, environment, overrides)
    return [str(problem) for problem in error.value.problems]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "sabir.toml"


def test_without_anything_every_setting_has_its_default() -> None:
    assert settings.load() == settings.Settings()


def test_the_command_line_stands_over_the_environment_and_both_over_the_file(file: Path) -> None:
    file.write_text('[server]\ndomain = "file"\n[log]\nlevel = "debug"\nstyle = "json"\n')

    found = settings.load(
        file, {"SABIR_SERVER__DOMAIN": "env", "SABIR_LOG__LEVEL": "warning"}, ["server.domain=set"]
    )

    assert found.server.domain == "set"
    assert found.log.level == "warning"
    assert found.log.style is LogStyle.JSON


def test_a_list_needs_no_quotes_on_the_command_line() -> None:
    found = settings.load(None, {"SABIR_SERVER__LISTEN": '["::1"]'}, ["server.listen=127.0.0.1, ::1"])

    assert found.server.listen == ("127.0.0.1", "::1")


def test_an_unknown_key_is_named_with_its_line_and_the_one_that_was_meant(file: Path) -> None:
    file.write_text('# mine\n[server]\n\ndomian = "example.org"\n')

    assert told(file) == [f"{file}:4: server.domian: no such setting; did you mean domain?"]


def test_an_unknown_section_is_named_with_its_line(file: Path) -> None:
    file.write_text("[xmmp]\nx = 1\n[unheard_of]\n")

    first, second = told(file)

    assert first.startswith(f"{file}:1: [xmmp]: no such section; ")
    assert second == f"{file}:3: [unheard_of]: no such section; `sabir config show` lists them all"


def test_a_value_of_the_wrong_type_says_what_is_wanted(file: Path) -> None:
    file.write_text('[log]\nlevel = "loud"\n[server]\nlisten = "127.0.0.1"\ndomain = true\n')

    assert told(file) == [
        f'{file}:4: server.listen: must be a list, each item text, not "127.0.0.1"',
        f"{file}:5: server.domain: must be text, not true",
        f'{file}:2: log.level: must be one of "debug", "info", "warning", "error", not "loud"',
    ]


def test_what_a_type_cannot_say_is_checked_and_blamed_on_the_one_who_set_it() -> None:
    (problem,) = told(None, {"SABIR_SERVER__DOMAIN": "Not A Domain"})

    assert problem.startswith("SABIR_SERVER__DOMAIN: server.domain: a domain name in small letters is needed")


@pytest.mark.parametrize(
    ("setting", "told_of_it"),
    [
        ("irc.autoreplay=-4", "irc.autoreplay: must not be negative, and is -4"),
        ("irc.network=my net", "irc.network: a name without spaces is needed, such as Sabir"),
        ("irc.ping_after_s=0", "irc.ping_after_s: must be at least 1"),
        ("tls.check_interval_s=0", "tls.check_interval_s: must be at least 1"),
        (
            "xmpp.max_stanza_bytes_before_login=9999",
            "xmpp.max_stanza_bytes_before_login: must be at least 10000, as RFC 6120 §13.12 demands",
        ),
        ("xmpp.login_attempts=0", "xmpp.login_attempts: must be at least 1"),
    ],
)
def test_a_number_with_which_nothing_works_is_refused(setting: str, told_of_it: str) -> None:
    assert told(None, {}, setting) == [f"--set {setting}: {told_of_it}"]


def test_all_problems_are_told_at_once(file: Path) -> None:
    file.write_text("[log]\nlevel = 3\n")

    assert len(told(file, {"SABIR_LOGG__LEVEL": "info"}, "server", "nowhere.key=1")) == 4


def test_a_file_that_is_not_toml_or_not_there_is_told(file: Path) -> None:
    assert told(file) == [f"{file}: cannot be read: No such file or directory"]

    file.write_text("[server\n")
    assert told(file)[0].startswith(f"{file}: is not TOML: ")


def test_a_section_that_is_not_a_table_is_told(file: Path) -> None:
    file.write_text("log = 3\n")

    assert told(file) == [f"{file}:1: log: is a section; write [log], then its settings"]


def test_other_variables_of_the_environment_are_left_alone() -> None:
    assert settings.load(None, {"SABIR_PURE": "1", "PATH": "/bin", "XSABIR_LOG__LEVEL": "no"})
