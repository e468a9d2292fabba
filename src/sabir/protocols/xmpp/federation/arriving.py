"""Where stanzas of other servers and of components go (RFC 6120 §10.5, RFC 6121 §8.5).

The stream has vouched for the domains of both addresses.
"""

from collections.abc import Callable
from typing import Final

from sabir.core.model.actor import Account, Actor, ActorKind
from sabir.core.model.ids import ActorId
from sabir.core.model.presence import Availability, Presence
from sabir.gateway.contract import Counters
from sabir.gateway.turnstile import Turnstile
from sabir.net.limits import KeyedBuckets, Rate
from sabir.protocols.xmpp import accept
from sabir.protocols.xmpp.codec import attribute, element_of, encode_error_reply
from sabir.protocols.xmpp.errors import (
    BAD_REQUEST,
    FORBIDDEN,
    SERVICE_UNAVAILABLE,
    ErrorType,
    Refused,
    StanzaError,
    stanza_error_for,
)
from sabir.protocols.xmpp.features import capabilities, caps_hash, chat, muc, onboarding, presence
from sabir.protocols.xmpp.features.anonymous import is_anonymous
from sabir.protocols.xmpp.features.context import Iq, Place
from sabir.protocols.xmpp.features.pubsub import service as pubsub
from sabir.protocols.xmpp.features.pubsub.distant import DistantReaders
from sabir.protocols.xmpp.features.pubsub.names import EVENT
from sabir.protocols.xmpp.features.table import TABLE
from sabir.protocols.xmpp.federation.visitors import Visitor
from sabir.protocols.xmpp.jid import Jid, JidSyntaxError, parse_jid_bytes
from sabir.protocols.xmpp.types import Stanza
from sabir.wire.xml import Element

_EVENT: Final = EVENT.encode()
_CAPABILITIES: Final = capabilities.ID.encode()
NEWCOMERS: Final = Rate(per_s=5, burst=1_000)
"""People of one server who were never heard of before: each is remembered, and a server may make up any number."""
NEWCOMERS_OF_ALL: Final = Rate(per_s=20, burst=10_000)
_TOO_MANY_NEW: Final = StanzaError(ErrorType.WAIT, "resource-constraint", "Too many new people: try later.")
_SERVICES: Final = frozenset(
    (
        b"urn:xmpp:mam:2",
        b"http://jabber.org/protocol/muc#user",
        b"http://jabber.org/protocol/pubsub#event",
        b"jabber:x:conference",
    )
)
"""What rooms, archives and nodes elsewhere send: theirs to say, nothing of a conversation."""


