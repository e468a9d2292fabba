"""What goes from the core to other servers: the queue in the store, presence, chat states and receipts.

The entries for a server are sent in their order, some at a time, followed by a ping (XEP-0199): stanzas between two
domains are handled in order (RFC 6120 §10.1), so its answer, whatever it says, confirms them, and they are taken out. A
stream that breaks before that has them sent again on the next: nothing is lost, and a message may come twice, with the
same id. What expires goes back to its sender with an error.
"""

from typing import Final

import msgspec

from sabir.core.model.actor import Account, Actor, ActorKind
from sabir.core.model.changes import PeerQueueRow
from sabir.core.model.event import Event
from sabir.core.model.peer import Peer
from sabir.core.model.presence import Availability, Presence
from sabir.core.model.signals import Receipt, Relayed, Typing
from sabir.core.services import peers
from sabir.core.services.peers import Queued, Step
from sabir.protocols.xmpp.codec import attribute, encode_stanza_error
from sabir.protocols.xmpp.errors import REMOTE_SERVER_TIMEOUT
from sabir.protocols.xmpp.features import chat, presence
from sabir.protocols.xmpp.features.context import Place
from sabir.protocols.xmpp.features.stamps import delay
from sabir.protocols.xmpp.federation.links import Carrier, Links
from sabir.protocols.xmpp.jid import jid_of
from sabir.protocols.xmpp.machine.peers import Pair

PAGE: Final = 100
"""Entries read and sent at a time; no more are unconfirmed."""
LATE_MS: Final = 10_000
"""What waited for longer says when it was written."""
SWEEP_MS: Final = 300_000

_TYPES: Final = {
    peers.ASK: "subscribe",
    peers.GRANT: "subscribed",
    peers.REFUSE: "unsubscribed",
    peers.LEAVE: "unsubscribe",
}


class _Course:
    """How far the queue for one server is sent."""

    __slots__ = ("peer", "pings", "scheduled", "sent_n", "unconfirmed", "waits_for")

    def __init__(self, peer: Peer) -> None:
        self.peer: Peer = peer
        self.sent_n: int = 0
        self.unconfirmed: list[PeerQueueRow] = []
        self.waits_for: bytes = b""
        """The id of the ping whose answer confirms them; empty for none."""
        self.pings: int = 0
        self.scheduled: bool = False


