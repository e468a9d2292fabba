"""What one connected client does on the topics of rooms and people, and is shown of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from sabir.core.errors import Refusal
from sabir.core.model.actor import Account
from sabir.core.model.conversation import Conversation
from sabir.core.model.event import Event, Kind
from sabir.core.model.presence import OFFLINE
from sabir.core.model.signals import (
    Attended,
    AttendeeChanged,
    Departed,
    ReadMarked,
    ReceiptKind,
    Relayed,
    RoomConfigured,
    Signal,
    Typing,
    Whispered,
)
from sabir.core.ports import Session
from sabir.gateway.contract import Turnstile
from sabir.protocols.mqtt.codec.message import Message
from sabir.protocols.mqtt.errors import reason_for
from sabir.protocols.mqtt.features import reading
from sabir.protocols.mqtt.features.asking import ask
from sabir.protocols.mqtt.features.catching import MAX_WAITING_BYTES, CatchingUp
from sabir.protocols.mqtt.features.moderating import describe, moderate
from sabir.protocols.mqtt.features.progress import Progress
from sabir.protocols.mqtt.features.replies import arrived, reply
from sabir.protocols.mqtt.features.sessions import ClientSession
from sabir.protocols.mqtt.features.speaking import Reacting, speak
from sabir.protocols.mqtt.features.talk import FOR_PUBLISH, Answer, Talk
from sabir.protocols.mqtt.features.wishes import MAX_QOS
from sabir.protocols.mqtt.session.place import Place as Shared
from sabir.protocols.mqtt.translate import topics
from sabir.protocols.mqtt.translate.said import PROTOCOL, Said, SaidError
from sabir.protocols.mqtt.translate.shown import SHOWN
from sabir.protocols.mqtt.translate.told import (
    Composing,
    Status,
    message,
    meta_of,
    presence_of,
    read,
    status_in_room,
    status_of_oneself,
    typing_of,
)
from sabir.protocols.mqtt.translate.topics import Place, is_chat, place_of, topic_of, topic_of_user, wanted_of
from sabir.protocols.mqtt.types import packets as p
from sabir.protocols.mqtt.types.reasons import Reason

_RECEIPTS: Final = {kind.value: kind for kind in ReceiptKind}
_FOR_SUBSCRIBE: Final[dict[Reason, Reason]] = {
    **FOR_PUBLISH,
    Reason.TOPIC_NAME_INVALID: Reason.TOPIC_FILTER_INVALID,
    Reason.PAYLOAD_FORMAT_INVALID: Reason.UNSPECIFIED_ERROR,
}


class Chat:
    """The conversations of one client with an account."""

    def __init__(
        self,
        place: Shared,
        owner: Session,
        account: Account,
        client: ClientSession,
        turnstile: Turnstile,
        answer: Answer,
    ) -> None:
        self._talk: Final = Talk(place.broker, place.rendered, owner, account, client, turnstile, answer)
        self._services: Final = place.broker.services
        self._boards: Final = place.boards
        self._wishes: Final = self._talk.wishes
        self._turnstile: Final = turnstile
        self._answer: Final = answer
        self._shared: Final = place
        self._catching: CatchingUp | None = None
        self._is_writing = False
        self._is_closed = False
        if client.progress is not None:
            client.progress.told = self._progressed

    # What the client publishes

    def publish(self, packet: p.Publish) -> None:
        """Do what is published on a chat topic; it is acknowledged when that is durable."""
        place = place_of(packet.topic)
        if place is None:
            self._answer(packet, Reason.TOPIC_NAME_INVALID, "there is no such chat topic")
            return
        try:
            self._do(place, packet)
        except SaidError as error:
            self._answer(packet, Reason.PAYLOAD_FORMAT_INVALID, str(error))

    def _do(self, place: Place, packet: p.Publish) -> None:  # a table, and so long
        talk = self._talk
        what = place.what
        if what in (topics.TEXT, topics.MSG, topics.INBOX):
            speak(talk, place, packet)
        elif what == topics.TYPING:
            self._type(place, packet)
        elif what == topics.STATUS:
            self._tell(place, packet)
        elif what == topics.HISTORY:
            ask(talk, place, packet)
        elif what == topics.META:
            describe(talk, place, packet)
        elif what == topics.MODERATION:
            moderate(talk, place, packet)
        elif what.startswith(topics.REPLY):
            reply(talk, place, packet)
        elif what == topics.PRESENCE and place.name == talk.name:
            self._show_presence(packet)
        elif what == topics.READ and place.name == talk.name:
            reading.mark(talk, packet)
        else:
            self._answer(packet, Reason.NOT_AUTHORIZED, "this is to be read only")

    def _type(self, place: Place, packet: p.Publish) -> None:
        talk = self._talk
        state = typing_of(packet.payload)

        def then(conversation: Conversation) -> None:
            self._services.reads.typing(talk.owner, conversation, state)
            talk.done(packet)

        self._with(place, packet, then)

    def _tell(self, place: Place, packet: p.Publish) -> None:
        """Come in, leave, or say how far a message got."""
        talk = self._talk
        told = read(packet.payload, Status)
        if place.is_room and told.status == "joined":
            talk.enter(packet, place.name, lambda conversation: talk.done(packet), told.key)
        elif place.is_room and told.status == "left":
            talk.turnstile.enter()
            talk.attending.leave(place.name, lambda: talk.done(packet))
        elif told.status in _RECEIPTS:
            kind = _RECEIPTS[told.status]
            self._with(
                place, packet, lambda conversation: reading.receive(talk, conversation, told.id, kind, packet)
            )
        else:
            raise SaidError("a status is joined, left, delivered or read")

    def _with(self, place: Place, packet: p.Publish, then: Callable[[Conversation], None]) -> None:
        """Do something in a conversation that exists; the turnstile is entered."""
        talk = self._talk
        if place.is_room:
            talk.enter(packet, place.name, then)
            return
        conversation = talk.direct(place.name, opens=True)
        if isinstance(conversation, Refusal):
            talk.refuse(packet, conversation)
            return
        talk.turnstile.enter()
        then(conversation)

    def _show_presence(self, packet: p.Publish) -> None:
        presence = presence_of(packet.payload, PROTOCOL)
        self._services.presences.change(self._talk.owner, presence)
        self._answer(packet, Reason.SUCCESS, "")

    # Outcomes

    def posted(self, conversation: Conversation, event: Event, token: object) -> None:
        """Acknowledge what is in the log, and show it to the client itself if it wants that."""
        self._happened(conversation, event, is_own=True)
        if isinstance(token, p.Publish):
            self._talk.done(token)

    def refused(self, refusal: Refusal, token: object) -> None:
        """Say that something is not in the log."""
        self._turnstile.leave()
        packet = token.packet if isinstance(token, Reacting) else token
        if isinstance(packet, p.Publish):
            self._talk.refuse(packet, refusal)

    def complain(self, packet: p.Publish, what: str) -> bool:
        """Tell the client on its own `status` why something was not done; return whether it wants to know."""
        told = Status(status="refused", reason=what, text=packet.topic)
        return self._tell_status(topic_of_user(self._talk.name, topics.STATUS), told)

    # Subscriptions

    def subscribe(
        self, packet: p.Subscribe, filters: list[int], then: Callable[[dict[int, int]], None]
    ) -> None:
        """Join the rooms of those `filters` of a SUBSCRIBE; `then` is told their reason codes."""
        key = dict(packet.properties.users).get("key", "")
        found: dict[int, int] = {}

        def one(at: int, reason: int) -> None:
            found[at] = reason
            if len(found) == len(filters):
                then(found)

        for at in filters:
            self._subscribe(packet.filters[at].name, packet.filters[at].qos, key, partial(one, at))

    def _subscribe(self, name: str, qos: int, key: str, then: Callable[[int], None]) -> None:
        """Join the room of a filter, or see whether one may look; `then` is told the reason code."""
        wanted = wanted_of(name)
        if wanted is None:
            then(Reason.TOPIC_FILTER_INVALID)
            return
        granted = min(qos, MAX_QOS)
        if not wanted.is_room:
            then(granted if self._may_look(wanted) else Reason.NOT_AUTHORIZED)
            return

        def refused(refusal: Refusal) -> None:
            reason = reason_for(refusal)
            then(_FOR_SUBSCRIBE.get(reason, reason))

        self._talk.attending.enter(wanted.name, lambda conversation: then(granted), refused, key=key)

    def granted(self, name: str, *, is_new: bool) -> None:
        """Take note of a filter that is granted: what is said from now on is for it."""
        client, head_seq = self._talk.client, self._services.delivery.head_seq
        wanted = wanted_of(name) if is_chat(name) else None
        if wanted is None:
            return
        if client.progress is None:
            client.progress = Progress(head_seq)
            client.progress.told = self._progressed
        if is_new:
            client.progress.since[name] = head_seq
        self._wishes.changed()

    def subscribed(self, name: str, *, is_new: bool) -> None:
        """Send what is retained for a filter that was granted (MQTT 5.0 §3.3.1.3)."""
        wanted = wanted_of(name) if is_chat(name) else None
        subscription = self._talk.client.filters.get(name)
        if wanted is None or subscription is None:
            return
        self._watch(wanted)
        handling = subscription.wanted.retain_handling
        # [MQTT-3.3.1-9], [MQTT-3.3.1-10], [MQTT-3.3.1-11]
        if handling == 2 or (handling == 1 and not is_new):
            return
        numbers = (subscription.subscription_id,) if subscription.subscription_id else ()
        for each in self._retained(wanted):
            self._talk.client.offer(each, min(subscription.wanted.qos, MAX_QOS), True, numbers, "")

    def unsubscribed(self, names: list[str]) -> None:
        """Leave the rooms that no filter is about any more."""
        if not any(is_chat(name) for name in names):
            return
        self._wishes.changed()
        progress = self._talk.client.progress
        if progress is not None:
            for name in names:
                progress.since.pop(name, None)
        self._talk.attending.leave_all_but(self._wishes.rooms())
        for name in names:
            wanted = wanted_of(name)
            account = None if wanted is None or wanted.is_room else self._services.accounts.find(wanted.name)
            if account is not None and self._wishes.of(topic_of_user(account.name, topics.PRESENCE)) is None:
                self._boards.unwatch(account, self._wishes)

    def come_back(self) -> None:
        """Join the rooms that a session was in when its client was gone, and show what was said meanwhile."""
        rooms = self._wishes.rooms()
        catching = self._catch_up()
        left = [len(rooms) + 1]

        def one(*outcome: object) -> None:
            left[0] -= 1
            if left[0] == 0 and catching is not None:
                catching.go_on()

        for name in self._talk.client.filters:
            wanted = wanted_of(name) if is_chat(name) else None
            if wanted is not None:
                self._watch(wanted)
        for room in rooms:
            self._talk.attending.enter(room, one, one)  # one that cannot be joined any more stays silent
        one()

    def close(self) -> None:
        """Leave everything."""
        talk = self._talk
        progress = talk.client.progress
        if self._catching is not None:
            self._catching.stop()
        elif progress is not None:
            progress.sent_seq = max(progress.sent_seq, self._services.delivery.head_seq)
        self._is_closed = True
        if progress is not None:
            progress.told = None
        if talk.owner.presence.is_available:
            self._services.presences.change(talk.owner, OFFLINE)
        for name in talk.client.filters:
            wanted = wanted_of(name) if is_chat(name) else None
            if wanted is not None and not wanted.is_room:
                account = self._services.accounts.find(wanted.name)
                if account is not None:
                    self._boards.unwatch(account, self._wishes)

    def _may_look(self, wanted: Place) -> bool:
        """Whether the client may look at the topics of a person: one's own, and the presence of contacts."""
        if wanted.name == self._talk.name:
            return True
        account = self._services.accounts.find(wanted.name) if wanted.whats == (topics.PRESENCE,) else None
        return account is not None and self._services.presences.may_see(self._talk.account, account.actor)

    def _watch(self, wanted: Place) -> None:
        if not wanted.is_room and topics.PRESENCE in wanted.whats:
            account = self._services.accounts.find(wanted.name)
            if account is not None:
                self._boards.watch(account, self._wishes, self._talk.account)

    def _retained(self, wanted: Place) -> list[Message]:
        found = []
        if wanted.is_room:
            room = self._services.rooms.find(wanted.name)
            if room is not None and topics.META in wanted.whats:
                found.append(self._meta(room))
            if room is not None and topics.MEMBERS in wanted.whats:
                found.append(self._boards.members(room))
            return found
        account = self._services.accounts.find(wanted.name)
        if account is not None and topics.PRESENCE in wanted.whats:
            found.append(self._boards.presence(account))
        if topics.READ in wanted.whats:
            found.append(reading.markers(self._talk))
        return found

    # What the core says

    def show(self, conversation: Conversation, event: Event) -> None:
        """Publish what somebody else said, or did."""
        if event.kind == Kind.TOPIC:
            self._show_meta(conversation)
        else:
            self._happened(conversation, event, is_own=False)

    def _happened(self, conversation: Conversation, event: Event, *, is_own: bool) -> None:
        """Show an entry, unless the client reads it from the log."""
        if event.kind not in SHOWN or self._is_closed:
            return
        progress, client = self._talk.client.progress, self._talk.client
        if progress is not None and self._catching is None:
            if event.seq <= progress.sent_seq:
                return  # it was read from the log
            if client.outflow.waiting_bytes >= MAX_WAITING_BYTES:
                self._catch_up()
            else:
                progress.sent_seq = event.seq
        if self._catching is not None:
            self._catching.passed(event, is_own=is_own)
        else:
            self._show(conversation, event, is_own, is_late=False)

    def _catch_up(self) -> CatchingUp | None:
        """Let the client read the log, if it wants all that is said."""
        progress = self._talk.client.progress
        if progress is None or not self._wishes.kept():
            return None
        self._catching = CatchingUp(self._talk, progress, self._show_late, self._go_live)
        return self._catching

    def _show_late(self, conversation: Conversation, event: Event, is_own: bool) -> None:
        self._show(conversation, event, is_own, is_late=True)

    def _go_live(self) -> None:
        self._catching = None

    def _progressed(self) -> None:
        """Read on when the client has acknowledged something, and keep in the store how far it is."""
        if self._catching is not None:
            self._catching.go_on()
        if self._talk.client.row and not self._is_writing:
            self._is_writing = True
            self._services.scheduler.shortly(self._write)

    def _write(self) -> None:
        self._is_writing = False
        client, broker = self._talk.client, self._shared.broker
        if client.row and not client.is_over:
            broker.write([broker.shelf.session(client)])

    def _show(self, conversation: Conversation, event: Event, is_own: bool, *, is_late: bool) -> None:
        view = self._talk.rendered.of(conversation, event, self._talk.account.actor)
        if view is None:
            return
        is_shown = False
        for topic in view.topics:
            wish = self._wishes.of(topic)
            if is_late and wish is not None and (not wish.qos or event.seq <= wish.since_seq):
                continue
            shown = None if wish is None else view.message(topic)
            if wish is not None and shown is not None:
                self._wishes.send(wish, shown, is_own=is_own)
                is_shown = True
        if is_shown and not conversation.is_room:
            self._services.devices.delivered(self._talk.account, event.seq)

    def _show_meta(self, conversation: Conversation) -> None:
        if self._wishes.of(topic_of(conversation.name, topics.META)) is not None:
            self._wishes.offer(self._meta(conversation))

    def _meta(self, conversation: Conversation) -> Message:
        return message(topic_of(conversation.name, topics.META), meta_of(conversation), retain=True)

    def signal(self, signal: Signal) -> None:
        """Publish what is not in the log."""
        if isinstance(signal, Attended | Departed | AttendeeChanged):
            self._boards.stir(signal.conversation, self._wishes)
        in_room = status_in_room(signal)
        if in_room is not None:
            self._tell_status(topic_of(in_room[0].name, topics.STATUS), in_room[1])
        own = status_of_oneself(signal)
        if own is not None:
            self._tell_status(topic_of_user(self._talk.name, topics.STATUS), own)
        if isinstance(signal, RoomConfigured):
            self._show_meta(signal.conversation)
        elif isinstance(signal, Typing):
            self._show_typing(signal)
        elif isinstance(signal, ReadMarked):
            reading.show(self._talk, signal.conversation, signal.event_id, signal.at_ms)
        elif isinstance(signal, Whispered):
            self._show_whisper(signal)
        elif isinstance(signal, Relayed):
            arrived(self._talk, signal.payload)

    def _tell_status(self, topic: str, told: Status) -> bool:
        if self._wishes.of(topic) is None:
            return False
        return self._wishes.offer(message(topic, told))

    def _show_typing(self, signal: Typing) -> None:
        conversation = signal.conversation
        if conversation.is_room:
            topic, to = topic_of(conversation.name, topics.TYPING), ""
        else:
            topic = topic_of_user(self._talk.name, topics.TYPING)
            to = conversation.other_than(signal.actor.id).name
        if self._wishes.of(topic) is not None:
            self._wishes.offer(message(topic, Composing(state=signal.state, sender=signal.nick, to=to)))

    def _show_whisper(self, signal: Whispered) -> None:
        """Show a private message of somebody in a room; it is in no log, and so has no id."""
        said = Said(
            sender=signal.nick,
            to=f"{signal.conversation.name}/{signal.to_nick}",
            ts=self._services.clock.now_ms(),
            text=signal.text,
        )
        self._wishes.offer(message(topic_of_user(self._talk.name, topics.INBOX), said))
