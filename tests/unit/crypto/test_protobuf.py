from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.crypto.protobuf import MAX_FIELDS, Fields, ProtobufError, Writer, varint

FIELD = st.integers(1, 2**29 - 1)
VALUE = st.integers(0, 2**64 - 1) | st.binary(max_size=40)


@given(st.lists(st.tuples(FIELD, VALUE), max_size=20))
def test_what_is_written_is_read(fields: list[tuple[int, int | bytes]]) -> None:
    writer = Writer()
    for field, value in fields:
        if isinstance(value, int):
            writer.number(field, value)
        else:
            writer.data(field, value)

    read = Fields(writer.finish())

    for field, value in dict(fields).items():
        if isinstance(value, int):
            assert read.long_number(field) == value
            assert read.number(field) == value & 0xFFFFFFFF
        else:
            assert read.data(field) == value
            if all(isinstance(each, bytes) for number, each in fields if number == field):
                assert read.every(field) == [each for number, each in fields if number == field]


@given(st.binary(max_size=200))
def test_any_bytes_are_fields_or_an_error(data: bytes) -> None:
    with contextlib.suppress(ProtobufError):
        Fields(data)


def test_numbers_are_written_as_in_the_encodings_documentation() -> None:
    assert varint(150).hex() == "9601"
    assert varint(0) == b"\x00"
    assert varint(2**64 - 1).hex() == "ffffffffffffffffff01"


def test_unknown_fields_of_every_type_are_skipped() -> None:
    unknown = (
        b"\x51" + bytes(8)  # field 10, 64 bits
        + b"\x55" + bytes(4)  # field 10, 32 bits
        + b"\x53\x08\x01\x12\x01x\x19" + bytes(8) + b"\x1d" + bytes(4) + b"\x23\x24\x54"  # a group, one within
    )  # fmt: skip

    assert Fields(unknown + b"\x08\x07").number(1) == 7


@pytest.mark.parametrize(
    "data",
    [
        b"\x08",
        b"\x08\x80",
        b"\x08" + b"\x80" * 10 + b"\x01",
        b"\x0a\x05abcd",
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x00\x01",
        b"\x80\x80\x80\x80\x10\x01",
        b"\x09" + bytes(7),
        b"\x0d" + bytes(3),
        b"\x0b\x0c\x0c",
        b"\x0b\x14",
        b"\x0b",
        b"\x0b\x12\x05a",
        b"\x0e\x01",
        b"\x0b" * 17,
        b"\x0b\x0e",
    ],
)
def test_malformed_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ProtobufError):
        Fields(data)


def test_too_many_fields_are_refused() -> None:
    assert Fields(b"\x08\x01" * MAX_FIELDS).number(1) == 1
    with pytest.raises(ProtobufError):
        Fields(b"\x08\x01" * (MAX_FIELDS + 1))


def test_a_field_of_another_type_and_one_that_is_missing_are_refused() -> None:
    fields = Fields(b"\x08\x01\x12\x01x")

    for refused in (
        lambda: fields.data(1),
        lambda: fields.number(2),
        lambda: fields.long_number(2),
        lambda: fields.every(1),
        lambda: fields.needed_data(3),
        lambda: fields.needed_number(3),
    ):
        with pytest.raises(ProtobufError):
            refused()
    assert fields.number(3) is None
    assert fields.long_number(3) is None
    assert fields.data(3) is None
    assert fields.every(3) == []
