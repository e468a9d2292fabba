"""XML as messaging streams use it: a light tree, an exact parser, framing and a fast validator.

Everything that arrives is hostile, so nothing here keeps an XML parser between two stanzas, expands an
entity or accepts a document type. `scan` (Cython) recognises and validates the common, strict subset of XML
in one pass; what it does not know, and everything where it is not built, goes through `parse` (expat), which
is exact.
"""

from sabir.wire.xml.element import Element, escape_attribute, escape_text, unescape
from sabir.wire.xml.errors import XmlError, XmlFault
from sabir.wire.xml.framing import MAX_DEPTH, Framer
from sabir.wire.xml.parser import Opening, parse, parse_opening
from sabir.wire.xml.scan import INCOMPLETE, SLOW, Child, Scan, is_compiled, scan

__all__ = [
    "INCOMPLETE",
    "MAX_DEPTH",
    "SLOW",
    "Child",
    "Element",
    "Framer",
    "Opening",
    "Scan",
    "XmlError",
    "XmlFault",
    "escape_attribute",
    "escape_text",
    "is_compiled",
    "parse",
    "parse_opening",
    "scan",
    "unescape",
]
