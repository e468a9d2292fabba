"""Arithmetic of ML-KEM: polynomials of degree 255 modulo 3329, many coefficients in one large integer.

A Python integer of 4,096 bits adds or multiplies 128 coefficients in little more than the time of one, so what can be
is written as a few operations on large integers: `pack` and `unpack` move coefficients together and apart, and the
number-theoretic transform, which FIPS 203 defines by its result (§4.3), is a sum of 128 rows of a matrix.

A polynomial is held in two halves of 128: the coefficients of even and of odd powers, or, transformed, the constants
and the factors of X of its 128 remainders.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from functools import lru_cache
from operator import mul
from typing import Final

Q: Final = 3329
HALF: Final = 128

Columns = tuple[Sequence[int], Sequence[int]]
Halves = tuple[list[int], list[int]]
"""A polynomial: its even and its odd half, 128 numbers below 3329 each."""

_ROOT: Final = 17
_INVERSE_OF_128: Final = 3303
_LANES: Final = struct.Struct("<128I")


def _noise(nibble: int) -> int:
    return (nibble.bit_count() - 2 * (nibble >> 2).bit_count()) % Q


# The coefficients that a byte of random bits gives: the lower four bits, then the upper (FIPS 203 §4.2.2).
_EVEN_NOISE: Final = tuple(_noise(byte & 15) for byte in range(256))
_ODD_NOISE: Final = tuple(_noise(byte >> 4) for byte in range(256))


def pack(values: Sequence[int], bits: int) -> bytes:
    """Return a power of two many `values` of `bits` bits each (at most 16), the lowest first (FIPS 203 §4.2.1)."""
    count = len(values)
    data = int.from_bytes(struct.pack(f"<{count}H", *values), "little")
    for lanes, width, used in _steps(count, bits):
        low = _mask(lanes, width, used)
        data = data & low | data >> width - used & low << used
    return data.to_bytes(count * bits // 8, "little")


def unpack(data: bytes, bits: int) -> tuple[int, ...]:
    """Return the numbers of `bits` bits that `data` holds: the inverse of `pack`."""
    count = len(data) * 8 // bits
    value = int.from_bytes(data, "little")
    for lanes, width, used in reversed(_steps(count, bits)):
        low = _mask(lanes, width, used)
        value = value & low | (value & low << used) << width - used
    return struct.unpack(f"<{count}H", value.to_bytes(2 * count, "little"))


@lru_cache(maxsize=32)
def _steps(count: int, bits: int) -> tuple[tuple[int, int, int], ...]:
    """The pairs of lanes to join at each step of packing, how wide each is, and how much of it is used."""
    steps = []
    width, used = 16, bits
    while count > 1:
        count //= 2
        steps.append((count, width, used))
        width, used = 2 * width, 2 * used
    return tuple(steps)


@lru_cache(maxsize=128)
def _mask(lanes: int, width: int, used: int) -> int:
    """The used bits of the lower lane of each pair."""
    return sum(((1 << used) - 1) << 2 * width * lane for lane in range(lanes))


@lru_cache(maxsize=1)
def gammas() -> tuple[int, ...]:
    """The 128 numbers whose square roots the ring is split by (FIPS 203 §4.3)."""
    return tuple(pow(_ROOT, 2 * int(f"{place:07b}"[::-1], 2) + 1, Q) for place in range(HALF))


@lru_cache(maxsize=1)
def _forward() -> tuple[int, ...]:
    """For each coefficient of a half, what it adds to each of the 128 remainders."""
    return tuple(
        int.from_bytes(_LANES.pack(*row), "little") for row in zip(*map(_powers, gammas()), strict=True)
    )


@lru_cache(maxsize=1)
def _backward() -> tuple[int, ...]:
    """For each remainder of a half, what it adds to each of the 128 coefficients."""
    rows = [_powers(pow(gamma, -1, Q), _INVERSE_OF_128) for gamma in gammas()]
    return tuple(int.from_bytes(_LANES.pack(*row), "little") for row in rows)


def _powers(base: int, value: int = 1) -> list[int]:
    """Return `value` times the powers of `base` from 0 to 127."""
    powers = []
    for _ in range(HALF):
        powers.append(value)
        value = value * base % Q
    return powers


def _apply(rows: tuple[int, ...], half: Sequence[int]) -> tuple[int, ...]:
    """Return `half` times a matrix; a sum of 128 products of two numbers below 3329 has less than 32 bits."""
    return _LANES.unpack(sum(map(mul, half, rows)).to_bytes(4 * HALF, "little"))


def transform(polynomial: Halves) -> Halves:
    """Return the number-theoretic transform (FIPS 203 §4.3, algorithm 9)."""
    even, odd = polynomial
    rows = _forward()
    return [value % Q for value in _apply(rows, even)], [value % Q for value in _apply(rows, odd)]


def inverse(transformed: Halves) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the polynomial, its coefficients not yet reduced but below 2^31 (FIPS 203 §4.3, algorithm 10)."""
    even, odd = transformed
    rows = _backward()
    return _apply(rows, even), _apply(rows, odd)


def product(left: Sequence[Columns], right: Sequence[Halves]) -> Halves:
    """Return the scalar product of two transformed vectors of three (FIPS 203 §4.3.1)."""
    (a, d), (b, e), (c, f) = left
    (u, x), (v, y), (w, z) = right
    # (a + dX)(u + xX) modulo X^2 - g is au + dxg + (ax + du)X; three of them are added before they are reduced.
    even = [
        (a * u + b * v + c * w + (d * x + e * y + f * z) % Q * g) % Q
        for a, b, c, d, e, f, u, v, w, x, y, z, g in zip(
            a, b, c, d, e, f, u, v, w, x, y, z, gammas(), strict=True
        )
    ]
    odd = [
        (a * x + b * y + c * z + d * u + e * v + f * w) % Q
        for a, b, c, d, e, f, u, v, w, x, y, z in zip(a, b, c, d, e, f, u, v, w, x, y, z, strict=True)
    ]
    return even, odd


def sample_uniform(seed: bytes, size: int = 768) -> Halves:
    """Return a transformed polynomial made of a 34-byte seed (FIPS 203 §4.2.2, algorithm 7).

    Args:
        seed: 32 bytes and two indices.
        size: How many bytes to take at first, a power of two times 3; 768 suffice but once in 2^183 times.
    """
    while True:
        stream = hashlib.shake_128(seed).digest(size)
        values = [value for value in unpack(stream, 12) if value < Q]
        if len(values) >= 2 * HALF:
            return values[: 2 * HALF : 2], values[1 : 2 * HALF : 2]
        size *= 2


def sample_noise(seed: bytes, nonce: int) -> Halves:
    """Return a polynomial of small coefficients made of a 32-byte seed (FIPS 203 §4.2.2, algorithm 8)."""
    stream = hashlib.shake_256(seed + bytes((nonce,))).digest(HALF)
    return [_EVEN_NOISE[byte] for byte in stream], [_ODD_NOISE[byte] for byte in stream]


def compress(even: Sequence[int], odd: Sequence[int], bits: int) -> bytes:
    """Return 256 coefficients, reduced or not, rounded to `bits` bits each (FIPS 203 §4.2.1)."""
    values = [0] * (2 * HALF)
    most = (1 << bits) - 1
    values[::2] = [((value % Q << bits) + Q // 2) // Q & most for value in even]
    values[1::2] = [((value % Q << bits) + Q // 2) // Q & most for value in odd]
    return pack(values, bits)
