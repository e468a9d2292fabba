"""MIMI content as bytes: `application/mimi-content` (draft-ietf-mimi-content-08).

What `encode` writes, `decode` reads, and the other way round, byte for byte: the encoding is deterministic,
and both keep to the same bounds.
"""

import hashlib
from collections.abc import Mapping
from enum import IntEnum
from typing import Final, assert_never

from sabir.core.model import cbor
from sabir.core.model.cbor import Key, Tag, Value
from sabir.core.model.content import (
    ROOM_URI,
    SENDER_URI,
    Content,
    Expiration,
    ExtensionKey,
    ExternalPart,
    MultiPart,
    NullPart,
    Part,
    PartSemantics,
    SinglePart,
)

MEDIA_TYPE: Final = "application/mimi-content"

SALT_BYTES: Final = 16
EVENT_ID_BYTES: Final = 16
MESSAGE_ID_BYTES: Final = 32

MAX_CONTENT_BYTES: Final = 1 << 20
MAX_PART_LEVELS: Final = 4
MAX_PARTS: Final = 256
MAX_EXTENSION_LEVELS: Final = 4
MAX_EXTENSIONS: Final = 64
MAX_TOPIC_BYTES: Final = 1024
MAX_NAME_BYTES: Final = 1024
"""Of a media type, a list of languages, a file name."""
MAX_TEXT_BYTES: Final = 16_384
"""Of a URL, a description."""
MAX_KEY_BYTES: Final = 1024
"""Of a key, nonce, hash, or the data that is authenticated with a file."""

_SHA_256: Final = 1  # draft-ietf-mimi-content-08 §3.3


class _Cardinality(IntEnum):
    NULL = 0
    SINGLE = 1
    EXTERNAL = 2
    MULTI = 3


class ContentSyntaxError(ValueError):
    """The bytes are not MIMI content, or the content is beyond what MIMI or our bounds allow."""


def encode(content: Content, salt: bytes) -> bytes:
    """Return `content` in CBOR, with `salt`: 16 random octets, another for each message.

    Raises:
        ContentSyntaxError: `decode` would not take it back.
    """
    extensions: dict[Key, Value] = dict(content.extensions.items())
    items: Value = (
        salt,
        content.replaces,
        content.topic_id,
        None if content.expires is None else (content.expires.relative, content.expires.time),
        content.in_reply_to,
        extensions,
        _part_items(content.body),
    )
    _message(items)
    try:
        data = cbor.encode(items)
    except cbor.CborSyntaxError as error:
        raise ContentSyntaxError(str(error)) from None
    if len(data) > MAX_CONTENT_BYTES:
        raise ContentSyntaxError("the message is too long")
    return data


def decode(data: bytes) -> tuple[Content, bytes]:
    """Return the content that `data` encodes, and its salt.

    Raises:
        ContentSyntaxError: Whatever else the bytes are, they are not MIMI content.
    """
    if len(data) > MAX_CONTENT_BYTES:
        raise ContentSyntaxError("the message is too long")
    try:
        items = cbor.decode(data)
    except cbor.CborSyntaxError as error:
        raise ContentSyntaxError(str(error)) from None
    return _message(items)


def message_id(sender_uri: str, room_uri: str, data: bytes, salt: bytes) -> bytes:
    """Return the MessageID of the encoded message `data` (draft-ietf-mimi-content-08 §3.3)."""
    sender, room = sender_uri.encode(), room_uri.encode()
    digest = hashlib.sha256(
        len(sender).to_bytes(2, "big") + sender + len(room).to_bytes(2, "big") + room + data + salt
    ).digest()
    return bytes((_SHA_256,)) + digest[: MESSAGE_ID_BYTES - 1]


def _part_items(part: Part) -> tuple[Value, ...]:
    match part:
        case NullPart():
            return (int(part.disposition), part.language, int(_Cardinality.NULL))
        case SinglePart():
            return (
                int(part.disposition),
                part.language,
                int(_Cardinality.SINGLE),
                part.content_type,
                part.content,
            )
        case ExternalPart():
            return (
                int(part.disposition),
                part.language,
                int(_Cardinality.EXTERNAL),
                part.content_type,
                part.url,
                part.expires,
                part.size,
                part.enc_alg,
                part.key,
                part.nonce,
                part.aad,
                part.hash_alg,
                part.content_hash,
                part.description,
                part.filename,
            )
        case MultiPart():
            parts = tuple(_part_items(inner) for inner in part.parts)
            return (int(part.disposition), part.language, int(_Cardinality.MULTI), int(part.semantics), parts)
        case _:
            assert_never(part)


def _message(items: Value) -> tuple[Content, bytes]:
    salt, replaces, topic_id, expires, in_reply_to, extensions, body = _array(items, 7, "the message")
    checked = _octets(salt, SALT_BYTES, "salt")
    if len(checked) != SALT_BYTES:
        raise ContentSyntaxError("salt: not 16 octets")
    content = Content(
        replaces=_reference(replaces, "replaces"),
        topic_id=_octets(topic_id, MAX_TOPIC_BYTES, "topicId"),
        expires=_expiration(expires),
        in_reply_to=_reference(in_reply_to, "inReplyTo"),
        extensions=_extensions(extensions),
        body=_Parts().part(body, MAX_PART_LEVELS),
    )
    return content, checked


def _reference(value: Value, field: str) -> bytes | None:
    if value is None:
        return None
    octets = _octets(value, MESSAGE_ID_BYTES, field)
    if len(octets) not in (EVENT_ID_BYTES, MESSAGE_ID_BYTES):
        raise ContentSyntaxError(f"{field}: no message id")
    return octets


