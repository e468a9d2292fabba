"""From what a file or a command line holds to the typed value that a setting wants, and back."""

from __future__ import annotations

import dataclasses
import json
import tomllib
import types
import typing
from enum import Enum
from pathlib import Path
from typing import Any

from sabir.base.secret import Secret


def convert(hint: Any, value: object) -> object:
    """Return a value of TOML as the type that `hint` names.

    Raises:
        ValueError: it is of another type, or less than nothing; the text says what is wanted.
    """
    hint = _bare(hint)
    if isinstance(value, int | float) and value < 0:  # Sizes, counts and times are all that settings measure.
        raise ValueError(f"must not be negative, and is {shown(value)}")
    origin = typing.get_origin(hint)
    if origin is tuple and isinstance(value, list):
        return tuple(convert(typing.get_args(hint)[0], item) for item in value)
    if origin is dict and isinstance(value, dict):
        return {key: convert(typing.get_args(hint)[1], item) for key, item in value.items()}
    if dataclasses.is_dataclass(hint) and isinstance(value, dict):
        return _table(hint, value)
    if hint is float and type(value) is int:
        return float(value)
    if origin is typing.Literal and value in typing.get_args(hint):
        return value
    if isinstance(hint, type) and origin is None:
        if issubclass(hint, Enum) and value in [member.value for member in hint]:
            return hint(value)
        if hint in (Path, Secret) and isinstance(value, str):
            return hint(value)
        if type(value) is hint:  # and no bool where a number is wanted
            return value
    raise ValueError(f"must be {expected(hint)}, not {shown(value)}")


def _table(cls: Any, value: dict[str, object]) -> object:
    """Return a table of TOML as the dataclass `cls`."""
    hints = typing.get_type_hints(cls)
    known = {each.name: each for each in dataclasses.fields(cls)}
    if unknown := [key for key in value if key not in known]:
        raise ValueError(f"must be {expected(cls)}, and has no {unknown[0]}")
    given: dict[str, object] = {}
    for key, each in known.items():
        if key in value:
            try:
                given[key] = convert(hints[key], value[key])
            except ValueError as error:
                raise ValueError(f"{key} {error}") from None
        elif each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING:
            raise ValueError(f"must be a table that needs {key}")
    return cls(**given)


def parse(hint: Any, text: str) -> object:
    """Return what somebody typed (`--set`, environment) as the type that `hint` names.

    Text needs no quotes, and the items of a list are separated by commas; a TOML array is understood too.

    Raises:
        ValueError: it is of another type; the text says what is wanted.
    """
    bare = _bare(hint)
    if typing.get_origin(bare) is tuple and not text.lstrip().startswith("["):
        items = [item.strip() for item in text.split(",") if item.strip()]
        return tuple(parse(typing.get_args(bare)[0], item) for item in items)
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, KeyError):
        return convert(bare, text)
    try:
        return convert(bare, value)
    except ValueError as error:
        try:
            return convert(bare, text)
        except ValueError:
            raise error from None


def expected(hint: Any) -> str:
    """Say in words which values a setting takes."""
    hint = _bare(hint)
    if typing.get_origin(hint) is typing.Literal:
        return "one of " + ", ".join(shown(choice) for choice in typing.get_args(hint))
    if dataclasses.is_dataclass(hint):
        return "a table of " + ", ".join(each.name for each in dataclasses.fields(hint))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return "one of " + ", ".join(shown(member.value) for member in hint)
    if typing.get_origin(hint) is tuple:
        return "a list, each item " + expected(typing.get_args(hint)[0])
    names: dict[Any, str] = {
        bool: "true or false",
        int: "a whole number",
        float: "a number",
        str: "text",
        Path: "a path",
        Secret: "text",
    }
    return names.get(hint, "a table")


def shown(value: object) -> str:
    """Return a value as TOML writes it; secrets stay hidden."""
    match value:
        case bool():
            return "true" if value else "false"
        case Enum():
            return shown(value.value)
        case tuple() | list():
            return "[" + ", ".join(shown(item) for item in value) + "]"
        case dict():
            items = ", ".join(f"{shown(str(key))} = {shown(item)}" for key, item in value.items())
            return f"{{ {items} }}" if items else "{}"
        case object() if dataclasses.is_dataclass(value):
            return shown({each.name: getattr(value, each.name) for each in dataclasses.fields(value)})
        case int() | float():
            return str(value)
        case Secret():
            return '"..."'
        case None:
            return '""'
        case _:
            # The escapes of JSON are escapes of TOML; only DEL must be escaped here and need not there.
            return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def _bare(hint: Any) -> Any:
    """Strip what a value in a file does not know: `X | None`, and the names given to types."""
    while True:
        if isinstance(hint, typing.NewType):
            hint = hint.__supertype__
        elif isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
            (hint,) = (choice for choice in typing.get_args(hint) if choice is not type(None))
        else:
            return hint
