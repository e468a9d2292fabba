"""Files that only the readers of a message can open (XEP-0454): AES-256-GCM, with the key in the message's link."""

from __future__ import annotations

import secrets
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

IV_BYTES: Final = 12
KEY_BYTES: Final = 32
SCHEME: Final = "aesgcm"


def seal(content: bytes) -> tuple[bytes, str]:
    """Return `content` encrypted, and the fragment that opens it."""
    iv, key = secrets.token_bytes(IV_BYTES), secrets.token_bytes(KEY_BYTES)
    return AESGCM(key).encrypt(iv, content, None), (iv + key).hex()


def link(url: str, fragment: str) -> str:
    """Return what is sent in place of the `https` address of an encrypted file (XEP-0454 §2)."""
    return urlunsplit(urlsplit(url)._replace(scheme=SCHEME, fragment=fragment))


def address(link: str, scheme: str = "https") -> tuple[str, bytes]:
    """Return where the file of a link lies, and what opens it.

    Raises:
        ValueError: it is no such link.
    """
    parts = urlsplit(link)
    opener = bytes.fromhex(parts.fragment)
    # XEP-0454 §2: 12 bytes of IV, or 16 as older clients have it.
    if parts.scheme != SCHEME or len(opener) - KEY_BYTES not in (IV_BYTES, 16):
        raise ValueError("not the link of an encrypted file")
    return urlunsplit(parts._replace(scheme=scheme, fragment="")), opener


def unseal(content: bytes, opener: bytes) -> bytes:
    """Return what was encrypted.

    Raises:
        ValueError: somebody changed it, or it is another file.
    """
    try:
        return AESGCM(opener[-KEY_BYTES:]).decrypt(opener[:-KEY_BYTES], content, None)
    except InvalidTag:
        raise ValueError("the file is not the one that was sent") from None
