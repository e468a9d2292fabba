"""Bytes to stanzas and back (RFC 6120 §4.3, RFC 6120 §8, RFC 6120 §11).

The decoder keeps no XML parser: a stanza is judged by the compiled scanner in one pass or, where that leaves
it open, framed and then parsed exactly. However small the pieces are in which it arrives, the cost grows with
its size only.
"""

from typing import Final

from sabir.protocols.xmpp.errors import (
    STANZA_ERRORS,
    STREAM_ERRORS,
    StanzaError,
    StreamCondition,
    StreamError,
    stream_error_for,
)
from sabir.protocols.xmpp.types import Stanza
from sabir.wire.xml import (
    SLOW,
    Child,
    Element,
    Framer,
    Opening,
    XmlError,
    XmlFault,
    escape_attribute,
    escape_text,
    parse,
    parse_opening,
)
from sabir.wire.xml.element import serialise_attributes

# Not from the package: compiled code would find the module of that name there.
from sabir.wire.xml.scan import scan

CLIENT: Final = "jabber:client"
SERVER: Final = "jabber:server"
STREAMS: Final = "http://etherx.jabber.org/streams"
MAX_OPENING_BYTES: Final = 8_192

END: Final = b"</stream:stream>"

_CLIENT: Final = b"jabber:client"
_CONTEXT: Final = b" xmlns='jabber:client'"
_SPACE: Final = b" \t\r\n"


class StreamEnd:
    """The closing tag of the stream."""


_END: Final = StreamEnd()

Frame = Stanza | Opening | StreamEnd


