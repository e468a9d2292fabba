"""PQXDH (rev 3): X3DH and a secret encapsulated with Kyber-1024, together the keys that a session begins with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sabir.crypto import kdf

INFO: Final = b"WhisperText_X25519_SHA-256_CRYSTALS-KYBER-1024"
"""PQXDH §2.2: application, curve, hash and KEM, as libsignal writes them."""


@dataclass(frozen=True, slots=True, repr=False)
class SessionKeys:
    """What both sides begin with, 32 bytes each.

    Attributes:
        root_key: Of the Double Ratchet.
        chain_key: Of a first chain that the answering side would send with its signed prekey. Who answers has always
            read a message before, and with it a new ratchet key, so nothing is ever sent in that chain.
        pq_key: Of the post-quantum ratchet.
    """

    root_key: bytes
    chain_key: bytes
    pq_key: bytes


def session_keys(agreements: bytes, kyber_secret: bytes) -> SessionKeys:
    """Return the keys of a session; `agreements` is what `x3dh` returns (PQXDH §3.3)."""
    keys = kdf.hkdf(None, agreements + kyber_secret, INFO, 3 * kdf.KEY_BYTES)
    return SessionKeys(keys[:32], keys[32:64], keys[64:])
