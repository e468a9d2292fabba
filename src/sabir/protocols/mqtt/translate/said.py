"""What is said on a chat topic: from a packet to a draft for the log, and from the log to a message.

The stored form is the JSON object of `msg` topics, without what the server adds (`id`, `sender`, `ts`).
"""

from __future__ import annotations

from typing import Final

import msgspec

from sabir.core.model import content as words
from sabir.core.model.content import Content
from sabir.core.model.event import EMOTE, NOTICE, UNREAD, Draft, Event, Kind
from sabir.core.model.plain import plain_text, reactions
from sabir.protocols.mqtt.codec.message import Message
from sabir.protocols.mqtt.translate.topics import MSG, TEXT, topic_of
from sabir.protocols.mqtt.types import properties as ids
from sabir.protocols.mqtt.types.properties import Properties

PROTOCOL: Final = "mqtt"
_ID_CHARACTERS: Final = 32
_KINDS: Final = {words.EMOTE: EMOTE, words.NOTICE: NOTICE}


class SaidError(Exception):
    """What came cannot be said in a room."""


class Said(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A message of a `msg` topic. Ids are 32 hex digits."""

    id: str = ""
    sender: str = ""
    ts: int = 0
    """Milliseconds since 1970."""
    text: str = ""
    kind: str = ""
    """`emote` (what one does) or `notice` (never to be answered by a program)."""
    reply_to: str = ""
    replaces: str = ""
    """The message of which this is the new version."""
    deleted: bool = False
    """The message that it `replaces` is taken back."""
    reaction: str = ""
    """A reaction to `reply_to`; not taken from clients."""


def said_of(what: str, payload: bytes, properties: Properties) -> Said:
    """Return what a packet says. Raises `SaidError`."""
    if what == MSG:
        try:
            said = msgspec.json.decode(payload, type=Said)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise SaidError("this is no JSON object of a message") from error
        said = msgspec.structs.replace(said, id="", sender="", ts=0)  # ours to say
    else:
        try:
            text = payload.decode()
        except UnicodeDecodeError as error:
            raise SaidError("the text is not UTF-8") from error
        users = dict(properties.users)
        said = Said(
            text=text,
            kind=users.get("kind", ""),
            reply_to=users.get("reply-to", ""),
            replaces=users.get("replaces", ""),
            deleted=not text and "replaces" in users,
        )
    if (
        said.reaction
        or said.kind not in ("", *_KINDS)
        or bool(said.text) == said.deleted
        or "\0" in said.text
    ):
        raise SaidError("there is nothing to say, or something that cannot be said here")
    if said.deleted and not said.replaces:
        raise SaidError("which message is taken back?")
    for id_ in (said.reply_to, said.replaces):
        if id_ and not _id_of(id_):
            raise SaidError("an id is 32 hex digits")
    return said


def draft_of(said: Said, resource: str) -> Draft:
    """Return the draft of what a client says."""
    native = msgspec.json.encode(said)
    kind, flags, target = Kind.MESSAGE, UNREAD, said.reply_to
    if said.replaces:
        kind, flags, target = (Kind.DELETE if said.deleted else Kind.EDIT), 0, said.replaces
    flags |= _KINDS.get(said.kind, 0)
    return Draft(PROTOCOL, native, kind=kind, flags=flags, target_id=_id_of(target), resource=resource)


class MqttTranslator:
    """Derives the content of events that MQTT clients posted."""

    def content_of(self, event: Event) -> Content:
        """Return the content of `event`."""
        said = msgspec.json.decode(event.native, type=Said)
        if said.deleted:
            return words.delete(event.target_id)
        found = words.emote(said.text) if said.kind == words.EMOTE else words.text(said.text)
        if said.kind == words.NOTICE:
            found = words.extended(found, words.KIND, words.NOTICE)
        if said.replaces:
            return words.edit(event.target_id or _id_of(said.replaces), found)
        return words.reply(event.target_id or _id_of(said.reply_to), found) if said.reply_to else found


def shown(event: Event, content: Content) -> Said | None:
    """Return what a subscriber is shown of an event; None = nothing."""
    kind = ""
    if words.is_emote(content):
        kind = words.EMOTE
    elif words.is_notice(content):
        kind = words.NOTICE
    said = Said(id=event.event_id.hex(), sender=event.nick, ts=event.at_ms, kind=kind)
    target = event.target_id.hex()
    if event.kind == Kind.DELETE:
        return msgspec.structs.replace(said, replaces=target, deleted=True)
    if event.kind == Kind.EDIT:
        return msgspec.structs.replace(said, replaces=target, text=plain_text(content))
    if event.kind == Kind.REACTION:
        emojis = reactions(content) if words.is_reaction(content) else ()
        return msgspec.structs.replace(said, reply_to=target, reaction=emojis[0]) if emojis else None
    if event.kind == Kind.MESSAGE:
        replied = target or (content.in_reply_to or b"").hex()
        return msgspec.structs.replace(said, reply_to=replied, text=plain_text(content))
    return None


def message_of_said(room: str, what: str, said: Said) -> Message | None:
    """Return what is published on a topic of a room; None = nothing.

    A `text` topic is for the simplest reader: it has the messages and their new versions, and no more.
    """
    properties = Properties()
    properties.numbers[ids.PAYLOAD_FORMAT] = 1
    properties.data[ids.CORRELATION_DATA] = bytes.fromhex(said.id)
    if what == MSG:
        properties.texts[ids.CONTENT_TYPE] = "application/json"
        return Message(topic_of(room, what), msgspec.json.encode(said), 1, False, properties)
    if said.deleted or said.reaction:
        return None
    properties.texts[ids.CONTENT_TYPE] = "text/plain"
    properties.users.extend([("sender", said.sender), ("ts", str(said.ts))])
    for name, value in (("kind", said.kind), ("reply-to", said.reply_to), ("replaces", said.replaces)):
        if value:
            properties.users.append((name, value))
    return Message(topic_of(room, TEXT), said.text.encode(errors="replace"), 1, False, properties)


def _id_of(text: str) -> bytes:
    """Return the event id that a client names, or nothing if it is none of ours."""
    if len(text) != _ID_CHARACTERS or not text.isascii():
        return b""
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""
