"""One connected client: what it sends takes effect on the broker, what the core tells it goes to the client."""

from __future__ import annotations

import secrets
from typing import Final

from sabir.base.clock import MonotonicClock
from sabir.base.secret import Secret
from sabir.core.errors import Refusal
from sabir.core.model.actor import Account, Actor, ActorKind
from sabir.core.model.conversation import Conversation
from sabir.core.model.event import Event
from sabir.core.model.ids import ActorId
from sabir.core.model.presence import OFFLINE, Presence
from sabir.core.model.signals import AccountChanged, Signal
from sabir.net.connection import Connection
from sabir.net.limits import LoginLimits
from sabir.protocols.mqtt.codec.decoder import Names
from sabir.protocols.mqtt.codec.message import Message
from sabir.protocols.mqtt.errors import reason_for
from sabir.protocols.mqtt.features.broker import Broker
from sabir.protocols.mqtt.features.login import METHOD, Login, Outcome
from sabir.protocols.mqtt.features.sessions import NEVER, ClientSession
from sabir.protocols.mqtt.machine import Broken, Limits, Machine
from sabir.protocols.mqtt.types import packets as p
from sabir.protocols.mqtt.types import properties as ids
from sabir.protocols.mqtt.types.properties import NONE, Properties
from sabir.protocols.mqtt.types.reasons import FAILED, Reason

PROTOCOL: Final = "mqtt"
MAX_CLIENT_ID_BYTES: Final = 1024

_NOBODY: Final = Actor(ActorId(0), ActorKind.GUEST, "*", None, PROTOCOL, "")
_MAX_RECEIVE: Final = 65_535
_MAX_ALIASES_OUT: Final = 100
_MAX_KNOWN: Final = 1000


