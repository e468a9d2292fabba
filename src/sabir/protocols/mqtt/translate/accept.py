"""What a client publishes, made into a draft for the log: classified, and without what it could forge."""

from __future__ import annotations

from typing import Final

import msgspec

from sabir.core.model import content as words
from sabir.core.model import mimi
from sabir.core.model.content import Content
from sabir.core.model.event import UNREAD, Draft, Kind
from sabir.core.model.mimi import ContentSyntaxError
from sabir.core.model.plain import reactions
from sabir.core.services.relating import REMOVED
from sabir.protocols.mqtt.translate.said import (
    JSON,
    KINDS,
    MARKDOWN,
    PLAIN,
    PROTOCOL,
    Said,
    SaidError,
    checked,
    encoded,
    form_of,
    id_of,
    said_of_json,
    said_of_text,
)
from sabir.protocols.mqtt.translate.topics import TEXT
from sabir.protocols.mqtt.types.properties import Properties

_CBOR: Final = (mimi.MEDIA_TYPE, "application/cbor")
_EVENT_ID_BYTES: Final = 16
_FORGEABLE: Final = (words.SENDER_URI, words.ROOM_URI, words.ORIGIN, words.NATIVE, words.SIGNATURE)


def draft_of(what: str, thread: str, payload: bytes, properties: Properties, resource: str) -> Draft:
    """Return the draft of what is published on a topic where messages are.

    Args:
        what: the last levels of the topic.
        thread: the thread of the topic; empty for none.
        payload: as it came.
        properties: those of PUBLISH.
        resource: the name of the device.

    Raises:
        SaidError: it cannot be said, and why.
    """
    form = form_of(properties)
    if what == TEXT or form in (PLAIN, MARKDOWN):
        said = said_of_text(payload, properties)
    elif form in _CBOR:
        return _draft_of_content(payload, thread, resource)
    elif form in ("", JSON):
        said = said_of_json(payload)
    else:
        raise SaidError("this is not a content type of messages")
    if thread:
        said = msgspec.structs.replace(said, topic=thread)
    return draft_of_said(checked(said), resource)


def draft_of_said(said: Said, resource: str) -> Draft:
    """Return the draft of a message that was checked."""
    kind, flags, target = Kind.MESSAGE, UNREAD, said.reply_to
    if said.reaction:
        kind, flags = Kind.REACTION, REMOVED if said.deleted else 0
    elif said.replaces:
        kind, flags, target = (Kind.DELETE if said.deleted else Kind.EDIT), 0, said.replaces
    return Draft(
        PROTOCOL,
        encoded(said),
        kind=kind,
        flags=flags | KINDS[said.kind],
        target_id=id_of(target),
        resource=resource,
        relation_key=said.reaction,
    )


def _draft_of_content(payload: bytes, thread: str, resource: str) -> Draft:
    """Return the draft of MIMI content, whose references are event ids."""
    try:
        content, salt = mimi.decode(payload)
    except ContentSyntaxError as error:
        raise SaidError(f"this is not MIMI content: {error}") from error
    extensions = {key: value for key, value in content.extensions.items() if key not in _FORGEABLE}
    content = msgspec.structs.replace(content, extensions=extensions)
    if thread:
        content = msgspec.structs.replace(content, topic_id=thread.encode())
    for reference in (content.replaces, content.in_reply_to):
        if reference is not None and len(reference) != _EVENT_ID_BYTES:
            raise SaidError("messages are named by the ids that they have here, of 16 octets")
    kind, flags, target, reaction = _classified(content)
    return Draft(
        PROTOCOL,
        mimi.encode(content, salt),
        kind=kind,
        flags=flags,
        target_id=target or b"",
        resource=resource,
        relation_key=reaction,
    )


def _classified(content: Content) -> tuple[Kind, int, bytes | None, str]:
    if words.is_reaction(content):
        found = reactions(content)
        if len(found) != 1 or len(found[0].encode()) > 64:
            raise SaidError("a message is one reaction, of at most 64 octets")
        return Kind.REACTION, 0, content.in_reply_to, found[0]
    if words.is_delete(content) or words.is_unreaction(content):
        return Kind.DELETE, 0, content.replaces, ""
    if isinstance(content.body, words.NullPart) and words.encryption_scheme(content) is None:
        raise SaidError("there is nothing to say")
    kind = content.extensions.get(words.KIND, "")
    flags = KINDS.get(kind, 0) if isinstance(kind, str) else 0
    if words.is_edit(content):
        return Kind.EDIT, flags, content.replaces, ""
    return Kind.MESSAGE, flags | UNREAD, content.in_reply_to, ""
