"""`sabir.app.values`: typed values from files and from what people type."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Literal, NewType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.app import values
from sabir.base.secret import Secret

Port = NewType("Port", int)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    x: int
    label: str = ""


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@pytest.mark.parametrize(
    ("hint", "value", "wanted"),
    [
        (bool, True, True),
        (int, 3, 3),
        (Port, 3, 3),
        (float, 3, 3.0),
        (str, "x", "x"),
        (Path, "a/b", Path("a/b")),
        (Path | None, "a", Path("a")),
        (Secret, "s", Secret("s")),
        (Colour, "red", Colour.RED),
        (Literal["a", "b"], "b", "b"),
        (tuple[int, ...], [1, 2], (1, 2)),
        (dict[str, int], {"a": 1}, {"a": 1}),
        (tuple[Spot, ...], [{"x": 1}, {"x": 2, "label": "b"}], (Spot(x=1), Spot(x=2, label="b"))),
    ],
)
def test_a_value_becomes_what_the_setting_wants(hint: Any, value: object, wanted: object) -> None:
    assert values.convert(hint, value) == wanted


@pytest.mark.parametrize(
    ("hint", "value", "told"),
    [
        (int, True, "must be a whole number, not true"),
        (bool, 1, "must be true or false, not 1"),
        (float, "1", 'must be a number, not "1"'),
        (Colour, "green", 'must be one of "red", "blue", not "green"'),
        (Path, 3, "must be a path, not 3"),
        (tuple[int, ...], [1, "a"], 'must be a whole number, not "a"'),
        (dict[str, int], [], "must be a table, not []"),
        (Spot, 3, "must be a table of x, label, not 3"),
        (Spot, {"x": "a"}, 'x must be a whole number, not "a"'),
        (Spot, {"label": "a"}, "must be a table that needs x"),
        (Spot, {"x": 1, "y": 2}, "must be a table of x, label, and has no y"),
    ],
)
def test_a_value_of_another_type_is_refused_in_words(hint: Any, value: object, told: str) -> None:
    with pytest.raises(ValueError, match="must be") as error:
        values.convert(hint, value)

    assert str(error.value) == told


@pytest.mark.parametrize(
    ("hint", "text", "wanted"),
    [
        (str, "plain", "plain"),
        (str, '"quoted"', "quoted"),
        (str, "5222", "5222"),
        (bool, "true", True),
        (int, "1_000", 1000),
        (tuple[str, ...], "", ()),
        (tuple[int, ...], "[1, 2]", (1, 2)),
    ],
)
def test_what_is_typed_needs_no_quotes(hint: Any, text: str, wanted: object) -> None:
    assert values.parse(hint, text) == wanted


@given(st.recursive(st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(), st.lists))
def test_whatever_is_shown_can_be_read_again(value: object) -> None:
    assert tomllib.loads(f"value = {values.shown(value)}") == {"value": value}


def test_a_secret_is_never_shown() -> None:
    assert values.shown(Secret("hunter2")) == '"..."'
