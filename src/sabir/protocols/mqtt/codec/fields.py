"""The fields that packets are made of (MQTT 5.0 §1.5, MQTT 3.1.1 §1.5). Compiled by mypyc."""

from __future__ import annotations

from typing import Final

from sabir.protocols.mqtt.errors import MqttSyntaxError

MAX_VARIABLE: Final = 268_435_455
"""Largest variable byte integer."""


class Fields:
    """Reads the fields of one packet one after the other; raises `MqttSyntaxError` where one is not whole."""

    def __init__(self, data: bytes, at: int, end: int) -> None:
        self.data: Final = data
        self.at = at
        self.end: Final = end

    def byte(self) -> int:
        """Read one octet."""
        if self.at >= self.end:
            raise MqttSyntaxError("the packet ends too early")
        self.at += 1
        return self.data[self.at - 1]

    def u16(self) -> int:
        """Read a two byte integer."""
        at = self.at
        if at + 2 > self.end:
            raise MqttSyntaxError("the packet ends too early")
        self.at = at + 2
        return self.data[at] << 8 | self.data[at + 1]

    def u32(self) -> int:
        """Read a four byte integer."""
        return self.u16() << 16 | self.u16()

    def variable(self) -> int:
        """Read a variable byte integer."""
        value = 0
        shift = 0
        while True:
            octet = self.byte()
            value |= (octet & 0x7F) << shift
            if octet < 0x80:
                # [MQTT-1.5.5-1]: the shortest form only
                if octet == 0 and shift:
                    raise MqttSyntaxError("a number is longer than it needs to be")
                return value
            shift += 7
            if shift > 21:
                raise MqttSyntaxError("a number is too long")

    def binary(self) -> bytes:
        """Read binary data with its length."""
        size = self.u16()
        at = self.at
        if at + size > self.end:
            raise MqttSyntaxError("the packet ends too early")
        self.at = at + size
        return self.data[at : at + size]

    def text(self) -> str:
        """Read a UTF-8 encoded string with its length."""
        return text_of(self.binary())

    def rest(self) -> bytes:
        """Read all that is left."""
        at = self.at
        self.at = self.end
        return self.data[at : self.end]


def text_of(data: bytes) -> str:
    """Return the text of a UTF-8 encoded string, without its length. Raises `MqttSyntaxError`."""
    try:
        # [MQTT-1.5.4-1], [MQTT-1.5.3-1] of 3.1.1: well-formed, no surrogates; Python's decoder takes neither.
        # [MQTT-1.5.4-3]: a byte order mark is a character as any other, and is kept.
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MqttSyntaxError("a text is not UTF-8") from error
    # [MQTT-1.5.4-2], [MQTT-1.5.3-2] of 3.1.1
    if "\0" in text:
        raise MqttSyntaxError("a text has the character U+0000 in it")
    return text


def put_variable(out: bytearray, value: int) -> None:
    """Append a variable byte integer."""
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def put_u16(out: bytearray, value: int) -> None:
    """Append a two byte integer."""
    out.append(value >> 8)
    out.append(value & 0xFF)


def put_binary(out: bytearray, data: bytes) -> None:
    """Append binary data with its length."""
    put_u16(out, len(data))
    out += data


def put_text(out: bytearray, text: str) -> None:
    """Append a UTF-8 encoded string with its length."""
    put_binary(out, text.encode())
