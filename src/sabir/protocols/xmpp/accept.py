"""What a client's message becomes before anybody else sees it (DATAMODEL 1.4).

`accept` strips what belongs to the hop or could be forged, writes the language of the stream into the stanza,
and classifies: is it an entry of the log, a signal, or bytes to be relayed? It looks at the names of the child
elements only; a tree is not built. The table below is the whole list of what is stripped.
"""

from typing import Final

from sabir.core.model.event import ENCRYPTED, SILENT, UNREAD, Kind
from sabir.core.model.signals import TypingState
from sabir.protocols.xmpp.codec import child_element
from sabir.protocols.xmpp.jid import JidSyntaxError, parse_jid
from sabir.protocols.xmpp.types import Stanza
from sabir.wire.xml import Child

# What a message is, for who routes it.
EVENT: Final = 1
"""An entry of the log; `Accepted.kind` says which."""
REACTIONS: Final = 2
"""The sender's whole set of reactions to `target` (XEP-0444)."""
TYPING: Final = 3
"""A chat state and nothing else."""
DELIVERED: Final = 4
"""The receipt for `target` (XEP-0184)."""
DISPLAYED: Final = 5
"""`target` was read (XEP-0333)."""
RELAY: Final = 6
"""Neither stored nor understood: passed on to whoever is there."""
SUBJECT: Final = 7
"""The subject of a room; in a direct conversation it is an event."""

# What a child element means, by its namespace.
_STRIP: Final = 1
_STRIP_OURS: Final = 2
_STRIP_IF_ORIGIN: Final = 3
_ENCRYPTED: Final = 4
_CORRECTION: Final = 5
_RETRACTION: Final = 6
_REACTIONS: Final = 7
_STATE: Final = 8
_RECEIPT: Final = 9
_MARKER: Final = 10
_HINT: Final = 11
_CALL: Final = 12
_ORIGIN: Final = 13
_REPLY: Final = 14
_INVITATION: Final = 15
_ASSIST: Final = 16

STRIPPED: Final[dict[bytes, str]] = {
    b"urn:xmpp:occupant-id:0": "XEP-0421 §3.2: only the room says who somebody is",
    b"urn:xmpp:mam:2": "XEP-0313 §4.2: results of an archive come from the archive",
    b"urn:xmpp:mam:tmp": "the archive's mark in early versions of XEP-0313",
    b"urn:xmpp:carbons:2": "XEP-0280 §11: copies come from one's own server; the hint is for us only",
    b"urn:xmpp:hats:0": "XEP-0317 §3.1: hats are given by the room",
    b"http://jabber.org/protocol/muc#user": "XEP-0045 §16.6.2: statuses and invitations come from the room",
    b"urn:xmpp:push:0": "XEP-0357: between servers and push services only",
}
"""Namespaces whose elements never pass at the top of a client's message, and why."""

_BY_NAMESPACE: Final[dict[bytes, int]] = {
    **dict.fromkeys(STRIPPED, _STRIP),
    b"urn:xmpp:sid:0": _ORIGIN,  # stanza-id is stripped, origin-id kept: XEP-0359 §4
    b"urn:xmpp:delay": _STRIP_OURS,  # XEP-0203 §4: our stamps are ours to make
    b"jabber:x:delay": _STRIP_OURS,
    b"http://jabber.org/protocol/address": _STRIP_IF_ORIGIN,
    b"eu.siacs.conversations.axolotl": _ENCRYPTED,
    b"urn:xmpp:omemo:1": _ENCRYPTED,
    b"urn:xmpp:omemo:2": _ENCRYPTED,
    b"urn:xmpp:openpgp:0": _ENCRYPTED,
    b"jabber:x:encrypted": _ENCRYPTED,
    b"urn:xmpp:message-correct:0": _CORRECTION,
    b"urn:xmpp:message-retract:1": _RETRACTION,
    b"urn:xmpp:message-retract:0": _RETRACTION,
    b"urn:xmpp:reactions:0": _REACTIONS,
    b"urn:xmpp:reply:0": _REPLY,
    b"http://jabber.org/protocol/chatstates": _STATE,
    b"urn:xmpp:receipts": _RECEIPT,
    b"urn:xmpp:chat-markers:0": _MARKER,
    b"urn:xmpp:hints": _HINT,
    b"urn:xmpp:mds:displayed:0": _ASSIST,  # XEP-0490 §5.2: for the sender's own devices
    b"urn:xmpp:jingle-message:0": _CALL,
    b"jabber:x:conference": _INVITATION,
}

