"""The part of Protocol Buffers that messages and stored states need: numbers and byte strings. Compiled by mypyc.

Reading follows the encoding's rules: fields in any order, unknown ones skipped (groups too), the last value of a field
that comes twice, numbers cut to the width of their type. Everything else is refused by name, and nothing is read past
the end of the bytes that were given.
"""

from __future__ import annotations

from typing import Final

VARINT: Final = 0
FIXED_64: Final = 1
BYTES: Final = 2
GROUP: Final = 3
GROUP_END: Final = 4
FIXED_32: Final = 5

MAX_FIELDS: Final = 4096
"""Values in one message, unknown ones included, unless its reader allows more."""

_MAX_VARINT_BYTES: Final = 10
_MAX_FIELD: Final = (1 << 29) - 1
_MAX_GROUPS: Final = 16
_UINT32: Final = 0xFFFFFFFF
_UINT64: Final = 0xFFFFFFFFFFFFFFFF


class ProtobufError(Exception):
    """Bytes that are no message of this encoding, or a known field of another type."""


class Writer:
    """Collects fields in the order in which they are given."""

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def number(self, field: int, value: int) -> None:
        """Add a number of at most 64 bits."""
        self._parts.append(varint(field << 3))
        self._parts.append(varint(value))

    def data(self, field: int, value: bytes) -> None:
        """Add a byte string, or a message that was written before."""
        self._parts.append(varint(field << 3 | BYTES))
        self._parts.append(varint(len(value)))
        self._parts.append(value)

    def optional_number(self, field: int, value: int | None) -> None:
        """Add a number if there is one."""
        if value is not None:
            self.number(field, value)

    def optional_data(self, field: int, value: bytes | None) -> None:
        """Add a byte string if there is one."""
        if value is not None:
            self.data(field, value)

    def finish(self) -> bytes:
        """Return the message."""
        return b"".join(self._parts)


class Fields:
    """The fields of a message.

    Raises:
        ProtobufError: The bytes are no message, or hold more than `most` values.
    """

    __slots__ = ("_fields", "_values")

    def __init__(self, data: bytes, most: int = MAX_FIELDS) -> None:
        self._fields: list[int] = []
        self._values: list[int | bytes] = []
        end = len(data)
        at = 0
        while at < end:
            tag, at = _varint(data, at)
            field = tag >> 3
            kind = tag & 7
            if not 0 < field <= _MAX_FIELD:
                raise ProtobufError("no such field number")
            if len(self._fields) == most:
                raise ProtobufError("too many fields")
            if kind == VARINT:
                number, at = _varint(data, at)
                self._values.append(number)
            elif kind == BYTES:
                size, at = _varint(data, at)
                if size > end - at:
                    raise ProtobufError("a byte string ends beyond the message")
                self._values.append(data[at : at + size])
                at += size
            else:
                at = _skipped(data, at, field, kind)
                continue
            self._fields.append(field)

    def number(self, field: int) -> int | None:
        """Return the last number of this field, cut to 32 bits, or None.

        Raises:
            ProtobufError: The field is a byte string.
        """
        value = self._last(field)
        if value is None:
            return None
        if isinstance(value, bytes):
            raise ProtobufError(f"field {field} is no number")
        return value & _UINT32

    def long_number(self, field: int) -> int | None:
        """Return the last number of this field, of up to 64 bits, or None.

        Raises:
            ProtobufError: The field is a byte string.
        """
        value = self._last(field)
        if isinstance(value, bytes):
            raise ProtobufError(f"field {field} is no number")
        return value

    def data(self, field: int) -> bytes | None:
        """Return the last byte string of this field, or None.

        Raises:
            ProtobufError: The field is a number.
        """
        value = self._last(field)
        if value is None or isinstance(value, bytes):
            return value
        raise ProtobufError(f"field {field} is no byte string")

    def needed_number(self, field: int) -> int:
        """Return the number of a field that must be there, cut to 32 bits.

        Raises:
            ProtobufError: It is missing or a byte string.
        """
        value = self.number(field)
        if value is None:
            raise ProtobufError(f"field {field} is missing")
        return value

    def needed_data(self, field: int) -> bytes:
        """Return the byte string of a field that must be there.

        Raises:
            ProtobufError: It is missing or a number.
        """
        value = self.data(field)
        if value is None:
            raise ProtobufError(f"field {field} is missing")
        return value

    def every(self, field: int) -> list[bytes]:
        """Return all byte strings of a repeated field, in their order.

        Raises:
            ProtobufError: One of them is a number.
        """
        found: list[bytes] = []
        for number, value in zip(self._fields, self._values, strict=True):
            if number == field:
                if not isinstance(value, bytes):
                    raise ProtobufError(f"field {field} is no byte string")
                found.append(value)
        return found

    def _last(self, field: int) -> int | bytes | None:
        found: int | bytes | None = None
        for number, value in zip(self._fields, self._values, strict=True):
            if number == field:
                found = value
        return found


def varint(value: int) -> bytes:
    """Return a number of 0 to 64 bits in seven bits a byte, the lowest first."""
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the number at this place and where the next begins."""
    end = min(len(data), at + _MAX_VARINT_BYTES)
    value = 0
    shift = 0
    while at < end:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & _UINT64, at
        shift += 7
    raise ProtobufError("a number does not end")


def _skipped(data: bytes, at: int, field: int, kind: int) -> int:
    """Return where an unknown value of a type that we never use ends."""
    groups: list[int] = []
    while True:
        if kind == VARINT:
            _, at = _varint(data, at)
        elif kind == FIXED_64:
            at += 8
        elif kind == FIXED_32:
            at += 4
        elif kind == BYTES:
            size, at = _varint(data, at)
            at += size
        elif kind == GROUP:
            if len(groups) == _MAX_GROUPS:
                raise ProtobufError("groups within groups")
            groups.append(field)
        elif kind == GROUP_END:
            if not groups or groups.pop() != field:
                raise ProtobufError("the end of a group that did not begin")
        else:
            raise ProtobufError("no such type of a field")
        if at > len(data):
            raise ProtobufError("a value ends beyond the message")
        if not groups:
            return at
        tag, at = _varint(data, at)
        field, kind = tag >> 3, tag & 7
