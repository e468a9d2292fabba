"""A client that has logged in and bound a resource, as the core and the features see it."""

from collections.abc import Callable
from typing import Final, assert_never, cast

from sabir.core.errors import Refusal
from sabir.core.model.actor import Account, Actor
from sabir.core.model.conversation import Conversation
from sabir.core.model.event import Event
from sabir.core.model.presence import OFFLINE, Presence
from sabir.core.model.signals import (
    AccountChanged,
    Announced,
    BlockListChanged,
    ContactChanged,
    NodeChanged,
    PresenceChanged,
    ReadMarked,
    Receipt,
    ReceiptKind,
    Relayed,
    Signal,
    SubscriptionAnswered,
    SubscriptionAsked,
    Typing,
    Whispered,
)
from sabir.gateway.contract import Counters, Turnstile
from sabir.net.connection import Connection
from sabir.protocols.xmpp.codec import attribute, encode_error_reply, encode_reply
from sabir.protocols.xmpp.errors import StanzaError, StreamCondition, StreamError, stanza_error_for
from sabir.protocols.xmpp.features import blocking, capabilities, chat, muc, presence, push, roster
from sabir.protocols.xmpp.features.commands import administration
from sabir.protocols.xmpp.features.context import Outcome, Place, Ticket
from sabir.protocols.xmpp.features.pubsub import notifying
from sabir.protocols.xmpp.jid import Jid
from sabir.protocols.xmpp.machine import Management
from sabir.protocols.xmpp.machine.management import REQUEST
from sabir.protocols.xmpp.session.link import Link
from sabir.protocols.xmpp.session.routing import route
from sabir.protocols.xmpp.session.waiting import Waiting
from sabir.protocols.xmpp.types import Certificate, Stanza
from sabir.wire.xml import escape_attribute

MAX_KEPT: Final = 1_000
"""Signals kept for a client that does not keep up; beyond it the stream ends."""
MAX_KEPT_BYTES: Final = 1 << 20
"""The same in bytes, of those that carry stanzas of others."""

_NOTHING_WANTED: Final[frozenset[str]] = frozenset()


class _Ticket:
    """A stanza whose effect waits for the log; see `features.context.Ticket`."""

    __slots__ = ("_client", "_management")

    def __init__(self, client: "Client", management: Management | None) -> None:
        self._client: Client = client
        self._management: Management | None = management

    def finish(self) -> None:
        """See `Ticket.finish`."""
        self._client.finish(self._management)


