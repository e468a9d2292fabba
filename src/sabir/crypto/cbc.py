"""AES-256-CBC with PKCS #7 padding, which messages are encrypted with; their MAC or signature is checked first."""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from sabir.crypto.errors import InvalidMessageError

BLOCK_BYTES: Final = 16


def encrypt(key: bytes, iv: bytes, plaintext: bytes) -> bytes:
    """Return the ciphertext, 1 to 16 bytes longer; `key` has 32 bytes, `iv` 16, and both are used once."""
    missing = BLOCK_BYTES - len(plaintext) % BLOCK_BYTES
    encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    return encryptor.update(plaintext + bytes((missing,)) * missing) + encryptor.finalize()


def decrypt(key: bytes, iv: bytes, ciphertext: bytes) -> bytes:
    """Return the plaintext of a ciphertext whose author is already proven.

    Raises:
        InvalidMessageError: No whole blocks, or no padding: its author did not follow the protocol.
    """
    if not ciphertext or len(ciphertext) % BLOCK_BYTES:
        raise InvalidMessageError("a ciphertext that is not made of whole blocks")
    decryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor()
    padded = decryptor.update(ciphertext) + decryptor.finalize()
    missing = padded[-1]
    if not 1 <= missing <= BLOCK_BYTES or padded[-missing:] != bytes((missing,)) * missing:
        raise InvalidMessageError("a ciphertext without padding")
    return padded[:-missing]
