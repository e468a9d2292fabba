from __future__ import annotations

import pytest

from sabir.crypto import kyber
from sabir.crypto.errors import InvalidKeyError, InvalidMessageError
from sabir.crypto.kyber import KyberKeyPair


def test_who_owns_the_key_gets_the_secret() -> None:
    pair = KyberKeyPair.generate()

    secret, ciphertext = kyber.encapsulate(pair.public_key)

    assert (len(pair.public_key), len(ciphertext), len(secret)) == (1569, 1569, 32)
    assert pair.public_key[0] == ciphertext[0] == 8
    assert KyberKeyPair.from_seed(pair.seed()).decapsulate(ciphertext) == secret


def test_another_ciphertext_gives_another_secret() -> None:
    pair = KyberKeyPair.generate()
    secret, ciphertext = kyber.encapsulate(pair.public_key)

    for place in (1, 700, 1568):
        altered = bytearray(ciphertext)
        altered[place] ^= 1
        assert pair.decapsulate(bytes(altered)) != secret


@pytest.mark.parametrize(
    "key", [b"", b"\x08", b"\x0a" + bytes(1568), b"\x08" + bytes(1567), b"\x08" + b"\xff" * 1568]
)
def test_what_is_no_key_is_refused(key: bytes) -> None:
    with pytest.raises(InvalidKeyError):
        kyber.check_public_key(key)
    with pytest.raises(InvalidKeyError):
        kyber.encapsulate(key)


@pytest.mark.parametrize("ciphertext", [b"", b"\x08", b"\x0a" + bytes(1568), b"\x08" + bytes(1569)])
def test_what_is_no_ciphertext_is_refused(ciphertext: bytes) -> None:
    with pytest.raises(InvalidMessageError):
        KyberKeyPair.generate().decapsulate(ciphertext)


def test_a_seed_has_64_bytes_and_is_not_shown() -> None:
    pair = KyberKeyPair.generate()

    assert pair.seed().hex() not in repr(pair)
    with pytest.raises(InvalidKeyError):
        KyberKeyPair.from_seed(bytes(32))