class Client:
    """One device of an account. It is the session of the core and the context of the features."""

    def __init__(self, place: Place, counters: Counters, account: Account, jid: Jid, link: Link) -> None:
        self.protocol: str = chat.PROTOCOL
        self.place: Place = place
        self.account: Account = account
        self.actor: Actor = account.actor
        self.resource: str = jid.resource
        self.presence: Presence = OFFLINE
        self.jid: Jid = jid
        self.address: bytes = escape_attribute(str(jid)).encode()
        self.address_bare: bytes = escape_attribute(str(jid.bare)).encode()
        self.language: bytes = b""
        self.device: str = ""
        """The id of the client's installation (XEP-0388 §2.3), empty if it gave none."""
        self.is_secure: bool = False
        self.certificate: Certificate | None = None
        self.carbons: bool = False
        self.interested: bool = False
        self.knows_versions: bool = False
        self.blocklist: bool = False
        self.interests: frozenset[str] = _NOTHING_WANTED
        self.claimed: tuple[str, str, str] | None = None
        self.directed: dict[str, None] = {}
        self.visited: dict[str, None] = {}
        self.joining: dict[int, list[Event]] = {}
        self.management: Management | None = None
        self.link: Link | None = link
        """None while the client is gone but may come back."""
        self.is_over: bool = False
        self._counters: Counters = counters
        self._turnstile: Turnstile = Turnstile(place.services.log)
        self._begun: bool = False
        self._behind: bool = False
        """Events come late, from the log."""
        self._inactive: bool = False
        self._asleep: bool = False
        """Nobody looks, or its stream broke: it is to be woken by other means (XEP-0357)."""
        self.forgotten: Callable[[], object] = _nothing
        """Called once it is over."""
        self.ended: Callable[[], object] = _nothing
        """Called once the core knows nothing of it any more."""
        self._unsettled: list[Callable[[], None]] = []
        """Called once nothing that it sent waits for a commit, or it is over."""
        self.absences: int = 0
        """How often its stream broke."""
        self._kept: list[Signal] = []
        self._kept_bytes: int = 0
        self._given_up: bool = False
        self._waiting: Waiting = Waiting()
        self._pushes: int = 0

    @property
    def session(self) -> "Client":
        """Itself, as the core knows it."""
        return self

    def is_carried_by(self, connection: Connection) -> bool:
        """Return whether it is the stream of that connection that carries the client."""
        link = self.link
        return link is not None and link.connection is connection

    # From the client

    def take(self, stanza: Stanza) -> None:
        """Take a stanza of the client."""
        self._begun = False
        route(self, stanza)
        if not self._begun and self.management is not None:
            self._acknowledge(self.management.settled())
        self._begun = True  # a ticket taken later, in `run`, counts no stanza

    def set_active(self, active: bool) -> None:
        """Hold back what can wait while nobody looks (XEP-0352 §4)."""
        self._inactive = not active
        self._note_sleep()
        if active:
            self._show_kept()

    # For features: see `features.context.Context`

    def send(self, stanza: bytes) -> None:
        """See `Context.send`."""
        self.send_parts(stanza, b"", b"")

    def send_parts(self, before: bytes, between: bytes, after: bytes) -> None:
        """See `Context.send_parts`."""
        management = self.management
        link = self.link
        if management is None:
            if link is not None:
                link.connection.put3(before, between, after)
            return
        if self.is_over:
            return
        due = management.track(before, between, after, 0)
        if link is not None:
            link.connection.put3(before, between, after)
            if due:
                link.connection.put(REQUEST)
        if management.is_overfull():
            self._give_up("You acknowledge too little.")

    def send_event(self, before: bytes, after: bytes, seq: int) -> None:
        """See `Context.send_event`."""
        self._counters.messages_out += 1
        management = self.management
        link = self.link
        if self._asleep and self._waiting:
            self._show_kept()
        if management is None:
            if link is not None:
                link.connection.put3(before, self.address, after)
                if seq:
                    self.place.services.devices.delivered(self.account, seq)
            return
        # What may be lost with the connection counts as delivered when it is acknowledged.
        due = management.track(before, self.address, after, seq)
        if link is not None:
            link.connection.put3(before, self.address, after)
            if due:
                link.connection.put(REQUEST)
        if management.is_full():
            self.lag()

    def learn(self, names: frozenset[str]) -> None:
        """See `Claimant.learn`."""
        capabilities.show_wanted(self, names)

    def push(self, payload: str) -> None:
        """See `Context.push`."""
        self._pushes += 1
        id_ = f"push-{self._pushes}"
        self.send(f"<iq type='set' id='{id_}'{attribute('to', str(self.jid))}>{payload}</iq>".encode())

    def reply(self, stanza: Stanza, payload: str = "") -> None:
        """See `Context.reply`."""
        self.send(encode_reply(stanza, "result", payload, str(self.jid)))

    def refuse(self, stanza: Stanza, error: StanzaError) -> None:
        """See `Context.refuse`."""
        if stanza.type != b"error" and not (stanza.name == b"iq" and stanza.type == b"result"):
            self.send(encode_error_reply(stanza, error, str(self.jid)))

    def begin(self) -> _Ticket:
        """See `Context.begin`."""
        self._turnstile.enter()
        management = self.management
        if self._begun or management is None:
            return _Ticket(self, None)
        self._begun = True
        management.begun()
        return _Ticket(self, management)

    def finish(self, management: Management | None) -> None:
        """Note that the effect of a stanza is durable or refused."""
        self._turnstile.leave()
        if management is not None:
            self._acknowledge(management.finished())
            if self._unsettled:
                self._tell_settled()

    def run(self, effect: Callable[[], None]) -> None:
        """See `Context.run`."""
        if self._turnstile.is_free:
            effect()
            return
        management = self.management
        if self._begun or management is None:
            self._turnstile.run(effect)
            return
        self._begun = True
        management.begun()
        counted = management

        def counted_effect() -> None:
            effect()
            self._acknowledge(counted.finished())
            if self._unsettled:
                self._tell_settled()

        self._turnstile.run(counted_effect)

    def refused_by(self, stanza: Stanza, ticket: Ticket) -> Callable[[Refusal], None]:
        """See `Context.refused_by`."""

        def tell(refusal: Refusal) -> None:
            self._counters.refused(refusal)
            self.refuse(stanza, stanza_error_for(refusal))
            ticket.finish()

        return tell

    # From the core: see `core.ports.Session`

    def deliver(self, conversation: Conversation, event: Event) -> None:
        """See `Session.deliver`."""
        if self._asleep:
            self._waiting.said(event)
            self.place.services.pushes.slept_through(self, conversation, event)
        if conversation.is_room:
            if self.joining and conversation.id in self.joining:
                self.joining[conversation.id].append(event)
                return
            tail = event.cache.get("muc")
            if tail is None:
                tail = event.cache["muc"] = muc.render(self.place, conversation, event)
            if tail:
                self.send_event(chat.TO, tail, 0)
        elif self._behind:
            chat.deliver_late(self, conversation, event)
        else:
            chat.deliver(self, conversation, event)

    def posted(self, conversation: Conversation, event: Event, token: object) -> None:
        """See `Session.posted`."""
        cast(Outcome, token).posted(conversation, event)

    def refused(self, refusal: Refusal, token: object) -> None:
        """See `Session.refused`."""
        self._counters.refused(refusal)
        cast(Outcome, token).refused(refusal)

    def signal(self, signal: Signal) -> None:
        """See `Session.signal`."""
        if self.is_over:
            return
        if isinstance(signal, PresenceChanged):
            if self._inactive or self.link is None:
                if self._waiting.keep_presence(signal):
                    self._show_kept()
                return
        elif isinstance(signal, NodeChanged):
            if not signal.wanted and signal.node.name not in self.interests:
                return
        elif isinstance(signal, Typing) and (self._inactive or self._behind or self.link is None):
            if self._inactive and self.link is not None:
                self._waiting.keep_typing(signal)
            return
        if self._behind:
            self._keep(signal)
            return
        self._show(signal)

    def hold(self) -> None:
        """See `Session.hold`."""
        if self.link is not None:
            self.link.connection.pause_reading()

    def release(self) -> None:
        """See `Session.release`."""
        if self.link is not None:
            self.link.connection.resume_reading()

    def is_full(self) -> bool:
        """See `Session.is_full`."""
        if self.management is not None and self.management.is_full():
            return True
        return self.link is None or self.link.connection.lagging

    def live(self) -> None:
        """See `Session.live`."""
        self._behind = False
        kept, self._kept = self._kept, []
        self._kept_bytes = 0
        for signal in kept:
            self._show(signal)

    def end(self, refusal: Refusal) -> None:
        """See `Session.end`."""
        if refusal is Refusal.ALREADY_ATTENDING:
            error = StreamError(StreamCondition.CONFLICT, "Another client took this resource.")
        elif refusal is Refusal.LOGIN_REQUIRED:
            error = StreamError(StreamCondition.RESET, "An operator ended this session.")
        else:
            error = StreamError(StreamCondition.NOT_AUTHORIZED, "This account may not be used now.")
        link = self.link
        self.leave(at_once=True)
        if link is not None:
            link.fail(error)

    # Its life

    def lag(self) -> None:
        """Get events from the log from now on: the client does not keep up."""
        if not self.is_over:
            self._behind = True
            self.place.services.delivery.lag(self)

    def catch_up(self) -> None:
        """Get the next part of the log, if it is behind."""
        if self._behind and not self.is_over:
            self.place.services.delivery.catch_up(self)

    def acknowledged(self, seq: int) -> None:
        """Note what the client has for certain, and go on sending if that had stopped."""
        if seq:
            self.place.services.devices.delivered(self.account, seq)
        self.catch_up()

    def detach(self) -> None:
        """Wait for another stream: this one broke. What its client may not have got is reason to wake it."""
        self.link = None
        self.absences += 1
        self._note_sleep()
        if self.management is not None:
            push.wake_for(self, self.management.latest())

    def attach(self, link: Link) -> None:
        """Go on over another stream (XEP-0198 §5)."""
        self.link = link
        self._inactive = False
        self._note_sleep()
        self._show_kept()
        self.catch_up()

    def when_settled(self, then: Callable[[], None]) -> None:
        """Call `then` once nothing that the client sent waits for a commit, or it is over."""
        self._unsettled.append(then)
        self._tell_settled()

    def leave(self, *, at_once: bool = False) -> None:
        """Be gone for good: offline, out of all rooms, unknown to the core."""
        if self.is_over:
            return
        self.is_over = True
        self.link = None
        self.place.services.pushes.woke_up(self)
        self.forgotten()
        self._tell_settled()

        def effect() -> None:
            presence.go_offline(self)
            self.place.services.devices.log_out(self)
            self.ended()

        self.place.services.rooms.drop(self)
        if at_once:
            effect()
        else:
            self._turnstile.run(effect)

    def _note_sleep(self) -> None:
        asleep = self._inactive or self.link is None
        if asleep and not self._asleep:
            self.place.services.pushes.fell_asleep(self)
        elif self._asleep and not asleep:
            self.place.services.pushes.woke_up(self)
        self._asleep = asleep

    def _tell_settled(self) -> None:
        if self.is_over or self.management is None or self.management.is_settled:
            told, self._unsettled = self._unsettled, []
            for then in told:
                self.place.services.scheduler.soon(then)

    def _acknowledge(self, acknowledgement: bytes) -> None:
        if acknowledgement and self.link is not None:
            self.link.connection.put(acknowledgement)

    def _keep(self, signal: Signal) -> None:
        self._kept.append(signal)
        if isinstance(signal, Relayed):
            self._kept_bytes += len(signal.payload)
        elif isinstance(signal, Whispered):
            self._kept_bytes += len(signal.native)
        elif isinstance(signal, NodeChanged):
            self._kept_bytes += sum([len(payload) for _, payload in signal.items])
        if len(self._kept) > MAX_KEPT or self._kept_bytes > MAX_KEPT_BYTES:
            self._give_up("You read too slowly.")

    def _give_up(self, why: str) -> None:
        """End the stream of a client for which too much waits; what is in the log waits there.

        Not at once: whoever tells several sessions something goes through a list that must not change.
        """
        if not self._given_up:
            self._given_up = True
            self.place.services.scheduler.soon(lambda: self._fail(why))

    def _fail(self, why: str) -> None:
        link = self.link
        self.leave()
        if link is not None:
            link.fail(StreamError(StreamCondition.RESOURCE_CONSTRAINT, why))

    def _show_kept(self) -> None:
        for signal in self._waiting.take():
            self._show(signal)

    def _show_marker(self, signal: ReadMarked) -> None:
        """Show what one has read on a device of another protocol as if an XMPP device had said so."""
        conversation = signal.conversation
        attendee = conversation.listeners.get(self)
        nick = self.actor.name if attendee is None else attendee.nick
        own = Receipt(conversation, self.actor, nick, ReceiptKind.READ, signal.event_id, b"")
        if not conversation.is_room:
            chat.show_signal(self, own)
        elif attendee is not None:
            muc.show(self, own)

    def _show(self, signal: Signal) -> None:
        if isinstance(signal, muc.Occurrence):
            muc.show(self, signal)
            return
        match signal:
            case PresenceChanged():
                presence.show(self, signal)
            case ContactChanged():
                roster.show(self, signal)
            case SubscriptionAsked() | SubscriptionAnswered():
                presence.show_answer(self, signal)
            case BlockListChanged():
                blocking.show(self, signal)
            case Typing() | Receipt():
                if signal.conversation.is_room:
                    muc.show(self, signal)
                else:
                    chat.show_signal(self, signal)
            case Relayed():
                if signal.conversation is not None:
                    muc.show(self, signal)
                else:
                    chat.show_relayed(self, signal)
            case ReadMarked():
                # What an XMPP device has read is known by a copy of the message that said so.
                if signal.protocol != self.protocol:
                    self._show_marker(signal)
            case NodeChanged():
                notifying.show(self, signal)
            case AccountChanged():
                link = self.link
                self.leave()
                if link is not None:
                    # RFC 6120 §4.9.3.16: what the login proved has changed.
                    link.fail(StreamError(StreamCondition.RESET, "Log in again."))
            case Announced():
                administration.show(self, signal)
            case _:
                assert_never(signal)


def _nothing() -> None:
    """Nobody wants to know."""
