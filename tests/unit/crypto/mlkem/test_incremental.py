"""ML-KEM-768 in two steps, beside published answers and the native implementation."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey

from sabir.crypto.mlkem.incremental import (
    CT1_BYTES,
    CT2_BYTES,
    EK_VECTOR_BYTES,
    HEADER_BYTES,
    InvalidEncapsulationKeyError,
    decapsulate,
    encapsulate1,
    encapsulate2,
    generate,
)
from sabir.crypto.mlkem.ring import pack

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[3] / "vectors/mlkem/kat_mlkem_768.json").read_text()
)


@pytest.mark.spec("FIPS 203 §7.2")
@pytest.mark.parametrize("case", VECTORS, ids=lambda case: str(case["count"]))
def test_the_known_answers_come_out(case: dict[str, Any]) -> None:
    seed, message = bytes.fromhex(case["d"] + case["z"]), bytes.fromhex(case["msg"])

    header, vector = generate(seed)
    ct1, secret = encapsulate1(header, message)
    ct2 = encapsulate2(header, vector, message)

    assert hashlib.sha256(vector + header[:32]).hexdigest() == case["pk_sha256"]
    assert hashlib.sha256(ct1 + ct2).hexdigest() == case["ct_sha256"]
    assert secret == decapsulate(seed, ct1, ct2) == bytes.fromhex(case["ss"])
    assert [len(part) for part in (header, vector, ct1, ct2)] == [
        HEADER_BYTES,
        EK_VECTOR_BYTES,
        CT1_BYTES,
        CT2_BYTES,
    ]


@pytest.mark.spec("FIPS 203 §7.3")
@pytest.mark.parametrize(
    "case", [case for case in VECTORS if "ct_n" in case], ids=lambda case: str(case["count"])
)
def test_a_foreign_ciphertext_gives_the_secret_of_implicit_rejection(case: dict[str, Any]) -> None:
    foreign = bytes.fromhex(case["ct_n"])

    secret = decapsulate(bytes.fromhex(case["d"] + case["z"]), foreign[:CT1_BYTES], foreign[CT1_BYTES:])

    assert secret == bytes.fromhex(case["ss_n"])


def test_the_native_implementation_reads_ours_and_ours_reads_it() -> None:
    for _ in range(10):
        seed, message = os.urandom(64), os.urandom(32)
        native = MLKEM768PrivateKey.from_seed_bytes(seed)
        header, vector = generate(seed)

        ct1, secret = encapsulate1(header, message)

        assert native.decapsulate(ct1 + encapsulate2(header, vector, message)) == secret
        secret, ciphertext = MLKEM768PublicKey.from_public_bytes(vector + header[:32]).encapsulate()
        assert decapsulate(seed, ciphertext[:CT1_BYTES], ciphertext[CT1_BYTES:]) == secret


@pytest.mark.spec("FIPS 203 §7.2")
def test_another_key_than_the_announced_one_is_refused() -> None:
    header, vector = generate(bytes(64))

    for wrong in (
        vector[:-1],
        vector + b"\0",
        bytes([vector[0] ^ 1]) + vector[1:],
        generate(b"\x01" * 64)[1],
    ):
        with pytest.raises(InvalidEncapsulationKeyError):
            encapsulate2(header, wrong, bytes(32))


@pytest.mark.spec("FIPS 203 §7.2")
def test_a_key_with_a_number_that_is_not_reduced_is_refused() -> None:
    vector = pack([0] * 255 + [3329], 12) + bytes(768)
    header = bytes(32) + hashlib.sha3_256(vector + bytes(32)).digest()

    with pytest.raises(InvalidEncapsulationKeyError):
        encapsulate2(header, vector, bytes(32))
