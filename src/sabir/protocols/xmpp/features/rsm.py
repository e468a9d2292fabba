"""Result set management (XEP-0059): pages of a long list."""

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from sabir.protocols.xmpp.errors import BAD_REQUEST, FEATURE_NOT_IMPLEMENTED, ITEM_NOT_FOUND, Refused
from sabir.wire.xml import Element, escape_text

NAMESPACE: Final = "http://jabber.org/protocol/rsm"

Item = TypeVar("Item")


class Request:
    """Which page is wanted. `after` and `before` are ids; an empty `before` means the last page."""

    __slots__ = ("after", "before", "limit")

    def __init__(self, limit: int, after: str | None, before: str | None) -> None:
        self.limit: int = limit
        self.after: str | None = after
        self.before: str | None = before

    @property
    def is_backward(self) -> bool:
        """Whether the page is taken from the end (XEP-0059 §2.3)."""
        return self.before is not None


def read(parent: Element, default: int, most: int) -> Request:
    """Return the page that the `<set/>` in `parent` asks for; without one, the first `default` items.

    Raises:
        Refused: if the request makes no sense, or asks for a page by its index.
    """
    wanted = parent.find("set", NAMESPACE)
    if wanted is None:
        return Request(min(default, most), None, None)
    limit = default
    text = wanted.child_text("max")
    if text is not None:
        text = text.strip()
        if not text.isascii() or not text.isdecimal() or len(text) > 10:
            raise Refused(BAD_REQUEST)
        limit = int(text)
    if wanted.find("index") is not None:
        raise Refused(FEATURE_NOT_IMPLEMENTED)  # XEP-0059 §2.6: optional, refused so
    return Request(min(limit, most), wanted.child_text("after") or None, wanted.child_text("before"))


def write(first: str, last: str, *, count: int | None = None, index: int | None = None) -> str:
    """Return the `<set/>` that says which page this is; `first` and `last` are empty for an empty page."""
    parts = [f"<set xmlns='{NAMESPACE}'>"]
    if first:
        at = "" if index is None else f" index='{index}'"
        parts.append(f"<first{at}>{escape_text(first)}</first><last>{escape_text(last)}</last>")
    if count is not None:
        parts.append(f"<count>{count}</count>")
    parts.append("</set>")
    return "".join(parts)


def page_of(
    items: Sequence[Item], name: Callable[[Item], str], request: Request
) -> tuple[Sequence[Item], str]:
    """Return the page of a list held in memory, and the `<set/>` for it; `name` gives the id of an item.

    Raises:
        Refused: if `after` or `before` names no item (XEP-0059 §2.2).
    """
    low, high = 0, len(items)
    if request.after is not None:
        low = _place(items, name, request.after) + 1
    if request.before:
        high = _place(items, name, request.before)
    if request.is_backward:
        low = max(low, high - request.limit)
    high = max(low, min(high, low + request.limit))
    page = items[low:high]
    if not page:
        return page, write("", "", count=len(items))
    return page, write(name(page[0]), name(page[-1]), count=len(items), index=low)


def _place(items: Sequence[Item], name: Callable[[Item], str], wanted: str) -> int:
    for at, item in enumerate(items):
        if name(item) == wanted:
            return at
    raise Refused(ITEM_NOT_FOUND)
