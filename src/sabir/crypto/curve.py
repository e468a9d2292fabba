"""Curve25519: key pairs, agreement and XEdDSA signatures, with public keys in the 33 bytes of the Signal protocol.

A public key is one byte 0x05 and the 32 bytes of RFC 7748. What another sends is only taken in canonical form and if
the point is not of low order: either would let two byte strings, or all private keys, stand for the same secret.

Arithmetic on secrets is done by libraries whose authors take care that time does not depend on them (OpenSSL and
libxeddsa). Python itself promises neither that nor that a secret is wiped from memory when it is no longer needed.
"""

from __future__ import annotations

import secrets
from hmac import compare_digest
from typing import Final

import xeddsa
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from sabir.crypto.errors import InvalidKeyError

DJB_TYPE: Final = b"\x05"
"""The first byte of a serialised Curve25519 public key."""
PUBLIC_KEY_BYTES: Final = 33
PRIVATE_KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64

_FIELD: Final = 2**255 - 19
_LOW_ORDER: Final = frozenset(
    point.to_bytes(32, "little")
    for point in (
        0,
        1,
        325606250916557431795983626356110631294008115727848805560023387167927233504,
        39382357235489614581723060781553021112529911719440698176882885853963445705823,
        _FIELD - 1,
    )
)
"""The u-coordinates below the field's size of all points of order 1, 2, 4 and 8, on the curve and on its twist."""
_SIGN_BIT: Final = 0x80


class KeyPair:
    """A Curve25519 key pair.

    Attributes:
        public_key: 33 bytes, as sent to others.
    """

    __slots__ = ("_private", "public_key")

    def __init__(self, private: X25519PrivateKey) -> None:
        self._private: X25519PrivateKey = private
        self.public_key: bytes = DJB_TYPE + private.public_key().public_bytes_raw()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.public_key.hex()})"

    @classmethod
    def generate(cls) -> KeyPair:
        """Return a new key pair from the system's randomness."""
        return KeyPair(X25519PrivateKey.generate())

    @classmethod
    def from_private(cls, private_key: bytes) -> KeyPair:
        """Return the pair of a private key of 32 bytes.

        Raises:
            InvalidKeyError: The length is another.
        """
        if len(private_key) != PRIVATE_KEY_BYTES:
            raise InvalidKeyError(f"a private key has {PRIVATE_KEY_BYTES} bytes, not {len(private_key)}")
        return KeyPair(X25519PrivateKey.from_private_bytes(private_key))

    def private_bytes(self) -> bytes:
        """Return the 32 bytes of the private key: for sealed storage, nothing else."""
        return self._private.private_bytes_raw()

    def agree(self, public_key: bytes) -> bytes:
        """Return the 32 bytes that only we and the owner of `public_key` (33 bytes) can compute.

        Raises:
            InvalidKeyError: The key of the other is no proper point, see `check_public_key`.
        """
        check_public_key(public_key)
        try:
            return self._private.exchange(X25519PublicKey.from_public_bytes(public_key[1:]))
        except ValueError as error:  # RFC 7748 §6.1: an all-zero secret
            raise InvalidKeyError("the agreement gives no secret") from error

    def sign(self, message: bytes) -> bytes:
        """Return the XEdDSA signature of `message`, 64 bytes, different each time."""
        private = xeddsa.priv_force_sign(self.private_bytes(), False)  # XEdDSA §2.3: the sign bit is zero
        return bytes(xeddsa.ed25519_priv_sign(private, message, secrets.token_bytes(64)))


def check_public_key(public_key: bytes) -> None:
    """Refuse what is not a proper serialised public key.

    Raises:
        InvalidKeyError: Another length or type, not canonical (RFC 7748 §5 would reduce it), or of low order.
    """
    if len(public_key) != PUBLIC_KEY_BYTES:
        raise InvalidKeyError(f"a public key has {PUBLIC_KEY_BYTES} bytes, not {len(public_key)}")
    if public_key[0] != DJB_TYPE[0]:
        raise InvalidKeyError(f"no public key of Curve25519: type {public_key[0]}")
    # Ours to refuse: only the highest byte of a number not below the field's size is 0x7f or more.
    if public_key[32] >= 0x7F and int.from_bytes(public_key[1:], "little") >= _FIELD:
        raise InvalidKeyError("the public key is not in canonical form")
    if public_key[1:] in _LOW_ORDER:
        raise InvalidKeyError("the public key is a point of low order")


def verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Return whether the owner of `public_key` (33 bytes) made this XEdDSA signature (64 bytes) of `message`.

    Raises:
        InvalidKeyError: The key is no proper point, see `check_public_key`.
    """
    check_public_key(public_key)
    if len(signature) != SIGNATURE_BYTES:
        return False
    # XEdDSA §2.3 makes the sign bit zero; signers that do not negate their key say here which sign its point has.
    negative = bool(signature[63] & _SIGN_BIT)
    plain = signature[:63] + bytes((signature[63] & ~_SIGN_BIT,))
    return bool(
        xeddsa.ed25519_verify(plain, xeddsa.curve25519_pub_to_ed25519_pub(public_key[1:], negative), message)
    )


def is_same_key(one: bytes, other: bytes) -> bool:
    """Return whether two keys are equal, in a time that does not tell where they differ."""
    return compare_digest(one, other)
