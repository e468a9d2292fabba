"""Polynomials modulo 3329, beside the plain formulas of FIPS 203."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sabir.crypto.mlkem.ring import (
    Q,
    compress,
    gammas,
    inverse,
    pack,
    product,
    sample_noise,
    sample_uniform,
    transform,
    unpack,
)

halves = st.lists(st.integers(0, Q - 1), min_size=128, max_size=128)
polynomials = st.tuples(halves, halves)


@given(st.sampled_from([4, 10, 12]), st.data())
@settings(max_examples=30, deadline=None)
@pytest.mark.spec("FIPS 203 §4.2.1")
def test_numbers_stand_one_after_the_other_lowest_bit_first(bits: int, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.integers(0, (1 << bits) - 1), min_size=256, max_size=256))

    packed = pack(values, bits)

    assert int.from_bytes(packed, "little") == sum(value << bits * at for at, value in enumerate(values))
    assert list(unpack(packed, bits)) == values


@given(polynomials)
@settings(max_examples=20, deadline=None)
@pytest.mark.spec("FIPS 203 §4.3")
def test_a_transformed_polynomial_is_its_128_remainders_and_comes_back(
    polynomial: tuple[list[int], list[int]],
) -> None:
    transformed = transform(polynomial)

    for half, remainders in zip(polynomial, transformed, strict=True):
        for gamma, remainder in list(zip(gammas(), remainders, strict=True))[::17]:
            assert remainder == sum(value * pow(gamma, power, Q) for power, value in enumerate(half)) % Q
    assert tuple([value % Q for value in half] for half in inverse(transformed)) == polynomial


@pytest.mark.spec("FIPS 203 §4.3")
def test_the_remainders_stand_in_the_order_of_the_standard() -> None:
    assert gammas()[:4] == (17, Q - 17, 2761, Q - 2761)


@given(polynomials, polynomials)
@settings(max_examples=10, deadline=None)
@pytest.mark.spec("FIPS 203 §4.3.1")
def test_a_product_is_that_of_polynomials(
    left: tuple[list[int], list[int]], right: tuple[list[int], list[int]]
) -> None:
    nothing = ([0] * 128, [0] * 128)
    plain_left = [value for pair in zip(*left, strict=True) for value in pair]
    plain_right = [value for pair in zip(*right, strict=True) for value in pair]
    expected = [0] * 256
    for at, one in enumerate(plain_left):
        for beside, other in enumerate(plain_right):
            where = at + beside
            expected[where % 256] += one * other * (1 if where < 256 else -1)

    got = product([transform(left), nothing, transform(left)], [transform(right), transform(right), nothing])

    even, odd = inverse(got)
    assert [value % Q for pair in zip(even, odd, strict=True) for value in pair] == [
        value % Q for value in expected
    ]


@pytest.mark.spec("FIPS 203 §4.2.2")
def test_uniform_numbers_are_those_of_the_stream_that_are_small_enough() -> None:
    seed = bytes(range(34))
    stream = hashlib.shake_128(seed).digest(768)
    expected = []
    for at in range(0, 768, 3):
        first, second, third = stream[at : at + 3]
        expected += [
            number for number in (first | (second & 15) << 8, second >> 4 | third << 4) if number < Q
        ]

    even, odd = sample_uniform(seed)

    assert [value for pair in zip(even, odd, strict=True) for value in pair] == expected[:256]
    assert sample_uniform(seed, size=96) == (even, odd)


@pytest.mark.spec("FIPS 203 §4.2.2")
def test_noise_is_the_difference_of_two_sums_of_two_bits() -> None:
    stream = hashlib.shake_256(bytes(32) + b"\x05").digest(128)
    bits = f"{int.from_bytes(stream, 'little'):01024b}"[::-1]
    expected = [
        (int(bits[at]) + int(bits[at + 1]) - int(bits[at + 2]) - int(bits[at + 3])) % Q
        for at in range(0, 1024, 4)
    ]

    even, odd = sample_noise(bytes(32), 5)

    assert [value for pair in zip(even, odd, strict=True) for value in pair] == expected


@given(polynomials, st.sampled_from([4, 10]))
@settings(max_examples=20, deadline=None)
@pytest.mark.spec("FIPS 203 §4.2.1")
def test_compressed_is_rounded_to_the_nearest(polynomial: tuple[list[int], list[int]], bits: int) -> None:
    even, odd = polynomial

    values = unpack(compress([value + Q for value in even], odd, bits), bits)

    for got, value in zip(
        values, [value for pair in zip(even, odd, strict=True) for value in pair], strict=True
    ):
        assert got == int(value * (1 << bits) / Q + 0.5) % (1 << bits)
