"""Keys from keys: HKDF with SHA-256 (RFC 5869) and the steps of chains. Compiled by mypyc."""

from __future__ import annotations

import hmac
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

HASH_BYTES: Final = 32
KEY_BYTES: Final = 32

_SHA256: Final = SHA256()
_MESSAGE_KEY: Final = b"\x01"
_CHAIN_KEY: Final = b"\x02"


def hkdf(salt: bytes | None, secret: bytes, info: bytes, size: int) -> bytes:
    """Return `size` bytes (at most 8,160) made of `secret` for the purpose `info` (RFC 5869 §2)."""
    return HKDF(_SHA256, size, salt, info).derive(secret)


def message_seed(chain_key: bytes) -> bytes:
    """Return what the keys of the next message of a chain are made of (Double Ratchet §7.2)."""
    return hmac.digest(chain_key, _MESSAGE_KEY, "sha256")


def next_chain_key(chain_key: bytes) -> bytes:
    """Return the key of a chain one message later (Double Ratchet §7.2)."""
    return hmac.digest(chain_key, _CHAIN_KEY, "sha256")