class Decoder:
    """Cuts what arrives on one stream into its opening, its stanzas and its end.

    `max_bytes` is the largest stanza accepted from now on. `content` is the namespace of its stanzas, that of
    clients or, between servers, `SERVER` (RFC 6120 §4.8.2). Raises nothing but `StreamError`.
    """

    __slots__ = (
        "_at",
        "_buffer",
        "_content",
        "_context",
        "_framer",
        "_opened",
        "_piece",
        "_tag",
        "_tried",
        "max_bytes",
    )

    def __init__(self, max_bytes: int, content: bytes = _CLIENT) -> None:
        self.max_bytes: int = max_bytes
        self._content: bytes = content
        self._buffer: bytes = b""
        self._at: int = 0
        self._opened: bool = False
        self._context: bytes = _CONTEXT
        self._tag: bytes = b""
        self._tried: bool = False
        self._framer: Framer | None = None
        self._piece: bytearray | None = None

    def feed(self, data: bytes) -> None:
        """Take bytes that have arrived; `next` gives what they complete."""
        if self._piece is not None:
            self._piece += data
        elif self._at < len(self._buffer):
            self._buffer = self._buffer[self._at :] + data
            self._at = 0
        else:
            self._buffer = data
            self._at = 0

    def restart(self) -> None:
        """Expect a new opening: the stream restarts on the same connection (RFC 6120 §4.3.3)."""
        self._opened = False
        self._context = _CONTEXT

    def clear(self) -> None:
        """Forget what has arrived: it came before encryption and may be forged (RFC 6120 §5.4.3.3)."""
        self._buffer = b""
        self._at = 0
        self._piece = None
        self._framer = None
        self._tried = False

    def next(self) -> Frame | None:
        """Return the next complete part of the stream, or None if more bytes are needed.

        Raises:
            StreamError: if the stream has to end because of what has arrived.
        """
        try:
            if self._framer is not None:
                return self._next_exactly(self._framer)
            data = self._buffer
            at = self._at
            size = len(data)
            while at < size and data[at] in _SPACE:
                at += 1  # RFC 6120 §4.6.1: white space between stanzas keeps the connection alive
            self._at = at
            if at >= size:
                self._buffer = b""
                self._at = 0
                return None
            if not self._opened:
                return self._next_opening(data, at)
            if data[at] != 0x3C:
                raise StreamError(StreamCondition.BAD_FORMAT, "Text between stanzas.")
            return self._next_stanza(data, at)
        except XmlError as error:
            raise stream_error_for(error.fault) from None

    def _next_stanza(self, data: bytes, at: int) -> Frame | None:
        if at + 1 == len(data):
            return None
        if data[at + 1] == 0x2F:
            return self._next_end(data, at)
        end, name, xmlns, to, type_, id_, sender, attributes, head, children = scan(data, at)
        if end > 0:
            self._check_size(end - at)
            self._at = end
            self._tried = False
            return Stanza(
                name,
                b"" if xmlns is None or xmlns == self._content else xmlns,
                to,
                sender,
                b"" if type_ is None else type_,
                b"" if id_ is None else id_,
                attributes,
                data,
                head,
                end,
                children,
            )
        self._check_size(len(data) - at if end != SLOW else 0)
        if end != SLOW and not self._tried:
            # Most stanzas that are cut in two are whole with the next read.
            self._tried = True
            self._check_beginning(data, at)
            return None
        self._tried = False
        self._piece = bytearray(data[at:])
        self._buffer = b""
        self._at = 0
        self._framer = Framer(0)
        return self._next_exactly(self._framer)

    def _next_end(self, data: bytes, at: int) -> Frame | None:
        end = data.find(b">", at)
        if end < 0:
            self._check_size(len(data) - at)
            return None
        if data[at + 2 : end].rstrip() != self._tag:
            raise XmlError(XmlFault.NOT_WELL_FORMED)
        self._at = end + 1
        return _END

    def _next_exactly(self, framer: Framer) -> Frame | None:
        piece = self._piece
        assert piece is not None  # it lives as long as the framer
        end = framer.find_end(piece)
        self._check_size(len(piece) if end < 0 else end)
        if end < 0:
            return None
        self._framer = None
        self._piece = None
        self._buffer = bytes(piece[end:])
        self._at = 0
        return stanza_of(parse(bytes(piece[:end]), self._context), self._content)

    def _check_beginning(self, data: bytes, at: int) -> None:
        """Refuse at once what no later byte can make right."""
        Framer(at).find_end(data)

    def _check_size(self, size: int) -> None:
        if size > self.max_bytes:
            raise XmlError(XmlFault.TOO_BIG)

    def _next_opening(self, data: bytes, at: int) -> Opening | None:
        if data[at] != 0x3C:
            raise XmlError(XmlFault.NOT_WELL_FORMED)
        tag_at = at
        if data.startswith(b"<?xml", at):
            tag_at = data.find(b"?>", at) + 2
        if tag_at == 1 or (len(data) - at < 5 and b"<?xml".startswith(data[at:])):
            tag_at = len(data)  # the XML declaration is not complete
        end = Framer(tag_at).find_start_tag_end(data)
        if (len(data) if end < 0 else end) - at > MAX_OPENING_BYTES:
            raise XmlError(XmlFault.TOO_BIG)
        if end < 0:
            return None
        opening = parse_opening(data[at:end])
        self._at = end
        self._opened = True
        self._context = opening.declarations
        self._tag = opening.tag
        return opening


def stanza_of(element: Element, content: bytes = _CLIENT) -> Stanza:
    """Return an element as a stanza, written anew: every namespace is declared where it begins.

    `content` is the namespace of stanzas on the stream that it came by.
    """
    attributes = dict(element.attributes)
    to = attributes.pop("to", None)
    sender = attributes.pop("from", None)
    start = b"<" + element.name.encode()
    written = serialise_attributes(attributes).encode()
    parts = [start, written, b">" if element.children else b"/>"]
    head = len(start) + len(written)
    at = head + len(parts[2])
    children: list[Child] = []
    for child in element.children:
        if isinstance(child, str):
            piece = escape_text(child).encode()
        else:
            piece = child.to_bytes(element.namespace)
            declared = None if child.namespace == element.namespace else child.namespace.encode()
            id_ = child.get("id")
            children.append(
                (child.name.encode(), declared, None if id_ is None else id_.encode(), at, at + len(piece))
            )
        parts.append(piece)
        at += len(piece)
    if element.children:
        parts.append(b"</" + element.name.encode() + b">")
    data = b"".join(parts)
    stanza = Stanza(
        element.name.encode(),
        b"" if element.namespace.encode() == content else element.namespace.encode(),
        None if to is None else to.encode(),
        None if sender is None else sender.encode(),
        attributes.get("type", "").encode(),
        attributes.get("id", "").encode(),
        written,
        data,
        head,
        len(data),
        tuple(children),
    )
    if content == _CLIENT:
        stanza.tree = element  # else it is made anew when needed, in the namespace of clients
    return stanza


