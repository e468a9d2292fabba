"""Bridges to other brokers: calls one, goes on with the session towards it, calls again when the connection is gone.

What comes from the other broker is published here under the names of the settings, and acknowledged when it is where
the rest of what we acknowledge is. What waits for it is sent under those names (`features.bridging`).
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from typing import Final

from sabir.core.errors import Refusal
from sabir.core.model.changes import Change, MqttFilterRow
from sabir.gateway.contract import Turnstile
from sabir.net.connection import Connection, Handler
from sabir.net.dialer import Call
from sabir.protocols.mqtt.codec.message import Message
from sabir.protocols.mqtt.config import BridgeConfig
from sabir.protocols.mqtt.features.bridging import BridgeSession, Mapping
from sabir.protocols.mqtt.features.broker import Broker
from sabir.protocols.mqtt.features.sessions import BRIDGES
from sabir.protocols.mqtt.features.shelf import received
from sabir.protocols.mqtt.machine import Broken, Caller
from sabir.protocols.mqtt.session.acknowledging import Acknowledging
from sabir.protocols.mqtt.session.place import Place
from sabir.protocols.mqtt.translate.topics import is_chat
from sabir.protocols.mqtt.types import packets as p
from sabir.protocols.mqtt.types import properties as ids
from sabir.protocols.mqtt.types.properties import Properties
from sabir.protocols.mqtt.types.reasons import FAILED, Reason

log = logging.getLogger(__name__)

STATE: Final = "$SYS/broker/connection/{}/state"
"""1 while the other broker is there, 0 while it is not; as mosquitto has it."""
_FIRST_MS: Final = 1000
_LAST_MS: Final = 60_000
_MAX_PENDING_BYTES: Final = 1_048_576
_MAX_STALL_MS: Final = 60_000
_MAX_RECEIVE: Final = 65_535
_SUBSCRIBING: Final = 1
_IN_ORDER: Final = frozenset((p.PUBLISH, p.PUBREL))


class Bridge:
    """One other broker."""

    def __init__(self, place: Place, config: BridgeConfig, call: Callable[[Call], None]) -> None:
        """Prepare.

        Args:
            place: what all connections share.
            config: whom to call, and what is shared.
            call: calls at the address of the settings.
        """
        self.place: Final = place
        self.config: Final = config
        self.session: Final[BridgeSession] = session_for(place.broker, Mapping(config))
        self._call: Final = call
        self._wait_ms = _FIRST_MS
        self._is_stopping = False
        scheme, _, rest = config.address.rpartition("://")
        self.is_secure: Final = bool(scheme)
        self.host: Final = rest.rpartition(":")[0].removeprefix("[").removesuffix("]")

    def start(self) -> None:
        """Call the other broker."""
        if not self._is_stopping:
            self._call(Call(self.host, ("", ""), 0, self._connected, self._failed))

    def is_there(self) -> None:
        """Note that the other broker has let us in."""
        self._wait_ms = _FIRST_MS
        log.info("bridge is up", extra={"bridge": self.config.name})
        self.show("1")

    def stop(self) -> None:
        """Call no more."""
        self._is_stopping = True

    def show(self, state: str) -> None:
        """Publish whether the other broker is there."""
        topic = STATE.format(self.config.name)
        self.place.broker.publish(Message(topic, state.encode(), 0, True), None)

    def is_gone(self, reason: str) -> None:
        """Call again after a while: at first soon, then less and less often."""
        if self._is_stopping:
            return
        log.info("bridge is down", extra={"bridge": self.config.name, "reason": reason})
        self.show("0")
        wait_ms, self._wait_ms = self._wait_ms, min(2 * self._wait_ms, _LAST_MS)
        # Not all at the same time, if the other broker serves many of us.
        self.place.broker.services.scheduler.later(wait_ms + secrets.randbelow(wait_ms // 2), self.start)

    def _connected(self, connection: Connection) -> Handler:
        return Link(self, connection)

    def _failed(self, reason: str) -> None:
        self.is_gone(reason)


def session_for(broker: Broker, mapping: Mapping) -> BridgeSession:
    """Return our session towards another broker, with the subscriptions that the settings name."""
    session = broker.sessions.get((BRIDGES, mapping.name))
    if not isinstance(session, BridgeSession):
        session = BridgeSession(broker.dues, mapping)
        broker.sessions[BRIDGES, mapping.name] = session
        session.stock.keep(1)
        broker.write([broker.shelf.session(session)])
    wanted = {each.name: each for each in mapping.filters()}
    for name in [name for name in session.filters if name not in wanted]:
        broker.unsubscribe(session, name)
        broker.write([MqttFilterRow(session_id=session.row, filter=name, gone=True)])
    granted = [(each, broker.subscribe(session, each, 0)[1]) for each in wanted.values()]
    broker.keep_filters(session, granted, _nothing)
    return session


class Link:
    """`net.connection.Handler`: one connection to the other broker."""

    def __init__(self, bridge: Bridge, connection: Connection) -> None:
        config = bridge.config
        self._bridge: Final = bridge
        self._broker: Final = bridge.place.broker
        self._session: Final = bridge.session
        self._connection: Final = connection
        self._turnstile: Final = Turnstile(bridge.place.broker.services.log)
        self._caller: Final = Caller(
            p.V5 if config.version == "5.0" else p.V311,
            self._broker.config.max_packet_bytes,
            bridge.place.names,
            connection.now_ms,
        )
        self._acknowledging: Final = Acknowledging(
            self._broker, self._caller, self._turnstile, self._flush, self._refused
        )
        self._stalled: list[p.Packet] = []
        self._stalled_until_ms = 0
        self._pending_bytes = 0
        self._is_attached = False
        if not bridge.is_secure or self._is_who_it_should_be():
            self._caller.connect(self._connect())
        self._flush()

    # The net's side

    def receive(self, data: bytes) -> None:
        """Take bytes of the other broker."""
        packets = self._caller.receive(data, self._connection.now_ms)
        self._connection.frames_in += len(packets)
        if self._stalled:
            self._stalled += packets
        else:
            self._take(packets)

    def tick(self, now_ms: int) -> None:
        """Do what is due."""
        if self._stalled:
            if now_ms >= self._stalled_until_ms:
                self._stalled = []
                self._end(Reason.QUOTA_EXCEEDED, "there was no room for a message for too long")
            return
        self._caller.tick(now_ms)
        self._flush()

    def next_deadline_ms(self) -> int:
        """Return when `tick` is due."""
        return self._stalled_until_ms if self._stalled else self._caller.next_deadline_ms()

    def lag(self) -> None:
        """See `Handler.lag`: what is for the other broker waits in the session."""

    def catch_up(self) -> None:
        """Send what waits."""
        if self._is_attached:
            self._session.pump()

    def shutdown(self) -> None:
        """Say goodbye: the server stops."""
        self._bridge.stop()
        self._end(Reason.SUCCESS, "the server stops")

    def closed(self, reason: str) -> None:
        """Leave the session, and let the bridge call again."""
        self._stalled = []
        self._bridge.place.stalled.pop(self._connection.id, None)
        self._detach()
        self._bridge.is_gone(self._caller.over or reason)

    # Logging in

    def _is_who_it_should_be(self) -> bool:
        shown = self._connection.peer_certificate()
        if shown is not None and shown.proves(self._bridge.host.lower()):
            return True
        problem = "it is for another name" if shown is None or not shown.problem else shown.problem
        log.warning(
            "certificate of the other broker refused",
            extra={"bridge": self._bridge.config.name, "reason": problem},
        )
        self._caller.over = "certificate refused"
        return False

    def _connect(self) -> p.Connect:
        config = self._bridge.config
        properties = Properties()
        properties.numbers[ids.SESSION_EXPIRY] = config.session_expiry_s
        properties.numbers[ids.MAXIMUM_PACKET_SIZE] = self._broker.config.max_packet_bytes
        properties.numbers[ids.RECEIVE_MAXIMUM] = self._broker.config.receive_maximum
        password = config.password.reveal()
        return p.Connect(
            self._caller.version,
            config.client_id or f"sabir-{config.name}",
            clean_start=False,
            keep_alive_s=config.keep_alive_s,
            username=config.username or None,
            password=password.encode() if password else None,
            properties=properties,
        )

    def _let_in(self, answer: p.Connack) -> None:
        if answer.reason != Reason.SUCCESS:
            log.warning(
                "the other broker refuses us",
                extra={"bridge": self._bridge.config.name, "code": answer.reason},
            )
            self._caller.over = "refused by the other broker"
            return
        session, caller, properties = self._session, self._caller, answer.properties
        most = properties.number(ids.MAXIMUM_QOS, 2)
        if any(way.qos > most for way in session.mapping.outwards):
            log.error(
                "the other broker takes a lower QoS only",
                extra={"bridge": self._bridge.config.name, "qos": most},
            )
            self._end(Reason.QOS_NOT_SUPPORTED, "the other broker takes a lower QoS only")
            return
        session.retains = properties.number(ids.RETAIN_AVAILABLE, 1) == 1  # [MQTT-3.2.2-14]
        session.attach(
            self._connection,
            self._end,
            caller.version,
            receive_maximum=min(
                properties.number(ids.RECEIVE_MAXIMUM, _MAX_RECEIVE), self._broker.config.max_inflight
            ),
            maximum_packet_size=properties.number(ids.MAXIMUM_PACKET_SIZE, 0),
            alias_maximum=0,
        )
        self._is_attached = True
        released = session.outflow.rewind()
        if not answer.session_present:
            gone: list[Change] = [received(session, number, gone=True) for number in session.inflow.received]
            self._broker.write(gone)
            session.forget_peer()
        else:
            for packet_id in released:
                caller.send_ack(p.PUBREL, packet_id)  # [MQTT-4.4.0-1]
        wanted = session.mapping.wanted()
        if wanted:
            caller.send(p.Subscribe(_SUBSCRIBING, wanted))
        self._flush()
        self._bridge.is_there()
        session.pump()

    # Packets

    def _take(self, packets: list[p.Packet]) -> None:
        for at, packet in enumerate(packets):
            if self._caller.over:
                break
            if not self._handle(packet):
                self._stall(packets[at:])
                break
        self._flush()

    def _handle(self, packet: p.Packet) -> bool:
        """See to one packet; return whether it could be: False = it has to wait."""
        if packet.kind in _IN_ORDER and not self._turnstile.is_free and not self._is_written(packet):
            self._turnstile.run(lambda: self._handle_late(packet))
            return True
        return self._carry_out(packet)

    def _is_written(self, packet: p.Packet) -> bool:
        """Whether what a packet does is written to the log's queue, which keeps its order by itself."""
        if not isinstance(packet, p.Publish) or packet.qos == 2:
            return True
        topic = self._session.mapping.here(packet.topic)
        return bool(topic) and self._broker.must_keep(topic, packet.qos, packet.retain)

    def _handle_late(self, packet: p.Packet) -> None:
        if self._stalled:
            self._stalled.append(packet)
        elif not self._caller.over and not self._carry_out(packet):
            self._stall([packet])
        self._flush()

    def _carry_out(self, packet: p.Packet) -> bool:
        if isinstance(packet, p.Publish):
            return self._publish(packet)
        if isinstance(packet, p.Ack):
            if packet.reason >= FAILED:
                self._broker.dues.dropped += 1
                log.info(
                    "message refused by the other broker",
                    extra={"bridge": self._bridge.config.name, "code": packet.reason},
                )
            self._acknowledging.hear(self._session, packet)
        elif isinstance(packet, p.Connack):
            self._let_in(packet)
        elif isinstance(packet, p.Answers):
            failed = [reason for reason in packet.reasons if reason >= FAILED]
            if failed:
                log.warning(
                    "subscription refused by the other broker",
                    extra={"bridge": self._bridge.config.name, "code": failed[0]},
                )
        elif isinstance(packet, p.Disconnect):
            self._caller.over = f"the other broker said goodbye ({packet.reason:#x})"
        elif isinstance(packet, Broken):
            self._end(packet.reason, packet.what)
        return True

    def _publish(self, packet: p.Publish) -> bool:
        broker, session = self._broker, self._session
        is_known = packet.qos == 2 and packet.packet_id in session.inflow.received
        topic = "" if is_known else session.mapping.here(packet.topic)
        if not topic or topic[0] == "$" or is_chat(topic):
            if not is_known and packet.qos == 2:
                session.inflow.received[packet.packet_id] = None
            self._answer(packet, 0)
            return True
        message = broker.message(topic, packet.payload, packet.qos, packet.retain, packet.properties)
        if packet.qos and broker.who_is_full(message, session) is not None:
            return False
        broker.counters.messages_in += 1
        if packet.retain:
            broker.claim(message, session)
        if packet.qos == 2:
            session.inflow.received[packet.packet_id] = None
        if packet.qos == 2 or broker.must_keep(topic, packet.qos, packet.retain):
            self._keep(packet, message)
        else:
            broker.publish(message, session)
            self._answer(packet, 0)
        return True

    def _keep(self, packet: p.Publish, message: Message) -> None:
        """Publish a message that goes into the store: it is acknowledged when it is there."""
        further: list[Change] = []
        if packet.qos == 2:
            further.append(received(self._session, packet.packet_id))
        self._pend(message.size)

        def then(has_subscribers: bool) -> None:
            self._pend(-message.size)
            self._turnstile.leave()
            self._answer(packet, 0)
            self._flush()

        def refused(refusal: Refusal) -> None:
            self._pend(-message.size)
            if packet.qos == 2:
                self._session.inflow.received.pop(packet.packet_id, None)
            self._refused(refusal)

        self._turnstile.enter()
        self._broker.keep(message, self._session, further, then, refused)

    def _pend(self, size_bytes: int) -> None:
        """Read no more while too much waits to be written."""
        before = self._pending_bytes
        self._pending_bytes += size_bytes
        if before <= _MAX_PENDING_BYTES < self._pending_bytes:
            self._connection.pause_reading()
        elif self._pending_bytes <= _MAX_PENDING_BYTES < before and not self._stalled:
            self._connection.resume_reading()

    def _answer(self, packet: p.Publish, reason: int) -> None:
        if packet.qos == 1:
            self._caller.send_ack(p.PUBACK, packet.packet_id, reason)
        elif packet.qos == 2:
            self._caller.send_ack(p.PUBREC, packet.packet_id, reason)

    # Waiting for room

    def _stall(self, packets: list[p.Packet]) -> None:
        if not self._stalled_until_ms:
            self._stalled_until_ms = self._connection.now_ms + _MAX_STALL_MS
        self._stalled = packets
        self._bridge.place.stalled[self._connection.id] = self._go_on
        self._connection.pause_reading()

    def _go_on(self) -> None:
        packets, self._stalled = self._stalled, []
        if self._pending_bytes <= _MAX_PENDING_BYTES:
            self._connection.resume_reading()
        self._take(packets)
        if not self._stalled:
            self._stalled_until_ms = 0

    # The end

    def _refused(self, refusal: Refusal) -> None:
        """End the connection: what was not acknowledged comes again."""
        self._turnstile.leave()
        self._end(Reason.UNSPECIFIED_ERROR, refusal.value)

    def _end(self, reason: Reason, what: str) -> None:
        self._caller.end(reason, what)
        self._flush()

    def _flush(self) -> None:
        data = self._caller.drain()
        if data:
            self._connection.put(data)
        if self._caller.over:
            self._detach()
            self._connection.close()

    def _detach(self) -> None:
        if self._is_attached:
            self._is_attached = False
            self._session.detach()


def _nothing() -> None:
    """Do nothing."""
