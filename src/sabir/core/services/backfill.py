"""Taking in what was said on another server, before these people were here (decision 0021).

It becomes entries of the log as anything else that is said, with the times, and where they are ours the ids, that it
had. Its order is that of time, and nothing of it is delivered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from sabir.base.ids import milliseconds
from sabir.core.errors import Refusal
from sabir.core.log import Log, Operation
from sabir.core.model.actor import Actor
from sabir.core.model.changes import ImportRow
from sabir.core.model.conversation import Conversation
from sabir.core.model.event import IMPORTED, UNREAD, Draft, Event, Kind
from sabir.core.ports import EventIdSource, LogStore
from sabir.core.services.messaging import MAX_EDITS, store_conversation
from sabir.core.services.relating import REMOVED, Relating

MAX_REACTIONS: Final = 20
AHEAD_MS: Final = 60_000
"""How far the ids of a busy moment may have run ahead of the clock."""


class Said(msgspec.Struct):
    """Something that was said in a direct conversation which this import began."""

    conversation: Conversation
    actor: Actor
    draft: Draft
    at_ms: int
    event_id: bytes = b""
    """The id that it had, if that is one of ours."""
    reactions: tuple[str, ...] | None = None
    """The whole set of the actor's reactions to the target, if that is what it is."""
    is_missed: bool = False
    """Its receiver was not shown it yet."""


class Backfill:
    """One import: what is added has to come in order of time, and nothing else may be appended meanwhile."""

    def __init__(
        self, log: Log, store: LogStore, relating: Relating, ids: Callable[[int], EventIdSource]
    ) -> None:
        self._log = log
        self._store = store
        self._relating = relating
        self._ids = ids(0)
        self._last_id = b""
        self._last_ms = 0
        self._first_seq = 0
        self.left_out = 0
        """What is about something that is not there."""

    def add(self, said: Sequence[Said], done: Callable[[], None], refused: Callable[[Refusal], None]) -> None:
        """Put some into the log, in one transaction."""

        def form(log: Log) -> Refusal | None:
            before = self._first_seq, self._last_id, self._last_ms, self.left_out
            log.undo(lambda: self._reset(*before))
            last: Event | None = None
            for each in said:
                last = self._enter(log, each) or last
            if last is not None:
                log.change(ImportRow(first_seq=self._first_seq, last_seq=last.seq))
            return None

        self._log.append(Operation(form, done, refused))

    def _reset(self, first_seq: int, last_id: bytes, last_ms: int, left_out: int) -> None:
        self._first_seq, self._last_id, self._last_ms, self.left_out = (
            first_seq,
            last_id,
            last_ms,
            left_out,
        )

    def _enter(self, log: Log, said: Said) -> Event | None:
        """Enter what was said, which may be several entries; returns the last one, None if there is none."""
        draft, actor = said.draft, said.actor
        target = self._target(said)
        if not self._may_be_said(said, target):
            self.left_out += 1
            return None
        if said.reactions is None or target is None:
            return self._put(log, said, draft.relation_key, draft.flags, target, said.event_id)
        have, want = self._relating.reactions(target[0], actor.id), dict.fromkeys(said.reactions)
        changes = [(emoji, 0) for emoji in want if emoji not in have]
        changes += [(emoji, REMOVED) for emoji in have if emoji not in want]
        last: Event | None = None
        left = len(changes)
        for emoji, removed in changes:
            left -= 1
            # Readers know the set by the id of its last entry.
            known = _less(said.event_id, left) if said.event_id else b""
            last = self._put(log, said, emoji, draft.flags | removed, target, known)
        return last

    def _target(self, said: Said) -> tuple[int, bytes, int] | None:
        """Return (seq, event id, author) of what it is about."""
        draft, actor = said.draft, said.actor
        if draft.target_id:
            found = self._relating.target(said.conversation, actor.id, draft)
            if found is not None:
                return found
            draft.target_id = b""
        if not draft.target_native:
            return None
        others = said.conversation.other_than(actor.id).id, actor.id
        for author in (actor.id,) if draft.kind in (Kind.EDIT, Kind.DELETE) else others:
            draft.target_actor = author
            found = self._relating.target(said.conversation, actor.id, draft)
            if found is not None:
                return found
        return None

    def _may_be_said(self, said: Said, target: tuple[int, bytes, int] | None) -> bool:
        if said.reactions is not None:
            return target is not None and len(said.reactions) <= MAX_REACTIONS
        if said.draft.kind == Kind.DELETE:
            return target is not None and target[2] == said.actor.id
        if said.draft.kind == Kind.EDIT and target is not None:
            return target[2] == said.actor.id and len(self._relating.edits_of((target[0],))) < MAX_EDITS
        return True

    def _put(
        self,
        log: Log,
        said: Said,
        key: str,
        flags: int,
        target: tuple[int, bytes, int] | None,
        known: bytes,
    ) -> Event:
        draft, conversation, actor = said.draft, said.conversation, said.actor
        if not conversation.stored:
            store_conversation(log, conversation)
        flags &= ~UNREAD
        if not said.is_missed:
            flags |= IMPORTED
        event = log.enter(conversation, actor.id, actor.name, draft.kind, flags, draft.protocol, draft.native)
        event.at_ms = self._last_ms = max(self._last_ms, min(said.at_ms, log.now_ms))
        event.event_id = self._last_id = self._id(known, event.at_ms)
        event.native_id = draft.native_id
        event.expires_ms = draft.expires_ms
        event.relation_key = key
        if not self._first_seq:
            self._first_seq = event.seq
        if target is not None:
            event.target_seq, event.target_id = target[0], target[1]
            if draft.kind != Kind.MESSAGE:
                about = Draft(draft.protocol, draft.native, kind=draft.kind, flags=flags, relation_key=key)
                self._relating.relate(log, event, about)
        self._relating.recent.add(event)
        return event

    def _id(self, known: bytes, at_ms: int) -> bytes:
        """Return the id that it had, if that is in order and nobody else's; else a new one of that time."""
        ahead_ms = milliseconds(known) - at_ms
        if known > self._last_id and 0 <= ahead_ms <= AHEAD_MS and self._store.find_event(known) is None:
            return known
        made = self._ids.next(at_ms)
        if made <= self._last_id:
            made = self._ids.next(milliseconds(self._last_id) + 1)
        return made


def _less(id_: bytes, by: int) -> bytes:
    return max(0, int.from_bytes(id_) - by).to_bytes(len(id_))