class Arrivals:
    """Takes what other servers send. See `streams.Post`."""

    def __init__(
        self,
        place: Place,
        counters: Counters,
        answered: Callable[[str, bytes], bool],
        serves: Callable[[str], bool],
        readers: DistantReaders,
        told: Callable[[Jid, Element], None],
        *,
        limited: bool,
    ) -> None:
        """Prepare.

        Args:
            place: where we are.
            counters: of the front end.
            answered: told the domain and the id of an answer to the server itself; says whether it waited for that.
            serves: says whether a domain is one of ours.
            readers: told whose devices elsewhere are available to whom.
            told: told what happens at nodes to which the server has subscribed.
            limited: how many people unheard of may come is limited.
        """
        self._newcomers: Final = KeyedBuckets(NEWCOMERS) if limited else None
        self._newcomers_of_all: Final = KeyedBuckets(NEWCOMERS_OF_ALL)
        self._readers: Final = readers
        self._told: Final = told
        self._place: Final = place
        self._counters: Final = counters
        self._answered: Final = answered
        self._serves: Final = serves
        self._staying: Final[dict[tuple[str, Jid], Visitor]] = {}
        """Those who attend rooms here."""

    def take(self, stanza: Stanza, turnstile: Turnstile) -> None:
        """See `Post.take`."""
        if stanza.to is None or stanza.sender is None:
            return
        sender = parse_jid_bytes(stanza.sender)
        try:
            to = parse_jid_bytes(stanza.to)
        except JidSyntaxError:
            return
        place = self._place
        if stanza.name == b"message":
            self._counters.messages_in += 1
        if not place.is_ours(to.domain):
            self._forward(stanza, sender, to)
            return
        may_come = self._may_come(sender)
        visitor = self._visitor(sender, to.domain, turnstile, is_kept=may_come)
        try:
            if not may_come:
                raise Refused(_TOO_MANY_NEW)
            if place.services.block_lists.refuses(str(sender.bare)) and stanza.type != b"unavailable":
                raise Refused(FORBIDDEN)
            if to.domain in (place.push_domain, place.upload_domain):
                raise Refused(SERVICE_UNAVAILABLE)
            if to.domain == place.rooms_domain:
                self._to_rooms(visitor, stanza, to)
            elif to.domain == place.pubsub_domain:
                self._to_pubsub(visitor, stanza, to)
            elif stanza.name == b"message":
                self._message(visitor, stanza, to)
            elif stanza.name == b"presence":
                self._presence(visitor, stanza, to)
            else:
                self._iq(visitor, stanza, to)
        except Refused as refused:
            visitor.refuse(stanza, refused.error)

    def lost(self, local: str, remote: str) -> None:
        """Let the people of a server leave the rooms: it cannot be reached."""
        self._readers.lost(remote)
        for (domain, jid), visitor in list(self._staying.items()):
            if domain == local and jid.domain == remote:
                visitor.leave("Server not reachable")

    def read_on(self, local: str, remote: str) -> None:
        """Go on with what people of a slow server missed."""
        for (domain, jid), visitor in list(self._staying.items()):
            if domain == local and jid.domain == remote:
                visitor.catch_up()

    def _may_come(self, sender: Jid) -> bool:
        """Return whether something is taken from `sender`: it is known, or may become so now."""
        if self._newcomers is None or self._serves(sender.domain):
            return True
        services = self._place.services
        if (chat.PROTOCOL, str(sender.bare)) in services.directory.actors_by_uri:
            return True
        now_ms = services.clock.now_ms()
        # In this order: one server that tries for ever takes nothing from the others.
        return self._newcomers.allow(sender.domain, now_ms) and self._newcomers_of_all.allow("", now_ms)

    def _visitor(self, sender: Jid, local: str, turnstile: Turnstile, *, is_kept: bool) -> Visitor:
        known = self._staying.get((local, sender))
        if known is not None:
            known.turnstile = turnstile
            return known
        uri = str(sender.bare)
        if is_kept:
            actor = self._place.services.accounts.remote(chat.PROTOCOL, uri)
        else:
            actor = Actor(ActorId(0), ActorKind.REMOTE, uri, None, chat.PROTOCOL, uri)  # only to be refused
        return Visitor(self._place, self._counters, actor, sender, local, turnstile, self._forget)

    def _stay(self, visitor: Visitor) -> None:
        key = (visitor.local, visitor.jid)
        if key not in self._staying:
            self._staying[key] = visitor
            self._place.services.devices.log_in(visitor.device)

    def _forget(self, visitor: Visitor) -> None:
        self._staying.pop((visitor.local, visitor.jid), None)

    def _forward(self, stanza: Stanza, sender: Jid, to: Jid) -> None:
        """Pass a stanza on between a component and another server, or another component."""
        place = self._place

        def bounce(error: StanzaError) -> None:
            if stanza.type not in (b"error", b"result"):
                place.abroad.send(to.domain, sender.domain, encode_error_reply(stanza, error, str(sender)))

        if self._serves(to.domain) or self._serves(sender.domain):
            place.abroad.send(sender.domain, to.domain, _whole(stanza, to, sender), bounce)

    # To rooms

    def _to_rooms(self, visitor: Visitor, stanza: Stanza, to: Jid) -> None:
        if stanza.name == b"presence":
            if stanza.type == b"error":
                visitor.leave("")  # XEP-0045 §7.14: whoever answers with an error is not there
                return
            if stanza.type == b"":
                self._stay(visitor)
            muc.take_presence(visitor, stanza, to)
            visitor.settle()
        elif stanza.name == b"message":
            if stanza.type == b"error":
                if any(child[0] == b"error" for child in stanza.children):
                    visitor.leave("")  # its server says that the occupant is gone
                return
            muc.take_message(visitor, stanza, to)
        elif stanza.type in (b"result", b"error"):
            muc.take_answer(visitor, stanza, to)
        else:
            muc.take_iq(visitor, _request(stanza, to))

    def _to_pubsub(self, visitor: Visitor, stanza: Stanza, to: Jid) -> None:
        if stanza.name == b"iq" and stanza.type in (b"get", b"set"):
            pubsub.take_iq(visitor, _request(stanza, to))
        elif stanza.name == b"message" and stanza.type != b"error":
            raise Refused(SERVICE_UNAVAILABLE)

    # To accounts and the server

    def _message(self, visitor: Visitor, stanza: Stanza, to: Jid) -> None:
        other = self._account(to)
        if other is None:
            if not to.local and any(child[1] == _EVENT for child in stanza.children):
                event = element_of(stanza).find("event", EVENT)
                if event is not None and stanza.type != b"error":
                    self._told(visitor.jid, event)
                return
            raise Refused(SERVICE_UNAVAILABLE)  # RFC 6121 §8.5.1
        raw = _payload(stanza, visitor)
        services = self._place.services
        if stanza.type in (b"groupchat", b"error") or any(child[1] in _SERVICES for child in stanza.children):
            if stanza.type == b"groupchat" and not to.resource:
                raise Refused(SERVICE_UNAVAILABLE)  # RFC 6121 §8.5.2.1.1
            chat.relay(visitor, stanza, raw, other, to.resource)
            return
        accepted = accept.accept(stanza, _from(visitor), b"", self._place.domain)
        resource = to.resource
        if resource and services.devices.named(other, resource) is None:
            resource = ""  # RFC 6121 §8.5.3.2.1
        relayed = b"<message" + accepted.native
        known = services.directory.foreign(other, visitor.actor)
        kept = accepted.what in (accept.EVENT, accept.SUBJECT) and stanza.type != b"headline"
        if stanza.type == b"headline" or (known is None and not kept):
            chat.relay(visitor, stanza, relayed, other, resource)
            return
        if known is None and not self._serves(visitor.jid.domain):
            refusal = services.strangers.may_write(other, visitor.actor)
            if refusal is not None:
                self._counters.refused(refusal)
                raise Refused(stanza_error_for(refusal))
        conversation = services.messaging.open_foreign(other, visitor.actor) if known is None else known
        chat.submit(
            visitor,
            stanza,
            accepted,
            conversation,
            resource,
            lambda: chat.relay(visitor, stanza, relayed, other, resource),
        )

    def _presence(self, visitor: Visitor, stanza: Stanza, to: Jid) -> None:
        account = self._account(to)
        type_ = stanza.type
        if account is None:
            if type_ in (b"subscribe", b"probe") and to.local:
                self._say(visitor, to, "unsubscribed")  # RFC 6121 §3.1.3, §4.3.2
            return
        if type_ in presence.SUBSCRIPTIONS:
            self._step(visitor, stanza, account)
        elif type_ == b"probe":
            visitor.run(lambda: self._probe(visitor, account, to))
        elif to.resource:
            # To one device: a directed presence, or what a room elsewhere shows its occupant.
            services = self._place.services
            raw = _payload(stanza, visitor)
            visitor.run(lambda: _ignore(services.relays.to_device(visitor.device, account, to.resource, raw)))
        elif type_ in (b"", b"unavailable"):
            shown = _read(stanza)
            presences = self._place.services.presences
            visitor.run(lambda: presences.arrive(visitor.actor, visitor.jid.resource, shown, account))
            if type_ == b"":
                claim = caps_hash.read(element_of(stanza))
                visitor.run(lambda: self._readers.arrived(account, visitor.actor, visitor.jid, claim))
            else:
                visitor.run(lambda: self._readers.left(account, visitor.jid))

    def _step(self, visitor: Visitor, stanza: Stanza, account: Account) -> None:
        roster, actor = self._place.services.roster, visitor.actor
        ticket = visitor.begin()
        done, refused = ticket.finish, visitor.refused_by(stanza, ticket)
        match stanza.type:
            case b"subscribe":
                request = presence.request_of(stanza, visitor.jid.bare)
                onboarding.subscribe(
                    self._place,
                    stanza,
                    actor,
                    account.actor,
                    lambda: roster.asked_by(account, actor, request, done, refused),
                )
            case b"subscribed":
                roster.answered_by(account, actor, done, refused, granted=True)
            case b"unsubscribed":
                roster.answered_by(account, actor, done, refused, granted=False)
            case _:
                roster.left_by(account, actor, done, refused)

    def _probe(self, visitor: Visitor, account: Account, to: Jid) -> None:
        if not self._place.services.presences.answer(account, visitor.actor):
            self._say(visitor, to, "unsubscribed")  # RFC 6121 §4.3.2.1

    def _say(self, visitor: Visitor, sender: Jid, type_: str) -> None:
        addresses = attribute("from", str(sender.bare)) + attribute("to", str(visitor.jid.bare))
        visitor.send(f"<presence{addresses} type='{type_}'/>".encode())

    def _iq(self, visitor: Visitor, stanza: Stanza, to: Jid) -> None:
        services = self._place.services
        if stanza.type in (b"result", b"error"):
            if not to.local:
                if stanza.id.startswith(_CAPABILITIES):
                    self._place.capabilities.answered(visitor.jid, stanza)
                elif not self._place.errands.answered(visitor.jid, stanza):
                    self._answered(visitor.jid.domain, stanza.id)
                return
        elif not (to.local and to.resource):
            iq = _request(stanza, to)
            visitor.run(lambda: self._answer(visitor, iq, to))
            return
        account = self._account(to)
        if account is None or not to.resource:
            raise Refused(SERVICE_UNAVAILABLE)
        raw = _payload(stanza, visitor)

        def relay() -> None:
            refusal = services.relays.to_device(visitor.device, account, to.resource, raw)
            if refusal is not None:
                visitor.refuse(stanza, stanza_error_for(refusal))

        visitor.run(relay)

    def _answer(self, visitor: Visitor, iq: Iq, to: Jid) -> None:
        """Answer for the server or an account, as far as that is for people of other servers."""
        answer = TABLE.get((iq.payload.namespace, iq.payload.name))
        try:
            if answer is None or not answer.foreign:
                raise Refused(SERVICE_UNAVAILABLE if answer is None else FORBIDDEN)
            if to.local:
                known = answer.others and self._account(to) is not None
            else:
                known = answer.server
            handler = answer.set if iq.is_set else answer.get
            if not known or handler is None:
                raise Refused(SERVICE_UNAVAILABLE)
            handler(visitor, iq)
        except Refused as refused:
            visitor.refuse(iq.stanza, refused.error)

    def _account(self, to: Jid) -> Account | None:
        account = self._place.services.accounts.find(to.local) if to.local else None
        return None if account is None or is_anonymous(account.actor) else account


