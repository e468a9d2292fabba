"""Properties to bytes and back (MQTT 5.0 §2.2.2). Compiled by mypyc."""

from __future__ import annotations

from typing import Final

from sabir.protocols.mqtt.codec.fields import Fields, put_binary, put_text, put_u16, put_variable
from sabir.protocols.mqtt.errors import MqttSyntaxError
from sabir.protocols.mqtt.types import packets as p
from sabir.protocols.mqtt.types import properties as ids
from sabir.protocols.mqtt.types.properties import NONE, Properties
from sabir.protocols.mqtt.types.reasons import Reason

_BOOL: Final = 0
_BYTE: Final = 1
_U16: Final = 2
_U32: Final = 4
_VARIABLE: Final = 5
_TEXT: Final = 6
_BINARY: Final = 7
_PAIR: Final = 8

_FORMS: Final[dict[int, int]] = {
    ids.PAYLOAD_FORMAT: _BOOL,
    ids.MESSAGE_EXPIRY: _U32,
    ids.CONTENT_TYPE: _TEXT,
    ids.RESPONSE_TOPIC: _TEXT,
    ids.CORRELATION_DATA: _BINARY,
    ids.SUBSCRIPTION_ID: _VARIABLE,
    ids.SESSION_EXPIRY: _U32,
    ids.ASSIGNED_CLIENT_ID: _TEXT,
    ids.SERVER_KEEP_ALIVE: _U16,
    ids.AUTH_METHOD: _TEXT,
    ids.AUTH_DATA: _BINARY,
    ids.REQUEST_PROBLEM_INFO: _BOOL,
    ids.WILL_DELAY: _U32,
    ids.REQUEST_RESPONSE_INFO: _BOOL,
    ids.RESPONSE_INFO: _TEXT,
    ids.SERVER_REFERENCE: _TEXT,
    ids.REASON_STRING: _TEXT,
    ids.RECEIVE_MAXIMUM: _U16,
    ids.TOPIC_ALIAS_MAXIMUM: _U16,
    ids.TOPIC_ALIAS: _U16,
    ids.MAXIMUM_QOS: _BOOL,
    ids.RETAIN_AVAILABLE: _BOOL,
    ids.USER_PROPERTY: _PAIR,
    ids.MAXIMUM_PACKET_SIZE: _U32,
    ids.WILDCARDS_AVAILABLE: _BOOL,
    ids.SUBSCRIPTION_IDS_AVAILABLE: _BOOL,
    ids.SHARED_AVAILABLE: _BOOL,
}

WILL: Final = 0
"""Stands for the will in CONNECT, which has properties of its own."""

_OF_A_MESSAGE: Final = frozenset(
    (
        ids.PAYLOAD_FORMAT,
        ids.MESSAGE_EXPIRY,
        ids.CONTENT_TYPE,
        ids.RESPONSE_TOPIC,
        ids.CORRELATION_DATA,
        ids.USER_PROPERTY,
    )
)
_OF_AN_ANSWER: Final = frozenset((ids.REASON_STRING, ids.USER_PROPERTY))
_ALLOWED: Final[dict[int, frozenset[int]]] = {
    WILL: _OF_A_MESSAGE | {ids.WILL_DELAY},
    p.CONNECT: frozenset(
        (
            ids.SESSION_EXPIRY,
            ids.AUTH_METHOD,
            ids.AUTH_DATA,
            ids.REQUEST_PROBLEM_INFO,
            ids.REQUEST_RESPONSE_INFO,
            ids.RECEIVE_MAXIMUM,
            ids.TOPIC_ALIAS_MAXIMUM,
            ids.USER_PROPERTY,
            ids.MAXIMUM_PACKET_SIZE,
        )
    ),
    p.CONNACK: _OF_AN_ANSWER
    | {
        ids.SESSION_EXPIRY,
        ids.ASSIGNED_CLIENT_ID,
        ids.SERVER_KEEP_ALIVE,
        ids.AUTH_METHOD,
        ids.AUTH_DATA,
        ids.RESPONSE_INFO,
        ids.SERVER_REFERENCE,
        ids.RECEIVE_MAXIMUM,
        ids.TOPIC_ALIAS_MAXIMUM,
        ids.MAXIMUM_QOS,
        ids.RETAIN_AVAILABLE,
        ids.MAXIMUM_PACKET_SIZE,
        ids.WILDCARDS_AVAILABLE,
        ids.SUBSCRIPTION_IDS_AVAILABLE,
        ids.SHARED_AVAILABLE,
    },
    p.PUBLISH: _OF_A_MESSAGE | {ids.SUBSCRIPTION_ID, ids.TOPIC_ALIAS},
    p.PUBACK: _OF_AN_ANSWER,
    p.PUBREC: _OF_AN_ANSWER,
    p.PUBREL: _OF_AN_ANSWER,
    p.PUBCOMP: _OF_AN_ANSWER,
    p.SUBSCRIBE: frozenset((ids.SUBSCRIPTION_ID, ids.USER_PROPERTY)),
    p.SUBACK: _OF_AN_ANSWER,
    p.UNSUBSCRIBE: frozenset((ids.USER_PROPERTY,)),
    p.UNSUBACK: _OF_AN_ANSWER,
    p.DISCONNECT: _OF_AN_ANSWER | {ids.SESSION_EXPIRY, ids.SERVER_REFERENCE},
    p.AUTH: _OF_AN_ANSWER | {ids.AUTH_METHOD, ids.AUTH_DATA},
}

