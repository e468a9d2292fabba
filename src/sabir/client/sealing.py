"""Sealing: what lies in the archive is unreadable without the device's key."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
SALT_BYTES: Final = 16
VERSION: Final = b"\x01"
# RFC 7914 §2; about 100 ms and 64 MiB, once at the start.
SCRYPT_N, SCRYPT_R, SCRYPT_P = 2**16, 8, 1


class WrongKey(Exception):
    """What was sealed does not open: another passphrase, or something changed it."""


class Seal:
    """Seals with ChaCha20-Poly1305 (RFC 8439), each value bound to its place by `context`.

    A sealed value is a version byte, a random nonce of 12 bytes and the ciphertext with its tag of 16 bytes. A
    device seals some million values in its life, far from the 2^32 at which random nonces become a risk.
    """

    def __init__(self, key: bytes) -> None:
        self._cipher: Final = ChaCha20Poly1305(key)

    def close(self, value: bytes, context: str) -> bytes:
        """Return `value` sealed."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return VERSION + nonce + self._cipher.encrypt(nonce, value, VERSION + context.encode())

    def open(self, sealed: bytes, context: str) -> bytes:
        """Return what was sealed under the same context.

        Raises:
            WrongKey: it was sealed with another key, for another place, or was changed.
        """
        if sealed[:1] != VERSION:
            raise WrongKey("sealed by another version of this program")
        nonce, ciphertext = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        try:
            return self._cipher.decrypt(nonce, ciphertext, VERSION + context.encode())
        except (InvalidTag, ValueError):
            raise WrongKey("not sealed with this key") from None


def key_of(folder: Path, passphrase: str | None) -> bytes:
    """Return the key of the device whose things are in `folder`, made at the first call.

    Without a passphrase the key lies beside what it seals, readable by its owner alone: that keeps the archive from
    other accounts of the machine and from a backup that leaves the key out, not from who takes the disk.
    """
    if passphrase is None:
        return _kept(folder / "key", KEY_BYTES)
    salt = _kept(folder / "salt", SALT_BYTES)
    return Scrypt(salt=salt, length=KEY_BYTES, n=SCRYPT_N, r=SCRYPT_R, p=SCRYPT_P).derive(passphrase.encode())


def _kept(path: Path, size: int) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        made = secrets.token_bytes(size)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(made)
            file.flush()
            os.fsync(file.fileno())
        return made