def _request(stanza: Stanza, to: Jid) -> Iq:
    payloads = element_of(stanza).elements()
    if stanza.type not in (b"get", b"set") or len(payloads) != 1 or not stanza.id:
        raise Refused(BAD_REQUEST)  # RFC 6120 §8.2.3
    return Iq(stanza, to, payloads[0], stanza.type == b"set")


def _read(stanza: Stanza) -> Presence:
    """Return the presence of somebody elsewhere, with all that their server says."""
    element = element_of(stanza)
    native = b"<presence" + stanza.attributes + stanza.data[stanza.head : stanza.end]
    status = element.child_text("status") or ""
    if stanza.type == b"unavailable":
        return Presence(Availability.OFFLINE, status, 0, chat.PROTOCOL, native)
    availability = presence.SHOWN.get((element.child_text("show") or "").strip(), Availability.ONLINE)
    return Presence(availability, status, 0, chat.PROTOCOL, native)


def _from(visitor: Visitor) -> bytes:
    return b" from='" + visitor.address + b"'"


def _payload(stanza: Stanza, visitor: Visitor) -> bytes:
    """Return a stanza that lacks only its receiver."""
    return b"<" + stanza.name + _from(visitor) + stanza.attributes + stanza.data[stanza.head : stanza.end]


def _whole(stanza: Stanza, to: Jid, sender: Jid) -> bytes:
    addresses = attribute("to", str(to)) + attribute("from", str(sender))
    rest = stanza.attributes + stanza.data[stanza.head : stanza.end]
    return b"<" + stanza.name + addresses.encode() + rest


def _ignore(outcome: object) -> None:
    """Nobody is told."""
