"""What the server adds to a message: the archive's id and, where it comes late, the time."""

from functools import lru_cache

from sabir.protocols.xmpp.translate import stanza_id_of, timestamp
from sabir.wire.xml import escape_attribute


def stanza_id(by: str, event_id: bytes) -> bytes:
    """Return the mark under which the archive of `by` knows a message (XEP-0359 §3.1)."""
    return _stanza_id_of(by) + stanza_id_of(event_id).encode() + b"'/>"


@lru_cache(maxsize=8192)  # asked for every message
def _stanza_id_of(by: str) -> bytes:
    return f"<stanza-id xmlns='urn:xmpp:sid:0' by='{escape_attribute(by)}' id='".encode()


def delay(by: str, at_ms: int) -> bytes:
    """Return the stamp of a message that is shown later than it was said (XEP-0203 §3)."""
    return (
        f"<delay xmlns='urn:xmpp:delay' from='{escape_attribute(by)}' stamp='{timestamp(at_ms)}'/>".encode()
    )
