"""Markdown (GFM-MIMI) as Message Styling (XEP-0393), which reads well where it is not understood."""

import re
from collections.abc import Callable
from typing import Final

from sabir.core.model.mentions import is_mention

_FENCE: Final = re.compile(r"^(?P<mark>```|~~~)")
_HEADING: Final = re.compile(r"^#{1,6} +(?P<title>.*?)(?: +#+)?$")
_INLINE: Final = re.compile(
    r"\\(?P<escaped>[!-/:-@\[-`{-~])"
    r"|(?P<code>`[^`\n]{1,1000}`)"
    r"|!?\[(?P<label>[^\[\]\n]{1,512})\]\((?P<link>[^()\s<>]{1,2048})\)"
    r"|(?P<bold>\*\*|__)|(?P<strike>~~)|(?P<italic>[*_])"
)


Name = Callable[[str, str], str]
"""Says how somebody is called whom a link (label, target) is about."""


def from_markdown(source: str, name: Name = lambda label, _: label) -> str:
    """Return `source` with the marks of XEP-0393 §5 in place of Markdown's; blocks are alike in both."""
    lines: list[str] = []
    fence = ""
    for line in source.split("\n"):
        found = _FENCE.match(line)
        if fence:
            closes = line.rstrip() == fence
            lines.append("```" if closes else line)
            fence = "" if closes else fence
        elif found is not None:
            fence = found["mark"]
            lines.append("```" + line[3:])
        else:
            lines.append(_line(line, name))
    return "\n".join(lines)


def _line(line: str, name: Name) -> str:
    heading = _HEADING.match(line)
    if heading is not None and heading["title"]:
        return f"*{_inline(heading['title'], name)}*"
    return _inline(line, name)


def _inline(source: str, name: Name) -> str:
    return _INLINE.sub(lambda found: _replaced(found, name), source)


def _replaced(found: re.Match[str], name: Name) -> str:
    if found["escaped"] is not None:
        return found["escaped"]
    if found["code"] is not None:
        return found["code"]
    if found["link"] is not None:
        label, link = found["label"], found["link"]
        if is_mention(link):
            return name(label, link)
        return label if link.startswith(("#", "cid:")) or link in label else f"{label} ({link})"
    if not _is_mark(found):
        return found.group()
    return "*" if found["bold"] is not None else "~" if found["strike"] is not None else "_"


def _is_mark(found: re.Match[str]) -> bool:
    """Whether the signs are emphasis: next to a letter, and "_" not within a word (CommonMark §6.2)."""
    source = found.string
    before = source[found.start() - 1 : found.start()] or " "
    after = source[found.end() : found.end() + 1] or " "
    if before.isspace() and after.isspace():
        return False
    return not (found.group()[0] == "_" and before.isalnum() and after.isalnum())
