"""CBOR in its deterministic form, as far as MIMI content uses it (RFC 8949 §4.2.1).

Why our own: a decoder for bytes from strangers must refuse what is not deterministic, and must be bounded
in depth and in number of items. Both are simpler to see here than to configure elsewhere.
"""

import math
import struct
from collections.abc import Mapping
from typing import Final, TypeAlias

import msgspec

Key: TypeAlias = int | str | bytes
Value: TypeAlias = "bool | int | float | bytes | str | tuple[Value, ...] | Mapping[Key, Value] | Tag | None"

MAX_DEPTH: Final = 12
MAX_ITEMS: Final = 16_384
MAX_KEY: Final = 2**53 - 1

_UINT: Final = 0
_NEGATIVE: Final = 1
_BYTES: Final = 2
_TEXT: Final = 3
_ARRAY: Final = 4
_MAP: Final = 5
_TAG: Final = 6

_FALSE: Final = 0xF4
_TRUE: Final = 0xF5
_NULL: Final = 0xF6
_NAN: Final = b"\xf9\x7e\x00"

# The additional information that announces an argument of so many octets, and the smallest argument that
# needs them: a smaller one is not in its shortest form (RFC 8949 §4.2.1).
_ARGUMENTS: Final = {24: (1, 24), 25: (2, 1 << 8), 26: (4, 1 << 16), 27: (8, 1 << 32)}
_FLOATS: Final = {25: ">e", 26: ">f", 27: ">d"}


class CborSyntaxError(ValueError):
    """The bytes are not deterministic CBOR, or the value has none within our bounds."""


class Tag(msgspec.Struct, frozen=True):
    """A value with a tag number in front (RFC 8949 §3.4)."""

    number: int
    value: Value


def encode(value: Value) -> bytes:
    """Return the one deterministic encoding of `value`.

    Raises:
        CborSyntaxError: `decode` would not take it back: too deep, too many items, an integer beyond 64
            bits, text that is not valid Unicode, or a map key of a type or size that MIMI forbids.
    """
    writer = _Writer()
    writer.value(value, MAX_DEPTH)
    return bytes(writer.out)


def decode(data: bytes) -> Value:
    """Return the value that `data` encodes; arrays are tuples.

    Raises:
        CborSyntaxError: Whatever else the bytes are, they are not one item in deterministic CBOR.
    """
    reader = _Reader(data)
    value = reader.value(MAX_DEPTH)
    if reader.at != len(data):
        raise CborSyntaxError("bytes after the end of the value")
    return value


