"""Clients of other servers, as the features and the core see them: who they are, and how to answer them.

A visitor is made for each stanza that arrives, and kept only while it attends rooms here or an effect of it waits.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Final, cast

from sabir.core.errors import Refusal
from sabir.core.model.actor import Account, Actor
from sabir.core.model.conversation import Conversation
from sabir.core.model.event import Event
from sabir.core.model.presence import OFFLINE, Presence
from sabir.core.model.signals import (
    Attended,
    AttendeeChanged,
    Cause,
    Departed,
    Invited,
    MemberListed,
    NodeChanged,
    PresenceChanged,
    Receipt,
    Relayed,
    RoomConfigured,
    Signal,
    Typing,
    Whispered,
)
from sabir.gateway.contract import Counters, Turnstile
from sabir.protocols.xmpp.codec import encode_error_reply, encode_reply
from sabir.protocols.xmpp.errors import FORBIDDEN, Refused, StanzaError, stanza_error_for
from sabir.protocols.xmpp.features import chat, muc, presence
from sabir.protocols.xmpp.features.context import Outcome, Place, Ticket
from sabir.protocols.xmpp.features.pubsub import notifying
from sabir.protocols.xmpp.jid import Jid
from sabir.protocols.xmpp.types import Certificate, Stanza
from sabir.wire.xml import escape_attribute


class Device:
    """A visitor as the core knows it: a session of nobody's account. See `core.ports.Session`."""

    def __init__(self, visitor: "Visitor", actor: Actor, resource: str) -> None:
        self.protocol: str = chat.PROTOCOL
        self.actor: Actor = actor
        self.resource: str = resource
        self.presence: Presence = OFFLINE
        self._visitor: Final = visitor

    @property
    def account(self) -> Account | None:
        """None: the account is elsewhere."""
        return None

    def deliver(self, conversation: Conversation, event: Event) -> None:
        """See `Session.deliver`."""
        self._visitor.deliver(conversation, event)

    def posted(self, conversation: Conversation, event: Event, token: object) -> None:
        """See `Session.posted`."""
        cast(Outcome, token).posted(conversation, event)

    def refused(self, refusal: Refusal, token: object) -> None:
        """See `Session.refused`."""
        cast(Outcome, token).refused(refusal)

    def signal(self, signal: Signal) -> None:
        """See `Session.signal`."""
        self._visitor.show(signal)

    def hold(self) -> None:
        """See `Session.hold`: a server is slowed down by its stream's own limits."""

    def release(self) -> None:
        """See `Session.release`."""

    def is_full(self) -> bool:
        """See `Session.is_full`."""
        return self._visitor.is_slow()

    def live(self) -> None:
        """See `Session.live`."""

    def end(self, refusal: Refusal) -> None:
        """See `Session.end`."""
        self._visitor.leave("")


class _Ticket:
    """See `features.context.Ticket`."""

    __slots__ = ("_turnstile",)

    def __init__(self, turnstile: Turnstile) -> None:
        self._turnstile: Turnstile = turnstile

    def finish(self) -> None:
        """See `Ticket.finish`."""
        self._turnstile.leave()


