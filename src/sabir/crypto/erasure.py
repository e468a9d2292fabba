"""Any enough pieces make the whole: the erasure code of the braid, over the field of 2^16 elements.

A message is cut into chunks of 32 bytes, and each chunk into 16 numbers of two bytes, big-endian. The numbers at one
place of all chunks are the values, at 0, 1, 2, ..., of a polynomial of the field; chunk `n` holds the values of the 16
polynomials at `n`. So the first chunks are the message itself, and as many different ones as there were at first,
whichever they are, give it back by interpolation. All of it is public: nothing here needs to take constant time.

The field is GF(2)[x] / (x^16 + x^12 + x^3 + x + 1), as libsignal's chunks show.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

CHUNK_BYTES: Final = 32
CHUNKS: Final = 1 << 16
"""Different chunks that one message has."""

_ORDER: Final = (1 << 16) - 1
_POLYNOMIAL: Final = 0x1100B
_ONES: Final = int.from_bytes(b"\x00\x01" * 16, "big")
_LOW: Final = int.from_bytes(b"\x7f\xff" * 16, "big")


def chunk(data: bytes, number: int) -> bytes:
    """Return chunk `number` (below 65,536) of `data`, whose length is a multiple of 32."""
    count = len(data) // CHUNK_BYTES
    if number < count:
        return data[number * CHUNK_BYTES : (number + 1) * CHUNK_BYTES]
    parts = [int.from_bytes(data[at : at + CHUNK_BYTES], "big") for at in range(0, len(data), CHUNK_BYTES)]
    nodes = range(count)
    return _combine(_weights(nodes, _inner(nodes), number), parts)


def join(count: int, chunks: Mapping[int, bytes]) -> bytes | None:
    """Return the message of `count` chunks, or None while fewer than that are there."""
    if len(chunks) < count:
        return None
    missing = [number for number in range(count) if number not in chunks]
    whole = dict(chunks)
    if missing:
        nodes = sorted(chunks)[:count]
        parts = [int.from_bytes(chunks[number], "big") for number in nodes]
        inner = [_log_of_distances(nodes, node) for node in nodes]
        for number in missing:
            whole[number] = _combine(_weights(nodes, inner, number), parts)
    return b"".join([whole[number] for number in range(count)])


@lru_cache(maxsize=1)
def _tables() -> tuple[array[int], array[int]]:
    """The powers of x, and the power that each element is."""
    powers = array("H", bytes(2 * CHUNKS))
    logs = array("H", bytes(2 * CHUNKS))
    element = 1
    for power in range(_ORDER):
        powers[power] = element
        logs[element] = power
        element <<= 1
        if element > _ORDER:
            element ^= _POLYNOMIAL
    return powers, logs


def _log_of_distances(nodes: Sequence[int], node: int) -> int:
    """The power of x that is the product of `node - other` over the other nodes."""
    logs = _tables()[1]
    # The logarithm of 0 is not looked at by anybody, and stands as 0.
    return sum([logs[node ^ other] for other in nodes]) % _ORDER


@lru_cache(maxsize=8)
def _inner(nodes: range) -> list[int]:
    return [_log_of_distances(nodes, node) for node in nodes]


def _weights(nodes: Sequence[int], inner: Sequence[int], number: int) -> list[int]:
    """What the value at each node counts for the value at `number`, which is no node (Lagrange)."""
    powers, logs = _tables()
    product = _log_of_distances(nodes, number)
    return [
        powers[(product - logs[number ^ node] - distances) % _ORDER]
        for node, distances in zip(nodes, inner, strict=True)
    ]


def _combine(weights: Sequence[int], parts: Sequence[int]) -> bytes:
    """Return the sum of `parts`, each 16 elements side by side, times their weights."""
    total = 0
    for bit in range(15, -1, -1):
        # Horner's rule over the bits of the weights: all 16 elements times x at once.
        total = (total & _LOW) << 1 ^ (total >> 15 & _ONES) * (_POLYNOMIAL & _ORDER)
        for weight, part in zip(weights, parts, strict=True):
            if weight >> bit & 1:
                total ^= part
    return total.to_bytes(CHUNK_BYTES, "big")