class _Writer:
    def __init__(self) -> None:
        self.out = bytearray()
        self.items = 0

    def head(self, major: int, argument: int) -> None:
        if 0 <= argument < 24:
            self.out.append(major << 5 | argument)
            return
        for info, (size, _) in _ARGUMENTS.items():
            if argument >> 8 * size == 0:
                self.out.append(major << 5 | info)
                self.out += argument.to_bytes(size, "big")
                return
        raise CborSyntaxError("an integer that does not fit 64 bits")

    def value(self, value: Value, depth: int) -> None:
        self.items += 1
        if depth == 0 or self.items > MAX_ITEMS:
            raise CborSyntaxError("nested too deeply or too many items")
        if value is None:
            self.out.append(_NULL)
        elif isinstance(value, bool):
            self.out.append(_TRUE if value else _FALSE)
        elif isinstance(value, int):
            self.head(*((_UINT, value) if value >= 0 else (_NEGATIVE, -1 - value)))
        elif isinstance(value, float):
            self.out += _shortest_float(value)
        elif isinstance(value, bytes):
            self.head(_BYTES, len(value))
            self.out += value
        elif isinstance(value, str):
            try:
                text = value.encode()
            except UnicodeEncodeError:
                raise CborSyntaxError("text that is not valid Unicode") from None
            self.head(_TEXT, len(text))
            self.out += text
        elif isinstance(value, tuple):
            self.head(_ARRAY, len(value))
            for item in value:
                self.value(item, depth - 1)
        elif isinstance(value, Tag):
            self.head(_TAG, value.number)
            self.value(value.value, depth - 1)
        else:
            self.map(value, depth - 1)

    def map(self, value: Mapping[Key, Value], depth: int) -> None:
        encoded: dict[bytes, Value] = {}
        for key, item in value.items():
            _check_key(key)
            encoded[encode(key)] = item
        self.head(_MAP, len(encoded))
        # RFC 8949 §4.2.1: keys sort by the bytes of their encodings.
        for name in sorted(encoded):
            self.items += 1
            self.out += name
            self.value(encoded[name], depth)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.items = 0

    def take(self, size: int) -> bytes:
        end = self.at + size
        if end > len(self.data):
            raise CborSyntaxError("the value is cut off")
        taken = self.data[self.at : end]
        self.at = end
        return taken

    def argument(self, info: int) -> int:
        if info < 24:
            return info
        if info not in _ARGUMENTS:
            # RFC 8949 §4.2.1: no indefinite lengths; 28 to 30 are not assigned.
            raise CborSyntaxError("an indefinite or unassigned length")
        size, least = _ARGUMENTS[info]
        argument = int.from_bytes(self.take(size), "big")
        if argument < least:
            raise CborSyntaxError("a number that is not in its shortest form")
        return argument

    def value(self, depth: int) -> Value:
        self.items += 1
        if depth == 0 or self.items > MAX_ITEMS:
            raise CborSyntaxError("nested too deeply or too many items")
        first = self.take(1)[0]
        major, info = first >> 5, first & 31
        if first == _NULL:
            return None
        if first in (_FALSE, _TRUE):
            return first == _TRUE
        if info in _FLOATS and major > _TAG:
            return self.float(info)
        if major > _TAG:
            raise CborSyntaxError("a simple value other than false, true and null")
        argument = self.argument(info)
        if major == _UINT:
            return argument
        if major == _NEGATIVE:
            return -1 - argument
        if major == _BYTES:
            return self.take(argument)
        if major == _TEXT:
            try:
                return self.take(argument).decode()
            except UnicodeDecodeError:
                raise CborSyntaxError("text that is not valid UTF-8") from None
        if major == _ARRAY:
            self.expect(argument)
            return tuple([self.value(depth - 1) for _ in range(argument)])
        if major == _MAP:
            return self.map(argument, depth - 1)
        return Tag(argument, self.value(depth - 1))

    def expect(self, count: int) -> None:
        """Refuse a promise of more items than there can be, before making room for them."""
        if count > len(self.data) - self.at:
            raise CborSyntaxError("the value is cut off")

    def float(self, info: int) -> float:
        start = self.at - 1
        number: float = struct.unpack(_FLOATS[info], self.take(_ARGUMENTS[info][0]))[0]
        if self.data[start : self.at] != _shortest_float(number):
            raise CborSyntaxError("a floating point number that is not in its shortest form")
        return number

    def map(self, count: int, depth: int) -> dict[Key, Value]:
        self.expect(count)
        result: dict[Key, Value] = {}
        previous = b""
        for _ in range(count):
            start = self.at
            key = self.value(1)
            name = self.data[start : self.at]
            if name <= previous:
                raise CborSyntaxError("map keys that are repeated or not sorted")
            previous = name
            result[_check_key(key)] = self.value(depth)
        return result


def _check_key(key: Value) -> Key:
    # draft-ietf-mimi-content-08 §6.2: integers that a double can hold, text strings and byte strings.
    if isinstance(key, bool) or not isinstance(key, int | str | bytes):
        raise CborSyntaxError("a map key that is no integer, text or byte string")
    if isinstance(key, int) and not -MAX_KEY <= key <= MAX_KEY:
        raise CborSyntaxError("a map key beyond 53 bits")
    return key


def _shortest_float(number: float) -> bytes:
    if math.isnan(number):
        return _NAN
    for head, form in ((b"\xf9", ">e"), (b"\xfa", ">f")):
        try:
            packed = struct.pack(form, number)
        except OverflowError:
            continue
        if struct.unpack(form, packed)[0] == number:
            return head + packed
    return b"\xfb" + struct.pack(">d", number)