class Visitor:
    """One client of another server towards one domain of ours. See `features.context.Context`."""

    def __init__(
        self,
        place: Place,
        counters: Counters,
        actor: Actor,
        jid: Jid,
        local: str,
        turnstile: Turnstile,
        ended: Callable[["Visitor"], None],
    ) -> None:
        self.place: Place = place
        self.actor: Actor = actor
        self.jid: Jid = jid
        self.local: str = local
        """The domain of ours that it talks to."""
        self.turnstile: Turnstile = turnstile
        """That of the stream by which its latest stanza came."""
        self.language: bytes = b""
        self.carbons: bool = False
        self.interested: bool = False
        self.knows_versions: bool = False
        self.is_secure: bool = False
        self.certificate: Certificate | None = None
        self.blocklist: bool = False
        self.address: bytes = escape_attribute(str(jid)).encode()
        self.address_bare: bytes = escape_attribute(str(jid.bare)).encode()
        self.directed: dict[str, None] = {}
        self.visited: dict[str, None] = {}
        self.interests: frozenset[str] = frozenset()
        self.claimed: tuple[str, str, str] | None = None
        self.joining: dict[int, list[Event]] = {}
        self.device: Device = Device(self, actor, jid.resource)
        self._counters: Final = counters
        self._ended: Final = ended

    @property
    def account(self) -> Account:
        """See `Context.account`.

        Raises:
            Refused: always.
        """
        raise Refused(FORBIDDEN)

    @property
    def session(self) -> Device:
        """See `Context.session`."""
        return self.device

    # For features

    def send(self, stanza: bytes) -> None:
        """See `Context.send`."""
        self.place.abroad.send(self.local, self.jid.domain, stanza)

    def send_parts(self, before: bytes, between: bytes, after: bytes) -> None:
        """See `Context.send_parts`."""
        self.send(before + between + after)

    def send_event(self, before: bytes, after: bytes, seq: int) -> None:
        """See `Context.send_event`."""
        self._counters.messages_out += 1
        self.send(before + self.address + after)

    def learn(self, names: frozenset[str]) -> None:
        """See `Claimant.learn`: whom it watches here tells it by `features.pubsub.distant`."""

    def push(self, payload: str) -> None:
        """See `Context.push`: nothing of an account is of its concern."""

    def reply(self, stanza: Stanza, payload: str = "") -> None:
        """See `Context.reply`."""
        self.send(encode_reply(stanza, "result", payload, str(self.jid)))

    def refuse(self, stanza: Stanza, error: StanzaError) -> None:
        """See `Context.refuse`."""
        if stanza.type != b"error" and not (stanza.name == b"iq" and stanza.type == b"result"):
            self.send(encode_error_reply(stanza, error, str(self.jid)))

    def begin(self) -> _Ticket:
        """See `Context.begin`."""
        self.turnstile.enter()
        return _Ticket(self.turnstile)

    def run(self, effect: Callable[[], None]) -> None:
        """See `Context.run`."""
        self.turnstile.run(lambda: self._try(effect))

    def refused_by(self, stanza: Stanza, ticket: Ticket) -> Callable[[Refusal], None]:
        """See `Context.refused_by`."""

        def tell(refusal: Refusal) -> None:
            self._counters.refused(refusal)
            self.refuse(stanza, stanza_error_for(refusal))
            ticket.finish()

        return tell

    def _try(self, effect: Callable[[], None]) -> None:
        with suppress(Refused):  # what needs an account here has no effect for those of other servers
            effect()

    # From the core, by way of `Device`

    def deliver(self, conversation: Conversation, event: Event) -> None:
        """Show an entry of a room."""
        if not conversation.is_room:
            return
        if conversation.id in self.joining:
            self.joining[conversation.id].append(event)
            return
        if self.is_slow():
            self.place.services.delivery.lag(self.device)
            return
        tail = event.cache.get("muc")
        if tail is None:
            tail = event.cache["muc"] = muc.render(self.place, conversation, event)
        if tail:
            self.send_event(chat.TO, tail, 0)

    def show(self, signal: Signal) -> None:
        """Show a signal, if it is one for those of other servers."""
        match signal:
            case (
                Attended()
                | AttendeeChanged()
                | Departed()
                | MemberListed()
                | RoomConfigured()
                | Invited()
                | Whispered()
            ):
                muc.show(self, signal)
            case Typing() | Receipt():
                if signal.conversation.is_room:
                    muc.show(self, signal)
            case Relayed():
                if signal.conversation is not None:
                    muc.show(self, signal)
                else:
                    chat.show_relayed(self, signal)
            case PresenceChanged():
                presence.show(self, signal)
            case NodeChanged():
                notifying.show(self, signal)
            case _:
                pass  # of accounts of this server
        if isinstance(signal, Departed) and signal.attendee.actor is self.actor:
            self.settle()

    # Its life

    def is_slow(self) -> bool:
        """Return whether what is sent to it only piles up."""
        return self.place.abroad.is_slow(self.local, self.jid.domain)

    def catch_up(self) -> None:
        """Get the next part of what it missed while its server was slow."""
        self.place.services.delivery.catch_up(self.device)

    def rooms(self) -> list[Conversation]:
        """Return the rooms that it attends."""
        attended = self.place.services.rooms.attended_by(self.actor)
        return [room for room in attended if self.device in room.listeners]

    def leave(self, why: str) -> None:
        """Leave all rooms: its server is gone, or an answer says that it is."""
        self.place.services.rooms.drop(self.device, Cause.QUIT, why)
        self.place.services.log.append_marker(self.settle)

    def settle(self) -> None:
        """Be forgotten once it is in no room any more."""
        services = self.place.services

        def look() -> None:
            if not self.rooms():
                services.devices.log_out(self.device)
                self._ended(self)

        services.log.append_marker(look)