# For compiled code: a look-up in an enum costs more than all else that is done for a child.
_MESSAGE: Final = int(Kind.MESSAGE)
_ATTENTIVE: Final = TypingState.ACTIVE
_STATES: Final[dict[bytes, TypingState]] = {state.value.encode(): state for state in TypingState}


_CALL_STEPS: Final = (b"proceed", b"accept", b"reject", b"retract")
_NO_COPY: Final = b"<no-copy xmlns='urn:xmpp:hints'/>"


class Accepted:
    """A message as its receivers of XMPP will see it, and what it is.

    `native` is what follows `<message`: no `to`, and no `from` unless one was given to `accept`.
    """

    __slots__ = (
        "assist",
        "emojis",
        "flags",
        "invites",
        "kind",
        "native",
        "native_id",
        "state",
        "target",
        "what",
    )

    def __init__(self) -> None:
        self.what: int = RELAY
        self.kind: int = _MESSAGE
        self.flags: int = 0
        self.native: bytes = b""
        self.native_id: bytes = b""
        """The id that the sender gave: `id`, else `origin-id`; clients make them equal."""
        self.target: bytes = b""
        """The id of the message that this one is about."""
        self.invites: bool = False
        """It asks the receiver into a room (XEP-0249)."""
        self.emojis: tuple[str, ...] = ()
        self.assist: Child | None = None
        """How far the sender has read the chat."""
        self.state: TypingState = _ATTENTIVE


def accept(stanza: Stanza, sender: bytes, language: bytes, domain: str) -> Accepted:
    """Return a client's message, sanitised and classified.

    `sender`: ` from='...'` to write into it, or nothing. `language`: the stream's. `domain`: ours.
    """
    accepted = Accepted()
    accepted.native_id = stanza.id
    body = subject = encrypted = store = no_store = call = request = False
    state: Child | None = None
    cuts: list[Child] = []
    for child in stanza.children:
        name, namespace = child[0], child[1]
        if namespace is None:
            if name == b"body":
                body = True
            elif name == b"subject":
                subject = True
            continue
        meaning = _BY_NAMESPACE.get(namespace, 0)
        if meaning == 0:
            continue
        if meaning == _STATE:
            state = child
        elif meaning == _ORIGIN:
            if name != b"origin-id":
                cuts.append(child)
            elif child[2] and not accepted.native_id:
                accepted.native_id = child[2]
        elif meaning == _STRIP:
            cuts.append(child)
        elif meaning == _STRIP_OURS:
            if _is_ours(stanza, child, domain):
                cuts.append(child)
        elif meaning == _STRIP_IF_ORIGIN:
            if _names_origin(stanza, child):
                cuts.append(child)
        elif meaning == _ENCRYPTED:
            encrypted = True
        elif meaning == _HINT:
            store = store or name == b"store"
            no_store = no_store or name in (b"no-store", b"no-permanent-store")
        elif meaning == _CALL:
            # DATAMODEL 4: of a call, its beginning and end are entries; the steps between are kept beside them, so
            # that every device learns of them, whenever it comes (XEP-0353 §5).
            call = name in (b"propose", b"finish")
            store = store or name in _CALL_STEPS
        elif meaning == _INVITATION:
            accepted.invites = True
        elif meaning == _RECEIPT:
            if name == b"received":
                accepted.what, accepted.target = DELIVERED, child[2] or b""
            else:
                request = True
        elif meaning == _ASSIST:
            cuts.append(child)
            accepted.assist = child
        else:
            _relate(accepted, stanza, child, meaning)
            if name == b"retracted":
                cuts.append(child)  # XEP-0424 §5: tombstones are set up by the archive
    if accepted.what == REACTIONS and (no_store or accepted.target == b""):
        accepted.what = RELAY
    if accepted.what != RELAY:
        store = False  # receipts and markers are kept as such (DATAMODEL 4), whatever they ask for
    if body or encrypted or subject or store or call or accepted.kind != _MESSAGE:
        _make_event(accepted, body=body, encrypted=encrypted, subject=subject, call=call)
        if no_store:
            accepted.what = RELAY  # XEP-0334 §4.2
    elif accepted.what == RELAY and state is not None and not request:
        accepted.what = TYPING
        accepted.state = _STATES.get(state[0], _ATTENTIVE)
    accepted.native = _native(stanza, sender, language, cuts)
    return accepted


