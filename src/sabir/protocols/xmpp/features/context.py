"""What a feature is given: one logged-in client, and how to answer it.

A feature is a module of functions over a `Context`; it keeps no state of its own beside what stands here. What a
client sends reaches it in the order sent, and must take effect in that order (DATAMODEL 1.5):

* an effect that goes through the log's queue (posts, `rooms`, `moderation`, `roster`...) is queued at once, with a
  `Ticket` from `Context.begin` that is finished by its outcome;
* anything else that has or shows an effect runs through `Context.run`;
* whatever is answered from what never changes may be answered at once.

A stanza counts as handled (XEP-0198 §4) when its ticket is finished, or when the handler returns if it took none.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from sabir.core.errors import Refusal
from sabir.core.model.actor import Account, Actor, ActorKind
from sabir.core.model.conversation import Conversation
from sabir.core.model.event import Event
from sabir.core.ports import Session, Waker
from sabir.core.services import Services
from sabir.gateway.contract import PublicAddress
from sabir.protocols.xmpp.config import XmppConfig
from sabir.protocols.xmpp.errors import StanzaError
from sabir.protocols.xmpp.features.abroad import NOWHERE, Abroad
from sabir.protocols.xmpp.features.caps_hash import Claim
from sabir.protocols.xmpp.features.dialogues import Dialogues
from sabir.protocols.xmpp.features.errands import Errands
from sabir.protocols.xmpp.jid import Jid
from sabir.protocols.xmpp.types import Certificate, Stanza
from sabir.wire.xml import Element


class Ticket(Protocol):
    """A stanza whose effect is on its way."""

    def finish(self) -> None:
        """Note that the effect is durable, or refused. Exactly once."""


class Outcome(Protocol):
    """The token of a post (`Messaging.post`): told what became of it."""

    def posted(self, conversation: Conversation, event: Event) -> None:
        """Take the event, which is durable."""

    def refused(self, refusal: Refusal) -> None:
        """Take the reason why nothing was stored."""


class Claimant(Protocol):
    """Whoever says by a hash what it can do: a client, or a device of another server."""

    place: "Place"
    jid: Jid
    """The full address."""
    interests: frozenset[str]
    """Names of the nodes of which it wants to be told (XEP-0163 §4.2)."""
    claimed: tuple[str, str, str] | None
    """The hash that it gave (XEP-0115)."""

    def send(self, stanza: bytes) -> None:
        """Send it a stanza."""

    def learn(self, names: frozenset[str]) -> None:
        """Show it what was published last on nodes of these names: it is told of them from now on."""


class Capabilities(Protocol):
    """What clients want to be told of, by the hashes of what they can do; see `features.capabilities`."""

    def note(self, claimant: Claimant, claim: Claim | None, *, arrived: bool) -> None:
        """Take in the claim of an available presence; `arrived`: the client was not there before."""

    def answered(self, jid: Jid, stanza: Stanza) -> None:
        """Take an answer from that address to a question of the server's."""

    def forget(self, claimant: Claimant) -> None:
        """Note that a client is gone."""


class Names(Protocol):
    """What is needed of a place to name people."""

    @property
    def services(self) -> Services:
        """See `Place`."""

    @property
    def domain(self) -> str:
        """See `Place`."""

    @property
    def rooms_domain(self) -> str:
        """See `Place`."""

    def address_of(self, actor: Actor) -> str:
        """Return the bare address of somebody, here or elsewhere."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where this server is; the same for all of its clients."""

    domain: str
    rooms_domain: str
    version: str
    config: XmppConfig
    services: Services
    public: PublicAddress
    started_ms: int
    operators: frozenset[str]
    """Names of the accounts that may administer the server."""
    contacts: Mapping[str, Sequence[str]]
    """URIs of those who are responsible, by what for (XEP-0157 §3)."""
    push_domain: str
    upload_domain: str
    """The address of the push service that is part of this server."""
    pubsub_domain: str
    """The address of the pubsub service; empty where a component has it."""
    waker: Waker | None
    """Reaches devices through the services of their makers; None where that is switched off."""
    errands: Errands
    """Requests of the server itself."""
    dialogues: Dialogues
    """Commands under way (XEP-0050)."""
    capabilities: Capabilities
    abroad: Abroad = NOWHERE
    """Other servers."""

    def is_ours(self, domain: str) -> bool:
        """Return whether this server answers for a domain itself."""
        return domain in (
            self.domain,
            self.rooms_domain,
            self.push_domain,
            self.upload_domain,
            self.pubsub_domain,
        )

    def is_operator(self, actor: Actor) -> bool:
        """Return whether somebody may administer the server (`server.operators`)."""
        return actor.kind is ActorKind.LOCAL and actor.name in self.operators

    def address_of(self, actor: Actor) -> str:
        """Return the bare address of somebody, here or elsewhere."""
        return actor.name if actor.kind is ActorKind.REMOTE else f"{actor.name}@{self.domain}"


