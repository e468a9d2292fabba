"""One account, as the format knows it."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from sabir.wire.sasl.types import ScramVerifier

NAMESPACE = "urn:xmpp:pie:0"
SCRAM = "urn:xmpp:pie:0#scram"
ROSTER = "jabber:iq:roster"
ARCHIVE = "urn:xmpp:pie:0#mam"
MAM = "urn:xmpp:mam:2"
FORWARD = "urn:xmpp:forward:0"
DELAY = "urn:xmpp:delay"
PRIVATE = "jabber:iq:private"
PRIVACY = "jabber:iq:privacy"
BLOCKING = "urn:xmpp:blocking"
VCARD = "vcard-temp"
PUBSUB = "http://jabber.org/protocol/pubsub"
OWNER = "http://jabber.org/protocol/pubsub#owner"
CLIENT = "jabber:client"


@dataclass(slots=True)
class Entry:
    """One contact; `subscription` and `asked` as RFC 6121 §2.1.2 has them."""

    jid: str
    name: str = ""
    groups: tuple[str, ...] = ()
    subscription: str = "none"
    asked: bool = False
    approved: bool = False


@dataclass(slots=True)
class Shelf:
    """One node: its configuration by field, and its items, oldest first."""

    name: str
    config: dict[str, list[str]] = field(default_factory=dict)
    items: list[tuple[str, bytes]] = field(default_factory=list)


@dataclass(slots=True)
class Person:
    """An account. `left_out` counts what was there and is not imported, by what it is."""

    name: str
    host: str
    where: str
    """File and line, for messages to the operator."""
    password: str = ""
    verifiers: list[ScramVerifier] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    requests: list[tuple[str, bytes]] = field(default_factory=list)
    """Who asks to subscribe, and the stanza."""
    card: bytes = b""
    documents: list[tuple[str, str, bytes]] = field(default_factory=list)
    """Private XML storage: namespace, name, the element."""
    blocked: list[str] = field(default_factory=list)
    shelves: dict[str, Shelf] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    archive: Iterable[bytes] = ()
    """What was said, oldest first, each a `result` of XEP-0313; only of somebody who leaves."""

    def leave_out(self, what: str) -> None:
        """Count something that is not imported."""
        self.left_out[what] = self.left_out.get(what, 0) + 1
