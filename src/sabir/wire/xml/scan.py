"""Where the fast validator is chosen: the compiled `scanner`, or nothing but the exact parser."""

from typing import Final

INCOMPLETE: Final = -1
"""The element is not complete yet."""
SLOW: Final = -2
"""The scanner does not judge this element: `parse` has to."""

Child = tuple[bytes, bytes | None, bytes | None, int, int]
"""A child element: name, `xmlns` if declared there, `id` attribute if any, start and end offset."""

Scan = tuple[
    int,
    bytes,
    bytes | None,
    bytes | None,
    bytes | None,
    bytes | None,
    bytes | None,
    bytes,
    int,
    tuple[Child, ...],
]
"""What `scan` found in a valid element.

End offset (or INCOMPLETE or SLOW, and then nothing else holds), name, `xmlns`, `to`, `type`, `id`, `from`;
all attributes but `xmlns`, `to` and `from` as they stand (each with the white space before it), the offset of
the `>` or `/>` that ends the start tag, and the child elements.
"""

try:
    from sabir.wire.xml.scanner import scan as scan
except ImportError:
    _SLOW: Final[Scan] = (SLOW, b"", None, None, None, None, None, b"", 0, ())

    def scan(data: bytes, start: int) -> Scan:
        """Leave every element to the exact parser, because the scanner is not compiled here."""
        return _SLOW

    _compiled = False
else:
    _compiled = True


def is_compiled() -> bool:
    """Return whether the compiled scanner is in use."""
    return _compiled
