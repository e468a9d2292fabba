"""The best plain text for a reader without rich text: never an empty message."""

import html
import re
from typing import Final, assert_never

from sabir.core.model.content import (
    Content,
    Disposition,
    ExternalPart,
    MultiPart,
    NullPart,
    Part,
    PartSemantics,
    SinglePart,
    encryption_scheme,
    is_delete,
)

_CHOICE: Final = ("text/plain", "text/markdown", "text/html")
"""What to choose first among the parts of which a reader should take one."""

_CHARSETS: Final = {"us-ascii": "ascii", "iso-8859-1": "latin-1"}

# A link of Markdown: [label](target). Neither half can hold its own closing sign, so that a text of nothing
# but opening signs costs no more than its length times the bound.
_MARKDOWN_LINK: Final = re.compile(r"!?\[([^\[\]\n]{1,512})\]\(([^()\s<>]{1,2048})\)")
_MARKDOWN_ESCAPE: Final = re.compile(r"\\([!-/:-@\[-`{-~])")

_TAG: Final = re.compile(r"<([^<>]*)>")
_HREF: Final = re.compile(r"""href=["']([^"']*)["']""", re.IGNORECASE)
_HIDDEN: Final = frozenset(("script", "style", "head", "mx-reply"))
_BREAKS: Final = frozenset(
    ("br", "/p", "/div", "/li", "/tr", "/pre", "/blockquote", *(f"/h{n}" for n in range(1, 7)))
)
_MENTION: Final = "mimi:"


def plain_text(content: Content) -> str:
    """Return what `content` says, as plain text that is never empty.

    A kind (emote, notice), a quote of the target, the mark of an edit: the reader's protocol adds them.
    """
    scheme = encryption_scheme(content)
    if scheme is not None:
        return f"[encrypted with {scheme}, open it in a client that can]"
    if is_delete(content):
        return "[deleted]"
    return _part_text(content.body) or "[empty message]"


def reactions(content: Content) -> tuple[str, ...]:
    """Return the reactions that a reaction message carries, one text each."""
    body = content.body
    parts = (
        body.parts if isinstance(body, MultiPart) and body.semantics is PartSemantics.PROCESS_ALL else (body,)
    )
    return tuple([text for text in map(_part_text, parts) if text])


def media_type(content_type: str) -> str:
    """Return `type/subtype` in lower case, without the parameters."""
    return content_type.partition(";")[0].strip().lower()


def _part_text(part: Part) -> str:
    match part:
        case NullPart():
            return ""
        case SinglePart():
            return _single_text(part)
        case ExternalPart():
            return _external_text(part)
        case MultiPart():
            if part.semantics is PartSemantics.CHOOSE_ONE:
                return _part_text(min(part.parts, key=_rank))
            return "\n".join([text for text in map(_part_text, _shown(part.parts)) if text])
        case _:
            assert_never(part)


def _rank(part: Part) -> int:
    if isinstance(part, MultiPart):
        return (
            min(map(_rank, part.parts))
            if part.semantics is PartSemantics.CHOOSE_ONE
            else max(map(_rank, part.parts))
        )
    kind = media_type(part.content_type) if isinstance(part, SinglePart) else ""
    if kind in _CHOICE:
        return _CHOICE.index(kind)
    return len(_CHOICE) + isinstance(part, NullPart)


def _shown(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """Return `parts` without the previews, which tell a plain text reader nothing new."""
    return tuple([part for part in parts if part.disposition != Disposition.PREVIEW]) or parts


def _single_text(part: SinglePart) -> str:
    kind = media_type(part.content_type)
    if kind not in _CHOICE:
        return f"[{kind or 'unknown type'}, {len(part.content)} bytes]"
    charset = part.content_type.lower().partition("charset=")[2].strip(' "')
    body = part.content.decode(_CHARSETS.get(charset, "utf-8"), errors="replace")
    if kind == "text/plain":
        return body
    return _from_markdown(body) if kind == "text/markdown" else _from_html(body)


def _external_text(part: ExternalPart) -> str:
    name = part.description or part.filename or media_type(part.content_type)
    if part.enc_alg:
        name = f"{name or 'file'} (encrypted)"
    return " ".join([word for word in (name, part.url) if word])


def _from_markdown(source: str) -> str:
    # Marks of emphasis are left: they read well, and taking them out needs a whole parser.
    return _MARKDOWN_ESCAPE.sub(r"\1", _MARKDOWN_LINK.sub(_link_text, source))


def _link_text(link: re.Match[str]) -> str:
    return _with_target(link[1], link[2])


def _with_target(label: str, target: str) -> str:
    if target.startswith((_MENTION, "cid:", "#")) or not target or target in label:
        return label
    return f"{label} ({target})"


def _from_html(source: str) -> str:
    """Return the text of `source` with line breaks, without what is not shown (scripts, reply fallbacks)."""
    out: list[str] = []
    hidden, link, label_at = "", "", 0
    for at, piece in enumerate(_TAG.split(source)):
        if at % 2 == 0:
            if not hidden:
                out.append(html.unescape(piece))
            continue
        name = piece.strip().partition(" ")[0].lower().removesuffix("/")
        if hidden:
            hidden = "" if name == f"/{hidden}" else hidden
        elif name in _HIDDEN:
            hidden = name
        elif name in _BREAKS:
            out.append("\n")
        elif name == "a":
            href = _HREF.search(piece)
            link, label_at = (html.unescape(href[1]) if href else ""), len(out)
        elif name == "/a":
            out[label_at:] = [_with_target("".join(out[label_at:]), link)]
            link, label_at = "", len(out)
    return "".join(out).strip()
