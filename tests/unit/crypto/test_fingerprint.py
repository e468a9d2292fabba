from __future__ import annotations

from typing import Any

import pytest

from sabir.crypto import Fingerprint, FingerprintError, IdentityKeyPair, InvalidKeyError

ADA, BEN, EVE = (IdentityKeyPair.generate().public_key for _ in range(3))


def between(name: bytes, key: bytes, other: bytes, other_key: bytes, version: int = 2) -> Fingerprint:
    return Fingerprint.of(name, key, other, other_key, iterations=10, version=version)


def test_it_is_the_one_that_libsignal_shows(vectors: Any) -> None:
    vector = vectors["fingerprint"]

    found = Fingerprint.of(
        vector["our_name"].encode(),
        bytes.fromhex(vector["our_identity"]),
        vector["their_name"].encode(),
        bytes.fromhex(vector["their_identity"]),
    )

    assert found.digits == vector["digits"]
    assert found.scannable.hex() == vector["scannable"]
    assert found.groups().startswith("47495 25456 37783 ")


def test_both_see_the_same_digits_and_scan_each_other() -> None:
    ours, theirs = between(b"ada", ADA, b"ben", BEN), between(b"ben", BEN, b"ada", ADA)

    assert ours.digits == theirs.digits
    assert len(ours.digits) == 60
    assert ours.matches(theirs.scannable)
    assert theirs.matches(ours.scannable)


def test_another_key_or_name_is_seen() -> None:
    ours = between(b"ada", ADA, b"ben", BEN)

    for other in (
        between(b"ben", EVE, b"ada", ADA),
        between(b"ben", BEN, b"ada", EVE),
        between(b"bob", BEN, b"ada", ADA),
    ):
        assert ours.digits != other.digits
        assert not ours.matches(other.scannable)
    assert not ours.matches(ours.scannable)


def test_what_is_no_safety_number_or_of_another_version_is_refused() -> None:
    ours = between(b"ada", ADA, b"ben", BEN)

    for scanned in (b"", b"\x08\x02", ours.scannable[:-1], b"https://example.org"):
        with pytest.raises(FingerprintError, match="no safety number"):
            ours.matches(scanned)
    with pytest.raises(FingerprintError, match="version 1"):
        ours.matches(between(b"ben", BEN, b"ada", ADA, 1).scannable)


def test_bad_keys_and_numbers_of_iterations_are_refused() -> None:
    with pytest.raises(InvalidKeyError):
        between(b"ada", bytes(33), b"ben", BEN)
    with pytest.raises(ValueError, match="iterations"):
        Fingerprint.of(b"ada", ADA, b"ben", BEN, iterations=1)
