"""The bodies of requests and answers: JSON, with the field names of the Signal protocol's servers, keys in Base64.

A field that is not known is refused, so that a private key sent by mistake is never taken.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Final

import msgspec

from sabir.core.model.changes import OneTimeKeyRow
from sabir.core.model.keys import MAX_AT_ONCE, Bundle, Publication, PublicKey, Standing


class BodyError(Exception):
    """What a client sent is not what the OpenAPI document says."""


class SentKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A prekey as sent."""

    key_id: int
    public_key: str
    signature: str = ""


class SentKeys(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """What a device publishes."""

    identity_key: str | None = None
    registration_id: int | None = None
    signed_pre_key: SentKey | None = None
    pq_last_resort_pre_key: SentKey | None = None
    pre_keys: list[SentKey] = []
    pq_pre_keys: list[SentKey] = []


_decoder: Final = msgspec.json.Decoder(SentKeys)


def decode(device_id: int, body: bytes) -> Publication:
    """Read what a device publishes.

    Raises:
        BodyError: says what is wrong.
    """
    try:
        sent = _decoder.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BodyError(str(error)) from error
    if max(len(sent.pre_keys), len(sent.pq_pre_keys)) > MAX_AT_ONCE:
        raise BodyError(f"more than {MAX_AT_ONCE} one-time prekeys of a kind")
    return Publication(
        device_id=device_id,
        registration_id=sent.registration_id,
        identity_key=None if sent.identity_key is None else _bytes(sent.identity_key),
        signed=_key(sent.signed_pre_key),
        last_resort=_key(sent.pq_last_resort_pre_key),
        one_time=_keys(sent.pre_keys),
        one_time_kyber=_keys(sent.pq_pre_keys),
    )


def standing(found: Standing) -> bytes:
    """Return what a device has here."""
    device = found.device
    return msgspec.json.encode(
        {
            "deviceId": device.device_id,
            "registrationId": device.registration_id,
            "identityKey": _text(device.identity_key),
            "count": found.one_time,
            "pqCount": found.one_time_kyber,
            "low": found.is_low,
            "signedPreKeyId": device.signed_id,
            "signedPreKeyAtMs": device.signed_ms,
            "pqLastResortPreKeyId": device.kyber_id,
            "pqLastResortPreKeyAtMs": device.kyber_ms,
            "rotateAtMs": found.rotate_ms,
        }
    )


def bundles(name: str, found: Sequence[Bundle]) -> bytes:
    """Return what one needs to begin sessions."""
    return msgspec.json.encode({"name": name, "devices": [_bundle(each) for each in found]})


def changes(since: int, names: Sequence[str]) -> bytes:
    """Return whose keys changed, and what to ask with next time."""
    return msgspec.json.encode({"next": since, "changed": names})


def problem(what: str) -> bytes:
    """Return why there is no answer."""
    return msgspec.json.encode({"error": what})


def _bundle(found: Bundle) -> dict[str, object]:
    device, one_time, kyber = found.device, found.one_time, found.one_time_kyber
    answer: dict[str, object] = {
        "deviceId": device.device_id,
        "registrationId": device.registration_id,
        "identityKey": _text(device.identity_key),
        "signedPreKey": _shown(device.signed_id, device.signed_key, device.signed_signature),
        "pqPreKey": _shown(device.kyber_id, device.kyber_key, device.kyber_signature)
        if kyber is None
        else _row(kyber),
    }
    if one_time is not None:
        answer["preKey"] = _row(one_time)
    return answer


def _row(row: OneTimeKeyRow) -> dict[str, object]:
    return _shown(row.key_id, row.key, row.signature)


def _shown(number: int, key: bytes, signature: bytes) -> dict[str, object]:
    shown: dict[str, object] = {"keyId": number, "publicKey": _text(key)}
    if signature:
        shown["signature"] = _text(signature)
    return shown


def _keys(sent: Sequence[SentKey]) -> tuple[PublicKey, ...]:
    return tuple(PublicKey(each.key_id, _bytes(each.public_key), _bytes(each.signature)) for each in sent)


def _key(sent: SentKey | None) -> PublicKey | None:
    return None if sent is None else _keys([sent])[0]


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BodyError("a key or signature is not in Base64") from error


def _text(key: bytes) -> str:
    return base64.b64encode(key).decode()
