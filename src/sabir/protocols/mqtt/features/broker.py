"""The broker: who is there, who wants what, and what is published (MQTT 5.0 §3.3.4, §4). Compiled by mypyc."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sabir.core.errors import Refusal
from sabir.core.log import Log
from sabir.core.model.actor import Account, AccountState
from sabir.core.model.changes import Change, MqttMessageRow, MqttRetainedRow, MqttSessionRow
from sabir.core.services import Services
from sabir.gateway.contract import Counters
from sabir.protocols.mqtt.codec.message import Message
from sabir.protocols.mqtt.config import MqttConfig
from sabir.protocols.mqtt.errors import reason_for
from sabir.protocols.mqtt.features.acl import Acl, parse_rule
from sabir.protocols.mqtt.features.quotas import Quotas
from sabir.protocols.mqtt.features.retained import Retained
from sabir.protocols.mqtt.features.sessions import BRIDGES, NEVER, ClientSession, Dues, Subscription
from sabir.protocols.mqtt.features.shelf import Shelf, retained
from sabir.protocols.mqtt.features.subscriptions import Group, Subscriptions
from sabir.protocols.mqtt.features.topics import is_filter, shared
from sabir.protocols.mqtt.machine import Sending
from sabir.protocols.mqtt.translate.topics import is_chat
from sabir.protocols.mqtt.types import packets as p
from sabir.protocols.mqtt.types import properties as ids
from sabir.protocols.mqtt.types.properties import NONE, Properties
from sabir.protocols.mqtt.types.reasons import Reason

_MS_PER_S: Final = 1000
_NO_IDS: Final[tuple[int, ...]] = ()


class Broker:
    """What all connections share."""

    def __init__(self, config: MqttConfig, services: Services, counters: Counters, shelf: Shelf) -> None:
        self.config: Final = config
        self.services: Final = services
        self.counters: Final = counters
        self.acl: Final = Acl(tuple(parse_rule(rule) for rule in config.acl))
        self.quotas: Final = Quotas(config)
        self.dues: Final = Dues(services.clock, counters, self.quotas)
        self.subscriptions: Final = Subscriptions(self.acl)
        self.retained: Final = Retained(config.max_retained_bytes, config.max_account_retained_bytes)
        self.sessions: Final[dict[tuple[int, str], ClientSession]] = {}
        """By account (0 = none) and client identifier."""
        self.connected = 0
        self.shelf: Final = shelf
        self.dues.settled = self._settled
        services.accounts.locked_out.append(self._locked_out)

    # Sessions

    def may_keep(self, account: Account | None, client_id: str) -> bool:
        """Whether the session of a client may outlive its connection: it does already, or there is room for it."""
        account_id = 0 if account is None else account.id
        session = self.sessions.get((account_id, client_id))
        if session is not None and session.row:
            return True
        return self.quotas.may_keep(self.quotas.stock(account_id))

    def open(
        self,
        account: Account | None,
        client_id: str,
        *,
        clean_start: bool,
        expiry_s: int,
        will: p.Will | None = None,
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
            session = self.sessions[key] = ClientSession(self.dues, account, client_id)
        session.expiry_s = min(expiry_s, self.config.max_session_expiry_s)
        if session.expiring is not None:
            session.expiring.cancel()
            session.expiring = None
        session.take_will()  # [MQTT-3.1.3-9]
        session.will = will
        session.ends_ms = 0
        self.connected += 1
        if session.row or session.expiry_s:
            if not session.row:
                self.subscriptions.changed()
                session.stock.keep(1)
            self.write([self.shelf.session(session)])
        return session, is_present

    def leave(self, session: ClientSession, *, sends_will: bool) -> None:
        """Note that the connection of a session is gone; the session goes on until it expires."""
        session.detach()
        self.connected -= 1
        if not sends_will:
            session.take_will()  # [MQTT-3.1.2-10]
        if session.expiry_s == 0:
            self.finish(session)
            return
        self.expire_later(session, session.expiry_s * _MS_PER_S)
        now_ms = self.services.clock.now_ms()
        session.ends_ms = 0 if session.expiry_s == NEVER else now_ms + session.expiry_s * _MS_PER_S
        if session.will is not None:
            delay_ms = session.will.properties.number(ids.WILL_DELAY, 0) * _MS_PER_S
            session.will_due_ms = now_ms + delay_ms
            if not delay_ms:
                self.publish_will(session)
                return
        self.await_will(session)
        self._write_session(session)

    def await_will(self, session: ClientSession) -> None:
        """Publish the will of a session that has one at its time, if the end of the session does not come first."""
        if session.will is not None:
            delay_ms = max(0, session.will_due_ms - self.services.clock.now_ms())
            if delay_ms < session.expiry_s * _MS_PER_S:
                session.will_due = self.services.scheduler.later(delay_ms, lambda: self.publish_will(session))

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
        left = session.outflow.clear()
        if self.quotas.full:
            self.quotas.full.pop(session.outflow, None)
            self.quotas.ease(session.outflow)
        gone: list[Change] = []
        if session.row:
            session.stock.keep(-1)
            gone.append(MqttSessionRow(id=session.row, gone=True))
            for sending in left:
                if sending.row:
                    gone += self.shelf.released(sending.message)
        self.sessions.pop((session.account_id, session.client_id), None)
        self._publish_will(session, session.take_will(), gone)  # [MQTT-3.1.2-8], [MQTT-3.1.3-1]
        for sending in left:
            self._share_again(sending)

    def publish_will(self, session: ClientSession) -> None:
        """Publish the will of a session that goes on, if it has one still."""
        will = session.take_will()
        self._publish_will(session, will, [self.shelf.session(session)] if session.row else [])

    def _publish_will(self, session: ClientSession, will: p.Will | None, rows: list[Change]) -> None:
        """Publish a will and write `rows`, which forget it: both, or after a crash none."""
        if will is None:
            self.write(rows)
            return
        message = self.message(will.topic, will.payload, will.qos, will.retain, will.properties)
        if message.retain:
            self.claim(message, session)
        if rows or self.must_keep(will.topic, will.qos, will.retain):
            self.keep(message, session, rows, _is_sent, _ignore)
        else:
            self.publish(message, session)

    def _write_session(self, session: ClientSession) -> None:
        if session.row:
            self.write([self.shelf.session(session)])

    # Subscriptions

    def subscribe(self, session: ClientSession, wanted: p.Filter, subscription_id: int) -> tuple[int, bool]:
        """Add a filter; return the reason code, and whether it is new."""
        parts = shared(wanted.name)
        if parts is None or not is_filter(parts[1]):
            return Reason.TOPIC_FILTER_INVALID, False
        group, name = parts
        if group and is_chat(name):
            return Reason.TOPIC_FILTER_INVALID, False  # whoever is in a room hears everything
        is_ours = session.account_id == BRIDGES or is_chat(name)  # who is sent that is not up to the rules
        if not is_ours and not self.acl.may_subscribe(session.name, session.client_id, name):
            return Reason.NOT_AUTHORIZED, False
        if wanted.name not in session.filters and (
            len(session.filters) >= self.config.max_subscriptions
            or not self.quotas.add_filter(session.stock, wanted.name)
        ):
            return Reason.QUOTA_EXCEEDED, False
        subscription = Subscription(wanted, subscription_id)
        is_new = self.subscriptions.add(session, group, name, subscription)
        session.filters[wanted.name] = subscription
        return wanted.qos, is_new

    def show_retained(self, session: ClientSession, wanted: p.Filter, is_new: bool) -> None:
        """Send the retained messages that a new subscription asks for (MQTT 5.0 §3.3.1.3)."""
        subscription = session.filters.get(wanted.name)
        if subscription is not None:
            for sending in self._retained_for(session, subscription, is_new):
                session.offer(sending.message, sending.qos, True, sending.subscription_ids, "")

    def _retained_for(
        self, session: ClientSession, subscription: Subscription, is_new: bool
    ) -> list[Sending]:
        wanted = subscription.wanted
        # [MQTT-3.3.1-9], [MQTT-3.3.1-10], [MQTT-3.3.1-11]; a shared one gets none (MQTT 5.0 §4.8.2)
        if wanted.retain_handling == 2 or (wanted.retain_handling == 1 and not is_new):
            return []
        if wanted.name.startswith("$share/"):
            return []
        numbers = (subscription.subscription_id,) if subscription.subscription_id else _NO_IDS
        return [
            Sending(message, min(wanted.qos, message.qos), True, numbers)  # [MQTT-3.3.1-8]
            for message in self._retained_matching(wanted.name)
            if session.may_read(self.acl, message.topic)
        ]

    def _retained_matching(self, name: str) -> list[Message]:
        """Return the retained messages whose topics match a filter, and forget those that have expired."""
        found: list[Message] = []
        now_ms = self.services.clock.now_ms()
        for message in self.retained.matching(name):
            if message.expires_ms and message.expires_ms <= now_ms:
                self._forget_retained(message.topic)
            else:
                found.append(message)
        return found

    def unsubscribe(self, session: ClientSession, name: str) -> int:
        """Remove a filter; return the reason code."""
        if session.filters.pop(name, None) is None:
            return Reason.NO_SUBSCRIPTION_EXISTED
        self.quotas.remove_filter(session.stock, name)
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

    def must_keep(self, topic: str, qos: int, retain: bool) -> bool:
        """Whether a message goes into the store: `keep` it then, else `publish` it."""
        if topic[0] == "$":
            return False
        return retain or (qos > 0 and self.subscriptions.route(topic).is_kept)

    def publish(self, message: Message, publisher: ClientSession | None) -> bool:
        """Send a message to whoever wants it; return whether there is anybody."""
        if message.retain:
            self._retain(message)
        route = self.subscriptions.route(message.topic)
        sent = 0
        for target in route.targets:
            session = target.session
            if target.is_plain:
                if (target.qos == 0 or message.qos == 0) and session.send_plain(message):
                    sent += 1
                    continue
                session.offer(message, target.qos, False, _NO_IDS, "")  # [MQTT-3.3.1-12]
            elif session is publisher:
                if target.own_qos >= 0:  # [MQTT-3.8.3-3]
                    retain = message.retain and target.own_retains  # [MQTT-3.3.1-13]
                    session.offer(message, target.own_qos, retain, target.own_ids, "")
            else:
                session.offer(message, target.qos, message.retain and target.retains, target.ids, "")
        self.counters.messages_out += sent
        for group in route.groups:
            member = self._member(group, message)
            if member is not None:
                wanted = _Wanted(message, group.members[member], group.name)
                member.offer(message, wanted.qos, wanted.retain, wanted.ids, group.name)
        return bool(route.targets) or bool(route.groups)

    def keep(
        self,
        message: Message,
        publisher: ClientSession | None,
        further: list[Change],
        then: Callable[[bool], None],
        refused: Callable[[Refusal], None],
    ) -> None:
        """Write a message for those of its subscribers who are in the store, then send it to all of them.

        Args:
            message: for which `must_keep`, or which comes with something to write.
            publisher: whose it is.
            further: what is to be written with it.
            then: called when it is on disk, with whether there is any subscriber.
            refused: called if it cannot be written; it was sent to nobody.
        """
        planned: list[tuple[ClientSession, Sending]] = []

        def make() -> list[Change]:
            planned[:] = self._plan(message, publisher)
            stored = [(session, sending) for session, sending in planned if session.row and sending.qos]
            rows = list(further)
            if stored or message.stays:
                rows.append(self.shelf.message(message))
            rows += [self.shelf.waiting(session, sending) for session, sending in stored]
            if message.retain:
                rows.append(retained(message))
            return rows

        def done() -> None:
            if message.retain:
                self._retain(message)
            self._hand_out(planned)
            then(bool(planned))

        self.services.queues.store(make, done, refused, message.size)

    def claim(self, message: Message, publisher: ClientSession) -> bool:
        """Let a message that is to be retained stay, if the quotas allow it; return whether they do."""
        message.account_id = publisher.account_id
        if not message.payload:
            return True
        message.stays = self.retained.has_room(message)
        return message.stays

    def _retain(self, message: Message) -> None:
        if message.stays:
            before = self.retained.put(message)
            message.users += message.row > 0
        else:
            before = self.retained.remove(message.topic)  # [MQTT-3.3.1-6], [MQTT-3.3.1-7]
        if before is not None and before.row:
            self.write(self.shelf.released(before))

    def _forget_retained(self, topic: str) -> None:
        before = self.retained.remove(topic)
        if before is not None and before.row:
            self.write([MqttRetainedRow(topic=topic, gone=True), *self.shelf.released(before)])

    def _plan(self, message: Message, publisher: ClientSession | None) -> list[tuple[ClientSession, Sending]]:
        """Return who is to be sent a message, and how."""
        planned = []
        route = self.subscriptions.route(message.topic)
        for target in route.targets:
            is_own = target.session is publisher
            qos = target.own_qos if is_own else target.qos
            if qos >= 0:
                retain = message.retain and (target.own_retains if is_own else target.retains)
                numbers = target.own_ids if is_own else target.ids
                sending = Sending(message, min(qos, message.qos), retain, numbers)
                planned.append((target.session, sending))
        for group in route.groups:
            member = self._member(group, message)
            if member is not None:
                wanted = _Wanted(message, group.members[member], group.name)
                planned.append((member, wanted.sending(message)))
        return planned

    def _hand_out(self, planned: list[tuple[ClientSession, Sending]]) -> None:
        for session, sending in planned:
            message = sending.message
            if not sending.row:
                session.offer(message, sending.qos, sending.retain, sending.subscription_ids, sending.share)
            elif not session.is_over:
                message.users += 1
                session.accept(sending)
        if planned and planned[0][1].message.row and not planned[0][1].message.users:
            self.write([MqttMessageRow(id=planned[0][1].message.row, gone=True)])

    def keep_filters(
        self, session: ClientSession, granted: list[tuple[p.Filter, bool]], then: Callable[[], None]
    ) -> None:
        """Write filters of a session that is in the store, with the retained messages that they ask for.

        `then` is called before any of those is sent.
        """
        planned: list[tuple[ClientSession, Sending]] = []

        def make() -> list[Change]:
            rows: list[Change] = []
            planned.clear()
            for wanted, is_new in granted:
                subscription = session.filters.get(wanted.name)
                if subscription is not None:
                    rows.append(self.shelf.subscription(session, subscription))
                    for sending in self._retained_for(session, subscription, is_new):
                        if sending.qos and sending.message.row:
                            rows.append(self.shelf.waiting(session, sending))
                        planned.append((session, sending))
            return rows

        def done() -> None:
            then()
            for each in planned:
                self._hand_out([each])

        def refused(refusal: Refusal) -> None:
            if session.end is not None:
                session.end(reason_for(refusal), refusal.value)

        self.services.queues.store(make, done, refused)

    def who_is_full(self, message: Message, publisher: ClientSession) -> ClientSession | None:
        """Return somebody whom a message of QoS 1 or 2 must reach, and who has no room for it."""
        if not self.quotas.full:
            return None
        route = self.subscriptions.route(message.topic)
        for target in route.targets:
            qos = target.own_qos if target.session is publisher else target.qos
            if qos > 0 and target.session.is_full():
                return target.session
        for group in route.groups:
            full = [member for member in group.members if member.is_full()]
            if full and len(full) == len(group.members):
                return full[0]
        return None

    def _member(self, group: Group, message: Message) -> ClientSession | None:
        return group.next_member(lambda session: session.may_read(self.acl, message.topic), message.qos)

    def _share_again(self, sending: Sending) -> None:
        """Give what a session that has ended did not get of a shared subscription to another of its clients.

        At QoS 2 only if it was not sent yet: [MQTT-4.8.2-5].
        """
        if not sending.share or sending.qos == 0 or (sending.qos == 2 and sending.packet_id):
            return
        parts = shared(sending.share)
        group = None if parts is None else self.subscriptions.group(parts[0], parts[1])
        message = sending.message
        member = None if group is None else self._member(group, message)
        if group is None or member is None:
            return
        again = _Wanted(message, group.members[member], group.name).sending(message)
        if not (member.row and again.qos):
            self._hand_out([(member, again)])
            return

        def make() -> list[Change]:
            return [self.shelf.message(message), self.shelf.waiting(member, again)]

        self.services.queues.store(make, lambda: self._hand_out([(member, again)]), _ignore)

    # The store

    def write(self, rows: list[Change]) -> None:
        """Write rows that nobody waits for."""
        if rows:
            self.services.queues.store(lambda: rows, _nothing, _ignore)

    def _settled(self, session: ClientSession, sending: Sending) -> None:
        self.write(self.shelf.settled(session, sending))

    def expire_later(self, session: ClientSession, delay_ms: int) -> None:
        """End a session whose client is gone after a while, unless it is never to end."""
        if session.expiry_s != NEVER:
            session.expiring = self.services.scheduler.later(delay_ms, lambda: self.finish(session))

    def _locked_out(self, log: Log, account: Account) -> None:
        """Look at an account once it is known whether it was deleted, or has a new password."""
        log.append_marker(lambda: self._forget(account))

    def _forget(self, account: Account) -> None:
        """End the sessions of an account that was deleted."""
        if account.state is not AccountState.DELETED:
            return
        for session in [each for each in self.sessions.values() if each.account is account]:
            session.take_will()
            self.finish(session)


class _Wanted:
    """How a client of a shared subscription is sent a message."""

    def __init__(self, message: Message, subscription: Subscription, share: str) -> None:
        wanted = subscription.wanted
        self.qos: Final = min(wanted.qos, message.qos)
        self.retain: Final = message.retain and wanted.retain_as_published
        self.ids: Final = (subscription.subscription_id,) if subscription.subscription_id else _NO_IDS
        self.share: Final = share

    def sending(self, message: Message) -> Sending:
        """Return the message on its way."""
        return Sending(message, self.qos, self.retain, self.ids, self.share)


def _nothing() -> None:
    """Do nothing."""


def _is_sent(has_subscribers: bool) -> None:
    """Do nothing: nobody waits for it."""


def _ignore(refusal: Refusal) -> None:
    """Go on without: what could not be deleted is deleted at the next start."""


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
