"""What of the broker is in the store, as rows and back (DATAMODEL section 2, `mqtt_*`).

On disk are the sessions that outlive their connection with their filters, what waits in them at QoS 1 and 2, what came
from them at QoS 2, and the retained messages. A packet identifier of such a session follows from the number in its
queue: so it is the same after a restart, and sending writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from sabir.core.model.changes import (
    Change,
    MqttFilterRow,
    MqttMessageRow,
    MqttQueueRow,
    MqttReceivedRow,
    MqttRetainedRow,
    MqttSessionRow,
)
from sabir.core.ports import QueueRows
from sabir.protocols.mqtt.codec.fields import Fields, put_binary, put_text
from sabir.protocols.mqtt.codec.message import Message
from sabir.protocols.mqtt.codec.properties import WILL, put_properties, read_properties
from sabir.protocols.mqtt.features.sessions import ClientSession, Subscription
from sabir.protocols.mqtt.machine import Sending
from sabir.protocols.mqtt.types import packets as p
from sabir.protocols.mqtt.types.packets import Filter


class Shelf:
    """Gives out the numbers of rows, and makes them."""

    def __init__(self, rows: QueueRows) -> None:
        self._last_session = max((row.id for row in rows.sessions), default=0)
        self._last_message = max((row.id for row in rows.messages), default=0)

    # Rows

    def session(self, session: ClientSession) -> MqttSessionRow:
        """Return the row of a session in the state that it has now; it is given a number if it has none."""
        if not session.row:
            self._last_session += 1
            session.row = self._last_session
        return MqttSessionRow(
            id=session.row,
            account_id=session.account_id,
            client_id=session.client_id,
            expiry_s=session.expiry_s,
            expires_ms=session.ends_ms,
            will=b"" if session.will is None else packed(session.will),
            will_due_ms=session.will_due_ms,
            chat_seq=0 if session.progress is None else session.progress.acknowledged_seq,
        )

    def subscription(self, session: ClientSession, subscription: Subscription) -> MqttFilterRow:
        """Return the row of a filter."""
        wanted = subscription.wanted
        return MqttFilterRow(
            session_id=session.row,
            filter=wanted.name,
            flags=wanted.options,
            sub_id=subscription.subscription_id,
            since_seq=0 if session.progress is None else session.progress.since.get(wanted.name, 0),
        )

    def message(self, message: Message) -> MqttMessageRow:
        """Return the row of a message, which is given a number if it has none."""
        if not message.row:
            self._last_message += 1
            message.row = self._last_message
        properties = bytearray()
        put_properties(properties, message.properties)
        return MqttMessageRow(
            id=message.row,
            topic=message.topic,
            payload=message.payload,
            properties=bytes(properties),
            qos=message.qos,
            expires_ms=message.expires_ms,
        )

    def waiting(self, session: ClientSession, sending: Sending) -> MqttQueueRow:
        """Return the row of what waits for a client, in the state that it has now."""
        if not sending.row:
            session.queued += 1
            sending.row = session.queued
        return MqttQueueRow(
            session_id=session.row,
            n=sending.row,
            message_id=sending.message.row,
            qos=sending.qos,
            retain=sending.retain,
            released=sending.is_released,
            sub_ids=sending.subscription_ids,
            share=sending.share,
        )

    def settled(self, session: ClientSession, sending: Sending) -> list[Change]:
        """Return what is to be deleted when a client has what waited for it."""
        gone: list[Change] = [MqttQueueRow(session_id=session.row, n=sending.row, gone=True)]
        return gone + self.released(sending.message)

    def released(self, message: Message) -> list[Change]:
        """Return what is to be deleted when one place less needs a message."""
        message.users -= 1
        return [MqttMessageRow(id=message.row, gone=True)] if message.users == 0 else []


def filter_of(row: MqttFilterRow) -> Filter:
    """Return the filter of a row."""
    flags = row.flags
    return Filter(row.filter, flags & 3, flags & 4 != 0, flags & 8 != 0, flags >> 4)


def message_of(row: MqttMessageRow) -> Message:
    """Return the message of a row."""
    properties = read_properties(Fields(row.properties, 0, len(row.properties)), p.PUBLISH)
    message = Message(row.topic, row.payload, row.qos, False, properties, row.expires_ms)
    message.row = row.id
    return message


def fill(
    session: ClientSession, rows: Iterable[MqttQueueRow], messages: dict[int, Message], most: int
) -> None:
    """Put into a session what waits for it: `rows` in their order.

    Args:
        session: without a connection.
        rows: those of the session.
        messages: by number.
        most: how many may have been sent: they are sent again under the same packet identifiers.
    """
    outflow = session.outflow
    for row in rows:
        session.queued = row.n
        message = messages.get(row.message_id)
        if message is None:
            continue
        sending = Sending(message, row.qos, row.retain, row.sub_ids, row.share)
        sending.row = row.n
        message.users += 1
        if row.released:
            sending.is_released = True
            outflow.number(sending)
        elif most > 0:
            outflow.restore(sending)
        else:
            outflow.push(sending)
        most -= 1


def received(session: ClientSession, packet_id: int, *, gone: bool = False) -> MqttReceivedRow:
    """Return the row of a packet identifier that came at QoS 2."""
    return MqttReceivedRow(session_id=session.row, packet_id=packet_id, gone=gone)


def retained(message: Message) -> MqttRetainedRow:
    """Return the row of a retained message; without payload it is none ([MQTT-3.3.1-6])."""
    if not message.stays:
        return MqttRetainedRow(topic=message.topic, gone=True)
    return MqttRetainedRow(topic=message.topic, message_id=message.row, account_id=message.account_id)


def packed(will: p.Will) -> bytes:
    """Return a will as it is stored."""
    out = bytearray((will.qos << 1 | will.retain,))
    put_text(out, will.topic)
    put_binary(out, will.payload)
    put_properties(out, will.properties)
    return bytes(out)


def unpacked(data: bytes) -> p.Will:
    """Return the will of a row."""
    fields = Fields(data, 0, len(data))
    flags = fields.byte()
    topic, payload = fields.text(), fields.binary()
    return p.Will(topic, payload, flags >> 1, bool(flags & 1), read_properties(fields, WILL))
