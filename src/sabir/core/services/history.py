"""Reading the log: pages of a room or of a person's direct conversations."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from sabir.core import policy
from sabir.core.directory import Directory
from sabir.core.errors import Refusal
from sabir.core.model.actor import Account, Actor
from sabir.core.model.changes import RelationRow
from sabir.core.model.conversation import Conversation, Role, Visibility
from sabir.core.model.event import Event
from sabir.core.ports import LogStore, Page, PageQuery


class History:
    """Every protocol's way to catch up is a query here."""

    def __init__(self, directory: Directory, store: LogStore, domain: str) -> None:
        self._directory = directory
        self._store = store
        self._domain = domain

    def may_read(self, conversation: Conversation, actor: Actor) -> Refusal | None:
        """Return why `actor` may not read the log of `conversation`.

        Who may join may read (DATAMODEL 1.7b).
        """
        if not conversation.is_room:
            return (
                None if any(party.actor is actor for party in conversation.parties) else Refusal.ROOM_UNKNOWN
            )
        role = conversation.role_of(actor.id)
        if role is Role.BANNED:
            return Refusal.BANNED
        if actor.id in conversation.attendees:
            return None
        if role < Role.ADMIN and policy.is_masked(conversation, policy.mask_of(actor, self._domain)):
            return Refusal.BANNED
        if policy.is_member(conversation, actor):
            return None
        if conversation.config.members_only or conversation.config.key:
            return Refusal.MEMBERS_ONLY
        return None

    def may_see(self, conversation: Conversation, actor: Actor, event: Event) -> bool:
        """Return whether `event` is of `conversation` and `actor`, who may read there, may read it too."""
        if event.conversation_id != conversation.id:
            return False
        if not conversation.is_room or conversation.visibility is not Visibility.JOINED:
            return True
        return event.position >= self._first_readable(conversation, actor)

    def page(
        self, conversation: Conversation, actor: Actor, query: PageQuery, then: Callable[[Page], None]
    ) -> Refusal | None:
        """Read a page of one conversation; `then` gets it later.

        Returns why not, if so, and `then` is not called.
        """
        refusal = self.may_read(conversation, actor)
        if refusal is None:
            self._store.page(self.readable(conversation, actor, query), then)
        return refusal

    def readable(self, conversation: Conversation, actor: Actor, query: PageQuery) -> PageQuery:
        """Return `query` about a conversation, narrowed to what `actor`, who may read there, may read."""
        since = 0
        if conversation.is_room and conversation.visibility is Visibility.JOINED:
            since = self._first_readable(conversation, actor)
        return msgspec.structs.replace(
            query, conversation_id=conversation.id, account_id=0, from_position=since
        )

    def mailbox(
        self,
        account: Account,
        query: PageQuery,
        then: Callable[[Page], None],
        conversation: Conversation | None = None,
    ) -> None:
        """Read a page of the direct conversations of `account`, or of one of them."""
        self._store.page(self.own(account, query, conversation), then)

    def own(self, account: Account, query: PageQuery, conversation: Conversation | None = None) -> PageQuery:
        """Return `query` about the direct conversations of `account`, or one of them."""
        number = 0 if conversation is None else conversation.id
        return msgspec.structs.replace(query, account_id=account.id, conversation_id=number)

    def latest_directs(self, account: Account, limit: int) -> list[tuple[Conversation, int]]:
        """Return the direct conversations of `account` with the log number of their last entry.

        Latest first.
        """
        found = self._store.mailbox_heads(account.id, limit)
        return [
            (conversation, seq)
            for conversation_id, seq in found
            if (conversation := self._directory.conversation(conversation_id)) is not None
        ]

    def find(self, event_id: bytes) -> Event | None:
        """Return the entry with that id. The caller checks that the reader may see its conversation."""
        return self._store.find_event(event_id)

    def conversation(self, event: Event) -> Conversation | None:
        """Return where an entry is."""
        return self._directory.conversation(event.conversation_id)

    def at(self, seq: int) -> Event | None:
        """Return the entry with that log number."""
        return self._store.event_at(seq)

    def find_native(self, protocol: str, actor: Actor, native_id: bytes) -> Event | None:
        """Return the latest entry to which its sender gave this id."""
        seq = self._store.find_native(protocol, actor.id, native_id)
        return self._store.event_at(seq) if seq else None

    def relations(self, seqs: Iterable[int]) -> list[RelationRow]:
        """Return what was said about these entries: edits, deletions, reactions."""
        return self._store.relations_of(seqs)

    def _first_readable(self, conversation: Conversation, actor: Actor) -> int:
        member = conversation.members.get(actor.id)
        since = 0 if member is None else member.since
        return since or conversation.head_position + 1
