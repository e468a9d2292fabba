"""The session of one client: what is kept of it while it is connected, and for a while after (MQTT 5.0 §4.1).

Compiled by mypyc: `offer` is called for each message and subscriber.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sabir.core.model.actor import Account
from sabir.core.ports import Clock, Handle
from sabir.gateway.contract import Counters
from sabir.net.connection import Connection
from sabir.protocols.mqtt.codec.message import Form, Message, duplicate, packet_id_bytes
from sabir.protocols.mqtt.features.acl import Acl
from sabir.protocols.mqtt.features.progress import Progress
from sabir.protocols.mqtt.features.quotas import Quotas
from sabir.protocols.mqtt.machine import Inflow, Outflow, Sending
from sabir.protocols.mqtt.types import packets as p
from sabir.protocols.mqtt.types.packets import Filter
from sabir.protocols.mqtt.types.reasons import Reason

BRIDGES: Final = -1
"""Stands for the account of bridges."""

NEVER: Final = 0xFFFF_FFFF
"""MQTT 5.0 §3.1.2.11.2: a session that does not expire."""

_NO_IDS: Final[tuple[int, ...]] = ()
_MAX_ALIASED: Final = 1024
"""Longer topics get no alias: each is kept for as long as the connection."""


class Subscription:
    """One filter of a session."""

    def __init__(self, wanted: Filter, subscription_id: int) -> None:
        self.wanted: Final = wanted
        self.subscription_id: Final = subscription_id
        """0 = none."""


class Dues:
    """What a session does not decide: told to the broker, which shares it with all."""

    def __init__(self, clock: Clock, counters: Counters, quotas: Quotas) -> None:
        self.clock: Final = clock
        self.counters: Final = counters
        self.quotas: Final = quotas
        self.settled: Callable[[ClientSession, Sending], None] | None = None
        """Called when something of a stored queue needs not be kept any more."""
        self.dropped = 0
        """Messages that were not delivered: at QoS 0 to clients that do not keep up, or longer than a client takes."""


class ClientSession:
    """See the module's text."""

    def __init__(self, dues: Dues, account: Account | None, client_id: str, account_id: int = 0) -> None:
        self.account_id: Final = account_id if account is None else account.id
        """0 = a client without account, `BRIDGES` = one of our own towards another broker."""
        self.stock: Final = dues.quotas.stock(self.account_id)
        self.account: Final = account
        self.client_id: Final = client_id
        self.expiry_s = 0
        """How long it is kept after the connection; `NEVER` = for ever."""
        self.filters: Final[dict[str, Subscription]] = {}
        self.outflow: Final = Outflow(self.stock)
        self.inflow: Final = Inflow()
        self.connection: Connection | None = None
        self.version = 0
        self.end: Callable[[Reason, str], None] | None = None
        """Ends the connection with DISCONNECT."""
        self.expiring: Handle | None = None
        self.will: p.Will | None = None
        self.ends_ms = 0
        """When it ends if its client stays away; 0 while that is connected, or if it never ends."""
        self.will_due: Handle | None = None
        self.will_due_ms = 0
        """When `will` is to be published, once the connection is gone."""
        self.is_over = False
        self.row = 0
        """Its number in the store; 0 = it ends with its connection, or with the server."""
        self.queued = 0
        """The number of what was put last into its stored queue."""
        self._dues: Final = dues
        self.progress: Progress | None = None
        """Its place in the log, if it has chat topics."""
        self._is_plain = True  # the client has no wishes that concern each packet
        self._maximum_packet_size = 0
        self._alias_maximum = 0
        self._aliases: dict[str, int] | None = None

    def take_will(self) -> p.Will | None:
        """Return the will, which then is none any more."""
        will, self.will = self.will, None
        self.will_due_ms = 0
        if self.will_due is not None:
            self.will_due.cancel()
            self.will_due = None
        return will

    @property
    def name(self) -> str:
        """The name of the account; empty without one."""
        return "" if self.account is None else self.account.name

    def may_read(self, acl: Acl, topic: str) -> bool:
        """Whether it may be sent what is published to `topic`; what bridges share is in the settings."""
        return self.account_id == BRIDGES or acl.may_read(self.name, self.client_id, topic)

    # The connection

    def attach(
        self,
        connection: Connection,
        end: Callable[[Reason, str], None],
        version: int,
        *,
        receive_maximum: int,
        maximum_packet_size: int,
        alias_maximum: int,
    ) -> None:
        """Go on over `connection`; what waits is sent by `pump`, once the client has its CONNACK."""
        self.connection = connection
        self.end = end
        self.version = version
        self.outflow.receive_maximum = receive_maximum
        self._maximum_packet_size = maximum_packet_size
        self._alias_maximum = alias_maximum
        self._aliases = None
        self._is_plain = not maximum_packet_size and not alias_maximum

    def detach(self) -> None:
        """Note that the connection is gone."""
        self.connection = None
        self.end = None

    # What is sent to the client

    def send_plain(self, message: Message) -> bool:
        """Send a message at QoS 0 to a client without wishes; return whether that could be: else `offer` it."""
        connection = self.connection
        if connection is None or connection.lagging or not self._is_plain or message.expires_ms:
            return False
        connection.put(message.frame(self.version))
        return True

    def offer(
        self, message: Message, qos: int, retain: bool, subscription_ids: tuple[int, ...], share: str
    ) -> None:
        """Send a message, now or when the client takes it; `qos` is the one granted."""
        connection = self.connection
        if qos > message.qos:
            qos = message.qos  # [MQTT-3.8.4-8]
        if qos == 0:
            if connection is None:
                return  # MQTT 5.0 §4.1: what is for nobody now is not kept at QoS 0
            if not connection.lagging:
                self._send(connection, Sending(message, 0, retain, subscription_ids), False)
                return
            if self._dues.quotas.over(self.outflow):
                self._dues.dropped += 1
            else:
                self.outflow.push(Sending(message, 0, retain, subscription_ids, share))
            return
        self.accept(Sending(message, qos, retain, subscription_ids, share))

    def accept(self, sending: Sending) -> None:
        """Send a message of QoS 1 or 2, now or when the client takes it."""
        connection = self.connection
        outflow = self.outflow
        if (
            connection is not None
            and not connection.lagging
            and not outflow.waiting
            and outflow.may_send(sending)
        ):
            outflow.number(sending)
            self._send(connection, sending, False)
        else:
            self._wait(sending)

    def _wait(self, sending: Sending) -> None:
        self.outflow.push(sending)
        if self._dues.quotas.note(self.outflow) and not self.expiry_s and self.end is not None:
            # What was promised to this connection ends with it.
            self.end(Reason.QUOTA_EXCEEDED, "too much waits for this client")

    def is_full(self) -> bool:
        """Whether no more is to be promised to this session: it has to take what waits first."""
        is_away = self.connection is None or bool(self.outflow.waiting)
        return self._dues.quotas.is_full(self.outflow, is_away=is_away)

    def pump(self) -> None:
        """Send what waits, as far as the client takes it."""
        outflow = self.outflow
        connection = self.connection
        if connection is None:
            return
        if outflow.waiting:
            self._pump(connection, outflow)
            if self._dues.quotas.full:
                self._dues.quotas.ease(outflow)

    def _pump(self, connection: Connection, outflow: Outflow) -> None:
        now_ms = -1
        while outflow.waiting and not connection.lagging:
            first = outflow.waiting[0]
            if first.qos and not outflow.may_send(first):
                return
            outflow.pop()
            if first.message.expires_ms and not first.packet_id:
                if now_ms < 0:
                    now_ms = self._dues.clock.now_ms()
                if first.message.expires_ms <= now_ms:
                    self.settle(first)  # [MQTT-3.3.2-5]
                    continue
            is_again = first.packet_id != 0
            if first.qos:
                outflow.number(first)
            self._send(connection, first, is_again)

    def acknowledged(self, packet_id: int) -> None:
        """Take note of PUBACK or PUBCOMP, or of a PUBREC that refuses."""
        sending = self.outflow.acknowledged(packet_id)
        if sending is not None:
            self.settle(sending)
            if self._dues.quotas.full:
                self._dues.quotas.ease(self.outflow)

    def settle(self, sending: Sending) -> None:
        """Forget what the client has, or is never to have, in the store too."""
        if sending.row and self._dues.settled is not None:
            self._dues.settled(self, sending)
        if sending.message.seq and self.progress is not None:
            self.progress.settle(sending.message.seq)

    def received(self, packet_id: int) -> Sending | None:
        """Take note of PUBREC; return the message, None if there is none such under way."""
        sending = self.outflow.inflight.get(packet_id)
        if sending is None or sending.qos != 2:
            return None
        sending.is_released = True
        return sending

    def _send(self, connection: Connection, sending: Sending, is_again: bool) -> None:
        form = self._form(sending)
        if self._maximum_packet_size and form.size > self._maximum_packet_size:
            # [MQTT-3.1.2-25]: as if it had been delivered
            self._dues.dropped += 1
            if sending.qos:
                self.acknowledged(sending.packet_id)
            return
        self._dues.counters.messages_out += 1
        if sending.qos == 0:
            if not form.after:
                connection.put(form.before)
            else:
                connection.put3(form.before, b"", form.after)
            return
        before = duplicate(form.before) if is_again else form.before
        connection.put3(before, packet_id_bytes(sending.packet_id), form.after)

    def _form(self, sending: Sending) -> Form:
        message = sending.message
        if self._alias_maximum:
            return self._aliased(sending)
        if not sending.subscription_ids and not message.expires_ms:
            return message.form(self.version, sending.qos, sending.retain)
        now_ms = self._dues.clock.now_ms() if message.expires_ms else 0
        return message.special(self.version, sending.qos, sending.retain, sending.subscription_ids, now_ms)

    def _aliased(self, sending: Sending) -> Form:
        """Give the topics of a connection that are sent first the aliases that it has (MQTT 5.0 §3.3.2.3.4)."""
        known = self._aliases
        if known is None:
            known = self._aliases = {}
        message = sending.message
        now_ms = self._dues.clock.now_ms() if message.expires_ms else 0
        alias = known.get(message.topic, 0)
        is_known = alias > 0
        if not is_known and len(known) < self._alias_maximum and len(message.topic) <= _MAX_ALIASED:
            alias = len(known) + 1
            known[message.topic] = alias
        return message.aliased(sending.qos, sending.retain, sending.subscription_ids, now_ms, alias, is_known)
