"""What one side of the braid remembers: the eleven states of the protocol, five of who makes a key, six of who answers.

    who makes the key                                   who answers

    KeysUnsampled      nothing sent in this epoch       NoHeaderReceived      waits for the header
      | sends                                             | the header is whole
    KeysSampled        sends the header                 HeaderReceived        holds the header
      | a piece of ct1                                    | sends
    HeaderSent         sends the key, reads ct1         Ct1Sampled            sends ct1, reads the key
      | ct1 is whole                                      | key whole | both   | ct1 has arrived
    Ct1Received        sends the key and says so        EkReceivedCt1Sampled  |  Ct1Acknowledged
      | a piece of ct2                                    | ct1 has arrived   | the key is whole
    EkSentCt1Received  says so, reads ct2               Ct2Sampled            sends ct2
      | ct2 is whole: the secret                          | the other side is in the next epoch
    NoHeaderReceived of the next epoch                  KeysUnsampled of the next epoch

All are values, and hold what they need and no more: a secret is gone with the last state that uses it.
"""

from __future__ import annotations

import msgspec

from sabir.crypto.braid.authenticator import Authenticator


class Outgoing(msgspec.Struct, frozen=True, array_like=True):
    """Something that is sent in pieces, and the number of its next piece."""

    data: bytes
    number: int


class KeysUnsampled(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """Nothing is made yet."""


class KeysSampled(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """A key pair is made of `seed`, and its header is sent."""

    seed: bytes
    header: Outgoing


class HeaderSent(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """The other side has the header; the key is sent and ct1 comes in."""

    seed: bytes
    key: Outgoing
    ct1: dict[int, bytes]


class Ct1Received(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """All of ct1 is here; the key is still sent."""

    seed: bytes
    key: Outgoing
    ct1: bytes


class EkSentCt1Received(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """The other side has all of the key; ct2 comes in, with its code."""

    seed: bytes
    ct1: bytes
    ct2: dict[int, bytes]


class NoHeaderReceived(msgspec.Struct, frozen=True, array_like=True, tag=6):
    """The header of the other side's key comes in, with its code."""

    header: dict[int, bytes]


class HeaderReceived(msgspec.Struct, frozen=True, array_like=True, tag=7):
    """The header is whole and true."""

    header: bytes


class Ct1Sampled(msgspec.Struct, frozen=True, array_like=True, tag=8):
    """ct1 is made of the secret `random`, and sent; the key comes in."""

    header: bytes
    random: bytes
    ct1: Outgoing
    key: dict[int, bytes]


class EkReceivedCt1Sampled(msgspec.Struct, frozen=True, array_like=True, tag=9):
    """The key is whole; ct1 is still sent."""

    header: bytes
    random: bytes
    ct1: Outgoing
    key: bytes


class Ct1Acknowledged(msgspec.Struct, frozen=True, array_like=True, tag=10):
    """The other side has all of ct1; the key still comes in."""

    header: bytes
    random: bytes
    ct1: bytes
    key: dict[int, bytes]


class Ct2Sampled(msgspec.Struct, frozen=True, array_like=True, tag=11):
    """ct2 and its code are sent."""

    ct2: Outgoing


State = (
    KeysUnsampled
    | KeysSampled
    | HeaderSent
    | Ct1Received
    | EkSentCt1Received
    | NoHeaderReceived
    | HeaderReceived
    | Ct1Sampled
    | EkReceivedCt1Sampled
    | Ct1Acknowledged
    | Ct2Sampled
)


class Braid(msgspec.Struct, frozen=True, array_like=True):
    """One side of the braid.

    Attributes:
        epoch: Which secret is being agreed on, from 1.
        authenticator: What this epoch's pieces are proven with.
        state: How far it is.
    """

    epoch: int
    authenticator: Authenticator
    state: State
