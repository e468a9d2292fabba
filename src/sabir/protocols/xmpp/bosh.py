"""The wrapper in which BOSH carries stanzas (XEP-0124 §6, XEP-0206 §2): HTTP bodies to messages, and back."""

from typing import Final

from sabir.protocols.xmpp.codec import CLIENT, attribute
from sabir.protocols.xmpp.framing import NAMESPACE as FRAMING
from sabir.wire.xml import Element, XmlError, parse

NAMESPACE: Final = "http://jabber.org/protocol/httpbind"
XBOSH: Final = "urn:xmpp:xbosh"
MAX_RID: Final = 9_007_199_254_740_991

_STREAM_DECLARED: Final = " xmlns:stream='http://etherx.jabber.org/streams'"


class BoshSyntaxError(Exception):
    """The body is none of BOSH."""


class BoshRequest:
    """What a client says in one request."""

    __slots__ = ("element", "messages", "rid", "sid")

    def __init__(self, rid: int, sid: str, element: Element, messages: list[bytes]) -> None:
        self.rid: int = rid
        self.sid: str = sid
        """Empty: it wants a session."""
        self.element: Element = element
        """The wrapper."""
        self.messages: list[bytes] = messages
        """What is in it: each a document of its own."""

    def number(self, name: str, most: int, default: int) -> int:
        """Return a number that the client gives, but not more than `most`."""
        text = self.element.get(name) or ""
        if not text.isdecimal() or not text.isascii() or len(text) > 9:
            return default
        return min(int(text), most)

    @property
    def restarts(self) -> bool:
        """The client begins its stream anew (XEP-0206 §5)."""
        return self.element.get(f"{{{XBOSH}}}restart") in ("true", "1")

    @property
    def terminates(self) -> bool:
        """The client ends the session (XEP-0124 §13)."""
        return self.element.get("type") == "terminate"


def read(data: bytes) -> BoshRequest:
    """Return what the body of an HTTP request says.

    Raises:
        BoshSyntaxError: it is not one `<body/>` with a request id and whole elements in it.
    """
    try:
        element = parse(data.strip())
    except XmlError as error:
        raise BoshSyntaxError from error
    rid = element.get("rid") or ""
    if element.name != "body" or element.namespace != NAMESPACE:
        raise BoshSyntaxError
    if not rid.isdecimal() or not rid.isascii() or len(rid) > 16 or not 0 < int(rid) <= MAX_RID:
        raise BoshSyntaxError  # XEP-0124 §14.1
    if any(isinstance(child, str) and child.strip() for child in element.children):
        raise BoshSyntaxError  # XEP-0124 §6: no text in the wrapper
    children = element.elements()
    for child in children:
        _put_right(child)
    return BoshRequest(int(rid), element.get("sid") or "", element, [child.to_bytes() for child in children])


def _put_right(element: Element) -> None:
    # XEP-0206 §2: stanzas that name no namespace are meant to be of jabber:client.
    if element.namespace == NAMESPACE:
        element.namespace = CLIENT
    for child in element.elements():
        _put_right(child)


def opening(request: BoshRequest) -> bytes:
    """Return the `<open/>` that a client would have sent over a WebSocket."""
    wrapper = request.element
    written = f"<open xmlns='{FRAMING}'"
    written += attribute("version", wrapper.get(f"{{{XBOSH}}}version") or "1.0")
    for name in ("to", "from", "xml:lang"):
        value = wrapper.get(name)
        if value is not None:
            written += attribute(name, value)
    return (written + "/>").encode()


def encode(payloads: list[bytes], attributes: str = "") -> bytes:
    """Return a wrapper with `payloads`; `attributes` begin with a space."""
    if not payloads:
        return f"<body xmlns='{NAMESPACE}'{attributes}/>".encode()
    # XEP-0206 §2: the wrapper declares the prefix of features and errors.
    head = f"<body xmlns='{NAMESPACE}'{_STREAM_DECLARED}{attributes}>".encode()
    return head + b"".join(payloads) + b"</body>"


def encode_terminate(condition: str, payloads: list[bytes] | None = None) -> bytes:
    """Return what ends a session (XEP-0124 §17.2); without a condition, in peace."""
    said = attribute("condition", condition) if condition else ""
    return encode(payloads or [], f" type='terminate'{said}")


RECOVERABLE: Final = f"<body xmlns='{NAMESPACE}' type='error'/>".encode()
"""XEP-0124 §17.3."""
