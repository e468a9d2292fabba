"""What a message says, in the words of IETF MIMI content (draft-ietf-mimi-content-08).

Values, the few ways in which every protocol makes them, and the questions that every protocol asks of them.
`sabir.core.model.mimi` turns them into bytes and back; `sabir.core.model.plain` into plain text.

A reference to another message is a byte string: 16 octets (our event id) in stored content, 32 octets
(a MIMI MessageID) in a message that comes from MIMI or goes there.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Final, TypeAlias

import msgspec

from sabir.core.model.cbor import Value

ExtensionKey: TypeAlias = int | str

# draft-ietf-mimi-content-08 §4.3
SENDER_URI: Final = 1
ROOM_URI: Final = 2

# Ours: text keys, private use (draft-ietf-mimi-content-08 §4.3).
KIND: Final = "sabir.kind"
ORIGIN: Final = "sabir.origin"
NATIVE: Final = "sabir.native"
FORWARD: Final = "sabir.forward"
PIN: Final = "sabir.pin"
POLL: Final = "sabir.poll"
VOTE: Final = "sabir.vote"
SPOILER: Final = "sabir.spoiler"
GEO: Final = "sabir.geo"
STICKER: Final = "sabir.sticker"
ACTIONS: Final = "sabir.actions"
SCHEDULE: Final = "sabir.schedule"
SIGNATURE: Final = "sabir.sig"
E2EE: Final = "sabir.e2ee"

# The values of KIND.
EMOTE: Final = "emote"
NOTICE: Final = "notice"
SYSTEM: Final = "system"

PLAIN: Final = "text/plain;charset=utf-8"
MARKDOWN: Final = "text/markdown;variant=GFM-MIMI"
HTML: Final = "text/html;charset=utf-8"


class Disposition(IntEnum):
    """What a part is for; 9 to 255 are not assigned yet and travel as plain integers."""

    UNSPECIFIED = 0
    RENDER = 1
    REACTION = 2
    PROFILE = 3
    INLINE = 4
    ICON = 5
    ATTACHMENT = 6
    SESSION = 7
    PREVIEW = 8


class PartSemantics(IntEnum):
    """How the parts of a `MultiPart` belong together."""

    CHOOSE_ONE = 0
    SINGLE_UNIT = 1
    PROCESS_ALL = 2


class NullPart(msgspec.Struct, frozen=True):
    """No body: what a deletion and an un-reaction carry."""

    disposition: int = Disposition.RENDER
    language: str = ""


class SinglePart(msgspec.Struct, frozen=True):
    """A body of one media type, carried in the message itself."""

    content_type: str
    content: bytes
    disposition: int = Disposition.RENDER
    language: str = ""


class ExternalPart(msgspec.Struct, frozen=True, kw_only=True):
    """A body that is fetched from `url`: a file, or a service to join (draft-ietf-mimi-content-08 §4.5)."""

    url: str
    content_type: str = ""
    expires: int = 0
    """Unix seconds after which the URL is invalid; 0 is never."""
    size: int = 0
    """Octets; 0 is unknown."""
    enc_alg: int = 0
    """IANA AEAD number; 0 is not encrypted, and then `key`, `nonce` and `aad` are empty."""
    key: bytes = b""
    nonce: bytes = b""
    aad: bytes = b""
    hash_alg: int = 0
    """IANA Named Information hash number, 1 is SHA-256; 0 is no hash."""
    content_hash: bytes = b""
    description: str = ""
    filename: str = ""
    disposition: int = Disposition.ATTACHMENT
    language: str = ""


class MultiPart(msgspec.Struct, frozen=True):
    """Two parts or more."""

    semantics: PartSemantics
    parts: "tuple[Part, ...]"
    disposition: int = Disposition.RENDER
    language: str = ""


Part: TypeAlias = NullPart | SinglePart | ExternalPart | MultiPart


class Expiration(msgspec.Struct, frozen=True):
    """When a message should disappear; a hint to clients and an order to our retention."""

    relative: bool
    """True: `time` is seconds after reading. False: it is Unix seconds."""
    time: int


_NO_EXTENSIONS: Final[Mapping[ExtensionKey, Value]] = {}


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """One message's content, without what its envelope says (sender, conversation, time, id)."""

    body: Part
    replaces: bytes | None = None
    """Edit, delete, un-react: the first version of the message that this one replaces."""
    topic_id: bytes = b""
    """Thread; empty is none."""
    expires: Expiration | None = None
    in_reply_to: bytes | None = None
    """Reply, reaction: the target."""
    extensions: Mapping[ExtensionKey, Value] = _NO_EXTENSIONS


