"""Canonical content of what arrived by MQTT, and what of other content a message of MQTT says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from sabir.core.model import content as words
from sabir.core.model import mimi
from sabir.core.model.content import (
    Content,
    Disposition,
    Expiration,
    ExternalPart,
    MultiPart,
    NullPart,
    Part,
    PartSemantics,
    SinglePart,
)
from sabir.core.model.conversation import Conversation
from sabir.core.model.event import Event, Kind
from sabir.core.model.mentions import Mention, marked
from sabir.core.model.plain import media_type, plain_text
from sabir.core.services.people import People
from sabir.core.services.relating import REMOVED
from sabir.protocols.mqtt.translate.said import File, Said, id_of, is_json, stored

EVERYBODY: Final = "*"
"""The name of all who are in a room, among mentions."""

_ALL: Final = re.compile(r"@(?:room|all|everyone|channel|here)\b", re.IGNORECASE)
_LINK: Final = re.compile(r"\[([^\[\]\n]{0,512})\]\((mimi:[^()\s]{1,512})\)")
_ESCAPE: Final = re.compile(r"\\([!-/:-@\[-`{-~])")
_SHA_256: Final = 1


class MqttTranslator:
    """Derives the content of events that MQTT clients posted."""

    def __init__(self, people: People) -> None:
        self._people = people

    def content_of(self, event: Event) -> Content:
        """Return the content of `event`."""
        if event.kind == Kind.DELETE:
            return words.delete(event.target_id)
        if event.kind == Kind.REACTION:
            if event.flags & REMOVED:
                # Which message brought the reaction is known to the log's relations, not to the client.
                return words.unreaction(event.target_id, event.target_id)
            return words.reaction(event.target_id, event.relation_key)
        if not is_json(event.native):
            return mimi.decode(event.native)[0]
        said = stored(event.native)
        found = content_of_said(said)
        conversation = self._people.conversation(event.conversation_id) if said.mentions else None
        if conversation is not None and isinstance(found.body, SinglePart) and not said.markdown:
            found = self._with_mentions(conversation, said, found)
        if said.replaces:
            found = words.edit(event.target_id or id_of(said.replaces), found)
        if said.reply_to:
            found = words.reply(id_of(said.reply_to), found)
        return found

    def _with_mentions(self, conversation: Conversation, said: Said, found: Content) -> Content:
        """Return the content with the people whom its text is about as links."""
        mentions = [each for name in said.mentions if (each := self._mention(conversation, said.text, name))]
        if not mentions:
            return found
        rich = words.markdown(marked(said.text, mentions), plain=said.text, language=said.lang)
        return msgspec.structs.replace(found, body=rich.body)

    def _mention(self, conversation: Conversation, text: str, name: str) -> Mention | None:
        if name == EVERYBODY:
            place = _ALL.search(text) if conversation.is_room else None
            uri = self._people.everybody(conversation)
        else:
            place = re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.IGNORECASE) if name else None
            actor = self._people.named(conversation, name.lower()) or self._people.shown_as(
                conversation, name
            )
            uri = "" if actor is None else self._people.uri_of(actor)
        return Mention(place.start(), place.end(), uri) if place is not None and uri else None


def content_of_said(said: Said) -> Content:
    """Return what a message says by itself, without what it says about another one."""
    text = said.text or (said.geo if not said.markdown and not said.files else "")
    parts: list[Part] = []
    if said.markdown:
        parts.append(words.markdown(said.markdown, plain=text or None, language=said.lang).body)
    elif text:
        parts.append(words.text(text, language=said.lang).body)
    parts += [_part_of(file) for file in said.files]
    body = parts[0] if len(parts) == 1 else MultiPart(PartSemantics.PROCESS_ALL, tuple(parts))
    found = Content(body=body)
    if said.kind:
        found = words.extended(found, words.KIND, said.kind)
    if said.spoiler is not None:
        found = words.extended(found, words.SPOILER, {"reason": said.spoiler})
    if said.geo:
        found = words.extended(found, words.GEO, said.geo)
    if said.expires:
        found = msgspec.structs.replace(found, expires=Expiration(True, said.expires))
    if said.topic:
        found = msgspec.structs.replace(found, topic_id=said.topic.encode())
    return found


def said_of_content(content: Content, conversation: Conversation, people: People) -> Said:
    """Return what a message of another protocol says, without its id, its sender and what it is about."""
    kind = content.extensions.get(words.KIND)
    spoiler = content.extensions.get(words.SPOILER)
    reason = spoiler.get("reason", "") if isinstance(spoiler, Mapping) else None
    geo = content.extensions.get(words.GEO)
    expires = content.expires
    said = Said(
        kind=kind if kind in (words.EMOTE, words.NOTICE) and isinstance(kind, str) else "",
        topic=content.topic_id.decode(errors="replace"),
        expires=expires.time if expires is not None and expires.relative else 0,
        spoiler=reason if reason is None or isinstance(reason, str) else "",
        geo=geo if isinstance(geo, str) else "",
    )
    if words.encryption_scheme(content) is not None:
        return msgspec.structs.replace(said, text=plain_text(content))
    files = _files(content.body)
    rest = _without_files(content.body) if files else content.body
    text = "" if isinstance(rest, NullPart) else plain_text(Content(body=rest))
    source = _markdown(rest)
    mentions: tuple[str, ...] = ()
    if source is not None:
        mentions, source = _mentioned(source, conversation, people)
        if mentions and _ESCAPE.sub(r"\1", source) == text:
            source = None  # there is no other markup
    return msgspec.structs.replace(
        said,
        text=text,
        markdown=source or "",
        lang=rest.language if not isinstance(rest, MultiPart) else "",
        mentions=mentions,
        files=tuple(map(_file_of, files)),
    )


def plain_of(said: Said) -> str:
    """Return what a message says to a reader of plain text; never empty."""
    if said.text and not said.files:
        return said.text
    return plain_text(content_of_said(said))


def _part_of(file: File) -> ExternalPart:
    return ExternalPart(
        url=file.url,
        content_type=file.type,
        size=file.size,
        hash_alg=_SHA_256 if file.sha256 else 0,
        content_hash=bytes.fromhex(file.sha256),
        description=file.description,
        filename=file.name,
        disposition=Disposition.INLINE if file.inline else Disposition.ATTACHMENT,
    )


def _file_of(part: ExternalPart) -> File:
    return File(
        url=part.url,
        type=part.content_type,
        name=part.filename,
        size=part.size,
        sha256=part.content_hash.hex() if part.hash_alg == _SHA_256 else "",
        description=part.description,
        inline=part.disposition == Disposition.INLINE,
    )


def _files(part: Part) -> list[ExternalPart]:
    if isinstance(part, ExternalPart):
        return [] if part.enc_alg else [part]
    if isinstance(part, MultiPart) and part.semantics is not PartSemantics.CHOOSE_ONE:
        return [file for inner in part.parts for file in _files(inner)]
    return []


def _without_files(part: Part) -> Part:
    if isinstance(part, ExternalPart) and not part.enc_alg:
        return NullPart()
    if isinstance(part, MultiPart) and part.semantics is not PartSemantics.CHOOSE_ONE:
        rest = [left for inner in part.parts if not isinstance(left := _without_files(inner), NullPart)]
        if len(rest) < 2:
            return rest[0] if rest else NullPart()
        return msgspec.structs.replace(part, parts=tuple(rest))
    return part


def _markdown(part: Part) -> str | None:
    if isinstance(part, SinglePart) and media_type(part.content_type) == "text/markdown":
        return part.content.decode(errors="replace")
    if isinstance(part, MultiPart) and part.semantics is PartSemantics.CHOOSE_ONE:
        for choice in part.parts:
            found = _markdown(choice)
            if found is not None:
                return found
    return None


def _mentioned(source: str, conversation: Conversation, people: People) -> tuple[tuple[str, ...], str]:
    """Return the names of those whom Markdown mentions, and the Markdown without the links to them."""
    names: dict[str, None] = {}
    everybody = people.everybody(conversation)

    def name(link: re.Match[str]) -> str:
        if link[2] == everybody:
            names[EVERYBODY] = None
        elif len(names) < 20:
            actor = people.of_uri(conversation, link[2])
            if actor is not None:
                names[actor.name] = None
        return link[1]

    shown = _LINK.sub(name, source)
    return tuple(names), shown
