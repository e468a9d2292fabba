"""Sealed storage: records as they may lie on a disk, with a key that the caller keeps elsewhere.

AES-256-GCM-SIV (RFC 8452) with a random nonce, because a state is sealed again after every message and machines are
copied and put back to snapshots: were a nonce ever repeated, this tells no more than whether two states were equal,
where ChaCha20-Poly1305 or GCM would give away their difference and the key of the MAC.
"""

from __future__ import annotations

import secrets
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

from sabir.crypto.errors import SealError

KEY_BYTES: Final = 32
OVERHEAD_BYTES: Final = 29
"""What sealing adds: version, nonce and tag."""

_VERSION: Final = b"\x01"
_NONCE_BYTES: Final = 12


def seal(key: bytes, data: bytes, *, purpose: bytes) -> bytes:
    """Return `data` sealed with `key` (32 bytes, random or from a key derivation, never a password).

    `purpose` names what it is and whose (`b"session alice.1"`), so that one sealed thing cannot be put in the place of
    another. That somebody puts back an older one of the same purpose cannot be seen here.

    Raises:
        ValueError: The key has another length.
    """
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return _VERSION + nonce + _cipher(key).encrypt(nonce, data, _VERSION + purpose)


def open_sealed(key: bytes, sealed: bytes, *, purpose: bytes) -> bytes:
    """Return what was sealed.

    Raises:
        SealError: It was altered, or sealed with another key, for another purpose or by an unknown version.
        ValueError: The key has another length.
    """
    if sealed[:1] != _VERSION or len(sealed) < OVERHEAD_BYTES:
        raise SealError("nothing that was sealed by a known version")
    nonce = sealed[1 : 1 + _NONCE_BYTES]
    try:
        return _cipher(key).decrypt(nonce, sealed[1 + _NONCE_BYTES :], _VERSION + purpose)
    except InvalidTag:
        raise SealError("altered, or sealed with another key or for another purpose") from None


def _cipher(key: bytes) -> AESGCMSIV:
    if len(key) != KEY_BYTES:
        raise ValueError(f"a key for sealing has {KEY_BYTES} bytes")
    return AESGCMSIV(key)
