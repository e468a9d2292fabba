"""What people said in other protocols, as children of a `<message/>` that XMPP clients understand.

The caller puts addresses, stanza-id and delay around it. Nothing is dropped: what has no form of its own in
XMPP becomes text.
"""

import base64
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from sabir.core.model import content as words
from sabir.core.model.content import Content, ExternalPart, MultiPart, Part, PartSemantics, SinglePart
from sabir.core.model.event import Event, Kind
from sabir.core.model.mentions import Mention, converted
from sabir.core.model.plain import media_type, plain_text
from sabir.protocols.xmpp.translate.content import (
    EPHEMERAL,
    FALLBACK,
    FILE_METADATA,
    FILE_SHARING,
    HASHES,
    OOB,
    REPLACE,
    REPLY,
    SPOILER,
    URL_DATA,
)
from sabir.protocols.xmpp.translate.mentions import MENTIONS, REFERENCE
from sabir.protocols.xmpp.translate.native import timestamp
from sabir.protocols.xmpp.translate.styling import from_markdown
from sabir.wire.xml import escape_attribute, escape_text

REACTIONS: Final = "urn:xmpp:reactions:0"
RETRACT: Final = "urn:xmpp:message-retract:1"
STORE: Final = "<store xmlns='urn:xmpp:hints'/>"