def text(body: str, *, language: str = "") -> Content:
    """Return a message of plain text."""
    return Content(body=SinglePart(PLAIN, body.encode(errors="replace"), Disposition.RENDER, language))


def markdown(source: str, *, plain: str | None = None, language: str = "") -> Content:
    """Return a message in GFM-MIMI Markdown, with `plain` beside it for readers that want plain text."""
    rich = SinglePart(MARKDOWN, source.encode(errors="replace"), Disposition.RENDER, language)
    if plain is None:
        return Content(body=rich)
    simple = SinglePart(PLAIN, plain.encode(errors="replace"), Disposition.RENDER, language)
    return Content(body=MultiPart(PartSemantics.CHOOSE_ONE, (rich, simple)))


def emote(action: str) -> Content:
    """Return what a person does, as `/me waves` says it; `action` is without the `/me`."""
    return extended(text(action), KIND, EMOTE)


def reaction(target: bytes, emoji: str) -> Content:
    """Return a reaction to `target`."""
    body = SinglePart(PLAIN, emoji.encode(errors="replace"), Disposition.REACTION)
    return Content(in_reply_to=target, body=body)


def unreaction(target: bytes, reacted: bytes) -> Content:
    """Return the withdrawal of the reaction message `reacted` from `target`."""
    return Content(replaces=reacted, in_reply_to=target, body=NullPart(Disposition.REACTION))


def delete(target: bytes) -> Content:
    """Return the deletion of `target`, which is the first version of the message."""
    return Content(replaces=target, body=NullPart())


def edit(target: bytes, content: Content) -> Content:
    """Return `content` as the new version of `target`, which is the first version of the message."""
    return msgspec.structs.replace(content, replaces=target)


def reply(target: bytes, content: Content) -> Content:
    """Return `content` as an answer to `target`."""
    return msgspec.structs.replace(content, in_reply_to=target)


def encrypted(scheme: str) -> Content:
    """Return what readers of other protocols get of a payload that only `scheme` (`OMEMO`) can open."""
    return extended(Content(body=NullPart()), E2EE, {"scheme": scheme})


def extended(content: Content, key: ExtensionKey, value: Value) -> Content:
    """Return `content` with the extension `key` set to `value`."""
    return msgspec.structs.replace(content, extensions={**content.extensions, key: value})


def is_edit(content: Content) -> bool:
    """Say whether this is a new version of an earlier message."""
    return content.replaces is not None and not isinstance(content.body, NullPart)


def is_delete(content: Content) -> bool:
    """Say whether this takes back an earlier message that is not a reaction."""
    return _is_withdrawal(content) and content.body.disposition != Disposition.REACTION


def is_reaction(content: Content) -> bool:
    """Say whether this reacts to an earlier message."""
    return (
        content.in_reply_to is not None
        and content.body.disposition == Disposition.REACTION
        and not isinstance(content.body, NullPart)
    )


def is_unreaction(content: Content) -> bool:
    """Say whether this takes back an earlier reaction."""
    return _is_withdrawal(content) and content.body.disposition == Disposition.REACTION


def is_emote(content: Content) -> bool:
    """Say whether this is `/me`."""
    return content.extensions.get(KIND) == EMOTE


def is_notice(content: Content) -> bool:
    """Say whether a program said this, so that no program should answer."""
    return content.extensions.get(KIND) == NOTICE


def encryption_scheme(content: Content) -> str | None:
    """Return the scheme that the true content is encrypted with, or None if this is the true content."""
    e2ee = content.extensions.get(E2EE)
    if not isinstance(e2ee, Mapping):
        return None
    scheme = e2ee.get("scheme")
    return scheme if isinstance(scheme, str) and scheme else "an unknown scheme"


def _is_withdrawal(content: Content) -> bool:
    return content.replaces is not None and isinstance(content.body, NullPart)
