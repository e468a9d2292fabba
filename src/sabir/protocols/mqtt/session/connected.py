"""One connected client: what it sends takes effect on the broker, what the core tells it goes to the client."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sabir.core.errors import Refusal
from sabir.core.model.actor import Account, Actor, ActorKind
from sabir.core.model.changes import Change, MqttFilterRow
from sabir.core.model.conversation import Conversation
from sabir.core.model.event import Event
from sabir.core.model.ids import ActorId
from sabir.core.model.presence import OFFLINE, Presence
from sabir.core.model.signals import AccountChanged, Cause, Signal
from sabir.gateway.contract import Turnstile
from sabir.net.connection import Connection
from sabir.protocols.mqtt.codec.message import Message
from sabir.protocols.mqtt.errors import reason_for
from sabir.protocols.mqtt.features.acl import Rights
from sabir.protocols.mqtt.features.sessions import ClientSession
from sabir.protocols.mqtt.features.shelf import received
from sabir.protocols.mqtt.machine import Broken, Machine
from sabir.protocols.mqtt.session.acknowledging import Acknowledging
from sabir.protocols.mqtt.session.arrival import Arrival, LetIn
from sabir.protocols.mqtt.session.chat import Chat
from sabir.protocols.mqtt.session.place import Place
from sabir.protocols.mqtt.translate.said import PROTOCOL
from sabir.protocols.mqtt.translate.topics import is_chat
from sabir.protocols.mqtt.types import packets as p
from sabir.protocols.mqtt.types import properties as ids
from sabir.protocols.mqtt.types.reasons import FAILED, Reason

_IN_ORDER: Final = frozenset((p.PUBLISH, p.PUBREL, p.SUBSCRIBE, p.UNSUBSCRIBE))
"""Packets that take effect after whatever the client sent before them (DATAMODEL 1.5)."""
_NOBODY: Final = Actor(ActorId(0), ActorKind.GUEST, "*", None, PROTOCOL, "")
_MAX_STALL_MS: Final = 60_000


class MqttSession:
    """`net.connection.Handler` and `core.ports.Session` of one client."""

    def __init__(self, place: Place, connection: Connection) -> None:
        self.protocol = PROTOCOL
        self.account: Account | None = None
        self.actor: Actor = _NOBODY
        self.resource = f"mqtt-{connection.id}"
        self.presence: Presence = OFFLINE
        self._place: Final = place
        self._broker: Final = place.broker
        self._connection: Final = connection
        self._machine: Final = Machine(place.limits, place.names, place.clock.now_ms())
        self._arrival: Arrival | None = Arrival(place, connection, self._machine, self._let_in, self._end)
        self._session: ClientSession | None = None
        self._sends_will = True
        self._turnstile: Final = Turnstile(place.broker.services.log)
        self._acknowledging: Acknowledging | None = None  # made when it is needed: idle connections are many
        self._chat: Chat | None = None
        self._stalled: list[p.Packet] = []
        self._stalled_until_ms = 0
        self._rights: Rights | None = None

    # The net's side

    def receive(self, data: bytes) -> None:
        """Take bytes of the client."""
        packets = self._machine.receive(data, self._connection.now_ms)
        self._connection.frames_in += len(packets)
        if self._stalled:
            self._stalled += packets
            return
        self._take(packets)

    def tick(self, now_ms: int) -> None:
        """Do what is due."""
        if self._stalled:
            if now_ms >= self._stalled_until_ms:
                self._stalled = []
                # Two clients may wait for each other's acknowledgements, which we do not hear.
                self._end(Reason.QUOTA_EXCEEDED, "there was no room for the message for too long")
            return
        self._machine.tick(now_ms)
        self._flush()

    def next_deadline_ms(self) -> int:
        """Return when `tick` is due: while we do not listen, when we have waited for too long."""
        return self._stalled_until_ms if self._stalled else self._machine.next_deadline_ms()

    def lag(self) -> None:
        """See `Handler.lag`: what comes from now on waits in the session."""

    def catch_up(self) -> None:
        """Send what waits."""
        if self._session is not None:
            self._session.pump()

    def shutdown(self) -> None:
        """Say goodbye."""
        self._end(Reason.SERVER_SHUTTING_DOWN, "the server stops")

    def closed(self, reason: str) -> None:
        """Leave: the will is published unless the client said goodbye."""
        self._stalled = []
        self._place.stalled.pop(self._connection.id, None)
        self._leave()

    # Packets

    def _take(self, packets: list[p.Packet]) -> None:
        for at, packet in enumerate(packets):
            if not self._handle(packet):
                self._stall(packets[at:])
                break
            if self._machine.over:
                break
        self._flush()

    def _stall(self, packets: list[p.Packet]) -> None:
        if not self._stalled_until_ms:
            self._stalled_until_ms = self._connection.now_ms + _MAX_STALL_MS
        self._stalled = packets
        self._place.stalled[self._connection.id] = self.go_on
        self._connection.pause_reading()

    def go_on(self) -> None:
        """Take up again what waited for room."""
        packets, self._stalled = self._stalled, []
        self._connection.resume_reading()
        self._machine.receive(b"", self._connection.now_ms)  # it was we who did not listen
        self._take(packets)
        if not self._stalled:
            self._stalled_until_ms = 0

    def _flush(self) -> None:
        data = self._machine.drain()
        if data:
            self._connection.put(data)
        if self._machine.over:
            self._leave()
            self._connection.close()

    def _handle(self, packet: p.Packet) -> bool:
        """See to one packet; return whether it could be: False = it has to wait."""
        session = self._session
        if session is None:
            if self._arrival is not None:
                self._arrival.hear(packet)
            return True
        if not self._turnstile.is_free and packet.kind in _IN_ORDER and not self._is_written(session, packet):
            self._turnstile.run(lambda: self._handle_late(session, packet))
            return True
        return self._carry_out(session, packet)

    def _is_written(self, session: ClientSession, packet: p.Packet) -> bool:
        """Whether what a packet does is written to the log's queue, which keeps its order by itself."""
        if isinstance(packet, p.Publish):
            if session.row and packet.qos == 2:
                return True
            return not is_chat(packet.topic) and self._broker.must_keep(
                packet.topic, packet.qos, packet.retain
            )
        return session.row > 0

    def _handle_late(self, session: ClientSession, packet: p.Packet) -> None:
        """See to a packet whose turn has come; what the client sent before it is on disk."""
        if self._stalled:
            self._stalled.append(packet)
        elif not self._carry_out(session, packet):
            self._stall([packet])
        self._flush()

    def _carry_out(self, session: ClientSession, packet: p.Packet) -> bool:
        if isinstance(packet, p.Publish):
            return self._publish(session, packet)
        if isinstance(packet, p.Ack):
            self._acks().hear(session, packet)
        elif isinstance(packet, p.Subscribe):
            self._subscribe(session, packet)
        elif isinstance(packet, p.Unsubscribe):
            self._unsubscribe(session, packet)
        elif isinstance(packet, p.Disconnect):
            self._goodbye(session, packet)
        elif isinstance(packet, p.Auth):
            if self._arrival is not None:
                self._arrival.again(packet, self.account)
            else:
                self._end(Reason.PROTOCOL_ERROR, "not connected by authentication")  # [MQTT-4.12.1-1]
        elif isinstance(packet, Broken):
            self._machine.fail(packet.reason, packet.what)
        return True

    def _acks(self) -> Acknowledging:
        made = self._acknowledging
        if made is None:
            made = self._acknowledging = Acknowledging(
                self._broker, self._machine, self._turnstile, self._flush, self._store_failed
            )
        return made

    def _publish(self, session: ClientSession, packet: p.Publish) -> bool:
        broker = self._broker
        broker.counters.messages_in += 1
        qos = packet.qos
        reason = 0
        is_new = True
        if qos == 2:
            received = session.inflow.received
            # [MQTT-4.3.3-10]: the identifier is taken until PUBREL
            is_new = packet.packet_id not in received
            if is_new and len(received) >= broker.config.receive_maximum:
                self._end(Reason.RECEIVE_MAXIMUM_EXCEEDED, "more messages than Receive Maximum")
                return True
        if is_new and is_chat(packet.topic):
            self._say(session, packet)
            return True
        if is_new:
            message = broker.message(packet.topic, packet.payload, qos, packet.retain, packet.properties)
            if packet.frame:
                if session.version == p.V5:
                    message.frame5 = packet.frame
                else:
                    message.frame4 = packet.frame
            if not self._may_write(session, message.topic):
                reason = Reason.NOT_AUTHORIZED
            elif packet.retain and not broker.claim(message, session) and qos:
                if session.version != p.V5:
                    self._end(
                        Reason.QUOTA_EXCEEDED, "no room for retained messages"
                    )  # 3.1.1 has no word for it
                    return True
                reason = Reason.QUOTA_EXCEEDED
            elif qos and (full := broker.who_is_full(message, session)) is not None:
                if session.version != p.V5:
                    return self._without_room(session, full)
                reason = Reason.QUOTA_EXCEEDED
            elif broker.must_keep(packet.topic, qos, packet.retain) or (qos == 2 and session.row):
                self._keep(session, packet, message)
                return True
            elif not broker.publish(message, session):
                reason = Reason.NO_MATCHING_SUBSCRIBERS
            if qos == 2 and reason < FAILED:
                session.inflow.received[packet.packet_id] = None
        self._answer(packet, reason)
        return True

    def _answer(self, packet: p.Publish, reason: int) -> None:
        if packet.qos == 1:
            self._machine.send_ack(p.PUBACK, packet.packet_id, reason)  # [MQTT-4.3.2-4]
        elif packet.qos == 2:
            self._machine.send_ack(p.PUBREC, packet.packet_id, reason)  # [MQTT-4.3.3-8]

    def _say(self, session: ClientSession, packet: p.Publish) -> None:
        if packet.qos == 2:
            session.inflow.received[packet.packet_id] = None
        if self._chat is None:
            self._heard(packet, Reason.NOT_AUTHORIZED, "rooms are for those who have an account")
        else:
            self._chat.publish(packet)

    def _heard(self, packet: p.Publish, reason: int, what: str) -> None:
        """Acknowledge a message to a room, or say why it is not there."""
        session = self._session
        if session is None:
            return
        if reason >= FAILED:
            session.inflow.received.pop(packet.packet_id if packet.qos == 2 else 0, None)
            is_told = self._chat is not None and self._chat.complain(packet, what)
            if packet.qos and session.version != p.V5:
                if not is_told:
                    self._end(Reason.IMPLEMENTATION_ERROR, what)  # 3.1.1 has no word for it
                    return
                reason = 0
        elif packet.qos == 2 and session.row:
            rows: list[Change] = [received(session, packet.packet_id)]
            self._acks().write_then(p.PUBREC, packet.packet_id, rows)
            return
        if reason >= FAILED and packet.qos:
            kind = p.PUBACK if packet.qos == 1 else p.PUBREC
            self._machine.send_refusal(kind, packet.packet_id, reason, what)
        else:
            self._answer(packet, reason)
        self._flush()

    def _without_room(self, session: ClientSession, full: ClientSession) -> bool:
        """Let a publisher of 3.1.1, which has no word for it, wait for room; return whether it is no use."""
        if full is not session:
            return False
        self._end(
            Reason.QUOTA_EXCEEDED, "too much waits for this client"
        )  # what would make room, we would not hear
        return True

    def _keep(self, session: ClientSession, packet: p.Publish, message: Message) -> None:
        """Publish a message that goes into the store: it is acknowledged when it is there."""
        further: list[Change] = []
        is_received = packet.qos == 2
        if is_received:
            session.inflow.received[packet.packet_id] = None
            if session.row:
                further.append(received(session, packet.packet_id))

        def then(has_subscribers: bool) -> None:
            self._turnstile.leave()
            self._answer(packet, 0 if has_subscribers else Reason.NO_MATCHING_SUBSCRIBERS)
            self._flush()

        def refused(refusal: Refusal) -> None:
            self._turnstile.leave()
            if is_received:
                session.inflow.received.pop(packet.packet_id, None)
            self._broker.counters.refused(refusal)
            self._refuse_message(session, packet, refusal)

        self._turnstile.enter()
        self._broker.keep(message, session, further, then, refused)
        self._broker.services.log.hold_if_full(self)

    def _refuse_message(self, session: ClientSession, packet: p.Publish, refusal: Refusal) -> None:
        if session.version == p.V5:
            self._answer(packet, Reason.IMPLEMENTATION_ERROR)
            self._flush()
        else:
            self._end(reason_for(refusal), refusal.value)  # 3.1.1 has no word for it

    def _may_write(self, session: ClientSession, topic: str) -> bool:
        if not self._broker.acl.rules:
            return topic[0] != "$"  # MQTT 5.0 §4.7.2: the server's own
        rights = self._rights
        if rights is None:
            rights = self._rights = Rights(self._broker.acl, session.name, session.client_id)
        return rights.may_write(topic)

    def _subscribe(self, session: ClientSession, packet: p.Subscribe) -> None:
        for wanted in packet.filters:
            if wanted.no_local and wanted.name.startswith("$share/"):
                self._end(Reason.PROTOCOL_ERROR, "a shared subscription with No Local")  # [MQTT-3.8.3-4]
                return
        rooms = [at for at, wanted in enumerate(packet.filters) if is_chat(wanted.name)]
        if not rooms:
            self._grant(session, packet, {})
            return
        if self._chat is None:
            self._grant(session, packet, dict.fromkeys(rooms, int(Reason.NOT_AUTHORIZED)))
            return

        def then(found: dict[int, int]) -> None:
            self._turnstile.leave()
            if self._session is session:
                self._grant(session, packet, found)

        self._turnstile.enter()
        self._chat.subscribe(packet, rooms, then)

    def _grant(self, session: ClientSession, packet: p.Subscribe, of_rooms: dict[int, int]) -> None:
        """Add the filters of a SUBSCRIBE; `of_rooms` are the reason codes of those that are rooms."""
        broker = self._broker
        numbers = packet.properties.subscription_ids
        number = numbers[0] if numbers else 0
        reasons: list[int] = []
        granted: list[tuple[p.Filter, bool]] = []
        for at, wanted in enumerate(packet.filters):
            reason, is_new = of_rooms.get(at, 0), False
            if reason < FAILED:
                answer_of, is_new = broker.subscribe(session, wanted, number)
                reason = reason if at in of_rooms and answer_of < FAILED else answer_of
            if reason < FAILED:
                granted.append((wanted, is_new))
                if at in of_rooms and self._chat is not None:
                    self._chat.granted(wanted.name, is_new=is_new)
            reasons.append(reason if reason < FAILED or session.version == p.V5 else FAILED)
        answer = p.Answers(p.SUBACK, packet.packet_id, reasons)  # [MQTT-3.8.4-1], [MQTT-3.8.4-6]

        def then() -> None:
            self._machine.send(answer)
            self._flush()
            if self._chat is not None:
                for wanted, is_new in granted:
                    self._chat.subscribed(wanted.name, is_new=is_new)

        if session.row and granted:
            self._in_turn(lambda done: broker.keep_filters(session, granted, done), then)
            return
        then()
        for wanted, is_new in granted:
            broker.show_retained(session, wanted, is_new)

    def _unsubscribe(self, session: ClientSession, packet: p.Unsubscribe) -> None:
        broker = self._broker
        reasons = [int(broker.unsubscribe(session, name)) for name in packet.filters]
        if self._chat is not None:
            self._chat.unsubscribed(packet.filters)

        def then() -> None:
            self._machine.send(p.Answers(p.UNSUBACK, packet.packet_id, reasons))  # [MQTT-3.10.4-4]
            self._flush()

        if not session.row:
            then()
            return
        rows: list[Change] = [
            MqttFilterRow(session_id=session.row, filter=name, gone=True) for name in packet.filters
        ]
        queues = broker.services.queues
        self._in_turn(lambda done: queues.store(lambda: rows, done, self._store_failed), then)

    def _in_turn(self, write: Callable[[Callable[[], None]], None], then: Callable[[], None]) -> None:
        """Let `then` follow what `write` writes, and all that the client sends after it follow that."""

        def done() -> None:
            self._turnstile.leave()
            then()

        self._turnstile.enter()
        write(done)

    def _store_failed(self, refusal: Refusal) -> None:
        self._turnstile.leave()
        self._end(reason_for(refusal), refusal.value)

    def _goodbye(self, session: ClientSession, packet: p.Disconnect) -> None:
        machine = self._machine
        self._sends_will = packet.reason != 0  # MQTT 5.0 §3.14.2.1
        expiry_s = packet.properties.number(ids.SESSION_EXPIRY, session.expiry_s)
        if session.expiry_s == 0 and expiry_s != 0:
            # [MQTT-3.14.2-2]
            self._end(Reason.PROTOCOL_ERROR, "the session was not to be kept")
            return
        session.expiry_s = min(expiry_s, self._broker.config.max_session_expiry_s)
        machine.over = "closed by the client"

    # Logging in

    def _let_in(self, let_in: LetIn) -> None:
        broker, machine, session = self._broker, self._machine, let_in.session
        self._session = session
        if session.account is not None:
            self.account, self.actor = session.account, session.account.actor
            self._chat = Chat(self._place, self, session.account, session, self._turnstile, self._heard)
        broker.counters.logins += 1
        broker.services.devices.log_in(self)
        if self._arrival is not None and not self._arrival.method:
            self._arrival = None
        machine.accept(let_in.is_present, let_in.properties)
        for packet_id in session.outflow.rewind():
            machine.send_ack(p.PUBREL, packet_id)  # [MQTT-4.4.0-1]
        self._flush()
        session.pump()
        if self._chat is not None and let_in.is_present:
            self._chat.come_back()

    # The end

    def _end(self, reason: Reason, what: str) -> None:
        self._machine.send_disconnect(reason, what)
        self._flush()

    def _leave(self) -> None:
        session, self._session = self._session, None
        if session is None:
            return
        if self._chat is not None:
            self._chat.close()
        self._broker.services.rooms.drop(self, Cause.QUIT, "")
        self._broker.services.devices.log_out(self)
        self._broker.leave(session, sends_will=self._sends_will)

    # The core's side

    def deliver(self, conversation: Conversation, event: Event) -> None:
        """Publish what is said in a room, or to the account."""
        if self._chat is not None and self._session is not None:
            self._chat.show(conversation, event)

    def posted(self, conversation: Conversation, event: Event, token: object) -> None:
        """Acknowledge what is in the log."""
        if self._chat is not None:
            self._chat.posted(conversation, event, token)

    def refused(self, refusal: Refusal, token: object) -> None:
        """Say that something is not in the log."""
        self._broker.counters.refused(refusal)
        if self._chat is not None:
            self._chat.refused(refusal, token)

    def signal(self, signal: Signal) -> None:
        """Publish it on the chat topics; ask the client to log in again when its account has changed."""
        if isinstance(signal, AccountChanged):
            self._end(Reason.NOT_AUTHORIZED, "the password was changed")
        elif self._chat is not None and self._session is not None:
            self._chat.signal(signal)

    def hold(self) -> None:
        """Stop reading: the log has too much to write."""
        self._connection.pause_reading()

    def release(self) -> None:
        """Read on."""
        self._connection.resume_reading()

    def is_full(self) -> bool:
        """Whether the client is behind."""
        return self._connection.lagging

    def live(self) -> None:
        """See `Session.live`: there are no signals to show."""

    def end(self, refusal: Refusal) -> None:
        """Say goodbye: the account was disabled, or something of the kind."""
        self._end(reason_for(refusal), refusal.value)
