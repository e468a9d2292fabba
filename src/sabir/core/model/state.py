"""The body of entries that the core itself writes (`Event.protocol == CORE`): who did what to a room.

Stored as MessagePack of one tagged union, so that every protocol can render them in its own words.
"""

from __future__ import annotations

import msgspec

from sabir.core.model.conversation import Membership, Role, RoomConfig


class MemberChanged(msgspec.Struct, frozen=True, tag="member"):
    """An actor's membership or role changed.

    `by` is the actor who did it; equal to `actor` for join and leave.
    """

    actor: int
    nick: str
    membership: Membership
    role: Role
    old_role: Role
    by: int
    by_nick: str
    reason: str = ""
    kicked: bool = False


class TopicChanged(msgspec.Struct, frozen=True, tag="topic"):
    """The topic was set, or removed with an empty text."""

    text: str
    nick: str


class ConfigChanged(msgspec.Struct, frozen=True, tag="config"):
    """The room's configuration was replaced."""

    config: RoomConfig
    by_nick: str


class MasksChanged(msgspec.Struct, frozen=True, tag="masks"):
    """A ban mask was added or removed."""

    pattern: str
    added: bool
    by_nick: str


class Created(msgspec.Struct, frozen=True, tag="created"):
    """The room came into being."""

    by_nick: str


class Destroyed(msgspec.Struct, frozen=True, tag="destroyed"):
    """The room was closed for good; `alternate` names a room to go to instead."""

    reason: str = ""
    alternate: str = ""


StateEntry = MemberChanged | TopicChanged | ConfigChanged | MasksChanged | Created | Destroyed

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[StateEntry] = msgspec.msgpack.Decoder(StateEntry)


def encode_state(entry: StateEntry) -> bytes:
    """Return the stored form of `entry`."""
    return _encoder.encode(entry)


def decode_state(native: bytes) -> StateEntry:
    """Return the entry that `encode_state` stored. Raises `msgspec.DecodeError` on damage."""
    return _decoder.decode(native)
