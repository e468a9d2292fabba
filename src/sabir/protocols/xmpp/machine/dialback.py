"""Server dialback (XEP-0220): its elements, and the keys of XEP-0185, which need no memory."""

import hashlib
import hmac
from collections.abc import Callable
from typing import Final

from sabir.protocols.xmpp.codec import attribute, encode_stanza_error
from sabir.protocols.xmpp.errors import ErrorType, StanzaError
from sabir.protocols.xmpp.jid import domain_of
from sabir.wire.xml import Element, escape_text

NAMESPACE: Final = "jabber:server:dialback"
FEATURE: Final = "urn:xmpp:features:dialback"
MAX_KEY_CHARS: Final = 1_024
UNKNOWN: Final = StanzaError(ErrorType.CANCEL, "item-not-found", "This server does not serve that domain.")


def key_for(secret: bytes, receiving: str, originating: str, stream_id: str) -> str:
    """Return the key by which `originating` proves itself to `receiving` on a stream (XEP-0185 §4)."""
    hashed = hashlib.sha256(secret).hexdigest().encode()
    text = f"{receiving} {originating} {stream_id}".encode()
    return hmac.new(hashed, text, hashlib.sha256).hexdigest()


def is_key(key: str, secret: bytes, receiving: str, originating: str, stream_id: str) -> bool:
    """Return whether a key is ours."""
    expected = key_for(secret, receiving, originating, stream_id)
    return hmac.compare_digest(key.strip().encode(), expected.encode())


def encode_key(sender: str, to: str, key: str) -> bytes:
    """Return the proof that `sender` is who it says (XEP-0220 §2.1.1)."""
    return f"<db:result{attribute('from', sender)}{attribute('to', to)}>{key}</db:result>".encode()


def encode_question(sender: str, to: str, stream_id: str, key: str) -> bytes:
    """Return the question whether a key is one of `to` (XEP-0220 §2.2.1)."""
    addresses = attribute("from", sender) + attribute("to", to) + attribute("id", stream_id)
    return f"<db:verify{addresses}>{escape_text(key)}</db:verify>".encode()


def answer_question(
    verify: Element, serves: Callable[[str], bool], secret: bytes
) -> tuple[bytes, bool] | None:
    """Return the answer to a question about a key of ours, and whether it is forged; None: the question is none."""
    local, remote = domain_of(verify.get("to") or ""), domain_of(verify.get("from") or "")
    stream_id = verify.get("id") or ""
    if not local or not remote or not stream_id or verify.get("type") is not None:
        return None
    error: StanzaError | None = None
    if not serves(local):
        outcome, error = "error", UNKNOWN  # XEP-0220 §2.4
    else:
        key = verify.text().strip()[:MAX_KEY_CHARS]
        outcome = "valid" if is_key(key, secret, remote, local, stream_id) else "invalid"
    answer = encode_answer("verify", local, remote, stream_id[:MAX_KEY_CHARS], outcome, error)
    return answer, outcome == "invalid"


def encode_answer(
    name: str, sender: str, to: str, stream_id: str, outcome: str, error: StanzaError | None = None
) -> bytes:
    """Return what became of a key: `outcome` is `valid`, `invalid`, or `error` (XEP-0220 §2.4).

    `name` is `result` or `verify`; only the latter names a stream.
    """
    addresses = attribute("from", sender) + attribute("to", to)
    if stream_id:
        addresses += attribute("id", stream_id)
    inside = "" if error is None else encode_stanza_error(error)
    return f"<db:{name}{addresses} type='{outcome}'>{inside}</db:{name}>".encode()
