"""Canonical content of what arrived by XMPP."""

import base64
import binascii
from typing import Final

import msgspec

from sabir.core.model import content as words
from sabir.core.model.content import (
    Content,
    Disposition,
    Expiration,
    ExternalPart,
    MultiPart,
    Part,
    PartSemantics,
    SinglePart,
)
from sabir.core.model.event import Event, Kind
from sabir.core.services.people import People
from sabir.core.services.relating import REMOVED
from sabir.protocols.xmpp.translate.mentions import mentions_in
from sabir.protocols.xmpp.translate.native import element_of_native, event_id_of
from sabir.wire.xml import Element

EPHEMERAL: Final = "urn:xmpp:ephemeral:0"
FALLBACK: Final = "urn:xmpp:fallback:0"
FILE_METADATA: Final = "urn:xmpp:file:metadata:0"
FILE_SHARING: Final = "urn:xmpp:sfs:0"
HASHES: Final = "urn:xmpp:hashes:2"
OOB: Final = "jabber:x:oob"
REPLACE: Final = "urn:xmpp:message-correct:0"
REPLY: Final = "urn:xmpp:reply:0"
SPOILER: Final = "urn:xmpp:spoiler:0"
URL_DATA: Final = "http://jabber.org/protocol/url-data"
XHTML: Final = "http://www.w3.org/1999/xhtml"
XHTML_IM: Final = "http://jabber.org/protocol/xhtml-im"

_ME: Final = "/me "
_MAX_EXPIRY_S: Final = 0xFFFFFFFF


class XmppTranslator:
    """Derives the content of events that XMPP clients posted."""

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
        message = element_of_native(event.native)
        found = self._with_mentions(event, message, content_of_message(message))
        if event.kind == Kind.EDIT and event.target_id:
            found = words.edit(event.target_id, found)
            replied = _replied(message)
            return words.reply(replied, found) if replied else found
        if event.target_id and message.find("reply", REPLY) is not None:
            found = words.reply(event.target_id, found)
        return found

    def _with_mentions(self, event: Event, message: Element, found: Content) -> Content:
        """Return the content with the people whom its text is about as links; other content is what it was."""
        body = found.body
        conversation = self._people.conversation(event.conversation_id)
        if conversation is None or not isinstance(body, SinglePart) or words.is_emote(found):
            return found
        text = message.child_text("body") or ""
        said = body.content.decode(errors="replace")
        removed = len(text) - len(said)
        if body.content_type != words.PLAIN or not text.endswith(said):
            return found
        mentions = [
            (begin - removed, end - removed, actor)
            for begin, end, actor in mentions_in(self._people, conversation, message, text)
        ]
        rich = self._people.mentioning(said, mentions)
        if rich is None:
            return found
        shown = words.markdown(rich, plain=said, language=body.language)
        return msgspec.structs.replace(found, body=shown.body)


def content_of_message(message: Element) -> Content:
    """Return what `message` says by itself, without what it says about another message."""
    bodies = message.find_all("body")
    texts = [_without_quote(message, body.text()) for body in bodies]
    if texts and texts[0].startswith(_ME):
        found = words.emote(texts[0][len(_ME) :])  # XEP-0245 §3
    else:
        found = Content(body=_part_of(message, bodies, texts))
    if message.get("type") == "headline":
        found = words.extended(found, words.KIND, words.NOTICE)
    spoiler = message.find("spoiler", SPOILER)
    if spoiler is not None:
        found = words.extended(found, words.SPOILER, {"reason": spoiler.text()})
    timer = _number((message.find("ephemeral", EPHEMERAL) or message).get("timer"))
    if timer:
        found = msgspec.structs.replace(found, expires=Expiration(True, timer))
    thread = message.child_text("thread")
    if thread:
        found = msgspec.structs.replace(found, topic_id=thread.encode())
    return found


def _part_of(message: Element, bodies: list[Element], texts: list[str]) -> Part:
    file = _file_of(message, texts)
    if file is not None:
        return file
    language = message.get("xml:lang") or ""
    parts: list[Part] = [
        SinglePart(words.PLAIN, text.encode(), Disposition.RENDER, body.get("xml:lang") or language)
        for body, text in zip(bodies, texts, strict=True)
    ]
    html = message.find("html", XHTML_IM)
    rich = None if html is None else html.find("body", XHTML)
    if rich is not None:
        # XEP-0071 is deprecated: understood, never sent.
        source = "".join([c if isinstance(c, str) else c.serialise(XHTML) for c in rich.children])
        parts.append(SinglePart(words.HTML, source.encode(), Disposition.RENDER, language))
    if not parts:
        return SinglePart(words.PLAIN, b"")
    return parts[0] if len(parts) == 1 else MultiPart(PartSemantics.CHOOSE_ONE, tuple(parts))


def _file_of(message: Element, texts: list[str]) -> Part | None:
    """Return the file that the message shares, with what is said beside it, or None."""
    file = None
    sharing = message.find("file-sharing", FILE_SHARING)
    if sharing is not None:
        file = _shared_file(sharing)
    if file is None:
        oob = message.find("x", OOB)
        url = None if oob is None else oob.child_text("url")
        if not url:
            return None
        file = ExternalPart(url=url, description=(oob.child_text("desc") or "") if oob else "")
    text = texts[0] if texts else ""
    if not text or text.strip() == file.url:
        return file
    said = SinglePart(words.PLAIN, text.replace(file.url, "").strip().encode())
    return MultiPart(PartSemantics.PROCESS_ALL, (said, file)) if said.content else file


def _shared_file(sharing: Element) -> ExternalPart | None:
    metadata = sharing.find("file", FILE_METADATA)
    sources = sharing.find("sources")
    source = None if sources is None else sources.find("url-data", URL_DATA)
    url = None if source is None else source.get("target")
    if not url:
        return None
    if metadata is None:
        return ExternalPart(url=url)
    digest = b""
    for candidate in metadata.find_all("hash", HASHES):
        if candidate.get("algo") == "sha-256":
            digest = _decoded(candidate.text())
    inline = sharing.get("disposition") == "inline"
    return ExternalPart(
        url=url,
        content_type=metadata.child_text("media-type") or "",
        size=_number(metadata.child_text("size")),
        hash_alg=1 if digest else 0,
        content_hash=digest,
        description=metadata.child_text("desc") or "",
        filename=metadata.child_text("name") or "",
        disposition=Disposition.INLINE if inline else Disposition.ATTACHMENT,
    )


def _without_quote(message: Element, body: str) -> str:
    """Return `body` without the quote that stands there for clients that know no replies (XEP-0428 §3.1)."""
    if message.find("reply", REPLY) is None:
        return body
    for fallback in message.find_all("fallback", FALLBACK):
        if fallback.get("for") != REPLY:
            continue
        for region in fallback.find_all("body"):
            start, end = _number(region.get("start")), _number(region.get("end"))
            if start <= end <= len(body):
                # XEP-0426 §4: counted in code points, as Python does.
                return body[:start] + body[end:]
    return body


def _replied(message: Element) -> bytes:
    reply = message.find("reply", REPLY)
    return b"" if reply is None else event_id_of(reply.get("id") or "")


def _number(text: str | None) -> int:
    """Return a number of at most 32 bits, 0 for anything else."""
    if text is None or not text.isascii() or not text.isdecimal() or len(text) > 10:
        return 0
    return min(int(text), _MAX_EXPIRY_S)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
