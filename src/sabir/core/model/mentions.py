"""Mentions in canonical content: links to people in Markdown, `[Ada](mimi://example.org/u/...)`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

MOST: Final = 20
"""Mentions of one message that count."""

_SIGNS: Final = re.compile(r"([\\`*_~\[\]<>|#])")
_LABEL: Final = re.compile(r"[\[\]\n]")
_BEGIN, _END = "\ufdd0", "\ufdd1"
_UNUSED: Final = {0xFDD0: None, 0xFDD1: None}
_MARK: Final = re.compile(f"[{_BEGIN}{_END}]")


class Mention(NamedTuple):
    """Characters `begin` up to `end` of a text are about the one whom `uri` names."""

    begin: int
    end: int
    uri: str


def marked(text: str, mentions: Iterable[Mention]) -> str:
    """Return a plain text as Markdown that says the same, with its mentions as links.

    Those that overlap, or are nowhere in the text, are left out.
    """
    parts: list[str] = []
    at = 0
    for begin, end, uri in sorted(mentions)[:MOST]:
        if at <= begin < end <= len(text) and not _LABEL.search(text, begin, end):
            before = _SIGNS.sub(r"\\\1", text[at:begin])
            if before.endswith("!"):
                before = f"{before[:-1]}\\!"  # with the link behind it, it would make a picture
            parts += (before, f"[{text[begin:end]}]({uri})")
            at = end
    parts.append(_SIGNS.sub(r"\\\1", text[at:]))
    return "".join(parts)


def is_mention(link: str) -> bool:
    """Return whether the target of a link is a person, or a room for everybody in it."""
    return link.startswith("mimi:")


def converted(
    source: str, convert: Callable[[str, Callable[[str, str], str]], str], name: Callable[[str, str], str]
) -> tuple[str, list[Mention]]:
    """Convert Markdown with `convert`, and return the text with the mentions in it.

    `convert` is given the source and a function that it must call with (label, target) of each link to a person, and
    whose answer it must put there; `name` says how a person is called, from the same two.
    """
    uris: list[str] = []

    def mention(label: str, uri: str) -> str:
        uris.append(uri)
        return f"{_BEGIN}{name(label, uri)}{_END}"

    shown = convert(source.translate(_UNUSED) if not source.isascii() else source, mention)
    if not uris:
        return shown, []
    parts = _MARK.split(shown)
    mentions: list[Mention] = []
    at = 0
    for number, part in enumerate(parts):
        if number % 2 and len(mentions) < len(uris):
            mentions.append(Mention(at, at + len(part), uris[len(mentions)]))
        at += len(part)
    return "".join(parts), mentions
