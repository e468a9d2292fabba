"""Formatting codes of IRC (https://modern.ircdocs.horse/formatting) to plain text and Markdown, and back."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from sabir.core.model.mentions import is_mention

BOLD: Final = "\x02"
ITALIC: Final = "\x1d"
UNDERLINE: Final = "\x1f"
STRIKETHROUGH: Final = "\x1e"
MONOSPACE: Final = "\x11"
COLOUR: Final = "\x03"
HEX_COLOUR: Final = "\x04"
REVERSE: Final = "\x16"
RESET: Final = "\x0f"

_CODES: Final = re.compile(
    "[\x02\x1d\x1f\x1e\x11\x16\x0f]|\x03(?:[0-9]{1,2}(?:,[0-9]{1,2})?)?|"
    "\x04(?:[0-9A-Fa-f]{6}(?:,[0-9A-Fa-f]{6})?)?"
)
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_MARKDOWN_SIGNS: Final = re.compile(r"([\\`*_~\[\]<>|])")
_SPOILER: Final = re.compile(r"\x03([0-9]{1,2}),([0-9]{1,2})([^\x03]*)(?:\x03)?\Z", re.DOTALL)
_MARKDOWN: Final = re.compile(
    r"\\(?P<escaped>[!-/:-@\[-`{-~])"
    r"|(?P<code>`[^`\n]{1,1000}`)"
    r"|!?\[(?P<label>[^\[\]\n]{1,512})\]\((?P<link>[^()\s<>]{1,2048})\)"
    r"|(?P<bold>\*\*|__)|(?P<strike>~~)|(?P<italic>[*_])"
)


@dataclass(frozen=True, slots=True)
class _Style:
    bold: bool = False
    italic: bool = False
    struck: bool = False
    mono: bool = False


def has_codes(text: str) -> bool:
    """Whether `text` holds formatting codes."""
    return _CONTROLS.search(text) is not None


def plain(text: str) -> str:
    """Return `text` without formatting codes."""
    return _CONTROLS.sub("", _CODES.sub("", text))


def spoiler_of(text: str) -> str | None:
    """Return the hidden text of one that is written in the colour of its background, else None."""
    found = _SPOILER.match(text)
    return found[3] if found is not None and int(found[1]) == int(found[2]) else None


def as_spoiler(text: str) -> str:
    """Return `text` in the colour of its background."""
    return f"{COLOUR}01,01{text}{COLOUR}"


def to_markdown(text: str) -> str:
    """Return `text` as Markdown; colours and underlining have no form there and are dropped."""
    out: list[str] = []
    style = _Style()
    at = 0
    for found in _CODES.finditer(text):
        _add_run(out, text[at : found.start()], style)
        style = _switched(style, found.group())
        at = found.end()
    _add_run(out, text[at:], style)
    return "".join(out)


def _switched(style: _Style, code: str) -> _Style:
    match code[0]:
        case "\x02":
            return replace(style, bold=not style.bold)
        case "\x1d":
            return replace(style, italic=not style.italic)
        case "\x1e":
            return replace(style, struck=not style.struck)
        case "\x11":
            return replace(style, mono=not style.mono)
        case "\x0f":
            return _Style()
        case _:
            return style


def _add_run(out: list[str], run: str, style: _Style) -> None:
    run = _CONTROLS.sub("", run)
    core = run.strip(" ")
    if not core:
        out.append(run)
        return
    before, after = run[: len(run) - len(run.lstrip(" "))], run[len(run.rstrip(" ")) :]
    if style.mono and "`" not in core:
        core = f"`{core}`"
    else:
        core = _MARKDOWN_SIGNS.sub(r"\\\1", core)
    # Marks stand at the letters: "** x**" would not be bold (CommonMark §6.2).
    for is_on, mark in ((style.italic, "*"), (style.bold, "**"), (style.struck, "~~")):
        if is_on:
            core = f"{mark}{core}{mark}"
    out.append(f"{before}{core}{after}")


Name = Callable[[str, str], str]
"""Says how somebody is called whom a link (label, target) is about."""


def from_markdown(source: str, name: Name = lambda label, _: label) -> str:
    """Return Markdown's inline marks as formatting codes; what is a block stays as it reads."""
    out: list[str] = []
    at = 0
    for found in _MARKDOWN.finditer(source):
        out.append(source[at : found.start()])
        out.append(_code_for(found, source, name))
        at = found.end()
    out.append(source[at:])
    return "".join(out)


def _code_for(found: re.Match[str], source: str, name: Name) -> str:
    if found["escaped"] is not None:
        return found["escaped"]
    if found["code"] is not None:
        return f"{MONOSPACE}{found['code'][1:-1]}{MONOSPACE}"
    if found["link"] is not None:
        label, link = found["label"], found["link"]
        if is_mention(link):
            return name(label, link)
        return label if link.startswith(("#", "cid:")) or link in label else f"{label} ({link})"
    mark = found.group()
    if not _is_mark(found, source):
        return mark
    return BOLD if found["bold"] is not None else STRIKETHROUGH if found["strike"] is not None else ITALIC


def _is_mark(found: re.Match[str], source: str) -> bool:
    """Whether the signs are emphasis: next to a letter, and "_" not within a word (CommonMark §6.2)."""
    before = source[found.start() - 1 : found.start()] or " "
    after = source[found.end() : found.end() + 1] or " "
    if before.isspace() and after.isspace():
        return False
    return not (found.group()[0] == "_" and before.isalnum() and after.isalnum())