def _expiration(value: Value) -> Expiration | None:
    if value is None:
        return None
    relative, time = _array(value, 2, "expires")
    if not isinstance(relative, bool):
        raise ContentSyntaxError("expires: no boolean")
    return Expiration(relative, _uint(time, 32, "expires"))


def _extensions(value: Value) -> Mapping[ExtensionKey, Value]:
    if not isinstance(value, Mapping) or len(value) > MAX_EXTENSIONS:
        raise ContentSyntaxError("extensions: no map, or too many")
    extensions: dict[ExtensionKey, Value] = {}
    for key, item in value.items():
        # draft-ietf-mimi-content-08 §6.2
        if isinstance(key, bytes) or (isinstance(key, str) and not 0 < _utf8_size(key, "extensions") < 256):
            raise ContentSyntaxError("extensions: a key that is no integer and no text of 1 to 255 octets")
        if key in (SENDER_URI, ROOM_URI):
            _text(item, MAX_TEXT_BYTES, "extensions")
        # draft-ietf-mimi-content-08 §6.3: the map itself is the first level.
        _check_levels(item, MAX_EXTENSION_LEVELS - 1)
        extensions[key] = item
    return extensions


def _check_levels(value: Value, levels: int) -> None:
    inner: tuple[Value, ...]
    if isinstance(value, tuple):
        inner = value
    elif isinstance(value, Tag):
        inner = (value.value,)
    elif isinstance(value, Mapping):
        inner = tuple(value.values())
    else:
        return
    if levels == 0:
        raise ContentSyntaxError("extensions: nested too deeply")
    for item in inner:
        _check_levels(item, levels - 1)


class _Parts:
    """The parts of one message, counted."""

    def __init__(self) -> None:
        self.count = 0

    def part(self, value: Value, levels: int) -> Part:
        self.count += 1
        # draft-ietf-mimi-content-08 §6.3
        if levels == 0 or self.count > MAX_PARTS:
            raise ContentSyntaxError("parts: nested too deeply, or too many")
        if not isinstance(value, tuple) or len(value) < 3:
            raise ContentSyntaxError("part: no array of three or more")
        disposition = _uint(value[0], 8, "disposition")
        language = _text(value[1], MAX_NAME_BYTES, "language")
        match _uint(value[2], 8, "cardinality"):
            case _Cardinality.NULL:
                _array(value, 3, "NullPart")
                return NullPart(disposition, language)
            case _Cardinality.SINGLE:
                _, _, _, content_type, content = _array(value, 5, "SinglePart")
                return SinglePart(
                    _text(content_type, MAX_NAME_BYTES, "contentType"),
                    _octets(content, MAX_CONTENT_BYTES, "content"),
                    disposition,
                    language,
                )
            case _Cardinality.EXTERNAL:
                return _external_part(_array(value, 15, "ExternalPart"), disposition, language)
            case _Cardinality.MULTI:
                _, _, _, semantics, inner = _array(value, 5, "MultiPart")
                if not isinstance(inner, tuple) or len(inner) < 2:
                    raise ContentSyntaxError("MultiPart: fewer than two parts")
                return MultiPart(
                    _semantics(semantics),
                    tuple([self.part(item, levels - 1) for item in inner]),
                    disposition,
                    language,
                )
            case _:
                raise ContentSyntaxError("part: an unknown cardinality")


def _semantics(value: Value) -> PartSemantics:
    try:
        return PartSemantics(_uint(value, 8, "partSemantics"))
    except ValueError:
        raise ContentSyntaxError("partSemantics: unknown") from None


def _external_part(items: tuple[Value, ...], disposition: int, language: str) -> ExternalPart:
    return ExternalPart(
        content_type=_text(items[3], MAX_NAME_BYTES, "contentType"),
        url=_text(items[4], MAX_TEXT_BYTES, "url"),
        expires=_uint(items[5], 32, "expires"),
        size=_uint(items[6], 64, "size"),
        enc_alg=_uint(items[7], 16, "encAlg"),
        key=_octets(items[8], MAX_KEY_BYTES, "key"),
        nonce=_octets(items[9], MAX_KEY_BYTES, "nonce"),
        aad=_octets(items[10], MAX_KEY_BYTES, "aad"),
        hash_alg=_uint(items[11], 8, "hashAlg"),
        content_hash=_octets(items[12], MAX_KEY_BYTES, "contentHash"),
        description=_text(items[13], MAX_TEXT_BYTES, "description"),
        filename=_text(items[14], MAX_NAME_BYTES, "filename"),
        disposition=disposition,
        language=language,
    )


def _array(value: Value, size: int, field: str) -> tuple[Value, ...]:
    if not isinstance(value, tuple) or len(value) != size:
        raise ContentSyntaxError(f"{field}: no array of {size}")
    return value


def _uint(value: Value, bits: int, field: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << bits:
        raise ContentSyntaxError(f"{field}: no unsigned integer of {bits} bits")
    return value


def _octets(value: Value, most: int, field: str) -> bytes:
    if not isinstance(value, bytes) or len(value) > most:
        raise ContentSyntaxError(f"{field}: no byte string, or more than {most} octets")
    return value


def _text(value: Value, most: int, field: str) -> str:
    if not isinstance(value, str) or _utf8_size(value, field) > most:
        raise ContentSyntaxError(f"{field}: no text, or more than {most} octets")
    return value


def _utf8_size(text: str, field: str) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        raise ContentSyntaxError(f"{field}: text that is not valid Unicode") from None
