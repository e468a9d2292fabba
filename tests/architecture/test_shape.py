"""The rules of the style guide that a linter does not know."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from sabir.app.settings import key_types, section_types
from sabir.core.errors import Refusal

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src/sabir"
FILES = sorted(path for path in SOURCE.rglob("*.py"))
PACKAGES = sorted(path.parent for path in (SOURCE / "protocols").glob("*/__init__.py"))

MOST_LINES_OF_A_FILE = 520
MOST_LINES_OF_A_FUNCTION = 100
NAMES_THAT_SAY_NOTHING = {"base_classes", "common", "helper", "helpers", "misc", "util", "utils"}
PARTS_OF_EVERY_PROTOCOL = ("config", "codec", "session", "server")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_file_can_be_read_in_one_sitting(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert text.count("\n") <= MOST_LINES_OF_A_FILE or text.startswith("# Generated")


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_function_can_be_understood_as_a_whole(path: Path) -> None:
    long = [
        f"{node.name}: {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno >= MOST_LINES_OF_A_FUNCTION
    ]

    assert long == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert [name_of(path) for path in FILES if path.stem in NAMES_THAT_SAY_NOTHING] == []


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_nothing_is_left_for_later_without_an_issue(path: Path) -> None:
    assert re.findall(r"#.*\b(?:TODO|FIXME|XXX)\b", path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_what_a_type_checker_is_told_to_ignore_has_a_code_and_a_reason(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()

    bare = [
        line for line in lines if "# type: ignore" in line and not re.search(r"ignore\[[a-z-, ]+\].*\S", line)
    ]

    assert bare == []


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
@pytest.mark.parametrize("part", PARTS_OF_EVERY_PROTOCOL)
def test_every_protocol_has_the_parts_that_a_reader_expects(package: Path, part: str) -> None:
    assert (package / f"{part}.py").exists() or (package / part / "__init__.py").exists()


def test_no_two_decisions_share_a_number_and_each_is_headed_by_its_own() -> None:
    records = sorted((ROOT / "docs/decisions").glob("[0-9]*.md"))
    numbers = [int(path.name[:4]) for path in records]
    heads = [re.match(r"# (\d+)[.:] ", path.read_text(encoding="utf-8")) for path in records]

    assert numbers == list(range(1, len(records) + 1))
    assert [int(head[1]) for head in heads if head] == numbers


def test_every_setting_does_something() -> None:
    read = {
        node.attr
        for path in FILES
        if path.stem != "config"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
    }

    idle = [
        f"{name}.{key}"
        for name, section in section_types().items()
        for key in key_types(section)
        if key not in read
    ]

    assert idle == []


def test_every_refusal_is_given_by_somebody() -> None:
    given = {
        node.attr
        for path in FILES
        if path.stem != "errors"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Refusal"
    }

    assert [refusal.name for refusal in Refusal if refusal.name not in given] == []
