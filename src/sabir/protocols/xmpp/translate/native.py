"""The stored form of what an XMPP client said, and the ids and times that stand next to it.

Stored is what follows `<message` in the sanitised stanza: its attributes without addresses, then the rest up
to the closing tag. So a receiver's addresses are put before it, and nothing of it is copied apart.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

from sabir.wire.xml import Element, parse

_CONTEXT: Final = b" xmlns='jabber:client'"
_ID_BYTES: Final = 16
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def element_of_native(native: bytes) -> Element:
    """Return the stored `<message/>` as a tree, without addresses."""
    return parse(b"<message" + native, _CONTEXT)


def origin_of_native(native: bytes) -> str:
    """Return the `id` that the sender's client gave a stored message, or nothing."""
    return element_of_native(native).get("id") or ""


def stanza_id_of(event_id: bytes) -> str:
    """Return the stanza-id of an event (XEP-0359 §3), which is also its archive id (XEP-0313 §3.4)."""
    return event_id.hex()


def event_id_of(stanza_id: str) -> bytes:
    """Return the event id behind a stanza-id, or nothing if it is none of ours."""
    if len(stanza_id) != 2 * _ID_BYTES or not stanza_id.isascii() or not stanza_id.isalnum():
        return b""
    try:
        return bytes.fromhex(stanza_id)
    except ValueError:
        return b""


def timestamp(at_ms: int) -> str:
    """Return a time as XEP-0082 §3.2 writes it, in UTC with milliseconds."""
    moment = _EPOCH + timedelta(milliseconds=at_ms)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at_ms % 1000:03d}Z"


def milliseconds_of(stamp: str) -> int | None:
    """Return the time that XEP-0082 §3.2 writes, or None if `stamp` is no such time."""
    if not 20 <= len(stamp) <= 40 or stamp[10] != "T":
        return None
    try:
        moment = datetime.fromisoformat(stamp)
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    return (moment - _EPOCH) // timedelta(milliseconds=1)
