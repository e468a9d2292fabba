"""Entries of the log: what a session asks for (`Draft`) and what the log made of it (`Event`).

Both are made once per message, so they are plain classes with typed attributes: mypyc turns them into C
structs, and interpreted they are still cheap.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sabir.core.model.content import Content
    from sabir.core.model.ids import ActorId, ConversationId, EventId


class Kind(IntEnum):
    """What an entry of a conversation is.

    The numbers are stored; 9 to 11 are kept for what DATAMODEL plans: erasures by an operator, generations, changes
    of authority.
    """

    MESSAGE = 1
    EDIT = 2
    DELETE = 3
    """The target was taken back. The entry itself is the record that its body was erased (decision 7)."""
    REACTION = 4
    TOPIC = 5
    MEMBER = 6
    """Membership or role changed: joined, left, invited, kicked, banned, promoted."""
    STATE = 7
    """Any other state of the conversation: its configuration, modes, ban masks."""
    CALL = 8
    """A call was proposed, or ended."""


# Flags of an event; the bits are stored.
UNREAD: Final = 1
"""Counts as unread: raises `message_no`."""
ENCRYPTED: Final = 2
"""End-to-end encrypted: has no canonical content, is never searched or pushed with text."""
NOTICE: Final = 4
"""Automatic; never answer it."""
EMOTE: Final = 8
SILENT: Final = 16
"""Stored, but not shown live to readers of other protocols (a reaction without a fallback, a state
change).
"""
IMPORTED: Final = 64
"""It was said on another server, and came with an import: nobody missed it here."""

MORE: Final = 64
"""The next entry is of the same set of reactions and has the same native form: who shows that waits for it."""

CORE: Final = "core"
"""`Event.protocol` of entries that the core itself wrote; their native form is a `sabir.core.model.state`
value.
"""


class Draft:
    """What a session wants appended to a conversation's log.

    `native` is the sanitised payload (DATAMODEL 1.4). The target of an edit, deletion, reaction or reply is
    named by `target_id` (our event id) or, where only the sender's own id is known, by `target_native`
    (looked up among the native ids that `target_actor`, or else the sender, gave).
    """

    def __init__(
        self,
        protocol: str,
        native: bytes,
        *,
        kind: int = 1,
        flags: int = UNREAD,
        native_id: bytes = b"",
        target_id: EventId = b"",
        target_native: bytes = b"",
        target_actor: int = 0,
        expires_ms: int = 0,
        resource: str = "",
        to_resource: str = "",
        relation_key: str = "",
        may_repeat: bool = False,
    ) -> None:
        self.protocol = protocol
        self.native = native
        self.kind = kind
        self.flags = flags
        self.native_id = native_id
        self.target_id = target_id
        self.target_native = target_native
        self.target_actor = target_actor
        self.expires_ms = expires_ms
        self.resource = resource
        self.to_resource = to_resource
        self.relation_key = relation_key
        self.may_repeat = may_repeat


class Event:
    """An entry of a conversation's log. Numbers are those of DATAMODEL 1.6; 0 where one does not apply.

    `cache` holds renderings by (protocol, variant), so that a thousand readers share one bytes object; it is
    never the only copy. `resource` and `to_resource` are the sender's device name and the addressed one,
    known only while the event is live (a front end that needs them later keeps them in `native`).
    """

    def __init__(
        self,
        seq: int,
        event_id: EventId,
        conversation_id: ConversationId,
        position: int,
        message_no: int,
        pts: int,
        leaf: int,
        actor_id: ActorId,
        nick: str,
        kind: int,
        flags: int,
        target_seq: int,
        target_id: EventId,
        at_ms: int,
        expires_ms: int,
        protocol: str,
        native: bytes,
        salt: bytes,
    ) -> None:
        self.seq = seq
        self.event_id = event_id
        self.conversation_id = conversation_id
        self.position = position
        self.message_no = message_no
        self.pts = pts
        self.leaf = leaf
        self.actor_id = actor_id
        self.nick = nick
        self.kind = kind
        self.flags = flags
        self.target_seq = target_seq
        self.target_id = target_id
        self.at_ms = at_ms
        self.expires_ms = expires_ms
        self.protocol = protocol
        self.native = native
        self.salt = salt
        self.native_id: bytes = b""
        self.resource = ""
        self.to_resource = ""
        self.relation_key = ""
        self.boxes: tuple[tuple[int, int], ...] = ()
        """(account id, box number or 0) for each local party of a direct conversation."""
        self.content: Content | None = None
        """Canonical content, once somebody needed it: ask `services.contents`, which fills this."""
        self.erased = False
        """The body is gone: `native` is empty and readers are shown a tombstone."""
        self.cache: dict[str, bytes] = {}


def counts_for_pts(kind: int) -> bool:
    """Return whether MTProto counts entries of `kind`: new, edited, deleted ones (DATAMODEL 1.7)."""
    return kind <= 3