class Place:
    """What the connections need beside the broker."""

    def __init__(
        self,
        broker: Broker,
        limits: Limits,
        logins: LoginLimits,
        secret: Secret,
        domain: str,
        *,
        plain_logins: bool,
    ) -> None:
        self.broker: Final = broker
        self.limits: Final = limits
        self.logins: Final = logins
        self.secret: Final = secret
        self.domain: Final = domain
        self.plain_logins: Final = plain_logins
        self.names: Final = Names()
        self.clock: Final = MonotonicClock()
        self.stalled: Final[dict[MqttSession, None]] = {}
        """Publishers that wait until a full session has room."""
        broker.dues.room = self._room

    def _room(self) -> None:
        if self.stalled:
            self.broker.services.scheduler.soon(self._go_on)

    def _go_on(self) -> None:
        stalled = list(self.stalled)
        self.stalled.clear()
        for session in stalled:
            session.go_on()


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
        self._login: Login | None = None
        self._connect: p.Connect | None = None
        self._method = ""
        self._session: ClientSession | None = None
        self._sends_will = True
        self._stalled: list[p.Packet] = []
        self._writable: dict[str, bool] = {}

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
        self._machine.tick(now_ms)
        self._flush()

    def next_deadline_ms(self) -> int:
        """Return when `tick` is due; never while we do not listen."""
        return 0 if self._stalled else self._machine.next_deadline_ms()

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
        self._place.stalled.pop(self, None)
        self._leave()

    # Packets

    def _take(self, packets: list[p.Packet]) -> None:
        for at, packet in enumerate(packets):
            if not self._handle(packet):
                self._stalled = packets[at:]
                self._place.stalled[self] = None
                self._connection.pause_reading()
                break
            if self._machine.over:
                break
        self._flush()

    def go_on(self) -> None:
        """Take up again what waited for room."""
        packets, self._stalled = self._stalled, []
        self._connection.resume_reading()
        self._machine.receive(b"", self._connection.now_ms)  # it was we who did not listen
        self._take(packets)

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
            self._before_login(packet)
            return True
        if isinstance(packet, p.Publish):
            return self._publish(session, packet)
        if isinstance(packet, p.Ack):
            self._acknowledge(session, packet)
        elif isinstance(packet, p.Subscribe):
            self._subscribe(session, packet)
        elif isinstance(packet, p.Unsubscribe):
            reasons = [int(self._broker.unsubscribe(session, name)) for name in packet.filters]
            self._machine.send(p.Answers(p.UNSUBACK, packet.packet_id, reasons))  # [MQTT-3.10.4-4]
        elif isinstance(packet, p.Disconnect):
            self._goodbye(session, packet)
        elif isinstance(packet, p.Auth):
            self._authenticate_again(packet)
        elif isinstance(packet, Broken):
            self._machine.fail(packet.reason, packet.what)
        return True

    def _publish(self, session: ClientSession, packet: p.Publish) -> bool:
        broker = self._broker
        machine = self._machine
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
        if is_new:
            message = broker.message(packet.topic, packet.payload, qos, packet.retain, packet.properties)
            if packet.frame:
                if session.version == p.V5:
                    message.frame5 = packet.frame
                else:
                    message.frame4 = packet.frame
            reason = self._give(session, message)
            if reason < 0:
                return False
            if qos == 2 and reason < FAILED:
                session.inflow.received.add(packet.packet_id)
        if qos == 1:
            machine.send_ack(p.PUBACK, packet.packet_id, reason)  # [MQTT-4.3.2-4]
        elif qos == 2:
            machine.send_ack(p.PUBREC, packet.packet_id, reason)  # [MQTT-4.3.3-8]
        return True

    def _give(self, session: ClientSession, message: Message) -> int:
        """Publish a message; return the reason code, or -1 if it has to wait."""
        broker = self._broker
        if not self._may_write(session, message.topic):
            return Reason.NOT_AUTHORIZED
        if message.qos and (message.retain or broker.dues.full) and not broker.has_room(message):
            if session.version == p.V5:
                return Reason.QUOTA_EXCEEDED
            if broker.dues.full:
                return -1  # 3.1.1 has no word for it: the client waits
            self._end(Reason.QUOTA_EXCEEDED, "no room for retained messages")
            return Reason.QUOTA_EXCEEDED
        return 0 if broker.publish(message, session) else Reason.NO_MATCHING_SUBSCRIBERS

    def _may_write(self, session: ClientSession, topic: str) -> bool:
        acl = self._broker.acl
        if not acl.rules:
            return topic[0] != "$"  # MQTT 5.0 §4.7.2: the server's own
        known = self._writable.get(topic)
        if known is None:
            if len(self._writable) >= _MAX_KNOWN:
                self._writable.clear()
            known = self._writable[topic] = acl.may_write(session.name, session.client_id, topic)
        return known

    def _acknowledge(self, session: ClientSession, packet: p.Ack) -> None:
        kind = packet.kind
        machine = self._machine
        packet_id = packet.packet_id
        if kind == p.PUBREL:
            is_known = packet_id in session.inflow.received
            session.inflow.received.discard(packet_id)  # [MQTT-4.3.3-11]
            machine.send_ack(p.PUBCOMP, packet_id, 0 if is_known else Reason.PACKET_ID_NOT_FOUND)
            return
        if kind == p.PUBREC and packet.reason < FAILED:
            is_known = session.received(packet_id)
            machine.send_ack(p.PUBREL, packet_id, 0 if is_known else Reason.PACKET_ID_NOT_FOUND)
            return
        session.acknowledged(packet_id)
        if session.outflow.waiting:
            session.pump()

    def _subscribe(self, session: ClientSession, packet: p.Subscribe) -> None:
        broker = self._broker
        numbers = packet.properties.subscription_ids
        number = numbers[0] if numbers else 0
        reasons: list[int] = []
        granted: list[tuple[p.Filter, bool]] = []
        for wanted in packet.filters:
            if wanted.no_local and wanted.name.startswith("$share/"):
                self._end(Reason.PROTOCOL_ERROR, "a shared subscription with No Local")  # [MQTT-3.8.3-4]
                return
            reason, is_new = broker.subscribe(session, wanted, number)
            if reason < FAILED:
                granted.append((wanted, is_new))
            reasons.append(reason if reason < FAILED or session.version == p.V5 else FAILED)
        self._machine.send(p.Answers(p.SUBACK, packet.packet_id, reasons))  # [MQTT-3.8.4-1], [MQTT-3.8.4-6]
        self._flush()
        for wanted, is_new in granted:
            broker.show_retained(session, wanted, number, is_new)

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

    def _before_login(self, packet: p.Packet) -> None:
        if isinstance(packet, p.Connect):
            self._begin(packet)
        elif isinstance(packet, p.Auth) and self._login is not None and self._connect is not None:
            self._proceed(self._connect, packet)
        elif isinstance(packet, Broken):
            self._machine.fail(packet.reason, packet.what)
        elif packet.kind == p.DISCONNECT:
            self._machine.over = "closed by the client"
        else:
            self._refuse(Reason.PROTOCOL_ERROR, "authentication is not over")  # [MQTT-3.1.2-30]

    def _begin(self, connect: p.Connect) -> None:
        place, machine = self._place, self._machine
        config = self._broker.config
        wanted = connect.keep_alive_s
        longest = config.max_keep_alive_s
        keep_alive_s = longest if longest and (wanted == 0 or wanted > longest) else wanted
        machine.begin(connect, keep_alive_s)
        self._connect = connect
        if config.redirect and connect.version == p.V5:
            properties = Properties()
            properties.texts[ids.SERVER_REFERENCE] = config.redirect  # MQTT 5.0 §4.13
            reason = Reason.SERVER_MOVED if config.redirect_for_good else Reason.USE_ANOTHER_SERVER
            machine.refuse(reason, "use the other server", properties)
            return
        self._login = Login(
            self._broker.services.accounts,
            place.logins,
            place.secret,
            place.domain,
            self._connection.peer,
            place.clock.now_ms,
        )
        self._method = connect.properties.texts.get(ids.AUTH_METHOD, "")
        if self._method:
            self._step(connect, self._login.begin(self._method, connect.properties.data.get(ids.AUTH_DATA)))
        elif connect.username is None:
            if config.anonymous and connect.password is None:
                self._let_in(connect, None, b"")
            else:
                self._refuse(Reason.NOT_AUTHORIZED, "a user name and a password are needed here")
        elif not (self._connection.secure or place.plain_logins):
            self._refuse(Reason.NOT_AUTHORIZED, "passwords are taken over TLS only, as a rule on port 8883")
        else:
            self._step(connect, self._login.with_password(connect.username, connect.password or b""))

    def _proceed(self, connect: p.Connect, packet: p.Auth) -> None:
        method = packet.properties.texts.get(ids.AUTH_METHOD, "")
        if packet.reason != Reason.CONTINUE_AUTHENTICATION or method != self._method:
            # [MQTT-4.12.0-3], [MQTT-4.12.0-5]
            self._refuse(Reason.PROTOCOL_ERROR, "this is not the next step of the authentication")
            return
        assert self._login is not None  # `_begin` made it
        self._step(connect, self._login.answer(packet.properties.data.get(ids.AUTH_DATA, b"")))

    def _step(self, connect: p.Connect, outcome: Outcome) -> None:
        if outcome.is_granted:
            self._let_in(connect, outcome.account, outcome.data)
        elif outcome.reason is not Reason.SUCCESS:
            self._refuse(outcome.reason, outcome.what)
        else:
            self._ask(outcome.data)

    def _ask(self, data: bytes) -> None:
        properties = Properties()
        properties.texts[ids.AUTH_METHOD] = METHOD
        properties.data[ids.AUTH_DATA] = data
        self._machine.send(p.Auth(Reason.CONTINUE_AUTHENTICATION, properties))  # [MQTT-4.12.0-2]

    def _authenticate_again(self, packet: p.Auth) -> None:
        machine, login = self._machine, self._login
        method = packet.properties.texts.get(ids.AUTH_METHOD, "")
        if not self._method or method != self._method or login is None:
            self._end(
                Reason.PROTOCOL_ERROR, "not the method that the client connected with"
            )  # [MQTT-4.12.1-1]
            return
        data = packet.properties.data.get(ids.AUTH_DATA)
        is_first = packet.reason == Reason.REAUTHENTICATE
        outcome = login.begin(method, data) if is_first else login.answer(data or b"")
        if outcome.is_granted and outcome.account is self.account:
            properties = Properties()
            properties.texts[ids.AUTH_METHOD] = method
            properties.data[ids.AUTH_DATA] = outcome.data
            machine.send(p.Auth(Reason.SUCCESS, properties))
        elif outcome.is_granted or outcome.reason is not Reason.SUCCESS:
            self._end(Reason.NOT_AUTHORIZED, outcome.what)  # [MQTT-4.12.1-2]
        else:
            self._ask(outcome.data)

    def _refuse(self, reason: Reason, what: str) -> None:
        self._broker.counters.refused(Refusal.LOGIN_FAILED)
        self._machine.refuse(reason, what)

    def _let_in(self, connect: p.Connect, account: Account | None, data: bytes) -> None:
        broker, machine = self._broker, self._machine
        config = broker.config
        client_id, properties = connect.client_id, Properties()
        if not client_id:
            if connect.version == p.V311 and not connect.clean_start:
                # [MQTT-3.1.3-8] of 3.1.1
                machine.refuse(Reason.CLIENT_ID_NOT_VALID, "a session needs a client identifier")
                return
            client_id = f"sabir-{secrets.token_hex(8)}"
            properties.texts[ids.ASSIGNED_CLIENT_ID] = client_id  # [MQTT-3.2.2-16]
        if len(client_id) > MAX_CLIENT_ID_BYTES:
            machine.refuse(Reason.CLIENT_ID_NOT_VALID, "the client identifier is too long")
            return
        name = "" if account is None else account.name
        will = connect.will
        if will is not None and not broker.acl.may_write(name, client_id, will.topic):
            machine.refuse(
                Reason.NOT_AUTHORIZED, "the will is for a topic that this client may not publish to"
            )
            return
        wanted = connect.properties
        if connect.version == p.V5:
            expiry_s = wanted.number(ids.SESSION_EXPIRY, 0)
        else:
            expiry_s = 0 if connect.clean_start else NEVER
        session, is_present = broker.open(
            account, client_id, clean_start=connect.clean_start, expiry_s=expiry_s
        )
        session.will = will
        session.attach(
            self._connection,
            self._end,
            connect.version,
            receive_maximum=min(wanted.number(ids.RECEIVE_MAXIMUM, _MAX_RECEIVE), config.max_inflight),
            maximum_packet_size=machine.maximum_packet_size,
            alias_maximum=min(wanted.number(ids.TOPIC_ALIAS_MAXIMUM, 0), _MAX_ALIASES_OUT),
        )
        self._session = session
        self._connect = None
        if account is not None:
            self.account, self.actor = account, account.actor
        broker.counters.logins += 1
        broker.services.devices.log_in(self)
        if session.expiry_s != expiry_s:
            properties.numbers[ids.SESSION_EXPIRY] = session.expiry_s
        if machine.keep_alive_s != connect.keep_alive_s:
            properties.numbers[ids.SERVER_KEEP_ALIVE] = machine.keep_alive_s  # [MQTT-3.2.2-21]
        properties.numbers[ids.RECEIVE_MAXIMUM] = config.receive_maximum
        properties.numbers[ids.MAXIMUM_PACKET_SIZE] = config.max_packet_bytes
        properties.numbers[ids.TOPIC_ALIAS_MAXIMUM] = config.topic_alias_maximum
        if self._method:
            properties.texts[ids.AUTH_METHOD] = self._method  # [MQTT-4.12.0-5]
            properties.data[ids.AUTH_DATA] = data
        machine.accept(is_present, properties if connect.version == p.V5 else NONE)
        for packet_id in session.outflow.rewind():
            machine.send_ack(p.PUBREL, packet_id)  # [MQTT-4.4.0-1]
        self._flush()
        session.pump()

    # The end

    def _end(self, reason: Reason, what: str) -> None:
        self._machine.send_disconnect(reason, what)
        self._flush()

    def _leave(self) -> None:
        session, self._session = self._session, None
        if session is None:
            return
        self._broker.services.devices.log_out(self)
        self._broker.leave(session, sends_will=self._sends_will)

    # The core's side

    def deliver(self, conversation: Conversation, event: Event) -> None:
        """See `Session.deliver`: conversations are not shown on topics."""

    def posted(self, conversation: Conversation, event: Event, token: object) -> None:
        """See `Session.posted`: nothing is posted."""

    def refused(self, refusal: Refusal, token: object) -> None:
        """See `Session.refused`: nothing is posted."""

    def signal(self, signal: Signal) -> None:
        """Ask the client to log in again when its account has changed; nothing else of this concerns a broker."""
        if isinstance(signal, AccountChanged):
            self._end(Reason.NOT_AUTHORIZED, "the password was changed")

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
