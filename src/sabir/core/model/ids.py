"""Identifiers, so that a conversation's number is never taken for an account's."""

from __future__ import annotations

from typing import NewType

ActorId = NewType("ActorId", int)
AccountId = NewType("AccountId", int)
ConversationId = NewType("ConversationId", int)

EventId = bytes
"""16 bytes, UUIDv7 shape (`sabir.base.ids`), strictly increasing in the order of the log."""
