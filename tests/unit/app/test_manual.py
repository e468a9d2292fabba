"""`sabir.app.manual`: the sample file and the reference, from the docstrings."""

from __future__ import annotations

import tomllib
from pathlib import Path

from sabir.app import manual, settings


def test_every_setting_has_its_entry_in_the_manual() -> None:
    silent = [
        f"{name}.{entry.key}"
        for name, section in settings.section_types().items()
        for entry in manual.entries(section)
        if not entry.text
    ]

    assert silent == []


def test_the_sample_is_a_file_that_works_and_says_what_was_chosen(tmp_path: Path) -> None:
    file = tmp_path / "sabir.toml"
    file.write_text(manual.sample({"server": {"domain": "chat.example.org"}}))

    assert settings.load(file).server.domain == "chat.example.org"


def test_the_sample_shows_every_default_as_it_would_be_written(tmp_path: Path) -> None:
    shown = manual.sample({})
    uncommented = "\n".join(
        line[1:] if line[:1] == "#" and line[1:2].isalpha() else line for line in shown.splitlines()
    )

    file = tmp_path / "sabir.toml"
    file.write_text(uncommented)

    assert tomllib.loads(uncommented)["server"]["domain"] == "localhost"
    assert settings.load(file) == settings.Settings()


def test_the_reference_names_every_setting() -> None:
    page = manual.page()

    assert "## `[server]`" in page
    assert '`domain` = `"localhost"`' in page
