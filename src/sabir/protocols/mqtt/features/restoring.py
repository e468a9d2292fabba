"""What a broker takes up again that was stored when the server was here last."""

from __future__ import annotations

from itertools import groupby
from typing import Final

from sabir.core.model.actor import Account
from sabir.core.model.changes import Change, MqttMessageRow, MqttSessionRow
from sabir.core.ports import QueueRows
from sabir.protocols.mqtt.features.bridging import BridgeSession, Mapping
from sabir.protocols.mqtt.features.broker import Broker
from sabir.protocols.mqtt.features.progress import Progress
from sabir.protocols.mqtt.features.sessions import BRIDGES, NEVER, ClientSession, Subscription
from sabir.protocols.mqtt.features.shelf import fill, filter_of, message_of, unpacked
from sabir.protocols.mqtt.features.topics import shared
from sabir.protocols.mqtt.types import properties as ids

_MS_PER_S: Final = 1000


def restore(broker: Broker, rows: QueueRows) -> None:
    """Put what was stored into a new broker."""
    messages = {row.id: message_of(row) for row in rows.messages}
    sessions = _sessions(broker, rows)
    for filters in rows.filters:
        owner = sessions.get(filters.session_id)
        parts = shared(filters.filter)
        if owner is not None and parts is not None:
            subscription = Subscription(filter_of(filters), filters.sub_id)
            if filters.since_seq and owner.progress is not None:
                owner.progress.since[filters.filter] = filters.since_seq
            owner.filters[filters.filter] = subscription
            broker.subscriptions.add(owner, parts[0], parts[1], subscription)
            broker.quotas.add_filter(owner.stock, filters.filter)
    for session_id, waiting in groupby(rows.waiting, lambda row: row.session_id):
        if session_id in sessions:
            fill(sessions[session_id], waiting, messages, broker.config.max_inflight)
            broker.quotas.note(sessions[session_id].outflow)
    for came in rows.received:
        if came.session_id in sessions:
            sessions[came.session_id].inflow.received[came.packet_id] = None
    for kept in rows.retained:
        if kept.message_id in messages:
            message = messages[kept.message_id]
            message.users += 1
            message.account_id = kept.account_id
            broker.retained.put(message)
    orphans: list[Change] = [
        MqttMessageRow(id=each.row, gone=True) for each in messages.values() if not each.users
    ]
    broker.write(orphans)


def _sessions(broker: Broker, rows: QueueRows) -> dict[int, ClientSession]:
    """Return the sessions by their numbers, each with its will and its end before it."""
    found: dict[int, ClientSession] = {}
    accounts: dict[int, Account] = {account.id: account for account in broker.services.accounts.all()}
    mappings = {bridge.name: Mapping(bridge) for bridge in broker.config.bridges}
    now_ms = broker.services.clock.now_ms()
    for row in rows.sessions:
        account = accounts.get(row.account_id)
        bridge = mappings.get(row.client_id) if row.account_id == BRIDGES else None
        if row.account_id and account is None and bridge is None:
            broker.write([MqttSessionRow(id=row.id, gone=True)])
            continue
        if bridge is None:
            session = ClientSession(broker.dues, account, row.client_id)
        else:
            session = BridgeSession(broker.dues, bridge)
        session.row, session.expiry_s, session.ends_ms = row.id, row.expiry_s, row.expires_ms
        session.progress = Progress(row.chat_seq) if row.chat_seq else None
        session.stock.keep(1)
        found[row.id] = broker.sessions[row.account_id, row.client_id] = session
        left_ms = row.expires_ms - now_ms if row.expires_ms else row.expiry_s * _MS_PER_S
        if row.will:
            # [MQTT-3.1.2-8]: a client that was connected when the server went is one whose connection was closed then
            session.will = will = unpacked(row.will)
            delay_ms = will.properties.number(ids.WILL_DELAY, 0) * _MS_PER_S
            session.will_due_ms = row.will_due_ms
            if not row.will_due_ms:
                session.will_due_ms = now_ms + delay_ms
                session.ends_ms = 0 if row.expiry_s == NEVER else now_ms + left_ms
                broker.write([broker.shelf.session(session)])
            broker.await_will(session)
        broker.expire_later(session, max(0, left_ms))
    return found
