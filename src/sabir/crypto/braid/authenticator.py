"""What proves that the pieces of a key exchange come from the other side of the session (ML-KEM Braid §2.3).

Its keys follow from the handshake's secret and from each secret that was agreed on since, so whoever takes over a
session has to take it over anew for each epoch. The labels are libsignal's.
"""

from __future__ import annotations

import hmac
from typing import Final

import msgspec

from sabir.crypto.kdf import hkdf

MAC_BYTES: Final = 32

_PROTOCOL: Final = b"Signal_PQCKA_V1_MLKEM768:"
_UPDATE: Final = _PROTOCOL + b"Authenticator Update"
_HEADER: Final = _PROTOCOL + b"ekheader"
_CIPHERTEXT: Final = _PROTOCOL + b"ciphertext"
_OUTPUT: Final = _PROTOCOL + b"SCKA Key"


class Authenticator(msgspec.Struct, frozen=True, array_like=True):
    """The keys that pieces are authenticated with, 32 bytes each; a value."""

    root_key: bytes
    mac_key: bytes

    def updated(self, epoch: int, secret: bytes) -> Authenticator:
        """Return what follows when `secret` of `epoch` was agreed on."""
        derived = hkdf(None, self.root_key + secret, _UPDATE + epoch.to_bytes(8, "big"), 64)
        return Authenticator(derived[:32], derived[32:])

    def header_mac(self, epoch: int, header: bytes) -> bytes:
        """Return the code (32 bytes) of the header of an encapsulation key."""
        return hmac.digest(self.mac_key, _HEADER + epoch.to_bytes(8, "big") + header, "sha256")

    def ciphertext_mac(self, epoch: int, ciphertext: bytes) -> bytes:
        """Return the code (32 bytes) of both parts of a ciphertext."""
        return hmac.digest(self.mac_key, _CIPHERTEXT + epoch.to_bytes(8, "big") + ciphertext, "sha256")


def begin(secret: bytes) -> Authenticator:
    """Return the keys of epoch 1, from the 32-byte `secret` of the handshake."""
    return Authenticator(bytes(32), bytes(32)).updated(1, secret)


def output_key(epoch: int, shared_secret: bytes) -> bytes:
    """Return what the braid gives for `epoch` (32 bytes), from the secret of ML-KEM."""
    return hkdf(None, shared_secret, _OUTPUT + epoch.to_bytes(8, "big"), 32)
