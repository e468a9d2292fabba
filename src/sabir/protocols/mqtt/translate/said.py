"""What a message on a chat topic says: the JSON object of `msg` and `inbox`, and the same from properties.

The stored form is that object without what the server adds (`id`, `sender`, `to`, `ts`), or MIMI content as it came,
without what a client may not say of itself.
"""

from __future__ import annotations

from typing import Final

import msgspec

from sabir.core.model import content as words
from sabir.core.model.event import EMOTE, NOTICE
from sabir.protocols.mqtt.types import properties as ids
from sabir.protocols.mqtt.types.properties import Properties

PROTOCOL: Final = "mqtt"
KINDS: Final = {"": 0, words.EMOTE: EMOTE, words.NOTICE: NOTICE}
JSON: Final = "application/json"
PLAIN: Final = "text/plain"
MARKDOWN: Final = "text/markdown"

_REACTION: Final = "reaction"
_ID_CHARACTERS: Final = 32
_MAX_REACTION_BYTES: Final = 64
_MAX_FILES: Final = 16
_MAX_MENTIONS: Final = 20
_MAX_TOPIC_BYTES: Final = 1024
_MAX_URL_BYTES: Final = 16_384
_MAX_NAME_BYTES: Final = 1024
_MAX_EXPIRY_S: Final = 0xFFFFFFFF
_SHA_256_DIGITS: Final = 64
_FIRST: Final = b"{"


class SaidError(Exception):
    """What came cannot be said."""


