"""The exact parser: one complete element, or the opening tag of a stream, through expat.

A parser lives for one call only. Document types, processing instructions, comments and entities other than
the five predefined ones end the parse at once (RFC 6120 §11.1), so nothing is ever expanded.
"""

import re
from dataclasses import dataclass
from typing import Final
from xml.parsers import expat

from sabir.wire.xml.element import XML_NAMESPACE, Element
from sabir.wire.xml.errors import XmlError, XmlFault
from sabir.wire.xml.framing import MAX_DEPTH

MAX_ATTRIBUTES: Final = 64
"""Attributes of one element beyond this number are refused."""
MAX_ELEMENTS: Final = 10_000
"""Elements of one stanza beyond this number are refused."""

_SEPARATOR: Final = " "
_UNDEFINED_ENTITY: Final = 11
_BAD_ENCODING: Final = (18, 19)
_PREFIXED_DECLARATION: Final = re.compile(rb"\sxmlns:([^\s=]+)\s*=\s*(\"[^\"]*\"|'[^']*')")


@dataclass(frozen=True, slots=True)
class Opening:
    """The opening tag of a stream."""

    element: Element
    """The root element; its children never come."""
    tag: bytes
    """Its name as written, which the end of the stream repeats."""
    default_namespace: str
    """The namespace that elements without a prefix are in."""
    declarations: bytes
    """Every namespace declaration of the tag, as it stands there; `parse` needs it as its context."""


def parse(data: bytes, context: bytes = b"") -> Element:
    """Return the one element that `data` holds.

    `context` holds the namespace declarations in force where it stood, e.g. ` xmlns='jabber:client'`.

    Raises:
        XmlError: if `data` is not exactly one acceptable element.
    """
    builder = _Builder()
    builder.feed(b"<_" + context + b">" + data + b"</_>")
    children = builder.root.children
    if len(children) != 1 or isinstance(children[0], str):
        raise XmlError(XmlFault.NOT_WELL_FORMED)
    return children[0]


def parse_opening(data: bytes) -> Opening:
    """Return the opening tag of a stream, which `data` holds with the XML declaration before it, if any.

    Raises:
        XmlError: if `data` is not exactly that.
    """
    match = re.match(rb"\s*(?:<\?xml[^>]*\?>)?\s*<([^\s>/]+)", data)
    if match is None or data.endswith(b"/>"):
        raise XmlError(XmlFault.NOT_WELL_FORMED)
    builder = _Builder()
    builder.feed(data + b"</" + match[1] + b">")
    declared = [(prefix, value) for prefix, value in _PREFIXED_DECLARATION.findall(data)]
    default = b" xmlns='" + builder.default_namespace.encode() + b"'" if builder.default_namespace else b""
    declarations = default + b"".join([b" xmlns:" + prefix + b"=" + value for prefix, value in declared])
    return Opening(builder.root, match[1], builder.default_namespace, declarations)


class _Builder:
    """Builds a tree from the callbacks of one expat parser, counting everything it is given."""

    def __init__(self) -> None:
        self.root = Element("", "")
        self.default_namespace = ""
        self._stack: list[Element] = []
        self._elements = 0

    def feed(self, document: bytes) -> None:
        """Parse the whole `document`.

        Raises:
            XmlError: if it is not acceptable.
        """
        # The parser is not kept: it holds us by its handlers, and the two would wait for the collector together.
        parser = expat.ParserCreate("UTF-8", _SEPARATOR)
        parser.buffer_text = True
        parser.ordered_attributes = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.StartNamespaceDeclHandler = self._namespace
        parser.XmlDeclHandler = self._declaration
        parser.StartDoctypeDeclHandler = self._restricted
        parser.ProcessingInstructionHandler = self._restricted
        parser.CommentHandler = self._restricted
        parser.EntityDeclHandler = self._restricted
        parser.SkippedEntityHandler = self._restricted
        try:
            parser.Parse(document, True)
        except expat.ExpatError as error:
            raise XmlError(_fault(error.code, document)) from None

    def _start(self, tag: str, attributes: list[str]) -> None:
        namespace, _, name = tag.rpartition(_SEPARATOR)
        self._elements += 1
        if len(self._stack) > MAX_DEPTH:
            raise XmlError(XmlFault.TOO_DEEP)
        if self._elements > MAX_ELEMENTS or len(attributes) > 2 * MAX_ATTRIBUTES:
            raise XmlError(XmlFault.TOO_MANY)
        element = Element(name, namespace)
        for index in range(0, len(attributes), 2):
            element.attributes[_attribute_key(attributes[index])] = attributes[index + 1]
        if self._stack:
            self._stack[-1].children.append(element)
        else:
            self.root = element
        self._stack.append(element)

    def _end(self, _tag: str) -> None:
        self._stack.pop()

    def _characters(self, text: str) -> None:
        self._stack[-1].children.append(text)

    def _namespace(self, prefix: str | None, uri: str | None) -> None:
        if prefix is None and not self._stack:
            self.default_namespace = uri or ""

    def _declaration(self, _version: str, encoding: str | None, _standalone: int) -> None:
        # RFC 6120 §11.6: UTF-8 is the only encoding.
        if encoding is not None and encoding.upper() != "UTF-8":
            raise XmlError(XmlFault.BAD_ENCODING)

    def _restricted(self, *_arguments: object) -> None:
        raise XmlError(XmlFault.RESTRICTED)


def _attribute_key(name: str) -> str:
    namespace, separator, local = name.rpartition(_SEPARATOR)
    if not separator:
        return local
    return "xml:" + local if namespace == XML_NAMESPACE else "{" + namespace + "}" + local


def _fault(code: int, document: bytes) -> XmlFault:
    if code == _UNDEFINED_ENTITY:
        return XmlFault.RESTRICTED
    if code in _BAD_ENCODING:
        return XmlFault.BAD_ENCODING
    try:
        document.decode()
    except UnicodeDecodeError:
        # expat calls a bad byte an invalid token.
        return XmlFault.BAD_ENCODING
    return XmlFault.NOT_WELL_FORMED