_NOT_ZERO: Final = frozenset((ids.RECEIVE_MAXIMUM, ids.MAXIMUM_PACKET_SIZE, ids.SUBSCRIPTION_ID))

MAX_PROPERTIES: Final = 1000
"""More in one packet are refused: each costs memory several times its size."""


def read_properties(fields: Fields, kind: int) -> Properties:
    """Read the properties of a packet of type `kind`, or of the will. Raises `MqttSyntaxError`."""
    size = fields.variable()
    if size == 0:
        return NONE
    if fields.at + size > fields.end:
        raise MqttSyntaxError("the properties are longer than the packet")
    inner = Fields(fields.data, fields.at, fields.at + size)
    fields.at += size
    found = Properties()
    allowed = _ALLOWED[kind]
    left = MAX_PROPERTIES
    while inner.at < inner.end:
        left -= 1
        if left < 0:
            raise MqttSyntaxError("too many properties", Reason.PACKET_TOO_LARGE)
        identifier = inner.variable()
        if identifier not in _FORMS:
            raise MqttSyntaxError("there is no such property")
        if identifier not in allowed:
            raise MqttSyntaxError("the property does not belong to this packet", Reason.PROTOCOL_ERROR)
        _read_one(inner, identifier, kind, found)
    return found


def _read_one(fields: Fields, identifier: int, kind: int, found: Properties) -> None:
    form = _FORMS[identifier]
    if form == _PAIR:
        name = fields.text()
        found.users.append((name, fields.text()))
        return
    if form == _TEXT:
        _only_once(identifier not in found.texts)
        found.texts[identifier] = fields.text()
        return
    if form == _BINARY:
        _only_once(identifier not in found.data)
        found.data[identifier] = fields.binary()
        return
    number = _read_number(fields, form)
    if number == 0 and identifier in _NOT_ZERO:
        raise MqttSyntaxError("a property is zero that must not be", Reason.PROTOCOL_ERROR)
    if identifier == ids.SUBSCRIPTION_ID:
        # MQTT 5.0 §3.3.2.3.8: several in PUBLISH, one in SUBSCRIBE
        _only_once(kind == p.PUBLISH or not found.subscription_ids)
        found.subscription_ids.append(number)
        return
    _only_once(identifier not in found.numbers)
    found.numbers[identifier] = number


def _read_number(fields: Fields, form: int) -> int:
    if form == _U16:
        return fields.u16()
    if form == _U32:
        return fields.u32()
    if form == _VARIABLE:
        return fields.variable()
    number = fields.byte()
    if form == _BOOL and number > 1:
        raise MqttSyntaxError("a property is neither 0 nor 1", Reason.PROTOCOL_ERROR)
    return number


def _only_once(is_first: bool) -> None:
    if not is_first:
        raise MqttSyntaxError("a property is there twice", Reason.PROTOCOL_ERROR)


def put_properties(out: bytearray, properties: Properties) -> None:
    """Append properties with their length."""
    inner = bytearray()
    for identifier, number in properties.numbers.items():
        inner.append(identifier)
        _put_number(inner, _FORMS[identifier], number)
    for identifier, text in properties.texts.items():
        inner.append(identifier)
        put_text(inner, text)
    for identifier, data in properties.data.items():
        inner.append(identifier)
        put_binary(inner, data)
    for number in properties.subscription_ids:
        inner.append(ids.SUBSCRIPTION_ID)
        put_variable(inner, number)
    for name, value in properties.users:
        inner.append(ids.USER_PROPERTY)
        put_text(inner, name)
        put_text(inner, value)
    put_variable(out, len(inner))
    out += inner


def _put_number(out: bytearray, form: int, number: int) -> None:
    if form == _U16:
        put_u16(out, number)
    elif form == _U32:
        put_u16(out, number >> 16)
        put_u16(out, number & 0xFFFF)
    elif form == _VARIABLE:
        put_variable(out, number)
    else:
        out.append(number)
