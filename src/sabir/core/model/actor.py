"""Who can send, be a member or be banned; and the local people among them (DATAMODEL 1.3)."""

from __future__ import annotations

from enum import Enum

from sabir.core.model.ids import AccountId, ActorId


class ActorKind(Enum):
    """Where an actor lives."""

    LOCAL = "local"
    REMOTE = "remote"
    GUEST = "guest"
    TEMPORARY = "temporary"
    """Here for one session, with an account that ends with it: a guest who can be written to."""


class AccountState(Enum):
    """Whether an account may log in."""

    ACTIVE = "active"
    DISABLED = "disabled"
    DELETED = "deleted"
    """Nobody ever gets the name again: what its owner said stays in other people's histories under it."""
    TEMPORARY = "temporary"
    """Of somebody who said no name: it ends with its session."""


class Actor:
    """Anyone who can send. `name` is the account name, the guest's nick, or the remote address."""

    def __init__(
        self, id: ActorId, kind: ActorKind, name: str, account_id: AccountId | None, protocol: str, uri: str
    ) -> None:
        self.id = id
        self.kind = kind
        self.name = name
        self.account_id = account_id
        self.protocol = protocol
        self.uri = uri
        self.rooms_owned = 0
        """Rooms with this owner that exist; `Conversation` counts."""
        self.is_kept = False
        """A conversation in memory names it, stored or not."""


class Account:
    """A local person or bot.

    `box_head` is the last mailbox number given (DATAMODEL 1.7); `delivered_seq` the last log number that
    any device of the account was given, from which offline delivery starts.
    """

    def __init__(
        self, id: AccountId, uuid: bytes, name: str, state: AccountState, actor: Actor, created_ms: int
    ) -> None:
        self.id = id
        self.uuid = uuid
        self.name = name
        self.state = state
        self.actor = actor
        self.created_ms = created_ms
        self.box_head = 0
        self.generation = 1
        self.delivered_seq = 0
        self.display = ""
        self.secrets_no = 0
        """Raised with each change after which nobody may get in by what was proven before."""
        self.left_ms = 0
        """When a device of it last went; 0 if none did since the server started."""
