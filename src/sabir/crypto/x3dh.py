"""X3DH (rev 1): the agreements between two who were never online together, that PQXDH and OMEMO begin with."""

from __future__ import annotations

from typing import Final

from sabir.crypto.curve import KeyPair

_BEFORE: Final = b"\xff" * 32
"""X3DH §2.2: `F`, so that the input is never one that XEdDSA hashes."""


def initiate(
    identity: KeyPair,
    base: KeyPair,
    their_identity: bytes,
    their_signed_prekey: bytes,
    their_prekey: bytes | None,
) -> bytes:
    """Return what the side that begins agrees on: `F || DH1 || DH2 || DH3 [|| DH4]`, 128 or 160 bytes (X3DH §3.3).

    Raises:
        InvalidKeyError: A key of the other side is no proper point.
    """
    secret = (
        _BEFORE
        + identity.agree(their_signed_prekey)
        + base.agree(their_identity)
        + base.agree(their_signed_prekey)
    )
    return secret if their_prekey is None else secret + base.agree(their_prekey)


def answer(
    identity: KeyPair,
    signed_prekey: KeyPair,
    prekey: KeyPair | None,
    their_identity: bytes,
    their_base: bytes,
) -> bytes:
    """Return the same for the side that answers (X3DH §3.4).

    Raises:
        InvalidKeyError: A key of the other side is no proper point.
    """
    secret = (
        _BEFORE
        + signed_prekey.agree(their_identity)
        + identity.agree(their_base)
        + signed_prekey.agree(their_base)
    )
    return secret if prekey is None else secret + prekey.agree(their_base)
