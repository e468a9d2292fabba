"""`sabir.app.passwords`: verifiers, one by one and in bulk."""

from __future__ import annotations

import pytest

from sabir.app.passwords import Passwords
from sabir.wire.sasl import credentials


def test_every_mechanism_gets_a_verifier_that_knows_the_password() -> None:
    made = dict(Passwords().make("correct horse"))

    assert set(made) == {"SCRAM-SHA-1", "SCRAM-SHA-256"}
    for mechanism, stored in made.items():
        verifier = credentials.from_bytes(mechanism, stored)
        assert credentials.verify_plain("correct horse", verifier)
        assert not credentials.verify_plain("battery", verifier)


def test_the_same_password_twice_is_stored_differently() -> None:
    assert Passwords().make("x") != Passwords().make("x")


def test_what_is_no_password_is_refused_alone_and_skipped_in_bulk() -> None:
    with pytest.raises(ValueError, match="empty"):
        Passwords().make("")

    assert [made is None for made in Passwords().make_all(["a", "", "b\x00", "c"])] == [
        False,
        True,
        True,
        False,
    ]
