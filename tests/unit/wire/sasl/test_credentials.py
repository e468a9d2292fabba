"""`sabir.wire.sasl.credentials`: what is stored instead of a password."""

from __future__ import annotations

import pytest

from sabir.wire.sasl import credentials


@pytest.mark.parametrize("mechanism", sorted(credentials.HASHES))
def test_a_verifier_survives_being_stored(mechanism: str) -> None:
    verifier = credentials.make_verifier("pencil", mechanism, salt=b",\x00=" * 5)

    stored = credentials.to_bytes(verifier)

    assert credentials.from_bytes(mechanism, stored) == verifier
    assert b"pencil" not in stored


@pytest.mark.parametrize("damaged", [b"", b"MQ==,AA==,AA==", b"AA==,AA==,AA==,AA=="])
def test_a_damaged_one_is_refused(damaged: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w+"):
        credentials.from_bytes("SCRAM-SHA-256", damaged)
