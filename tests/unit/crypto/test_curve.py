from __future__ import annotations

from typing import Any

import pytest

from sabir.crypto import curve
from sabir.crypto.curve import KeyPair
from sabir.crypto.errors import InvalidKeyError

FIELD = 2**255 - 19
LOW_ORDER = (
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
)


@pytest.mark.spec("RFC 7748 §6.1")
@pytest.mark.parametrize("name", ["rfc7748-5.2", "rfc7748-6.1", "libsignal"])
def test_agreements_are_the_published_ones(vectors: Any, name: str) -> None:
    vector = vectors["x25519"][name]
    pair = KeyPair.from_private(bytes.fromhex(vector["private"]))

    assert pair.agree(b"\x05" + bytes.fromhex(vector["public"])).hex() == vector["secret"]


def test_both_sides_agree() -> None:
    one, other = KeyPair.generate(), KeyPair.generate()

    assert one.agree(other.public_key) == other.agree(one.public_key)
    assert KeyPair.from_private(one.private_bytes()).public_key == one.public_key


@pytest.mark.parametrize("point", LOW_ORDER)
def test_points_of_low_order_are_refused(point: str) -> None:
    with pytest.raises(InvalidKeyError, match="low order"):
        KeyPair.generate().agree(b"\x05" + bytes.fromhex(point))


@pytest.mark.parametrize("number", [FIELD, FIELD + 1, FIELD + 18, 2**255 - 1, 2**255, 2**255 + 9, 2**256 - 1])
def test_keys_that_are_not_canonical_are_refused(number: int) -> None:
    with pytest.raises(InvalidKeyError):
        curve.check_public_key(b"\x05" + number.to_bytes(32, "little"))


@pytest.mark.parametrize("length", [0, 1, 32, 34, 65])
def test_keys_of_another_length_are_refused(length: int) -> None:
    with pytest.raises(InvalidKeyError, match="33 bytes"):
        curve.check_public_key(b"\x05" * length)
    if length != 32:
        with pytest.raises(InvalidKeyError, match="32 bytes"):
            KeyPair.from_private(bytes(length))


@pytest.mark.parametrize("kind", [0, 4, 6, 8, 255])
def test_keys_of_another_type_are_refused(kind: int) -> None:
    with pytest.raises(InvalidKeyError, match="type"):
        curve.check_public_key(bytes((kind,)) + KeyPair.generate().public_key[1:])


@pytest.mark.spec("XEdDSA §2.3")
def test_a_published_signature_is_verified_and_no_altered_one(vectors: Any) -> None:
    vector = {name: bytes.fromhex(value) for name, value in vectors["xeddsa"].items()}
    public, message, signature = vector["public"], vector["message"], vector["signature"]

    assert KeyPair.from_private(vector["private"]).public_key == public
    assert curve.verify(public, message, signature)
    for place in range(64):
        for bit in (1, 0x80):
            altered = bytearray(signature)
            altered[place] ^= bit
            assert not curve.verify(public, message, bytes(altered))
    assert not curve.verify(public, message + b"x", signature)
    assert not curve.verify(public, message, signature[:-1])


@pytest.mark.spec("XEdDSA §2.3")
def test_our_signatures_have_no_sign_bit_and_differ_each_time(vectors: Any) -> None:
    for pair in (KeyPair.from_private(bytes.fromhex(vectors["xeddsa"]["private"])), KeyPair.generate()):
        one, other = pair.sign(b"to be"), pair.sign(b"to be")

        assert one != other
        for signature in (one, other):
            assert not signature[63] & 0x80
            assert curve.verify(pair.public_key, b"to be", signature)
            assert not curve.verify(KeyPair.generate().public_key, b"to be", signature)


def test_what_is_shown_of_a_pair_is_not_its_private_key() -> None:
    pair = KeyPair.generate()

    assert pair.private_bytes().hex() not in repr(pair)
