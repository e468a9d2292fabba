"""Everything that this package refuses, by the names that people know from libsignal.

A refusal changes no state: what was refused can be tried again, and the next message is read as if it had never come.
"""


class SignalProtocolError(Exception):
    """What is common to all refusals of this package. The text never holds a key or a message."""


class InvalidKeyError(SignalProtocolError):
    """A key of the wrong type or length, a point of low order or not in canonical form, or a wrong signature."""


class InvalidKeyIdError(SignalProtocolError):
    """A message names a prekey that is not in the store: never made, used up or rotated out."""


class InvalidMessageError(SignalProtocolError):
    """A message that is malformed, too large, altered, or not made by the other side of any of our sessions."""


class LegacyMessageError(InvalidMessageError):
    """A message of a version older than 4: made without post-quantum keys."""


class InvalidVersionError(InvalidMessageError):
    """A message of a version that does not exist yet."""


class DuplicateMessageError(SignalProtocolError):
    """A message that was read before: its key exists no longer."""


class UntrustedIdentityError(SignalProtocolError):
    """The identity key of `name` is not the one that the store trusts; people should compare safety numbers.

    `store.save_identity(address, error.identity_key)` accepts the new key; then the message can be tried again.
    """

    def __init__(self, name: str, identity_key: bytes) -> None:
        super().__init__(f"the identity key of {name} is not the one that is trusted")
        self.name = name
        self.identity_key = identity_key


class NoSessionError(SignalProtocolError):
    """There is no session with this address, or none that can send: fetch a bundle and process it first."""


class InvalidSessionError(SignalProtocolError):
    """A serialised session, sender key or key record that is damaged or of an unknown version."""


class FingerprintError(SignalProtocolError):
    """A scanned safety number that is malformed, of another version, or of other people than these two."""


class SealError(SignalProtocolError):
    """Sealed state that was altered, sealed with another key or for another purpose."""
