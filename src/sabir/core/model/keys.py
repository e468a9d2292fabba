"""Public keys that devices publish: what comes in, what goes out, and when it is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from sabir.core.errors import Refusal
from sabir.core.model.actor import Account
from sabir.core.model.changes import KeyDeviceRow, OneTimeKeyRow
from sabir.crypto import curve, kyber
from sabir.crypto.errors import InvalidKeyError
from sabir.crypto.keys import MAX_DEVICE_ID, MAX_ID, MAX_REGISTRATION_ID

MAX_AT_ONCE: Final = 100
"""One-time prekeys of one kind in one publication: as many signatures are checked at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysConfig:
    """Settings under `[keys]`: the directory of keys for encrypted sessions."""

    max_devices: int = 20
    """Devices of one account that may have keys here."""
    max_one_time: int = 200
    """One-time prekeys of one device, of each of the two kinds."""
    low_water: int = 20
    """A device is told when it has fewer one-time prekeys left than this."""
    rotation_days: int = 30
    """Days after which a device is told to change its signed and last-resort prekeys."""
    one_time_per_hour: int = 120
    """One-time prekeys that one account is handed out in an hour, and that are handed out of one account. Whoever asks
    for more is given the last-resort prekey."""
    one_time_per_hour_per_peer: int = 600
    """The same for everybody at one address."""
    publications_per_hour: int = 60
    """How often one account may publish keys in an hour."""
    requests_per_s: int = 20
    """Lasting rate at which one account may ask for the keys of others."""


class KeyKind(IntEnum):
    """Kinds of one-time prekeys."""

    CURVE = 1
    KYBER = 2


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A prekey, serialised as the Signal protocol does. Without signature it is `b""`."""

    id: int
    key: bytes
    signature: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """What a device publishes. None or empty: what there is stays. A new identity key needs all of it anew."""

    device_id: int
    registration_id: int | None = None
    identity_key: bytes | None = None
    signed: PublicKey | None = None
    last_resort: PublicKey | None = None
    one_time: Sequence[PublicKey] = ()
    one_time_kyber: Sequence[PublicKey] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """What a device has here."""

    device: KeyDeviceRow
    one_time: int
    one_time_kyber: int
    is_low: bool
    rotate_ms: int
    """When the older of the signed and the last-resort prekey is to be changed."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """What one needs to begin a session with a device. `kyber` is the last-resort one if there is no other."""

    device: KeyDeviceRow
    one_time: OneTimeKeyRow | None
    one_time_kyber: OneTimeKeyRow | None


def by_kind(publication: Publication) -> tuple[tuple[KeyKind, Sequence[PublicKey]], ...]:
    """Return the one-time prekeys of a publication."""
    return (KeyKind.CURVE, publication.one_time), (KeyKind.KYBER, publication.one_time_kyber)


def merged(
    account: Account, publication: Publication, old: KeyDeviceRow | None, now_ms: int
) -> KeyDeviceRow | None:
    """Return what a device has after a publication, None if something is missing."""
    is_other = old is None or publication.identity_key not in (None, old.identity_key)
    if is_other:
        old = None
    signed, last_resort = publication.signed, publication.last_resort
    registration_id, identity_key = publication.registration_id, publication.identity_key
    if old is None:
        if signed is None or last_resort is None or registration_id is None or identity_key is None:
            return None
        return KeyDeviceRow(
            account_id=account.id,
            device_id=publication.device_id,
            registration_id=registration_id,
            identity_key=identity_key,
            signed_id=signed.id,
            signed_key=signed.key,
            signed_signature=signed.signature,
            signed_ms=now_ms,
            kyber_id=last_resort.id,
            kyber_key=last_resort.key,
            kyber_signature=last_resort.signature,
            kyber_ms=now_ms,
        )
    row = copy(old)
    if registration_id is not None:
        row.registration_id = registration_id
    if signed is not None and signed.key != old.signed_key:
        row.signed_id, row.signed_key, row.signed_signature = signed.id, signed.key, signed.signature
        row.signed_ms = now_ms
    if last_resort is not None and last_resort.key != old.kyber_key:
        row.kyber_id, row.kyber_key, row.kyber_signature = (
            last_resort.id,
            last_resort.key,
            last_resort.signature,
        )
        row.kyber_ms = now_ms
    return row


def copy(row: KeyDeviceRow) -> KeyDeviceRow:
    """Return a copy of a row."""
    return KeyDeviceRow(**{name: getattr(row, name) for name in row.__struct_fields__})


def checked(publication: Publication, identity: bytes) -> Refusal | None:
    """Check numbers, keys and signatures (PQXDH §3.2, §3.3)."""
    registration_id = publication.registration_id
    if not 1 <= publication.device_id <= MAX_DEVICE_ID:
        return Refusal.BAD_REQUEST
    if registration_id is not None and not 1 <= registration_id <= MAX_REGISTRATION_ID:
        return Refusal.BAD_REQUEST
    for kind, keys in by_kind(publication):
        if len(keys) > MAX_AT_ONCE:
            return Refusal.TOO_MANY
        if len({each.id for each in keys}) < len(keys):
            return Refusal.BAD_REQUEST
        if kind is KeyKind.CURVE and any(each.signature for each in keys):
            return Refusal.BAD_REQUEST
    try:
        curve.check_public_key(identity)
        for key in (*publication.one_time, *_given(publication.signed)):
            curve.check_public_key(key.key)
        kybers = (*publication.one_time_kyber, *_given(publication.last_resort))
        for key in kybers:
            kyber.check_public_key(key.key)
        for key in (*kybers, *_given(publication.signed)):
            if not curve.verify(identity, key.key, key.signature):
                return Refusal.BAD_REQUEST
        numbers = [each.id for each in (*publication.one_time, *kybers, *_given(publication.signed))]
    except InvalidKeyError:
        return Refusal.BAD_REQUEST
    return None if all(0 <= number <= MAX_ID for number in numbers) else Refusal.BAD_REQUEST


def _given(key: PublicKey | None) -> tuple[PublicKey, ...]:
    return () if key is None else (key,)
