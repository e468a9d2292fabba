from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

from sabir.crypto import SealError, open_sealed, seal
from sabir.crypto.seal import OVERHEAD_BYTES

KEY = bytes(range(32))


def test_what_was_sealed_is_opened_with_the_same_key_and_purpose_only() -> None:
    sealed = seal(KEY, b"state", purpose=b"session alice.1")

    assert open_sealed(KEY, sealed, purpose=b"session alice.1") == b"state"
    assert len(sealed) == len(b"state") + OVERHEAD_BYTES
    assert sealed != seal(KEY, b"state", purpose=b"session alice.1")
    with pytest.raises(SealError):
        open_sealed(KEY, sealed, purpose=b"session bob.1")
    with pytest.raises(SealError):
        open_sealed(bytes(32), sealed, purpose=b"session alice.1")


def test_no_byte_can_be_altered_or_cut_off() -> None:
    sealed = seal(KEY, b"state", purpose=b"")

    for place in range(len(sealed)):
        altered = bytearray(sealed)
        altered[place] ^= 1
        for bad in (bytes(altered), sealed[:place]):
            with pytest.raises(SealError):
                open_sealed(KEY, bad, purpose=b"")


def test_a_key_has_32_bytes() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        seal(bytes(16), b"", purpose=b"")
    with pytest.raises(ValueError, match="32 bytes"):
        open_sealed(bytes(16), seal(KEY, b"", purpose=b""), purpose=b"")


@pytest.mark.spec("RFC 8452 §C.2")
def test_the_cipher_is_the_published_one(vectors: Any) -> None:
    vector = {key: bytes.fromhex(value) for key, value in vectors["aes-256-gcm-siv"].items()}

    out = AESGCMSIV(vector["key"]).encrypt(vector["nonce"], vector["plaintext"], vector["aad"])

    assert out == vector["out"]
