"""What subscribers are shown of an entry of the log: as JSON, as text, as MIMI content."""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from sabir.core.model import content as words
from sabir.core.model import mimi
from sabir.core.model.content import Content
from sabir.core.model.conversation import Conversation
from sabir.core.model.event import Event, Kind
from sabir.core.model.mimi import ContentSyntaxError
from sabir.core.model.plain import reactions
from sabir.core.services.people import People
from sabir.core.services.relating import REMOVED
from sabir.protocols.mqtt.codec.message import Message
from sabir.protocols.mqtt.translate.content import plain_of, said_of_content
from sabir.protocols.mqtt.translate.said import JSON, PLAIN, PROTOCOL, Said, encoded, is_json, stored
from sabir.protocols.mqtt.types import properties as ids
from sabir.protocols.mqtt.types.properties import Properties

SHOWN: Final = frozenset((int(Kind.MESSAGE), int(Kind.EDIT), int(Kind.DELETE), int(Kind.REACTION)))
"""Kinds of entries that are messages, or about one."""


def said_of(
    event: Event, content: Content, conversation: Conversation, people: People, sender: str, to: str
) -> Said | None:
    """Return what a subscriber is shown of an event; None = nothing.

    Args:
        event: one of the kinds in `SHOWN`.
        content: that of the event.
        conversation: where it is.
        people: who is called how.
        sender: the name under which its sender is shown.
        to: of a direct message, the name of the other one.
    """
    said = _without_head(event, content, conversation, people)
    if said is None:
        return None
    return msgspec.structs.replace(said, id=event.event_id.hex(), sender=sender, to=to, ts=event.at_ms)


def as_json(topic: str, said: Said) -> Message:
    """Return a message as a JSON object."""
    return _message(topic, encoded(said), said.id, JSON, is_text=True)


def as_text(topic: str, said: Said) -> Message | None:
    """Return a message as its text; None = nothing.

    For the simplest reader: messages and their new versions, and no more.
    """
    if said.deleted or said.reaction:
        return None
    message = _message(topic, plain_of(said).encode(errors="replace"), said.id, PLAIN, is_text=True)
    message.properties.users.extend(_users(said))
    return message


def as_content(topic: str, said: Said, event: Event, content: Content) -> Message | None:
    """Return a message as MIMI content; None = it cannot be written as such.

    Its references are event ids, as those of what clients publish.
    """
    if event.kind == Kind.REACTION and said.deleted:
        content = words.unreaction(event.target_id, event.target_id)
    salt = hashlib.blake2b(event.salt, digest_size=mimi.SALT_BYTES, person=b"mimi content").digest()
    try:
        payload = mimi.encode(content, salt)
    except ContentSyntaxError:
        return None
    message = _message(topic, payload, said.id, mimi.MEDIA_TYPE, is_text=False)
    users = message.properties.users
    users.extend([("sender", said.sender), ("ts", str(said.ts))])
    if said.to:
        users.append(("to", said.to))
    return message


def _without_head(event: Event, content: Content, conversation: Conversation, people: People) -> Said | None:
    target = event.target_id.hex()
    if event.kind == Kind.DELETE:
        return Said(replaces=target, deleted=True)
    if event.erased:
        return Said(deleted=True)
    if event.kind == Kind.REACTION:
        emoji = event.relation_key or next(iter(reactions(content)), "")
        return Said(reply_to=target, reaction=emoji, deleted=event.flags & REMOVED != 0) if emoji else None
    if event.protocol == PROTOCOL and is_json(event.native):
        return stored(event.native)
    said = said_of_content(content, conversation, people)
    replied = (content.in_reply_to or b"").hex()
    if event.kind == Kind.EDIT:
        return msgspec.structs.replace(said, replaces=target, reply_to=replied)
    return msgspec.structs.replace(said, reply_to=target or replied)


def _message(topic: str, payload: bytes, id_: str, content_type: str, *, is_text: bool) -> Message:
    properties = Properties()
    if is_text:
        properties.numbers[ids.PAYLOAD_FORMAT] = 1
    properties.texts[ids.CONTENT_TYPE] = content_type
    properties.data[ids.CORRELATION_DATA] = bytes.fromhex(id_)
    return Message(topic, payload, 1, False, properties)


def _users(said: Said) -> list[tuple[str, str]]:
    found = [("sender", said.sender), ("ts", str(said.ts))]
    for name, value in (
        ("to", said.to),
        ("kind", said.kind),
        ("reply-to", said.reply_to),
        ("replaces", said.replaces),
        ("topic", said.topic),
        ("lang", said.lang),
        ("expires", str(said.expires or "")),
        ("spoiler", said.spoiler or ""),
        ("geo", said.geo),
    ):
        if value:
            found.append((name, value))
    found += [("mention", name) for name in said.mentions]
    return found