class Context(Protocol):
    """One client that has logged in and bound a resource."""

    place: Place
    actor: Actor
    jid: Jid
    """The full address."""
    language: bytes
    """`xml:lang` of the stream, empty if not given."""
    is_secure: bool
    """TLS was on when the client logged in."""
    certificate: Certificate | None
    """By what it logged in, if that was a certificate (XEP-0257 §3)."""
    carbons: bool
    """The client wants copies of what its other devices send and get (XEP-0280)."""
    interested: bool
    """The client has asked for its roster, so it is told of changes (RFC 6121 §2.2)."""
    knows_versions: bool
    """It wants to know which state of the roster a change leads to (RFC 6121 §2.6)."""
    blocklist: bool
    """The client has asked for its block list (XEP-0191)."""
    address: bytes
    """The full address, as it stands in an attribute."""
    address_bare: bytes
    """The same without the resource."""
    interests: frozenset[str]
    """Names of the nodes of contacts of which the client wants to be told (XEP-0163 §4.2)."""
    claimed: tuple[str, str, str] | None
    """The hash that it gave for what it can do (XEP-0115)."""
    directed: dict[str, None]
    """Addresses that got a directed presence (RFC 6121 §4.6)."""
    visited: dict[str, None]
    """Rooms of other servers that the client is in."""

    joining: dict[int, list[Event]]
    """By id of each room whose history is being sent: what was said there meanwhile, to be sent after it."""

    @property
    def account(self) -> Account:
        """The client's account.

        Raises:
            Refused: it has none here; it is a client of another server.
        """

    @property
    def session(self) -> Session:
        """The client as the core knows it, for calls of services."""

    def send(self, stanza: bytes) -> None:
        """Send a stanza to the client."""

    def send_parts(self, before: bytes, between: bytes, after: bytes) -> None:
        """Send a stanza whose parts are shared with other receivers."""

    def send_event(self, before: bytes, after: bytes, seq: int) -> None:
        """Send a message of the log, `before` + the client's address + `after`; `seq` is its number there."""

    def learn(self, names: frozenset[str]) -> None:
        """See `Claimant.learn`."""

    def push(self, payload: str) -> None:
        """Send a request of the account to the client (RFC 6121 §2.1.6); its answer does not matter."""

    def reply(self, stanza: Stanza, payload: str = "") -> None:
        """Answer an IQ with a result."""

    def refuse(self, stanza: Stanza, error: StanzaError) -> None:
        """Answer a stanza with an error; never an error with an error (RFC 6120 §8.3.1)."""

    def begin(self) -> Ticket:
        """Take a ticket for the stanza at hand: its effect waits in the log's queue."""

    def run(self, effect: Callable[[], None]) -> None:
        """Run `effect` now, or after everything that the client sent before and that still waits."""

    def refused_by(self, stanza: Stanza, ticket: Ticket) -> Callable[[Refusal], None]:
        """Return what to call with a refusal of the core: it tells the client and finishes the ticket."""


class Iq:
    """A request of the client: a get or a set with one payload (RFC 6120 §8.2.3)."""

    __slots__ = ("is_set", "payload", "stanza", "to")

    def __init__(self, stanza: Stanza, to: Jid | None, payload: Element, is_set: bool) -> None:
        self.stanza: Stanza = stanza
        self.to: Jid | None = to
        """The address as sent; None means the client's own account."""
        self.payload: Element = payload
        self.is_set: bool = is_set


IqHandler = Callable[[Context, Iq], None]
"""Answers a request, at once or later, exactly once (`Context.reply` or `Context.refuse`)."""
