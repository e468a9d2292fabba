"""Streams that come in messages: XMPP over WebSocket (RFC 7395), and, below its own wrapper, over BOSH.

Each message is one whole XML document: `<open/>` and `<close/>` instead of the tags of a stream, and each stanza
with the namespace that it would have inherited. The rest is as on a stream. Compiled by mypyc.
"""

from collections import deque
from typing import Final

from sabir.protocols.xmpp.codec import (
    CLIENT,
    STREAMS,
    Decoder,
    Frame,
    StreamEnd,
    attribute,
    stanza_of,
)
from sabir.protocols.xmpp.errors import StreamCondition, StreamError, stream_error_for
from sabir.protocols.xmpp.types import Stanza
from sabir.wire.xml import Element, Opening, XmlError, XmlFault, parse

# Not from the package: compiled code would find the module of that name there.
from sabir.wire.xml.scan import scan

NAMESPACE: Final = "urn:ietf:params:xml:ns:xmpp-framing"
CLOSE: Final = b"<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>"

_CLIENT: Final = b"jabber:client"
_FRAMING: Final = b"urn:ietf:params:xml:ns:xmpp-framing"
_DECLARED: Final = b" xmlns='jabber:client'"
_STREAM_DECLARED: Final = b" xmlns:stream='http://etherx.jabber.org/streams'"
_DECLARATION: Final = b" xmlns="
_SPACE: Final = b" \t\r\n"


class FramedDecoder(Decoder):
    """Reads messages. Raises nothing but `StreamError`."""

    __slots__ = ("_is_open", "_messages")

    def __init__(self, max_bytes: int) -> None:
        super().__init__(max_bytes)
        self._messages: deque[bytes] = deque()
        self._is_open: bool = False

    def feed(self, data: bytes) -> None:
        """Take a message."""
        self._messages.append(data)

    def restart(self) -> None:
        """Expect `<open/>` again (RFC 7395 §3.7)."""
        self._is_open = False

    def clear(self) -> None:
        """Forget what has arrived."""
        self._messages.clear()

    def next(self) -> Frame | None:
        """Return what the next message holds, or None.

        Raises:
            StreamError: if the stream has to end because of it.
        """
        while self._messages:
            data = self._messages.popleft().strip(_SPACE)
            if data:
                try:
                    return self._frame(data)
                except XmlError as error:
                    raise stream_error_for(error.fault) from None
        return None

    def _frame(self, data: bytes) -> Frame:
        if len(data) > self.max_bytes:
            raise XmlError(XmlFault.TOO_BIG)
        end, name, xmlns, to, type_, id_, sender, attributes, head, children = scan(data, 0)
        if end == len(data) and xmlns is not None and xmlns != _FRAMING and self._is_open:
            return Stanza(
                name,
                b"" if xmlns == _CLIENT else xmlns,
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
        element = parse(data)
        if element.namespace == NAMESPACE:
            return self._framing(element)
        if not self._is_open or not element.namespace:
            # RFC 7395 §3.3.3: a stanza says itself which namespace it is in.
            raise StreamError(StreamCondition.INVALID_NAMESPACE)
        return stanza_of(element)

    def _framing(self, element: Element) -> Frame:
        if element.name == "close":
            return StreamEnd()
        if element.name != "open" or self._is_open or element.children:
            raise StreamError(StreamCondition.BAD_FORMAT)
        self._is_open = True
        root = Element("stream", STREAMS)
        root.attributes.update(element.attributes)
        return Opening(element=root, tag=b"", default_namespace=CLIENT, declarations=b"")


def encode_open(domain: str, stream_id: str, to: str = "", language: str = "en") -> bytes:
    """Return our `<open/>` (RFC 7395 §3.4)."""
    return (
        f"<open xmlns='{NAMESPACE}'"
        + attribute("id", stream_id)
        + attribute("from", domain)
        + (attribute("to", to) if to else "")
        + " version='1.0'"
        + attribute("xml:lang", language)
        + "/>"
    ).encode()


def declared(stanza: bytes) -> bytes:
    """Return `stanza`, or the first part of it, with the namespace that it would have from its stream."""
    if stanza.startswith(b"<message"):
        return _with(stanza, 8, _DECLARED)
    if stanza.startswith(b"<iq"):
        return _with(stanza, 3, _DECLARED)
    if stanza.startswith(b"<presence"):
        return _with(stanza, 9, _DECLARED)
    if stanza.startswith(b"<stream:features"):
        return _with(stanza, 16, _STREAM_DECLARED)
    if stanza.startswith(b"<stream:error"):
        return _with(stanza, 13, _STREAM_DECLARED)
    return stanza


def _with(stanza: bytes, at: int, declaration: bytes) -> bytes:
    if stanza.startswith(_DECLARATION, at):
        return stanza
    return stanza[:at] + declaration + stanza[at:]
