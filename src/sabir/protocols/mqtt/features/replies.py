"""Answers that clients send one another: `chat/v1/u/<user>/reply/...` (MQTT 5.0 §4.10.1).

What is published there goes to the devices of that person which are connected and want it; it is not kept.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

import msgspec

from sabir.core.errors import Refusal
from sabir.protocols.mqtt.codec.fields import Fields
from sabir.protocols.mqtt.codec.message import Message
from sabir.protocols.mqtt.codec.properties import put_properties, read_properties
from sabir.protocols.mqtt.features.sessions import ClientSession
from sabir.protocols.mqtt.features.talk import Talk
from sabir.protocols.mqtt.translate.topics import REPLY, Place, topic_of_user
from sabir.protocols.mqtt.types import packets as p
from sabir.protocols.mqtt.types.reasons import Reason

_TOKEN_BYTES: Final = 8


class _Reply(msgspec.Struct, array_like=True):
    topic: str
    payload: bytes
    properties: bytes


def response_information(client: ClientSession) -> str:
    """Return the topic below which a client may let itself be answered: its own (MQTT 5.0 §3.2.2.3.15)."""
    token = blake2b(client.client_id.encode(), digest_size=_TOKEN_BYTES).hexdigest()
    return topic_of_user(client.name, f"{REPLY}/{token}")


def reply(talk: Talk, place: Place, packet: p.Publish) -> None:
    """Pass an answer on to the devices of a person, one's own included."""
    account = talk.services.accounts.find(place.name)
    if account is None:
        talk.refuse(packet, Refusal.ACTOR_UNKNOWN)
        return
    message = talk.broker.message(packet.topic, packet.payload, packet.qos, False, packet.properties)
    properties = bytearray()
    put_properties(properties, message.properties)
    payload = msgspec.msgpack.encode(_Reply(message.topic, message.payload, bytes(properties)))
    sent = talk.services.relays.to_account(talk.owner, account, payload)
    sent += account is talk.account and talk.wishes.offer_reply(message)
    talk.answer(packet, Reason.SUCCESS if sent else Reason.NO_MATCHING_SUBSCRIBERS, "")


def arrived(talk: Talk, payload: bytes) -> None:
    """Show the client an answer that another one sent."""
    found = msgspec.msgpack.decode(payload, type=_Reply)
    properties = read_properties(Fields(found.properties, 0, len(found.properties)), p.PUBLISH)
    talk.wishes.offer_reply(Message(found.topic, found.payload, 1, False, properties))
