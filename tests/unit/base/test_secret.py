import pickle

import pytest

from sabir.base.secret import Secret


def test_a_secret_prints_as_nothing() -> None:
    secret = Secret("hunter2")

    assert (repr(secret), str(secret), f"{secret}", f"{[secret]}") == ("", "", "", "[]")
    assert secret.reveal() == "hunter2"


def test_secrets_compare_by_value() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1
    assert not Secret("")


def test_a_secret_is_not_serialised() -> None:
    with pytest.raises(TypeError, match="not serialised"):
        pickle.dumps(Secret("hunter2"))
