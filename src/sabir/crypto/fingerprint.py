"""Safety numbers: what two people compare to know that nobody sits between them, as digits or as a code to scan.

Both forms are those of libsignal, so that one of the two may use another client.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from hmac import compare_digest
from typing import Final

from sabir.crypto import curve
from sabir.crypto.errors import FingerprintError
from sabir.crypto.protobuf import Fields, ProtobufError, Writer

ITERATIONS: Final = 5200
"""What the clients of Signal use: makes a collision of 112 bits dearer."""
SCANNABLE_VERSION: Final = 2
"""Clients that identify people by account identifiers; they used phone numbers in version 1."""

_HASH_VERSION: Final = bytes(2)
_DIGIT_BYTES: Final = 30
_SCANNED_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The safety number of two people.

    Attributes:
        digits: 60 digits, the same on both sides: 30 of each person, the smaller first.
        scannable: The content of the QR code; the other side's differs.
    """

    digits: str
    scannable: bytes

    @classmethod
    def of(
        cls,
        our_name: bytes,
        our_identity: bytes,
        their_name: bytes,
        their_identity: bytes,
        *,
        iterations: int = ITERATIONS,
        version: int = SCANNABLE_VERSION,
    ) -> Fingerprint:
        """Return the safety number of two names and their identity keys (33 bytes). Takes some milliseconds.

        Raises:
            InvalidKeyError: A key is no proper public key.
            ValueError: `iterations` is not in 2 to 1,000,000.
        """
        if not 2 <= iterations <= 1_000_000:
            raise ValueError(f"{iterations} iterations")
        ours = _hash(our_name, our_identity, iterations)
        theirs = _hash(their_name, their_identity, iterations)
        writer = Writer()
        writer.number(1, version)
        writer.data(2, _logical(ours))
        writer.data(3, _logical(theirs))
        return cls("".join(sorted((_digits(ours), _digits(theirs)))), writer.finish())

    def groups(self) -> str:
        """Return the digits as people read them: twelve groups of five."""
        return " ".join(self.digits[at : at + 5] for at in range(0, len(self.digits), 5))

    def matches(self, scanned: bytes) -> bool:
        """Return whether what was scanned from the other's screen is the safety number of the same two.

        Raises:
            FingerprintError: It is no safety number, or of another version.
        """
        own_version, ours, theirs = _read(self.scannable)
        version, their_own, their_other = _read(scanned)
        if version != own_version:
            raise FingerprintError(f"a safety number of version {version}, ours is {own_version}")
        return compare_digest(ours, their_other) and compare_digest(theirs, their_own)


def _hash(name: bytes, identity: bytes, iterations: int) -> bytes:
    curve.check_public_key(identity)
    digest = hashlib.sha512(_HASH_VERSION + identity + name + identity).digest()
    for _ in range(iterations - 1):
        digest = hashlib.sha512(digest + identity).digest()
    return digest


def _digits(digest: bytes) -> str:
    parts = (digest[at : at + 5] for at in range(0, _DIGIT_BYTES, 5))
    return "".join(f"{int.from_bytes(part, 'big') % 100_000:05}" for part in parts)


def _logical(digest: bytes) -> bytes:
    writer = Writer()
    writer.data(1, digest[:_SCANNED_BYTES])
    return writer.finish()


def _read(scannable: bytes) -> tuple[int, bytes, bytes]:
    try:
        fields = Fields(scannable)
        return (
            fields.needed_number(1),
            Fields(fields.needed_data(2)).needed_data(1),
            Fields(fields.needed_data(3)).needed_data(1),
        )
    except ProtobufError as error:
        raise FingerprintError(f"no safety number: {error}") from error