_NOT_XML: Final = dict.fromkeys(
    [*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF]
)
_RETRACTED: Final = "An earlier message was taken back; this client cannot hide it."
_QUOTED_LINES: Final = 3
_QUOTED_CHARS: Final = 200
_SINGLE_CHOICE: Final = ("text/markdown", "text/plain", "text/html")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The message that another one is about, as its readers know it.

    `reference` names it in replies, reactions and retractions: the stanza-id in rooms, else the `id` of the
    message. `first_id` is the `id` of its first version (XEP-0308 §3). `text` is what it says, to be quoted.
    """

    reference: str
    first_id: str
    author: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Rendered:
    """Children of a `<message/>` as XML in `jabber:client`; `headline`: nobody should answer it by program."""

    payload: str
    headline: bool = False


class Mentioned(NamedTuple):
    """Somebody as readers know them: the nick, the id in the room (or nothing), an address that may be seen."""

    name: str
    occupant_id: str
    address: str


def render(
    event: Event,
    content: Content,
    target: Target | None = None,
    reactions: Iterable[str] = (),
    people: Callable[[str], Mentioned | None] = lambda uri: None,
) -> Rendered:
    """Return what `event` says.

    `reactions` is the sender's whole set, where it changes one; `people` says whom the URI of a mention means.
    """
    if target is not None:
        if event.kind == Kind.REACTION:
            return Rendered(_reactions(target, reactions))
        if event.kind == Kind.DELETE:
            return Rendered(_retraction(target))
    text, mentions = _text(content, people)
    quote = ""
    about = ""
    if target is not None:
        if event.kind == Kind.EDIT:
            about = f"<replace xmlns='{REPLACE}' id='{escape_attribute(target.first_id)}'/>"
        elif content.in_reply_to is not None:
            quote = _quote(target.text)
            about = _reply(target, len(quote))
    body = _sent(quote + text)
    mentioned = _mentions(mentions, len(body) - len(text), people)
    payload = f"<body>{escape_text(body)}</body>{about}{mentioned}{_extensions(content)}"
    return Rendered(payload, words.is_notice(content))


def tombstone(retraction: Event | None, id_: str = "", inside: str = "") -> str:
    """Return what stands for a message whose body is gone (XEP-0424 §4).

    `retraction` took it back, if anything did; `id_` is the `id` of its message.
    """
    if retraction is None:
        return f"<retracted xmlns='{RETRACT}'/>"
    stamp = timestamp(retraction.at_ms)
    start = f"<retracted xmlns='{RETRACT}' id='{escape_attribute(id_)}' stamp='{stamp}'"
    return f"{start}>{inside}</retracted>" if inside else f"{start}/>"


def _reactions(target: Target, reactions: Iterable[str]) -> str:
    # XEP-0444 §3.2: the whole set, each time.
    each = "".join([f"<reaction>{escape_text(_sent(emoji))}</reaction>" for emoji in reactions])
    return (
        f"<reactions xmlns='{REACTIONS}' id='{escape_attribute(target.reference)}'>{each}</reactions>{STORE}"
    )


def _retraction(target: Target) -> str:
    return (
        f"<retract xmlns='{RETRACT}' id='{escape_attribute(target.reference)}'/>"
        f"<fallback xmlns='{FALLBACK}' for='{RETRACT}'/><body>{_RETRACTED}</body>{STORE}"
    )


def _reply(target: Target, quoted: int) -> str:
    to = f" to='{escape_attribute(target.author)}'" if target.author else ""
    reply = f"<reply xmlns='{REPLY}'{to} id='{escape_attribute(target.reference)}'/>"
    if not quoted:
        return reply
    # XEP-0461 §3.1: the quote is for clients that know no replies, and is marked as such.
    region = f"<body start='0' end='{quoted}'/>"
    return f"{reply}<fallback xmlns='{FALLBACK}' for='{REPLY}'>{region}</fallback>"


def _quote(text: str) -> str:
    if not text:
        return ""
    clipped = _sent(text)[:_QUOTED_CHARS]
    lines = clipped.split("\n")[:_QUOTED_LINES]
    return "".join([f"> {line}\n" for line in lines])


def _text(content: Content, people: Callable[[str], Mentioned | None]) -> tuple[str, list[Mention]]:
    if words.encryption_scheme(content) is not None or words.is_delete(content):
        return plain_text(content), []
    source = _mentioning(content.body)
    if source is not None:

        def name(label: str, uri: str) -> str:
            found = people(uri)
            return label if found is None or found.name.casefold() in label.casefold() else found.name

        return converted(source, from_markdown, name)
    text = _part_text(content.body) or plain_text(content)
    return f"/me {text}" if words.is_emote(content) else text, []  # XEP-0245 §3


def _mentioning(part: Part) -> str | None:
    """Return the Markdown of a text with links to people, None for any other."""
    if isinstance(part, MultiPart) and part.semantics is PartSemantics.CHOOSE_ONE:
        return _mentioning(min(part.parts, key=_rank))
    if isinstance(part, SinglePart) and media_type(part.content_type) == "text/markdown":
        source = part.content.decode(errors="replace")
        return source if "](mimi:" in source else None
    return None


def _mentions(mentions: Iterable[Mention], offset: int, people: Callable[[str], Mentioned | None]) -> str:
    """Return the elements that say who is mentioned where (XEP-0513 §3.1, XEP-0372 §4.2)."""
    parts: list[str] = []
    for begin, end, uri in mentions:
        found = people(uri)
        if found is None:
            continue
        place = f" begin='{begin + offset}' end='{end + offset}'"
        whom = (
            f"occupantid='{found.occupant_id}'"
            if found.occupant_id
            else f"jid='{escape_attribute(found.address)}'"
        )
        parts.append(f"<mention xmlns='{MENTIONS}'{place} {whom}/>")
        parts.append(
            f"<reference xmlns='{REFERENCE}' type='mention'{place} uri='xmpp:{escape_attribute(found.address)}'/>"
        )
    return "".join(parts)


def _part_text(part: Part) -> str:
    if isinstance(part, MultiPart):
        if part.semantics is PartSemantics.CHOOSE_ONE:
            return _part_text(min(part.parts, key=_rank))
        return "\n".join([text for text in map(_part_text, part.parts) if text])
    if isinstance(part, ExternalPart):
        if part.enc_alg:
            return plain_text(Content(body=part))
        return f"{part.description}\n{part.url}" if part.description else part.url
    if isinstance(part, SinglePart) and media_type(part.content_type) == "text/markdown":
        return from_markdown(part.content.decode(errors="replace"))
    if isinstance(part, SinglePart) and not part.content:
        return ""
    return plain_text(Content(body=part))


def _rank(part: Part) -> int:
    kind = media_type(part.content_type) if isinstance(part, SinglePart) else ""
    return _SINGLE_CHOICE.index(kind) if kind in _SINGLE_CHOICE else len(_SINGLE_CHOICE)


def _extensions(content: Content) -> str:
    parts: list[str] = []
    for file in _files(content.body):
        parts.append(_file(file))
    if content.topic_id:
        parts.append(f"<thread>{escape_text(_sent(content.topic_id.decode(errors='replace')))}</thread>")
    if content.expires is not None and content.expires.relative:
        parts.append(f"<ephemeral xmlns='{EPHEMERAL}' timer='{content.expires.time}'/>")
    spoiler = content.extensions.get(words.SPOILER)
    if isinstance(spoiler, Mapping):
        reason = spoiler.get("reason")
        parts.append(
            f"<spoiler xmlns='{SPOILER}'>{escape_text(_sent(reason if isinstance(reason, str) else ''))}</spoiler>"
        )
    return "".join(parts)


def _files(part: Part) -> list[ExternalPart]:
    if isinstance(part, ExternalPart):
        return [] if part.enc_alg else [part]
    if isinstance(part, MultiPart) and part.semantics is not PartSemantics.CHOOSE_ONE:
        return [file for inner in part.parts for file in _files(inner)]
    return []


def _file(file: ExternalPart) -> str:
    """Return a file as XEP-0447 §3 shares it, and as a link (XEP-0066 §3) for clients that know only that."""
    metadata: list[str] = []
    for name, value in (
        ("media-type", file.content_type),
        ("name", file.filename),
        ("size", str(file.size) if file.size else ""),
        ("desc", file.description),
    ):
        if value:
            metadata.append(f"<{name}>{escape_text(_sent(value))}</{name}>")
    if file.hash_alg == 1:
        metadata.append(f"<hash xmlns='{HASHES}' algo='sha-256'>{_encoded(file.content_hash)}</hash>")
    kind = "inline" if file.disposition == words.Disposition.INLINE else "attachment"
    url = escape_attribute(_sent(file.url))
    return (
        f"<x xmlns='{OOB}'><url>{escape_text(_sent(file.url))}</url></x>"
        f"<file-sharing xmlns='{FILE_SHARING}' disposition='{kind}'>"
        f"<file xmlns='{FILE_METADATA}'>{''.join(metadata)}</file>"
        f"<sources><url-data xmlns='{URL_DATA}' target='{url}'/></sources></file-sharing>"
    )


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _sent(text: str) -> str:
    """Return `text` without the characters that XML 1.0 §2.2 has no way to write."""
    return text.translate(_NOT_XML) if not text.isprintable() else text
