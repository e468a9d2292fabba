"""Packets to bytes (MQTT 5.0 §2, §3). Compiled by mypyc.

A message for many is not encoded here: see `codec.message`.
"""

from __future__ import annotations

from sabir.protocols.mqtt.codec.fields import put_binary, put_text, put_u16, put_variable
from sabir.protocols.mqtt.codec.properties import put_properties
from sabir.protocols.mqtt.types import packets as p
from sabir.protocols.mqtt.types.properties import NONE, Properties


def encode(packet: p.Packet, version: int) -> bytes:
    """Return a packet as `version` of the protocol writes it."""
    body = bytearray()
    flags = 0
    if isinstance(packet, p.Publish):
        flags = (packet.dup << 3) | (packet.qos << 1) | packet.retain
        put_text(body, packet.topic)
        if packet.qos:
            put_u16(body, packet.packet_id)
        _put_properties(body, packet.properties, version)
        body += packet.payload
    elif isinstance(packet, p.Ack):
        flags = 2 if packet.kind == p.PUBREL else 0  # [MQTT-3.6.1-1]
        put_u16(body, packet.packet_id)
        _put_reason(body, packet.reason, packet.properties, version)
    elif isinstance(packet, p.Connect):
        _put_connect(body, packet)
    elif isinstance(packet, p.Connack):
        body.append(packet.session_present)
        body.append(packet.reason)
        _put_properties(body, packet.properties, version)
    elif isinstance(packet, p.Subscribe):
        flags = 2  # [MQTT-3.8.1-1]
        put_u16(body, packet.packet_id)
        _put_properties(body, packet.properties, version)
        for wanted in packet.filters:
            put_text(body, wanted.name)
            body.append(wanted.options if version == p.V5 else wanted.qos)
    elif isinstance(packet, p.Unsubscribe):
        flags = 2  # [MQTT-3.10.1-1]
        put_u16(body, packet.packet_id)
        _put_properties(body, packet.properties, version)
        for name in packet.filters:
            put_text(body, name)
    elif isinstance(packet, p.Answers):
        put_u16(body, packet.packet_id)
        _put_properties(body, packet.properties, version)
        if version == p.V5 or packet.kind == p.SUBACK:  # MQTT 3.1.1 §3.11.3: UNSUBACK has no payload
            body += bytes(packet.reasons)
    elif isinstance(packet, p.Disconnect | p.Auth):
        _put_reason(body, packet.reason, packet.properties, version)
    return framed(packet.kind << 4 | flags, body)


def framed(first: int, body: bytes | bytearray) -> bytes:
    """Return a packet of its first octet and what follows the remaining length."""
    out = bytearray((first,))
    put_variable(out, len(body))
    out += body
    return bytes(out)


def _put_properties(out: bytearray, properties: Properties, version: int) -> None:
    if version == p.V5:
        put_properties(out, properties)


def _put_reason(out: bytearray, reason: int, properties: Properties, version: int) -> None:
    """Append reason code and properties: they may be left out from the end (MQTT 5.0 §3.4.2.1)."""
    if version != p.V5 or (reason == 0 and properties is NONE):
        return
    out.append(reason)
    if properties is not NONE:
        put_properties(out, properties)


def _put_connect(out: bytearray, packet: p.Connect) -> None:
    will = packet.will
    flags = 2 if packet.clean_start else 0
    if will is not None:
        flags |= 4 | will.qos << 3 | (0x20 if will.retain else 0)
    if packet.username is not None:
        flags |= 0x80
    if packet.password is not None:
        flags |= 0x40
    put_text(out, "MQTT")
    out.append(packet.version)
    out.append(flags)
    put_u16(out, packet.keep_alive_s)
    _put_properties(out, packet.properties, packet.version)
    put_text(out, packet.client_id)
    if will is not None:
        _put_properties(out, will.properties, packet.version)
        put_text(out, will.topic)
        put_binary(out, will.payload)
    if packet.username is not None:
        put_text(out, packet.username)
    if packet.password is not None:
        put_binary(out, packet.password)
