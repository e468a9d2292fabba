"""The four operations of ML-KEM-768 that the braid is made of (ML-KEM Braid §1.2; FIPS 203 §7)."""

from __future__ import annotations

import hashlib
from operator import add
from typing import Final

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey

from sabir.crypto.mlkem.ring import (
    Halves,
    Q,
    compress,
    inverse,
    product,
    sample_noise,
    sample_uniform,
    transform,
    unpack,
)

SEED_BYTES: Final = 64
"""Random bytes that a key pair is made of."""
RANDOM_BYTES: Final = 32
"""Random bytes that a ciphertext is made of."""
HEADER_BYTES: Final = 64
"""The seed of the encapsulation key and the hash of the whole key."""
EK_VECTOR_BYTES: Final = 1152
CT1_BYTES: Final = 960
CT2_BYTES: Final = 128
SECRET_BYTES: Final = 32

_RANK: Final = 3
_ONE: Final = (Q + 1) // 2
"""What a bit 1 of the message is in the ciphertext."""


class InvalidEncapsulationKeyError(ValueError):
    """The encapsulation key is not the one that the header announced, or none at all."""


def generate(seed: bytes) -> tuple[bytes, bytes]:
    """Return the header (64 bytes) and the vector (1,152 bytes) of the key pair that 64 random bytes make."""
    key = MLKEM768PrivateKey.from_seed_bytes(seed).public_key().public_bytes_raw()
    vector, rho = key[:EK_VECTOR_BYTES], key[EK_VECTOR_BYTES:]
    return rho + hashlib.sha3_256(key).digest(), vector


def encapsulate1(header: bytes, message: bytes) -> tuple[bytes, bytes]:
    """Return the first part of the ciphertext (960 bytes) and the shared secret (32 bytes).

    Args:
        header: What `generate` returned first.
        message: 32 random bytes, to be kept secret and used for nothing but `encapsulate2`.
    """
    rho, key_hash = header[:32], header[32:]
    secret, noise = _secret_and_noise(message, key_hash)
    vector = _noise_vector(noise)
    parts = []
    for row in range(_RANK):
        # The matrix is made transposed, so its two indices stand the other way round (FIPS 203 §5.2, steps 4 to 8).
        column = [sample_uniform(rho + bytes((row, other))) for other in range(_RANK)]
        even, odd = inverse(product(column, vector))
        even_noise, odd_noise = sample_noise(noise, _RANK + row)
        parts.append(compress([*map(add, even, even_noise)], [*map(add, odd, odd_noise)], 10))
    return b"".join(parts), secret


def encapsulate2(header: bytes, ek_vector: bytes, message: bytes) -> bytes:
    """Return the second part of the ciphertext (128 bytes).

    Args:
        header: As for `encapsulate1`.
        ek_vector: What `generate` returned second.
        message: The same 32 bytes as for `encapsulate1`.

    Raises:
        InvalidEncapsulationKeyError: The vector is not the one of the header, or not reduced (FIPS 203 §7.2).
    """
    rho, key_hash = header[:32], header[32:]
    if len(ek_vector) != EK_VECTOR_BYTES or hashlib.sha3_256(ek_vector + rho).digest() != key_hash:
        raise InvalidEncapsulationKeyError("the encapsulation key is not the one of the header")
    key = [unpack(ek_vector[at : at + 384], 12) for at in range(0, EK_VECTOR_BYTES, 384)]
    if max(map(max, key)) >= Q:
        raise InvalidEncapsulationKeyError("the encapsulation key is not reduced")
    noise = _secret_and_noise(message, key_hash)[1]
    even, odd = inverse(product([(values[::2], values[1::2]) for values in key], _noise_vector(noise)))
    even_noise, odd_noise = sample_noise(noise, 2 * _RANK)
    bits = f"{int.from_bytes(message, 'little'):0256b}"[::-1]
    return compress(
        [
            value + small + _ONE * (bit == "1")
            for value, small, bit in zip(even, even_noise, bits[::2], strict=True)
        ],
        [
            value + small + _ONE * (bit == "1")
            for value, small, bit in zip(odd, odd_noise, bits[1::2], strict=True)
        ],
        4,
    )


def decapsulate(seed: bytes, ct1: bytes, ct2: bytes) -> bytes:
    """Return the shared secret (32 bytes), or for a ciphertext that was altered another unpredictable one.

    Args:
        seed: What the key pair was made of.
        ct1: 960 bytes.
        ct2: 128 bytes.
    """
    return MLKEM768PrivateKey.from_seed_bytes(seed).decapsulate(ct1 + ct2)


def _secret_and_noise(message: bytes, key_hash: bytes) -> tuple[bytes, bytes]:
    """The shared secret, and the seed of all noise in the ciphertext (FIPS 203 §6.2)."""
    both = hashlib.sha3_512(message + key_hash).digest()
    return both[:SECRET_BYTES], both[SECRET_BYTES:]


def _noise_vector(noise: bytes) -> list[Halves]:
    return [transform(sample_noise(noise, nonce)) for nonce in range(_RANK)]
