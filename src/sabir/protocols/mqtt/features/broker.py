"""The broker: who is there, who wants what, and what is published (MQTT 5.0 §3.3.4, §4). Compiled by mypyc."""

from __future__ import annotations

from typing import Final

from sabir.core.model.actor import Account
from sabir.core.services import Services
from sabir.gateway.contract import Counters
from sabir.protocols.mqtt.codec.message import Message
from sabir.protocols.mqtt.config import MqttConfig
from sabir.protocols.mqtt.features.acl import Acl, parse_rule
from sabir.protocols.mqtt.features.retained import Retained
from sabir.protocols.mqtt.features.sessions import NEVER, ClientSession, Dues, Subscription
from sabir.protocols.mqtt.features.subscriptions import Group, Subscriptions
from sabir.protocols.mqtt.features.topics import is_filter, shared
from sabir.protocols.mqtt.machine import Sending
from sabir.protocols.mqtt.types import packets as p
from sabir.protocols.mqtt.types import properties as ids
from sabir.protocols.mqtt.types.properties import NONE, Properties
from sabir.protocols.mqtt.types.reasons import Reason

_MS_PER_S: Final = 1000
_NO_IDS: Final[tuple[int, ...]] = ()


class Broker:
    """What all connections share."""

    def __init__(self, config: MqttConfig, services: Services, counters: Counters) -> None:
        self.config: Final = config
        self.services: Final = services
        self.counters: Final = counters
        self.acl: Final = Acl(tuple(parse_rule(rule) for rule in config.acl))
        self.dues: Final = Dues(services.clock, counters, config.max_queue_bytes)
        self.subscriptions: Final = Subscriptions(self.acl)
        self.retained: Final = Retained(config.max_retained_bytes)
        self.sessions: Final[dict[tuple[int, str], ClientSession]] = {}
        """By account (0 = none) and client identifier."""
        self.connected = 0

    # Sessions

    def open(
        self, account: Account | None, client_id: str, *, clean_start: bool, expiry_s: int
    ) -> tuple[ClientSession, bool]:
        """Return the session of a client that connects, and whether it was there already ([MQTT-3.2.2-2]).

        Whoever is connected under the same client identifier is put out ([MQTT-3.1.4-3]).
        """
        key = (0 if account is None else account.id, client_id)
        session = self.sessions.get(key)
        if session is not None and session.end is not None:
            session.end(Reason.SESSION_TAKEN_OVER, "another client connected under this client identifier")
            session = self.sessions.get(key)
        if session is not None and clean_start:
            self.finish(session)  # [MQTT-3.1.2-4]
            session = None
        is_present = session is not None
        if session is None:
            if expiry_s and len(self.sessions) >= self.config.max_sessions:
                expiry_s = 0
            session = self.sessions[key] = ClientSession(self.dues, account, client_id)
        session.expiry_s = min(expiry_s, self.config.max_session_expiry_s)
        if session.expiring is not None:
            session.expiring.cancel()
            session.expiring = None
        if session.will_due is not None:
            session.will_due.cancel()  # [MQTT-3.1.3-9]
            session.will_due = None
        session.will = None
        self.connected += 1
        return session, is_present

    def leave(self, session: ClientSession, *, sends_will: bool) -> None:
        """Note that the connection of a session is gone; the session goes on until it expires."""
        session.detach()
        self.connected -= 1
        if not sends_will:
            session.will = None  # [MQTT-3.1.2-10]
        if session.expiry_s == 0:
            self.finish(session)
            return
        if session.expiry_s != NEVER:
            session.expiring = self.services.scheduler.later(
                session.expiry_s * _MS_PER_S, lambda: self.finish(session)
            )
        if session.will is not None:
            delay_s = session.will.properties.number(ids.WILL_DELAY, 0)
            if delay_s == 0:
                self.publish_will(session)
            elif delay_s < session.expiry_s:  # else the end of the session comes first
                session.will_due = self.services.scheduler.later(
                    delay_s * _MS_PER_S, lambda: self.publish_will(session)
                )

    def finish(self, session: ClientSession) -> None:
        """End a session: what waits in it is for nobody (MQTT 5.0 §4.1)."""
        if session.is_over:
            return
        session.is_over = True
        if session.expiring is not None:
            session.expiring.cancel()
            session.expiring = None
        for name in list(session.filters):
            self.unsubscribe(session, name)
        self.sessions.pop((0 if session.account is None else session.account.id, session.client_id), None)
        self.dues.full.pop(session, None)
        self.publish_will(session)  # [MQTT-3.1.2-8], [MQTT-3.1.3-1]
        outflow = session.outflow
        for sending in [*outflow.inflight.values(), *outflow.waiting]:
            self._share_again(sending)

    def publish_will(self, session: ClientSession) -> None:
        """Publish the will of a session, if it has one still."""
        will, session.will = session.will, None
        if session.will_due is not None:
            session.will_due.cancel()
            session.will_due = None
        if will is not None:
            self.publish(
                self.message(will.topic, will.payload, will.qos, will.retain, will.properties), session
            )

    # Subscriptions

    def subscribe(self, session: ClientSession, wanted: p.Filter, subscription_id: int) -> tuple[int, bool]:
        """Add a filter; return the reason code, and whether it is new."""
        parts = shared(wanted.name)
        if parts is None or not is_filter(parts[1]):
            return Reason.TOPIC_FILTER_INVALID, False
        group, name = parts
        if not self.acl.may_subscribe(session.name, session.client_id, name):
            return Reason.NOT_AUTHORIZED, False
        if len(session.filters) >= self.config.max_subscriptions and wanted.name not in session.filters:
            return Reason.QUOTA_EXCEEDED, False
        subscription = Subscription(wanted, subscription_id)
        is_new = self.subscriptions.add(session, group, name, subscription)
        session.filters[wanted.name] = subscription
        return wanted.qos, is_new

    def show_retained(
        self, session: ClientSession, wanted: p.Filter, subscription_id: int, is_new: bool
    ) -> None:
        """Send the retained messages that a new subscription asks for (MQTT 5.0 §3.3.1.3)."""
        # [MQTT-3.3.1-9], [MQTT-3.3.1-10], [MQTT-3.3.1-11]; a shared one gets none (MQTT 5.0 §4.8.2)
        if wanted.retain_handling == 2 or (wanted.retain_handling == 1 and not is_new):
            return
        if wanted.name.startswith("$share/"):
            return
        numbers = (subscription_id,) if subscription_id else _NO_IDS
        for message in self.retained.matching(wanted.name, self.services.clock.now_ms()):
            if self.acl.may_read(session.name, session.client_id, message.topic):
                session.offer(message, wanted.qos, True, numbers, "")  # [MQTT-3.3.1-8]

    def unsubscribe(self, session: ClientSession, name: str) -> int:
        """Remove a filter; return the reason code."""
        if session.filters.pop(name, None) is None:
            return Reason.NO_SUBSCRIPTION_EXISTED
        parts = shared(name)
        if parts is not None:
            self.subscriptions.remove(session, parts[0], parts[1])
        return Reason.SUCCESS

    # Messages

    def message(self, topic: str, payload: bytes, qos: int, retain: bool, properties: Properties) -> Message:
        """Return a message as it goes on to subscribers."""
        if properties is NONE:
            return Message(topic, payload, qos, retain)
        expiry_s = properties.number(ids.MESSAGE_EXPIRY, 0)
        expires_ms = self.services.clock.now_ms() + expiry_s * _MS_PER_S if expiry_s else 0
        return Message(topic, payload, qos, retain, _forwarded(properties), expires_ms)

    def publish(self, message: Message, publisher: ClientSession | None) -> bool:
        """Send a message to whoever wants it; return whether there is anybody."""
        if message.retain:
            if not message.payload:
                self.retained.remove(message.topic)  # [MQTT-3.3.1-6], [MQTT-3.3.1-7]
            elif self.retained.has_room(message):
                self.retained.put(message)
        route = self.subscriptions.route(message.topic)
        for target in route.targets:
            session = target.session
            if target.is_plain:
                session.offer(message, target.qos, False, _NO_IDS, "")  # [MQTT-3.3.1-12]
            elif session is publisher:
                if target.own_qos >= 0:  # [MQTT-3.8.3-3]
                    retain = message.retain and target.own_retains  # [MQTT-3.3.1-13]
                    session.offer(message, target.own_qos, retain, target.own_ids, "")
            else:
                session.offer(message, target.qos, message.retain and target.retains, target.ids, "")
        for group in route.groups:
            self._share(group, message)
        return bool(route.targets) or bool(route.groups)

    def has_room(self, message: Message) -> bool:
        """Whether everybody that `message` must reach can take it, and the retained messages too."""
        if message.retain and message.payload and not self.retained.has_room(message):
            return False
        if not self.dues.full:
            return True
        return not any(target.session.is_full() for target in self.subscriptions.route(message.topic).targets)

    def _share(self, group: Group, message: Message) -> None:
        acl = self.acl
        member = group.next_member(
            lambda session: acl.may_read(session.name, session.client_id, message.topic), message.qos
        )
        if member is not None:
            subscription = group.members[member]
            wanted = subscription.wanted
            numbers = (subscription.subscription_id,) if subscription.subscription_id else _NO_IDS
            retain = message.retain and wanted.retain_as_published
            member.offer(message, wanted.qos, retain, numbers, group.name)

    def _share_again(self, sending: Sending) -> None:
        """Give what a session that has ended did not get of a shared subscription to another of its clients.

        At QoS 2 only if it was not sent yet: [MQTT-4.8.2-5].
        """
        if not sending.share or sending.qos == 0 or (sending.qos == 2 and sending.packet_id):
            return
        parts = shared(sending.share)
        group = None if parts is None else self.subscriptions.group(parts[0], parts[1])
        if group is not None:
            self._share(group, sending.message)


def _forwarded(properties: Properties) -> Properties:
    """Return what goes on to subscribers unchanged ([MQTT-3.3.2-4], [MQTT-3.3.2-15] to [MQTT-3.3.2-20])."""
    made = Properties()
    if ids.PAYLOAD_FORMAT in properties.numbers:
        made.numbers[ids.PAYLOAD_FORMAT] = properties.numbers[ids.PAYLOAD_FORMAT]
    made.texts.update(properties.texts)
    made.data.update(properties.data)
    made.users.extend(properties.users)
    if made == NONE:
        return NONE
    return made
