from __future__ import annotations

from typing import Any

import pytest

from sabir.crypto import kdf, x3dh
from sabir.crypto.curve import KeyPair
from sabir.crypto.session import MESSAGE_INFO, MESSAGE_KEYS_BYTES


@pytest.mark.spec("RFC 5869 §2")
@pytest.mark.parametrize("name", ["rfc5869-a.1", "rfc5869-a.2", "rfc5869-a.3"])
def test_hkdf_gives_the_published_keys(vectors: Any, name: str) -> None:
    vector = {key: bytes.fromhex(value) for key, value in vectors["hkdf"][name].items()}

    out = kdf.hkdf(vector["salt"], vector["secret"], vector["info"], len(vector["out"]))

    assert out == vector["out"]


@pytest.mark.spec("Double Ratchet §7.2")
def test_a_chain_steps_and_gives_keys_as_published(vectors: Any) -> None:
    vector = {key: bytes.fromhex(value) for key, value in vectors["chain"].items()}

    keys = kdf.hkdf(None, kdf.message_seed(vector["chain_key"]), MESSAGE_INFO, MESSAGE_KEYS_BYTES)

    assert keys[:64] == vector["cipher_key"] + vector["mac_key"]
    assert kdf.next_chain_key(vector["chain_key"]) == vector["next_chain_key"]


@pytest.mark.spec("X3DH §3.4")
def test_who_answers_gets_the_published_chain(vectors: Any) -> None:
    vector = {key: bytes.fromhex(value) for key, value in vectors["x3dh"].items() if key != "info"}
    identity = KeyPair.from_private(vector["answerer_identity"])
    signed = KeyPair.from_private(vector["answerer_signed_prekey"])

    secret = x3dh.answer(identity, signed, None, vector["initiator_identity"], vector["initiator_base"])

    assert kdf.hkdf(None, secret, b"WhisperText", 64)[32:] == vector["chain_key"]


@pytest.mark.spec("X3DH §3.3")
def test_a_one_time_prekey_changes_the_secret() -> None:
    ours, base, theirs, signed, prekey = (KeyPair.generate() for _ in range(5))

    without = x3dh.initiate(ours, base, theirs.public_key, signed.public_key, None)
    secret = x3dh.initiate(ours, base, theirs.public_key, signed.public_key, prekey.public_key)

    assert secret == x3dh.answer(theirs, signed, prekey, ours.public_key, base.public_key)
    assert secret[:128] == without
    assert len(secret) == 160
