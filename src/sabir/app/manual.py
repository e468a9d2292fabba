"""The manual of the settings, made from their docstrings: the sample file and the page of reference."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sabir.app import settings, values

WIDTH = 100


@dataclass(frozen=True, slots=True)
class Entry:
    """One setting, as the manual shows it."""

    key: str
    default: object
    takes: str
    """The values that it takes, in words."""
    text: str


def entries(section: type[Any]) -> list[Entry]:
    """Return the settings of a section in the order in which they are declared."""
    texts = dict(_docstrings(section))
    hints = settings.key_types(section)
    return [
        Entry(each.name, _default(each), values.expected(hints[each.name]), texts.get(each.name, ""))
        for each in dataclasses.fields(section)
        if each.name in hints
    ]


def summary(section: type[Any]) -> str:
    """Return what a section is about."""
    text = _flat(inspect.cleandoc(section.__doc__ or "").split("\n\n")[0])
    about = re.sub(r"^Settings under `\[[\w.]+\]`[:.] ?", "", text)
    return about[:1].upper() + about[1:]


def sample(chosen: Mapping[str, Mapping[str, object]]) -> str:
    """Return a configuration file with every setting explained, commented out but for the `chosen` ones.

    `chosen` maps sections to their keys and values.
    """
    lines = [
        "# Settings of this Sabir server. What is commented out shows the default.",
        "# `sabir config check` says what is wrong with this file; each setting can be overridden by a",
        "# variable such as SABIR_SERVER__DOMAIN, or by --set server.domain=...",
    ]
    for name, section in settings.section_types().items():
        lines += ["", "", *_comment(summary(section)), f"[{name}]"]
        for entry in entries(section):
            lines += ["", *_comment(entry.text)]
            if entry.key in chosen.get(name, {}):
                lines.append(f"{entry.key} = {values.shown(chosen[name][entry.key])}")
            else:
                lines.append(f"#{entry.key} = {values.shown(entry.default)}")
    return "\n".join(lines) + "\n"


def page() -> str:
    """Return the reference of all settings in Markdown."""
    lines = []
    for name, section in settings.section_types().items():
        lines += [f"## `[{name}]`", "", summary(section), ""]
        for entry in entries(section):
            shown = values.shown(entry.default)
            lines += [f"`{entry.key}` = `{shown}`", f": {_flat(entry.text)} *Takes {entry.takes}.*", ""]
    return "\n".join(lines).rstrip()


def _default(each: dataclasses.Field[Any]) -> object:
    if each.default_factory is not dataclasses.MISSING:
        return each.default_factory()
    return each.default


def _docstrings(section: type[Any]) -> Iterator[tuple[str, str]]:
    """Yield each attribute with the string that stands under it."""
    # The source of a compiled module lies beside it.
    origin = Path(sys.modules[section.__module__].__file__ or "")
    source = origin.with_name(origin.name.partition(".")[0] + ".py").read_text(encoding="utf-8")
    tree = ast.parse(source)
    (declared,) = (n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == section.__name__)
    previous: ast.stmt | None = None
    for node in declared.body:
        if (
            isinstance(previous, ast.AnnAssign)
            and isinstance(previous.target, ast.Name)
            and isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            yield previous.target.id, inspect.cleandoc(node.value.value)
        previous = node


def _comment(text: str) -> list[str]:
    return textwrap.wrap(_flat(text), WIDTH, initial_indent="# ", subsequent_indent="# ")


def _flat(text: str) -> str:
    return " ".join(text.split())
