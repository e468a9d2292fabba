from __future__ import annotations

from collections.abc import Callable

import pytest

from sabir.crypto import (
    IdentityKeyPair,
    InvalidKeyError,
    InvalidSessionError,
    KeyPair,
    KyberPreKeyRecord,
    PreKeyRecord,
    SignedPreKeyRecord,
    curve,
)

IDENTITY = IdentityKeyPair.generate()


def test_an_identity_is_read_from_its_serialised_form() -> None:
    read = IdentityKeyPair.deserialize(IDENTITY.serialize())

    assert read.public_key == IDENTITY.public_key
    assert curve.verify(IDENTITY.public_key, b"x", read.sign(b"x"))
    assert IDENTITY.key_pair.private_bytes().hex() not in repr(IDENTITY)


def test_an_identity_of_two_pairs_is_refused() -> None:
    mixed = bytearray(IDENTITY.serialize())
    mixed[-1] ^= 0x20

    for data in (bytes(mixed), b"", IDENTITY.serialize()[:-1], IDENTITY.serialize()[:35]):
        with pytest.raises(InvalidKeyError):
            IdentityKeyPair.deserialize(data)


def test_prekeys_are_read_from_their_serialised_form() -> None:
    prekey = PreKeyRecord(7, KeyPair.generate())
    signed = SignedPreKeyRecord.generate(IDENTITY, 8, 1_800_000_000_000)
    kyber = KyberPreKeyRecord.generate(IDENTITY, 9, 1_800_000_000_000)

    one = PreKeyRecord.deserialize(prekey.serialize())
    two = SignedPreKeyRecord.deserialize(signed.serialize())
    three = KyberPreKeyRecord.deserialize(kyber.serialize())

    assert (one.id, one.key_pair.public_key) == (7, prekey.key_pair.public_key)
    assert (two.id, two.created_ms, two.signature) == (8, 1_800_000_000_000, signed.signature)
    assert two.key_pair.public_key == signed.key_pair.public_key
    assert (three.id, three.created_ms, three.signature) == (9, 1_800_000_000_000, kyber.signature)
    assert three.key_pair.public_key == kyber.key_pair.public_key
    for record in (signed, kyber):
        assert curve.verify(IDENTITY.public_key, record.key_pair.public_key, record.signature)


@pytest.mark.parametrize(
    "read", [PreKeyRecord.deserialize, SignedPreKeyRecord.deserialize, KyberPreKeyRecord.deserialize]
)
@pytest.mark.parametrize(
    "data", [b"", b"\x02", b"\x01", b"\x01\x08\x07", b"\x01\x08\x07\x12\x01x", b"\x01\xff"]
)
def test_what_is_no_record_is_refused(read: Callable[[bytes], object], data: bytes) -> None:
    with pytest.raises(InvalidSessionError):
        read(data)
