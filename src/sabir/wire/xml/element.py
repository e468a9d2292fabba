"""A light XML tree: what a stanza is once somebody has to look inside it."""

import re
from typing import Final

XML_NAMESPACE: Final = "http://www.w3.org/XML/1998/namespace"

# XML 1.0 §2.2: what no document may contain, escaped or not.
_FORBIDDEN: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def escape_text(text: str) -> str:
    """Return `text` so that it can stand between two tags, without the characters that XML cannot carry."""
    if not text.isprintable():
        text = _FORBIDDEN.sub("", text)
    if "&" in text:
        text = text.replace("&", "&amp;")
    if "<" in text:
        text = text.replace("<", "&lt;")
    if ">" in text:
        text = text.replace(">", "&gt;")
    if "\r" in text:
        # A literal carriage return would be read back as a line feed: XML 1.0 §2.11.
        text = text.replace("\r", "&#13;")
    return text


def escape_attribute(text: str) -> str:
    """Return `text` so that it can stand between single quotes."""
    text = escape_text(text)
    if "'" in text:
        text = text.replace("'", "&apos;")
    if "\n" in text:
        # White space in a value would be read back as a space: XML 1.0 §3.3.3.
        text = text.replace("\n", "&#10;")
    if "\t" in text:
        text = text.replace("\t", "&#9;")
    return text


def unescape(text: str) -> str:
    """Undo the five predefined entities of text taken from a validated stanza."""
    if "&" not in text:
        return text
    text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"').replace("&apos;", "'")
    return text.replace("&amp;", "&")


class Element:
    """One element: a name in a namespace, attributes, and children (elements and text, in order).

    An attribute of a foreign namespace is kept under the key `{namespace}name`; `xml:lang` under `xml:lang`.
    """

    __slots__ = ("attributes", "children", "name", "namespace")

    def __init__(
        self,
        name: str,
        namespace: str,
        attributes: "dict[str, str] | None" = None,
        children: "list[Element | str] | None" = None,
    ) -> None:
        self.name: str = name
        self.namespace: str = namespace
        self.attributes: dict[str, str] = {} if attributes is None else attributes
        self.children: list[Element | str] = [] if children is None else children

    def get(self, attribute: str) -> str | None:
        """Return the value of `attribute`, or None."""
        return self.attributes.get(attribute)

    def elements(self) -> "list[Element]":
        """Return the child elements, without the text between them."""
        return [child for child in self.children if isinstance(child, Element)]

    def find(self, name: str, namespace: str | None = None) -> "Element | None":
        """Return the first child element called `name` in `namespace` (default: our own), or None."""
        wanted = self.namespace if namespace is None else namespace
        for child in self.children:
            if isinstance(child, Element) and child.name == name and child.namespace == wanted:
                return child
        return None

    def find_all(self, name: str, namespace: str | None = None) -> "list[Element]":
        """Return every child element called `name` in `namespace` (default: our own)."""
        wanted = self.namespace if namespace is None else namespace
        return [child for child in self.elements() if child.name == name and child.namespace == wanted]

    def text(self) -> str:
        """Return the text directly inside this element."""
        return "".join([child for child in self.children if isinstance(child, str)])

    def child_text(self, name: str, namespace: str | None = None) -> str | None:
        """Return the text of the first child called `name`, or None if there is no such child."""
        child = self.find(name, namespace)
        return None if child is None else child.text()

    def add(
        self, name: str, namespace: str | None = None, text: str | None = None, **attributes: str
    ) -> "Element":
        """Append a new child element and return it; for building answers, not for hot paths."""
        child = Element(name, self.namespace if namespace is None else namespace, dict(attributes))
        if text is not None:
            child.children.append(text)
        self.children.append(child)
        return child

    def serialise(self, inherited: str = "") -> str:
        """Return the element as XML, declaring only namespaces that differ from `inherited`."""
        parts: list[str] = []
        _write(self, inherited, parts)
        return "".join(parts)

    def to_bytes(self, inherited: str = "") -> bytes:
        """Return `serialise(inherited)` in UTF-8."""
        return self.serialise(inherited).encode()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Element):
            return NotImplemented
        return (
            self.name == other.name
            and self.namespace == other.namespace
            and self.attributes == other.attributes
            and _merged(self.children) == _merged(other.children)
        )

    __hash__ = None  # type: ignore[assignment]  # mutable, so it cannot be a key

    def __repr__(self) -> str:
        return f"Element({self.name!r}, {self.namespace!r}, ...)"


def serialise_attributes(attributes: dict[str, str]) -> str:
    """Return attributes as they stand in a start tag, each with a space before it."""
    parts: list[str] = []
    _write_attributes(attributes, parts)
    return "".join(parts)


def _write(element: Element, inherited: str, parts: list[str]) -> None:
    parts.append("<" + element.name)
    if element.namespace != inherited:
        parts.append(" xmlns='" + escape_attribute(element.namespace) + "'")
    if element.attributes:
        _write_attributes(element.attributes, parts)
    if not element.children:
        parts.append("/>")
        return
    parts.append(">")
    for child in element.children:
        if isinstance(child, str):
            parts.append(escape_text(child))
        else:
            _write(child, element.namespace, parts)
    parts.append("</" + element.name + ">")


def _write_attributes(attributes: dict[str, str], parts: list[str]) -> None:
    for index, (key, value) in enumerate(attributes.items()):
        if key.startswith("{"):
            namespace, _, name = key[1:].partition("}")
            prefix = "n" + str(index)
            parts.append(" xmlns:" + prefix + "='" + escape_attribute(namespace) + "'")
            key = prefix + ":" + name
        parts.append(" " + key + "='" + escape_attribute(value) + "'")


def _merged(children: "list[Element | str]") -> "list[Element | str]":
    merged: list[Element | str] = []
    for child in children:
        if isinstance(child, str) and merged and isinstance(merged[-1], str):
            merged[-1] = merged[-1] + child
        elif child != "":
            merged.append(child)
    return merged
