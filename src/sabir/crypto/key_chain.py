"""The symmetric part of the Sparse Post-Quantum Ratchet: a key for each message, from the secrets of the braid.

Double Ratchet §5. There is a pair of chains, one a direction, for each epoch: epoch 0 starts with the secret of the
handshake, and each secret of the braid opens the next. What is not needed any more is deleted as early as it can be:
a chain of sending as soon as a later epoch is sent in, a chain of receiving one epoch later, a key that was passed
over when 2,000 later ones were used.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import msgspec

from sabir.crypto.errors import DuplicateMessageError, InvalidMessageError, InvalidSessionError
from sabir.crypto.kdf import hkdf

MOST_JUMP: Final = 25_000
"""A message further ahead of the last one in its chain is refused: each step costs a key derivation."""
MOST_SKIPPED: Final = 2_000
"""Keys kept in each chain for messages that may still arrive."""
EPOCHS_KEPT: Final = 1
"""Epochs before the one that is sent in, whose messages are still read."""

_START: Final = b"Signal PQ Ratchet V1 Chain  Start"
_NEXT: Final = b"Signal PQ Ratchet V1 Chain Next"
_ADD_EPOCH: Final = b"Signal PQ Ratchet V1 Chain Add Epoch"


class Direction(IntEnum):
    """Who this side is: A2B has begun the session and sends from A to B."""

    A2B = 0
    B2A = 1


class Sending(msgspec.Struct, frozen=True, array_like=True):
    """A chain of sending: the number of keys taken from it, and its key."""

    count: int
    key: bytes


class Receiving(msgspec.Struct, frozen=True, array_like=True):
    """A chain of receiving: its highest number so far, its key, and the keys that were passed over, by number."""

    count: int
    key: bytes
    skipped: dict[int, bytes]


class Link(msgspec.Struct, frozen=True, array_like=True):
    """The chains of one epoch; that of sending is gone once a later epoch is sent in."""

    epoch: int
    sending: Sending | None
    receiving: Receiving


class KeyChain(msgspec.Struct, frozen=True, array_like=True):
    """All chains of one side of a session; a value: each change returns another.

    Attributes:
        direction: Which side this is.
        root: 32 bytes from which the next epoch is derived together with its secret.
        links: The epochs that are still used, ascending without gaps.
    """

    direction: Direction
    root: bytes
    links: tuple[Link, ...]

    def with_epoch(self, epoch: int, secret: bytes) -> KeyChain:
        """Open `epoch`, the one after the newest, with the 32-byte `secret` of the braid."""
        root, link = _open(self.direction, epoch, self.root, secret, _ADD_EPOCH)
        return KeyChain(self.direction, root, (*self.links, link))

    def send(self, epoch: int) -> tuple[KeyChain, int, bytes]:
        """Take the next key of `epoch` to send with: the chains after it, the number and the key (32 bytes).

        Raises:
            InvalidSessionError: There is no such chain; no state that was made here comes to that.
        """
        links = []
        number, key = 0, b""
        for link in self.links:
            if link.epoch == epoch and link.sending is not None:
                number = link.sending.count + 1
                following, key = _step(link.sending.key, number)
                links.append(Link(epoch, Sending(number, following), link.receiving))
            elif link.epoch > epoch:
                links.append(link)
            elif link.epoch >= epoch - EPOCHS_KEPT:
                links.append(Link(link.epoch, None, link.receiving))
        if not number:
            raise InvalidSessionError("post-quantum ratchet: no chain to send in")
        return KeyChain(self.direction, self.root, tuple(links)), number, key

    def receive(self, epoch: int, number: int) -> tuple[KeyChain, bytes]:
        """Take the key of message `number` of `epoch`: the chains after it and the key (32 bytes).

        Raises:
            DuplicateMessageError: The key was taken before, or passed over too long ago.
            InvalidMessageError: There is no such epoch (any more), or the number is too far ahead.
        """
        for at, link in enumerate(self.links):
            if link.epoch == epoch:
                receiving, key = _reach(link.receiving, number)
                changed = Link(epoch, link.sending, receiving)
                links = (*self.links[:at], changed, *self.links[at + 1 :])
                return KeyChain(self.direction, self.root, links), key
        raise InvalidMessageError("post-quantum ratchet: a message of an unknown epoch")


def start(direction: Direction, secret: bytes) -> KeyChain:
    """Return the chains of epoch 0, from the 32-byte `secret` of the handshake."""
    root, link = _open(direction, 0, None, secret, _START)
    return KeyChain(direction, root, (link,))


def _open(
    direction: Direction, epoch: int, salt: bytes | None, secret: bytes, info: bytes
) -> tuple[bytes, Link]:
    derived = hkdf(salt, secret, info, 96)
    a2b, b2a = derived[32:64], derived[64:]
    ours, theirs = (a2b, b2a) if direction is Direction.A2B else (b2a, a2b)
    return derived[:32], Link(epoch, Sending(0, ours), Receiving(0, theirs, {}))


def _step(key: bytes, number: int) -> tuple[bytes, bytes]:
    """Return the key of the chain after `number` and that of the message."""
    derived = hkdf(None, key, number.to_bytes(4, "big") + _NEXT, 64)
    return derived[:32], derived[32:]


def _reach(chain: Receiving, number: int) -> tuple[Receiving, bytes]:
    if number <= chain.count:
        key = chain.skipped.get(number)
        if key is None:
            raise DuplicateMessageError("post-quantum ratchet: the key of this message exists no longer")
        left = {kept: value for kept, value in chain.skipped.items() if kept != number}
        return Receiving(chain.count, chain.key, left), key
    if number - chain.count > MOST_JUMP:
        raise InvalidMessageError("post-quantum ratchet: too far ahead")
    following, skipped = chain.key, chain.skipped
    oldest = number - MOST_SKIPPED
    # Kept keys stand in their order, so a look at the first tells whether any is too old.
    if number > chain.count + 1 or (skipped and next(iter(skipped)) < oldest):
        skipped = {kept: value for kept, value in skipped.items() if kept >= oldest}
        for passed in range(chain.count + 1, number):
            following, key = _step(following, passed)
            if passed >= oldest:
                skipped[passed] = key
    following, key = _step(following, number)
    return Receiving(number, following, skipped), key