def _make_event(accepted: Accepted, *, body: bool, encrypted: bool, subject: bool, call: bool) -> None:
    if accepted.what == REACTIONS and not encrypted:
        return  # a body beside reactions is the fallback for clients without them
    accepted.what = SUBJECT if subject and not body and not encrypted else EVENT
    if encrypted:
        accepted.flags = ENCRYPTED
    if accepted.kind != _MESSAGE:
        return
    if call:
        accepted.kind = int(Kind.CALL)
    elif body or encrypted:
        accepted.flags |= UNREAD
    else:
        accepted.flags |= SILENT


def _relate(accepted: Accepted, stanza: Stanza, child: Child, meaning: int) -> None:
    """Note what the message says about another one."""
    name, id_ = child[0], child[2] or b""
    if meaning == _CORRECTION and name == b"replace" and id_:
        accepted.kind, accepted.target = int(Kind.EDIT), id_
    elif meaning == _RETRACTION and name == b"retract" and id_:
        accepted.kind, accepted.target = int(Kind.DELETE), id_
    elif meaning == _REACTIONS and name == b"reactions":
        accepted.what, accepted.target = REACTIONS, id_
        texts = [emoji.text().strip() for emoji in child_element(stanza, child).find_all("reaction")]
        accepted.emojis = tuple([text for text in texts if text])
    elif meaning == _REPLY and name == b"reply" and id_:
        if not accepted.target:
            accepted.target = id_  # what a message corrects or takes back is more than what it answers
    elif meaning == _REPLY and name == b"reply" and not accepted.target:
        accepted.target = id_
    elif meaning == _MARKER and name == b"displayed" and id_:
        accepted.what, accepted.target = DISPLAYED, id_
    elif meaning == _MARKER and name == b"received" and id_:
        accepted.what, accepted.target = DELIVERED, id_


def _is_ours(stanza: Stanza, child: Child, domain: str) -> bool:
    """Return whether a delay stamp claims to be of this server, or of nobody."""
    sender = child_element(stanza, child).get("from")
    if sender is None:
        return True
    try:
        claimed = parse_jid(sender).domain
    except JidSyntaxError:
        return True
    return claimed == domain or claimed.endswith("." + domain)


def _names_origin(stanza: Stanza, child: Child) -> bool:
    """Return whether extended addresses say who else a message is from: a room's to say (XEP-0033 §4.6.7)."""
    addresses = child_element(stanza, child).find_all("address")
    return any(address.get("type") == "ofrom" for address in addresses)


def _native(stanza: Stanza, sender: bytes, language: bytes, cuts: list[Child]) -> bytes:
    parts = [sender, stanza.attributes]
    if language and stanza.attributes.find(b" xml:lang=") < 0:
        # RFC 6120 §4.7.4: a stanza that does not say its language is in that of the stream.
        parts += (b" xml:lang='", language, b"'")
    data = stanza.data
    at = stanza.head
    for cut in cuts:
        parts.append(data[at : cut[3]])
        if cut[0] == b"private":
            parts.append(_NO_COPY)  # what it asks for has to be known when the message is shown
        at = cut[4]
    parts.append(data[at : stanza.end])
    return b"".join(parts)