class Outbox:
    """See `core.ports.Transport` and `links.Watcher`."""

    def __init__(self, place: Place, links: Links, run: str) -> None:
        """Prepare; `run` is of this run of the server alone, so that no answer to an earlier one counts."""
        self._place: Final = place
        self._links: Final = links
        self._run: Final = run
        self._courses: Final[dict[str, _Course]] = {}

    def start(self) -> None:
        """Send on what waits since the last run, and look for what expires from now on."""
        for peer in self._place.services.peers.all():
            self._feed(self._course(peer))
        self._links.later(SWEEP_MS, self._sweep)

    def answered(self, domain: str, id_: bytes) -> bool:
        """Note an answer to the server itself; returns whether it was waited for."""
        course = self._courses.get(domain)
        if course is None or not course.waits_for or course.waits_for != id_:
            return False
        course.waits_for = b""
        rows, course.unconfirmed = course.unconfirmed, []
        self._place.services.peers.remove(course.peer, rows, lambda: None)
        self._feed(course)
        return True

    # See `core.ports.Transport`

    def actor_of(self, address: str) -> Actor | None:
        """See `Transport.actor_of`."""
        jid = jid_of(address)
        place = self._place
        if jid is None or not jid.local or place.is_ours(jid.domain) or self._links.refusal(jid.domain):
            return None
        return place.services.accounts.remote(chat.PROTOCOL, str(jid.bare))

    def waits(self, peer: Peer) -> None:
        """See `Transport.waits`."""
        self._feed(self._course(peer))

    def show(self, account: Account, resource: str, presence: Presence, watcher: Actor) -> None:
        """See `Transport.show`."""
        sender = f"{account.name}@{self._place.domain}"
        if resource:
            sender += "/" + resource
        self._send(watcher, _presence(sender, watcher.name, presence))

    def probe(self, account: Account, actor: Actor) -> None:
        """See `Transport.probe`."""
        addresses = attribute("from", f"{account.name}@{self._place.domain}") + attribute("to", actor.name)
        self._send(actor, f"<presence{addresses} type='probe'/>".encode())

    def pass_on(self, signal: Typing | Receipt, peer: Actor) -> None:
        """See `Transport.pass_on`."""
        native = chat.native_of_signal(self._place, signal)
        if native:
            to = peer.name + ("/" + signal.to_resource if signal.to_resource else "")
            self._send(peer, b"<message" + attribute("to", to).encode() + native)

    # See `links.Watcher`

    def reached(self, pair: Pair) -> None:
        """See `Watcher.reached`."""
        course = self._course_of(pair)
        if course is not None:
            self._feed(course)

    def read_on(self, pair: Pair) -> None:
        """See `Watcher.read_on`."""
        self.reached(pair)

    def lost(self, pair: Pair, why: str, *, tried: bool) -> None:
        """See `Watcher.lost`."""
        course = self._course_of(pair)
        if course is None:
            return
        course.unconfirmed, course.waits_for, course.sent_n = [], b"", 0
        self._give_up_expired(course)
        self._try_later(course)

    def _course_of(self, pair: Pair) -> _Course | None:
        peer = self._place.services.peers.known(chat.PROTOCOL, pair.remote)
        return None if peer is None or pair.local != self._place.domain else self._course(peer)

    def _course(self, peer: Peer) -> _Course:
        course = self._courses.get(peer.domain)
        if course is None:
            course = self._courses[peer.domain] = _Course(peer)
        return course

    # The queue

    def _feed(self, course: _Course) -> None:
        """Send what waits, as far as the other server takes it."""
        peer = course.peer
        if not peer.waiting or len(course.unconfirmed) >= PAGE:
            return
        pair = Pair(self._place.domain, peer.domain)
        carrier = self._links.carrier_of(pair)
        if carrier is None and peer.domain in self._links.secrets:
            return  # the component will come again
        if carrier is None:
            link = self._links.link(pair)
            if link is not None:
                self._links.want(link)
            self._try_later(course)
        elif not carrier.lagging:
            rows = self._place.services.peers.waiting(peer, course.sent_n, PAGE - len(course.unconfirmed))
            for row in rows:
                carrier.put(self._render(row))
            if rows and peer.domain in self._links.components:
                # A component is on this machine, and need not know how to answer a ping.
                course.sent_n = rows[-1].n
                self._place.services.peers.remove(peer, rows, lambda: self._feed(course))
            elif rows:
                course.sent_n = rows[-1].n
                course.unconfirmed += rows
                self._ask(course, carrier)

    def _ask(self, course: _Course, carrier: Carrier) -> None:
        """Have the other server confirm what it was sent; another ping if one is under way already."""
        course.pings += 1
        id_ = f"{self._run}-{course.pings}"
        course.waits_for = id_.encode()
        addresses = attribute("from", self._place.domain) + attribute("to", course.peer.domain)
        carrier.put(f"<iq type='get' id='{id_}'{addresses}><ping xmlns='urn:xmpp:ping'/></iq>".encode())
        asked = course.waits_for

        def look() -> None:
            if course.waits_for == asked:
                carrier.give_up("No answer.")

        self._links.later(self._links.config.ping_timeout_s * 1000, look)

    def _try_later(self, course: _Course) -> None:
        if not course.peer.waiting or course.scheduled:
            return
        course.scheduled = True
        pair = Pair(self._place.domain, course.peer.domain)
        delay_ms = max(self._links.retry_in_ms(pair), 1_000)

        def again() -> None:
            course.scheduled = False
            self._feed(course)

        self._links.later(delay_ms, again)

    def _sweep(self) -> None:
        self._links.later(SWEEP_MS, self._sweep)
        for peer in self._place.services.peers.all():
            self._give_up_expired(self._course(peer))

    def _give_up_expired(self, course: _Course) -> None:
        """Tell the senders of what has waited for too long."""
        services = self._place.services
        now_ms = services.clock.now_ms()
        given_up: list[PeerQueueRow] = []
        for row in services.peers.waiting(course.peer, course.sent_n, PAGE):
            if row.expires_ms > now_ms:
                break
            lapsed = now_ms - row.expires_ms > services.peers.keep_ms
            if self._bounce(row) or lapsed:
                given_up.append(row)
        if given_up:
            services.peers.remove(course.peer, given_up, lambda: None)

    def _bounce(self, row: PeerQueueRow) -> bool:
        """Return a message to its sender; returns whether somebody was there to be told."""
        if row.kind != peers.EVENT:
            return True
        queued = msgspec.msgpack.decode(row.payload, type=Queued)
        services = self._place.services
        event = services.history.at(queued.seq)
        conversation = None if event is None else services.directory.conversation(event.conversation_id)
        if event is None or conversation is None or conversation.peer is None:
            return True
        origin = conversation.peer.name + ("/" + queued.to_resource if queued.to_resource else "")
        error = encode_stanza_error(REMOTE_SERVER_TIMEOUT)
        start = attribute("from", origin) + " type='error'" + attribute("id", chat.id_of(event))
        told = Relayed(
            chat.PROTOCOL,
            f"<message{start}>{error}</message>".encode(),
            conversation.peer,
            queued.to_resource,
        )
        found = False
        for device in services.devices.of(conversation.parties[0]):
            if device.protocol == chat.PROTOCOL and chat.takes_messages(device):
                device.signal(told)
                found = True
        return found

    def _render(self, row: PeerQueueRow) -> bytes:
        """Return an entry of the queue as a stanza; empty if there is nothing to send any more."""
        if row.kind == peers.STEP:
            return self._step(msgspec.msgpack.decode(row.payload, type=Step))
        queued = msgspec.msgpack.decode(row.payload, type=Queued)
        services = self._place.services
        event = services.history.at(queued.seq)
        conversation = None if event is None else services.directory.conversation(event.conversation_id)
        if event is None or conversation is None or conversation.peer is None:
            return b""
        native = self._native(event, chat.native_of(self._place, conversation, event))
        to = conversation.peer.name + ("/" + queued.to_resource if queued.to_resource else "")
        return b"<message" + attribute("to", to).encode() + native if native else b""

    def _native(self, event: Event, native: bytes) -> bytes:
        if native and self._place.services.clock.now_ms() - event.at_ms > LATE_MS:
            return chat.insert(native, delay(self._place.domain, event.at_ms))  # XEP-0203 §2
        return native

    def _step(self, step: Step) -> bytes:
        directory = self._place.services.directory
        to = attribute("to", directory.actor(step.actor).name)
        if step.what == peers.ASK and step.native.startswith(b"<presence "):
            return b"<presence" + to.encode() + step.native[len(b"<presence") :]
        account = directory.accounts[step.account]  # type: ignore[index]  # an id from a row
        sender = attribute("from", f"{account.name}@{self._place.domain}")
        return f"<presence{sender}{to} type='{_TYPES[step.what]}'/>".encode()

    def _send(self, actor: Actor, stanza: bytes) -> None:
        if actor.kind is ActorKind.REMOTE:
            domain = actor.name.rpartition("@")[2]
            self._links.send(self._place.domain, domain, stanza)


def _presence(sender: str, to: str, shown: Presence) -> bytes:
    start = b"<presence" + (attribute("from", sender) + attribute("to", to)).encode()
    if shown.protocol == chat.PROTOCOL and shown.native:
        return start + shown.native[len(b"<presence") :]
    if shown.availability is Availability.OFFLINE and not shown.status:
        return start + b" type='unavailable'/>"
    return start + presence.synthesise(shown)
