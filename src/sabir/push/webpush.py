"""Web Push: what RFC 8030 sends, encrypted as RFC 8291 says, signed as RFC 8292 says. Pure."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlsplit

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

TTL_S: Final = 604_800
"""How long the service keeps a notice for a device that it cannot reach (RFC 8030 §5.2)."""
RECORD_BYTES: Final = 4_096
"""What every service takes at least (RFC 8030 §7.2)."""
PAD_BYTES: Final = 256
"""Lengths are rounded up to a multiple of this: they would say something about the text."""
MAX_PAYLOAD_BYTES: Final = RECORD_BYTES - 16 - 21 - 65 - 1
TOKEN_S: Final = 43_200
"""Life of a signature; RFC 8292 §2 allows a day."""
_SALT_BYTES: Final = 16
_POINT_BYTES: Final = 65


def encrypt(
    payload: bytes,
    p256dh: bytes,
    auth: bytes,
    salt: bytes,
    key: ec.EllipticCurvePrivateKey,
    pad_bytes: int = PAD_BYTES,
) -> bytes:
    """Return a payload as only the device can read it (RFC 8291 §3, RFC 8188 §2).

    Args:
        payload: at most `MAX_PAYLOAD_BYTES`.
        p256dh: the device's public key, an uncompressed point.
        auth: its secret of 16 bytes.
        salt: 16 random bytes.
        key: made for this message alone.
        pad_bytes: the length is rounded up to a multiple of this.

    Raises:
        ValueError: `p256dh` is no point of the curve, or the payload is too long.
    """
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise ValueError("the payload is too long")
    device = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), p256dh)
    ours = public_bytes(key)
    shared = key.exchange(ec.ECDH(), device)
    secret = _derive(auth, shared, b"WebPush: info\x00" + p256dh + ours, 32)  # RFC 8291 §3.4
    content_key = _derive(salt, secret, b"Content-Encoding: aes128gcm\x00", 16)  # RFC 8188 §2.2
    nonce = _derive(salt, secret, b"Content-Encoding: nonce\x00", 12)  # RFC 8188 §2.3
    padded = payload + b"\x02"  # RFC 8188 §2: the delimiter of the last record
    room = min(-len(padded) % pad_bytes, MAX_PAYLOAD_BYTES + 1 - len(padded))
    sealed = AESGCM(content_key).encrypt(nonce, padded + bytes(room), None)
    header = salt + RECORD_BYTES.to_bytes(4, "big") + bytes([_POINT_BYTES]) + ours  # RFC 8188 §2.1
    return header + sealed


def public_bytes(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return the public key of a private one, as an uncompressed point."""
    return key.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )


def text_of(data: bytes) -> str:
    """Return bytes in base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def bytes_of(text: str) -> bytes:
    """Return the bytes that base64url stands for, padded or not."""
    stripped = text.rstrip("=")
    return base64.urlsafe_b64decode(stripped + "=" * (-len(stripped) % 4))


def signed_token(
    key: ec.EllipticCurvePrivateKey, head: Mapping[str, object], claims: Mapping[str, object]
) -> str:
    """Return a JSON Web Token under ES256 (RFC 7519, RFC 7518 §3.4)."""
    parts = (json.dumps({**head, "alg": "ES256"}), json.dumps(dict(claims)))
    text = ".".join(text_of(part.encode()) for part in parts)
    r, s = utils.decode_dss_signature(key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{text}.{text_of(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


class Vapid:
    """Who we are, told to each service (RFC 8292): one signature an origin, used until it is old."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, contact: str, now_s: Callable[[], int]) -> None:
        self._key: Final = key
        self._contact: Final = contact
        self._now_s: Final = now_s
        self.public: Final = text_of(public_bytes(key))
        """For devices, which tell their service that only we may use the subscription."""
        self._made: dict[str, tuple[int, str]] = {}

    def authorization(self, endpoint: str) -> str:
        """Return the header field for a service (RFC 8292 §3)."""
        parts = urlsplit(endpoint)
        origin = f"{parts.scheme}://{parts.netloc}"
        now_s = self._now_s()
        expires_s, field = self._made.get(origin, (0, ""))
        if expires_s - now_s < TOKEN_S // 2:
            if len(self._made) > 1_000:
                self._made.clear()
            expires_s = now_s + TOKEN_S
            field = f"vapid t={self._token(origin, expires_s)}, k={self.public}"
            self._made[origin] = (expires_s, field)
        return field

    def _token(self, origin: str, expires_s: int) -> str:
        claims = {"aud": origin, "exp": expires_s, "sub": self._contact}
        return signed_token(self._key, {"typ": "JWT"}, claims)


def _derive(salt: bytes, secret: bytes, info: bytes, length: int) -> bytes:
    return HKDF(hashes.SHA256(), length, salt, info).derive(secret)