class File(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A file that is somewhere on the web."""

    url: str
    type: str = ""
    """Its media type."""
    name: str = ""
    size: int = 0
    """Octets; 0 = not known."""
    sha256: str = ""
    """64 hex digits."""
    description: str = ""
    inline: bool = False
    """To be shown with the text, not beside it."""


class Said(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A message of a `msg` topic. Ids are 32 hex digits."""

    id: str = ""
    sender: str = ""
    to: str = ""
    """Of a direct message: to whom."""
    ts: int = 0
    """Milliseconds since 1970."""
    text: str = ""
    markdown: str = ""
    """The same with markup, where there is some."""
    kind: str = ""
    """`emote` (what one does) or `notice` (never to be answered by a program)."""
    lang: str = ""
    reply_to: str = ""
    replaces: str = ""
    """The message of which this is the new version."""
    deleted: bool = False
    """The message that it `replaces` is taken back, or the `reaction`."""
    reaction: str = ""
    """A reaction to `reply_to`."""
    topic: str = ""
    """The thread that it belongs to."""
    mentions: tuple[str, ...] = ()
    """Names of people whom the text is about."""
    files: tuple[File, ...] = ()
    expires: int = 0
    """Seconds after reading it; 0 = never."""
    spoiler: str | None = None
    """Why it is hidden until one wants to see it; may be empty."""
    geo: str = ""
    """A place, as a `geo:` URI (RFC 5870)."""


_decoder: Final = msgspec.json.Decoder(Said)


def said_of_json(payload: bytes) -> Said:
    """Return what a JSON object says, without what is not the client's to say. Raises `SaidError`."""
    try:
        said = _decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SaidError("this is no JSON object of a message") from error
    return msgspec.structs.replace(said, id="", sender="", to="", ts=0)


def said_of_text(payload: bytes, properties: Properties) -> Said:
    """Return what a text says with its properties. Raises `SaidError`."""
    try:
        text = payload.decode()
    except UnicodeDecodeError as error:
        raise SaidError("the text is not UTF-8") from error
    users = dict(properties.users)
    replaces = users.get("replaces", "")
    is_reaction = users.get("disposition", "") == _REACTION
    expires = users.get("expires", "")
    if expires and not (expires.isascii() and expires.isdecimal() and len(expires) <= 10):
        raise SaidError("expires is a number of seconds")
    is_markdown = _media_type(properties.texts.get(ids.CONTENT_TYPE, "")) == MARKDOWN
    return Said(
        text="" if is_reaction or is_markdown else text,
        markdown=text if is_markdown and not is_reaction else "",
        kind=users.get("kind", ""),
        lang=users.get("lang", ""),
        reply_to=users.get("reply-to", ""),
        replaces=replaces,
        deleted=not text and bool(replaces),
        reaction=text if is_reaction else "",
        topic=users.get("topic", ""),
        mentions=tuple(value for name, value in properties.users if name == "mention"),
        expires=int(expires) if expires else 0,
        spoiler=users.get("spoiler"),
        geo=users.get("geo", ""),
    )


def checked(said: Said) -> Said:
    """Return `said` if it is something that can be said. Raises `SaidError`."""
    texts = (said.text, said.markdown, said.reaction)
    if any("\0" in text for text in texts):
        raise SaidError("a text has no NUL in it")
    if said.kind not in KINDS:
        raise SaidError("kind is emote or notice")
    for id_ in (said.reply_to, said.replaces):
        if id_ and not id_of(id_):
            raise SaidError("an id is 32 hex digits")
    if said.reaction:
        _check_reaction(said)
    elif said.deleted:
        if not said.replaces:
            raise SaidError("which message is taken back?")
        if said.text or said.markdown or said.files:
            raise SaidError("a message is taken back, or rewritten")
    elif not (said.text or said.markdown or said.files or said.geo):
        raise SaidError("there is nothing to say")
    _check_sizes(said)
    return said


def encoded(said: Said) -> bytes:
    """Return the JSON object of a message."""
    return msgspec.json.encode(said)


def is_json(native: bytes) -> bool:
    """Whether the stored form of a message is a JSON object: else it is MIMI content."""
    return native.startswith(_FIRST)


def stored(native: bytes) -> Said:
    """Return a message that is stored as a JSON object."""
    return _decoder.decode(native)


def form_of(properties: Properties) -> str:
    """Return the media type of a payload, empty if the client has not said it."""
    return _media_type(properties.texts.get(ids.CONTENT_TYPE, ""))


def id_of(text: str) -> bytes:
    """Return the event id that a client names, or nothing if it is none of ours."""
    if len(text) != _ID_CHARACTERS or not text.isascii():
        return b""
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""


def _check_reaction(said: Said) -> None:
    if not said.reply_to:
        raise SaidError("a reaction is to a message: reply_to")
    if said.text or said.markdown or said.files or said.replaces:
        raise SaidError("a reaction is nothing else")
    if len(said.reaction.encode()) > _MAX_REACTION_BYTES:
        raise SaidError("a reaction has at most 64 octets")


def _check_sizes(said: Said) -> None:
    if len(said.files) > _MAX_FILES or len(said.mentions) > _MAX_MENTIONS:
        raise SaidError("too many files, or mentions")
    if not 0 <= said.expires <= _MAX_EXPIRY_S:
        raise SaidError("expires is a number of seconds")
    if len(said.topic.encode()) > _MAX_TOPIC_BYTES or "\0" in said.topic:
        raise SaidError("topic: a thread's name has at most 1024 octets")
    if len(said.lang) > _MAX_NAME_BYTES or len(said.geo) > _MAX_NAME_BYTES:
        raise SaidError("lang, or geo, is too long")
    if said.geo and not said.geo.startswith("geo:"):
        raise SaidError("geo is a geo: URI")
    if said.spoiler is not None and len(said.spoiler) > _MAX_NAME_BYTES:
        raise SaidError("spoiler: a reason has at most 1024 characters")
    for file in said.files:
        _check_file(file)


def _check_file(file: File) -> None:
    if not file.url.startswith(("https://", "http://")) or len(file.url.encode()) > _MAX_URL_BYTES:
        raise SaidError("a file has a URL")
    if max(len(file.type), len(file.name)) > _MAX_NAME_BYTES // 4 or len(file.description) > _MAX_NAME_BYTES:
        raise SaidError("a file's type, name or description is too long")
    if file.size < 0 or file.size >= 1 << 63:
        raise SaidError("a file's size is a number of octets")
    if file.sha256 and (len(file.sha256) != _SHA_256_DIGITS or not _is_hex(file.sha256)):
        raise SaidError("sha256 is 64 hex digits")


def _is_hex(text: str) -> bool:
    try:
        bytes.fromhex(text)
    except ValueError:
        return False
    return True


def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()