def element_of(stanza: Stanza) -> Element:
    """Return a stanza as a tree, made once."""
    if stanza.tree is None:
        addresses = _address(b"to", stanza.to) + _address(b"from", stanza.sender)
        data = b"<" + stanza.name + addresses + stanza.attributes + stanza.data[stanza.head : stanza.end]
        # The stanza was proven well-formed, so this cannot fail.
        stanza.tree = parse(data, b" xmlns='" + (stanza.namespace or _CLIENT) + b"'")
    return stanza.tree


def child_element(stanza: Stanza, child: Child) -> Element:
    """Return one child of a stanza as a tree."""
    return parse(stanza.data[child[3] : child[4]], b" xmlns='" + (stanza.namespace or _CLIENT) + b"'")


def attribute(name: str, value: str) -> str:
    """Return ` name='value'` for a start tag."""
    return " " + name + "='" + escape_attribute(value) + "'"


def encode_opening(domain: str, stream_id: str, to: str = "", language: str = "en") -> bytes:
    """Return our opening of a stream (RFC 6120 §4.7)."""
    return (
        "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'"
        + attribute("id", stream_id)
        + attribute("from", domain)
        + (attribute("to", to) if to else "")
        + " version='1.0'"
        + attribute("xml:lang", language)
        + ">"
    ).encode()


def encode_server_opening(stream_id: str, sender: str, to: str) -> bytes:
    """Return our opening of a stream with another server (RFC 6120 §4.7); without id if we are who called."""
    return (
        "<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback'"
        " xmlns:stream='http://etherx.jabber.org/streams'"
        + (attribute("id", stream_id) if stream_id else "")
        + (attribute("from", sender) if sender else "")
        + (attribute("to", to) if to else "")
        + " version='1.0' xml:lang='en'>"
    ).encode()


def encode_stream_error(error: StreamError) -> bytes:
    """Return `<stream:error/>` and the end of the stream (RFC 6120 §4.9.1.1)."""
    return encode_error(error) + END


def encode_error(error: StreamError) -> bytes:
    """Return `<stream:error/>`."""
    text = ""
    if error.text:
        text = f"<text xmlns='{STREAM_ERRORS}' xml:lang='en'>{escape_text(error.text)}</text>"
    condition = f"<{error.condition.value} xmlns='{STREAM_ERRORS}'/>"
    return f"<stream:error>{condition}{text}{error.extra}</stream:error>".encode()


def encode_stanza_error(error: StanzaError) -> str:
    """Return the `<error/>` element of a stanza of type `error` (RFC 6120 §8.3.2)."""
    text = ""
    if error.text:
        text = f"<text xmlns='{STANZA_ERRORS}' xml:lang='en'>{escape_text(error.text)}</text>"
    condition = f"<{error.condition} xmlns='{STANZA_ERRORS}'/>"
    return f"<error type='{error.type.value}'>{condition}{text}{error.extra}</error>"


def encode_reply(stanza: Stanza, type: str, payload: str, to: str) -> bytes:
    """Return the answer to `stanza` for its sender `to`: same id, addresses swapped (RFC 6120 §8.3.1)."""
    name = stanza.name.decode()
    start = "<" + name + attribute("type", type)
    if stanza.id:
        start += attribute("id", stanza.id.decode())
    if to:
        start += attribute("to", to)
    if stanza.to is not None:
        start += attribute("from", stanza.to.decode())
    return (start + (">" + payload + "</" + name + ">" if payload else "/>")).encode()


def encode_error_reply(stanza: Stanza, error: StanzaError, to: str) -> bytes:
    """Return `stanza` sent back to its sender `to` with an error."""
    return encode_reply(stanza, "error", encode_stanza_error(error), to)


def _address(name: bytes, value: bytes | None) -> bytes:
    return b"" if value is None else attribute(name.decode(), value.decode()).encode()
