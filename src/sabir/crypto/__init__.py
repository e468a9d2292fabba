"""End-to-end encryption: the Signal protocol, pure: no socket, no clock, no file."""

from sabir.crypto.cipher import SessionBuilder, SessionCipher
from sabir.crypto.curve import KeyPair
from sabir.crypto.errors import (
    DuplicateMessageError,
    FingerprintError,
    InvalidKeyError,
    InvalidKeyIdError,
    InvalidMessageError,
    InvalidSessionError,
    InvalidVersionError,
    LegacyMessageError,
    NoSessionError,
    SealError,
    SignalProtocolError,
    UntrustedIdentityError,
)
from sabir.crypto.fingerprint import Fingerprint
from sabir.crypto.groups import GroupCipher, GroupSessionBuilder
from sabir.crypto.keys import (
    IdentityKeyPair,
    KyberPreKeyRecord,
    PreKeyBundle,
    PreKeyRecord,
    ProtocolAddress,
    SignedPreKeyRecord,
)
from sabir.crypto.kyber import KyberKeyPair
from sabir.crypto.messages import (
    PreKeySignalMessage,
    SenderKeyDistributionMessage,
    SenderKeyMessage,
    SignalMessage,
)
from sabir.crypto.record import SessionRecord
from sabir.crypto.seal import open_sealed, seal
from sabir.crypto.sender_keys import SenderKeyRecord
from sabir.crypto.sesame import Envelope, Sesame
from sabir.crypto.store import Direction, InMemoryProtocolStore, ProtocolStore

__all__ = (
    "Direction",
    "DuplicateMessageError",
    "Envelope",
    "Fingerprint",
    "FingerprintError",
    "GroupCipher",
    "GroupSessionBuilder",
    "IdentityKeyPair",
    "InMemoryProtocolStore",
    "InvalidKeyError",
    "InvalidKeyIdError",
    "InvalidMessageError",
    "InvalidSessionError",
    "InvalidVersionError",
    "KeyPair",
    "KyberKeyPair",
    "KyberPreKeyRecord",
    "LegacyMessageError",
    "NoSessionError",
    "PreKeyBundle",
    "PreKeyRecord",
    "PreKeySignalMessage",
    "ProtocolAddress",
    "ProtocolStore",
    "SealError",
    "SenderKeyDistributionMessage",
    "SenderKeyMessage",
    "SenderKeyRecord",
    "Sesame",
    "SessionBuilder",
    "SessionCipher",
    "SessionRecord",
    "SignalMessage",
    "SignalProtocolError",
    "SignedPreKeyRecord",
    "UntrustedIdentityError",
    "open_sealed",
    "seal",
)
