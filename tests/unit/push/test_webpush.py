"""Encryption and signatures of Web Push, against the example of RFC 8291 and as a service would check them."""

from __future__ import annotations

import json

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from hypothesis import given
from hypothesis import strategies as st
from tests.support.push import PushDevice

from sabir.push.webpush import (
    MAX_PAYLOAD_BYTES,
    PAD_BYTES,
    TOKEN_S,
    Vapid,
    bytes_of,
    encrypt,
    public_bytes,
    text_of,
)


def private(text: str) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(bytes_of(text), "big"), ec.SECP256R1())


def test_the_example_of_rfc_8291_is_made_to_the_byte() -> None:
    """RFC 8291 §5 and its appendix A."""
    device = PushDevice(
        private("q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"), bytes_of("BTBZMqHH6r4Tts7J_aSIgg")
    )

    sealed = encrypt(
        b"When I grow up, I want to be a watermelon",
        device.p256dh,
        device.auth,
        bytes_of("DGv6ra1nlYgDCS1FRnbzlw"),
        private("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"),
        pad_bytes=1,
    )

    assert text_of(sealed) == (
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6P"
        "Bru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )
    assert device.open(sealed) == b"When I grow up, I want to be a watermelon"


@given(st.binary(max_size=600), st.binary(min_size=16, max_size=16))
def test_the_device_reads_what_was_sent_and_the_length_says_little(payload: bytes, salt: bytes) -> None:
    device = PushDevice.new()

    sealed = encrypt(payload, device.p256dh, device.auth, salt, ec.generate_private_key(ec.SECP256R1()))

    assert device.open(sealed) == payload
    assert (len(sealed) - 86 - 16) % PAD_BYTES == 0


def test_the_longest_payload_fits_into_what_every_service_takes() -> None:
    device, key = PushDevice.new(), ec.generate_private_key(ec.SECP256R1())

    sealed = encrypt(bytes(MAX_PAYLOAD_BYTES), device.p256dh, device.auth, bytes(16), key)

    assert len(sealed) <= 4096
    with pytest.raises(ValueError, match="too long"):
        encrypt(bytes(MAX_PAYLOAD_BYTES + 1), device.p256dh, device.auth, bytes(16), key)


def test_nobody_else_reads_it() -> None:
    device, other = PushDevice.new(), PushDevice.new()
    key = ec.generate_private_key(ec.SECP256R1())
    sealed = encrypt(b"psst", device.p256dh, device.auth, bytes(16), key)

    with pytest.raises(InvalidTag):
        other.open(sealed)
    with pytest.raises(ValueError, match="EC key"):
        encrypt(b"psst", b"\x04" + bytes(64), device.auth, bytes(16), key)


def test_a_signature_says_who_we_are_to_one_origin_for_half_a_day() -> None:
    """RFC 8292 §2, §3."""
    now = [1_000]
    key = ec.generate_private_key(ec.SECP256R1())
    vapid = Vapid(key, "mailto:ada@example.org", lambda: now[0])

    field = vapid.authorization("https://push.example:8443/x/y?z")

    token, _, shown = field.removeprefix("vapid t=").partition(", k=")
    head, claims, signature = token.split(".")
    assert json.loads(bytes_of(head)) == {"typ": "JWT", "alg": "ES256"}
    assert json.loads(bytes_of(claims)) == {
        "aud": "https://push.example:8443",
        "exp": 1_000 + TOKEN_S,
        "sub": "mailto:ada@example.org",
    }
    raw = bytes_of(signature)
    r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), bytes_of(shown))
    public.verify(utils.encode_dss_signature(r, s), f"{head}.{claims}".encode(), ec.ECDSA(hashes.SHA256()))
    assert bytes_of(shown) == public_bytes(key)
    assert vapid.authorization("https://push.example:8443/other") == field
    assert vapid.authorization("https://push.example/") != field
    now[0] += TOKEN_S // 2 + 1
    assert vapid.authorization("https://push.example:8443/x") != field
