"""The elements of this version of OMEMO (XEP-0384 0.3, §4), read and written."""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error
from typing import Final
from xml.etree.ElementTree import Element, SubElement

import omemo
from omemo.backend import DecryptionFailed
from omemo.types import DeviceList

from sabir.client.encryption.legacy.values import (
    NAMESPACE,
    KeyMessage,
    LegacyBundle,
    LegacyContent,
    LegacyExchange,
    LegacyKeys,
)
from sabir.crypto import curve
from sabir.crypto.errors import InvalidKeyError

NS: Final = f"{{{NAMESPACE}}}"
DEVICES_MAX: Final = 256
PREKEYS_MAX: Final = 1000


def bundle_node(device_id: int) -> str:
    """Return the node of a device's keys."""
    return f"{NAMESPACE}.bundles:{device_id}"


def write_devices(devices: DeviceList) -> Element:
    """Return the list of an account's devices."""
    element = Element(f"{NS}list")
    for device_id in devices:
        SubElement(element, f"{NS}device", {"id": str(device_id)})
    return element


def read_devices(element: Element) -> DeviceList:
    """Return the devices of a list; what is no number is left out."""
    found = (device.get("id", "") for device in element.findall(f"{NS}device")[:DEVICES_MAX])
    return {int(number): None for number in found if _is_number(number)}


def write_bundle(bundle: LegacyBundle) -> Element:
    """Return the keys of a device."""
    element = Element(f"{NS}bundle")
    signed = SubElement(element, f"{NS}signedPreKeyPublic", {"signedPreKeyId": str(bundle.signed_prekey_id)})
    signed.text = b64encode(bundle.signed_prekey).decode()
    SubElement(element, f"{NS}signedPreKeySignature").text = b64encode(bundle.signature).decode()
    SubElement(element, f"{NS}identityKey").text = b64encode(bundle.identity).decode()
    prekeys = SubElement(element, f"{NS}prekeys")
    for number, key in bundle.prekeys.items():
        SubElement(prekeys, f"{NS}preKeyPublic", {"preKeyId": str(number)}).text = b64encode(key).decode()
    return element


def read_bundle(element: Element, bare_jid: str, device_id: int) -> LegacyBundle:
    """Return the keys of a device; their signature is checked when they are used.

    Raises:
        ValueError: something is missing, or is no key.
    """
    signed = element.find(f"{NS}signedPreKeyPublic")
    number = "" if signed is None else signed.get("signedPreKeyId", "")
    if signed is None or not _is_number(number):
        raise ValueError("a bundle without a signed prekey")
    prekeys = {
        int(prekey.get("preKeyId", "")): _key(prekey.text)
        for prekey in element.findall(f"{NS}prekeys/{NS}preKeyPublic")[:PREKEYS_MAX]
        if _is_number(prekey.get("preKeyId", ""))
    }
    return LegacyBundle(
        bare_jid,
        device_id,
        _key(element.findtext(f"{NS}identityKey")),
        int(number),
        _key(signed.text),
        _bytes(element.findtext(f"{NS}signedPreKeySignature")),
        prekeys,
    )


def write_message(message: omemo.Message) -> Element:
    """Return a message as an element (§4.5)."""
    content = message.content
    assert isinstance(content, LegacyContent)
    element = Element(f"{NS}encrypted")
    header = SubElement(element, f"{NS}header", {"sid": str(message.device_id)})
    for keys, exchange in message.keys:
        assert isinstance(keys, LegacyKeys)
        key = SubElement(header, f"{NS}key", {"rid": str(keys.device_id)})
        if exchange is None:
            key.text = b64encode(keys.message.serialized).decode()
        else:
            assert isinstance(exchange, LegacyExchange)
            key.set("prekey", "true")
            key.text = b64encode(exchange.wrap(keys.message, message.device_id)).decode()
    SubElement(header, f"{NS}iv").text = b64encode(content.iv).decode()
    if not content.empty:
        SubElement(element, f"{NS}payload").text = b64encode(content.ciphertext).decode()
    return element


def read_message(element: Element, sender: str, reader: str, device_id: int) -> omemo.Message:
    """Return what a message has for this device.

    Args:
        element: The message.
        sender: The bare address of who wrote it.
        reader: Our bare address.
        device_id: The number of our device. Keys for others are left alone.

    Raises:
        DecryptionFailed: it is malformed.
    """
    header = element.find(f"{NS}header")
    if header is None or not _is_number(number := header.get("sid", "")):
        raise DecryptionFailed("malformed: no sender")
    keys: set[tuple[LegacyKeys, LegacyExchange | None]] = set()
    try:
        for key in header.findall(f"{NS}key"):
            if key.get("rid") != str(device_id):
                continue
            data = _bytes(key.text)
            if key.get("prekey") in ("true", "1"):
                exchange, message = LegacyExchange.unwrap(data)
                keys.add((LegacyKeys(reader, device_id, message), exchange))
            else:
                keys.add((LegacyKeys(reader, device_id, KeyMessage.parse(data)), None))
        payload, iv = element.findtext(f"{NS}payload"), _bytes(header.findtext(f"{NS}iv"))
        content = LegacyContent(_bytes(payload) if payload else b"", iv)
    except ValueError as error:
        raise DecryptionFailed(f"malformed: {error}") from None
    return omemo.Message(NAMESPACE, sender, int(number), content, frozenset(keys))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 10 and int(text) < 2**32


def _key(text: str | None) -> bytes:
    key = _bytes(text)
    try:
        curve.check_public_key(key)
    except InvalidKeyError as error:
        raise ValueError(str(error)) from None
    return key


def _bytes(text: str | None) -> bytes:
    try:
        # §4.4: some clients break lines.
        return b64decode("".join((text or "").split()), validate=True)
    except Error:
        raise ValueError("not base64") from None
