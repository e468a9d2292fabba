"""Kyber-1024 of round 3, the key encapsulation of prekeys on libsignal's wire, from ML-KEM-1024 (FIPS 203).

Both share keys and the encryption inside; they differ in how a secret is made of it, and in the hash of the sender's
random bytes, which no receiver can tell apart. Where `K` is the secret of FIPS 203 §6, round 3 uses
`SHAKE256(K || SHA3-256(ciphertext), 32)` (CRYSTALS-Kyber specification 3.02, algorithms 8 and 9). For a ciphertext that
was tampered with, FIPS 203 gives another unpredictable secret than round 3 would: the two sides differ either way.

A serialised key is one byte 0x08 and the key.
"""

from __future__ import annotations

import hashlib
from typing import Final

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM1024PrivateKey, MLKEM1024PublicKey

from sabir.crypto.errors import InvalidKeyError, InvalidMessageError

KYBER_TYPE: Final = b"\x08"
"""The first byte of serialised keys and ciphertexts of Kyber-1024 round 3."""
PUBLIC_KEY_BYTES: Final = 1569
CIPHERTEXT_BYTES: Final = 1569
SEED_BYTES: Final = 64
SECRET_BYTES: Final = 32


class KyberKeyPair:
    """A Kyber-1024 key pair.

    Attributes:
        public_key: 1,569 bytes, as sent to others.
    """

    __slots__ = ("_private", "public_key")

    def __init__(self, private: MLKEM1024PrivateKey) -> None:
        self._private: MLKEM1024PrivateKey = private
        self.public_key: bytes = KYBER_TYPE + private.public_key().public_bytes_raw()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.public_key[:17].hex()}...)"

    @classmethod
    def generate(cls) -> KyberKeyPair:
        """Return a new key pair from the system's randomness."""
        return KyberKeyPair(MLKEM1024PrivateKey.generate())

    @classmethod
    def from_seed(cls, seed: bytes) -> KyberKeyPair:
        """Return the pair of a seed of 64 bytes (`d || z` of FIPS 203 §7.1).

        Raises:
            InvalidKeyError: The length is another.
        """
        if len(seed) != SEED_BYTES:
            raise InvalidKeyError(f"a seed has {SEED_BYTES} bytes, not {len(seed)}")
        return KyberKeyPair(MLKEM1024PrivateKey.from_seed_bytes(seed))

    def seed(self) -> bytes:
        """Return the 64 bytes that the pair is made of: for sealed storage, nothing else."""
        return self._private.private_bytes_raw()

    def decapsulate(self, ciphertext: bytes) -> bytes:
        """Return the secret of 32 bytes that a serialised ciphertext (1,569 bytes) stands for.

        Raises:
            InvalidMessageError: Another type or length. Whatever else is wrong with it, only the secret differs.
        """
        if len(ciphertext) != CIPHERTEXT_BYTES or ciphertext[:1] != KYBER_TYPE:
            raise InvalidMessageError("no ciphertext of Kyber-1024")
        return _round_3(self._private.decapsulate(ciphertext[1:]), ciphertext[1:])


def check_public_key(public_key: bytes) -> None:
    """Refuse what is not a serialised public key of Kyber-1024, its coefficients in canonical form.

    Raises:
        InvalidKeyError: It is not.
    """
    _loaded(public_key)


def encapsulate(public_key: bytes) -> tuple[bytes, bytes]:
    """Return a new secret (32 bytes) and its serialised ciphertext (1,569 bytes) for the owner of `public_key`.

    Raises:
        InvalidKeyError: The key has another type or length, or coefficients out of range (FIPS 203 §7.2).
    """
    secret, ciphertext = _loaded(public_key).encapsulate()
    return _round_3(secret, ciphertext), KYBER_TYPE + ciphertext


def _loaded(public_key: bytes) -> MLKEM1024PublicKey:
    if len(public_key) != PUBLIC_KEY_BYTES or public_key[:1] != KYBER_TYPE:
        raise InvalidKeyError("no public key of Kyber-1024")
    try:
        return MLKEM1024PublicKey.from_public_bytes(public_key[1:])
    except ValueError as error:
        raise InvalidKeyError("the key of Kyber-1024 is not in canonical form") from error


def _round_3(secret: bytes, ciphertext: bytes) -> bytes:
    return hashlib.shake_256(secret + hashlib.sha3_256(ciphertext).digest()).digest(SECRET_BYTES)
