"""Deterministic CBOR."""

import math

import pytest

from sabir.core.model.cbor import MAX_DEPTH, MAX_ITEMS, MAX_KEY, CborSyntaxError, Tag, Value, decode, encode


@pytest.mark.spec("RFC 8949 §4.2.1")
@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        # RFC 8949 Appendix A
        (0, "00"),
        (23, "17"),
        (24, "1818"),
        (255, "18ff"),
        (256, "190100"),
        (65536, "1a00010000"),
        (2**64 - 1, "1bffffffffffffffff"),
        (-1, "20"),
        (-1000, "3903e7"),
        (-(2**64), "3bffffffffffffffff"),
        (1.5, "f93e00"),
        (-0.0, "f98000"),
        (5.960464477539063e-8, "f90001"),
        (100000.0, "fa47c35000"),
        (1.1, "fb3ff199999999999a"),
        (math.inf, "f97c00"),
        (False, "f4"),
        (True, "f5"),
        (None, "f6"),
        (b"\x01\x02", "420102"),
        ("ü", "62c3bc"),
        ((1, (2, 3)), "8201820203"),
        (Tag(32, "a"), "d8206161"),
        # The order of §4.2.1, not that of the older length-first form.
        ({"z": 1, "aa": 2, 10: 3, 100: 4, -1: 5, b"b": 6}, "a60a031864042005416206617a0162616102"),
    ],
)
def test_each_value_has_one_encoding(value: Value, encoded: str) -> None:
    assert encode(value).hex() == encoded
    assert decode(bytes.fromhex(encoded)) == value


def test_not_a_number_has_one_encoding() -> None:
    assert encode(math.nan).hex() == "f97e00"
    got = decode(bytes.fromhex("f97e00"))
    assert isinstance(got, float)
    assert math.isnan(got)


@pytest.mark.spec("RFC 8949 §4.2.1")
@pytest.mark.parametrize(
    "data",
    [
        "",
        "0000",  # more than one item
        "1817",  # not shortest
        "1900ff",
        "1a0000ffff",
        "1b00000000ffffffff",
        "18",  # cut off
        "4201",
        "62c3",
        "61ff",  # not UTF-8
        "63eda080",  # a surrogate
        "1c",  # unassigned
        "9f00ff",  # indefinite
        "5f4100ff",
        "ff",
        "f7",  # undefined
        "e0",  # a simple value
        "f820",
        "f97e01",  # another NaN
        "fa7fc00000",
        "fa3fc00000",  # 1.5, not shortest
        "fb3ff8000000000000",
        "82",  # a promise of items that are not there
        "9bffffffffffffffff",
        "bbffffffffffffffff",
        "a2616100616100",  # repeated key
        "a2616200616100",  # keys not sorted
        "a1f500",  # a key of another type
        "a1f93c0000",
        "a18000",
        "a11b002000000000000000",  # a key of 54 bits
    ],
)
def test_bytes_that_are_not_deterministic_are_refused(data: str) -> None:
    with pytest.raises(CborSyntaxError):
        decode(bytes.fromhex(data))


def deep(levels: int) -> Value:
    return () if levels == 1 else (deep(levels - 1),)


def test_depth_is_bounded_both_ways() -> None:
    assert decode(encode(deep(MAX_DEPTH))) == deep(MAX_DEPTH)
    with pytest.raises(CborSyntaxError, match="too deeply"):
        encode(deep(MAX_DEPTH + 1))
    with pytest.raises(CborSyntaxError, match="too deeply"):
        decode(b"\x81" * 100_000)


def test_the_number_of_items_is_bounded_both_ways() -> None:
    most = (None,) * (MAX_ITEMS - 1)

    assert decode(encode(most)) == most
    with pytest.raises(CborSyntaxError, match="too many"):
        encode((*most, None))
    with pytest.raises(CborSyntaxError, match="too many"):
        decode(b"\x99" + (MAX_ITEMS * 2).to_bytes(2, "big") + b"\xf6" * MAX_ITEMS * 2)


@pytest.mark.parametrize(
    "value", [2**64, -(2**64) - 1, "\ud800", Tag(-1, 0), {MAX_KEY + 1: 0}, {-MAX_KEY - 1: 0}, {True: 0}]
)
def test_what_could_not_be_read_back_is_not_written(value: Value) -> None:
    with pytest.raises(CborSyntaxError):
        encode(value)
