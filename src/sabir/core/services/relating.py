"""What an entry says about another one: edits, deletions, replies and reactions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sabir.core.log import Log
from sabir.core.model.changes import EraseBody, RelationRow
from sabir.core.model.conversation import Conversation
from sabir.core.model.event import Draft, Event, Kind
from sabir.core.ports import LogStore
from sabir.core.services.media import Media

REMOVED: Final = 32
"""Event flag: a reaction was taken back."""
_RECENT: Final = 8192


class Recent:
    """The latest entries by our id and by their sender's own.

    What edits, replies and resent messages mostly name.

    A cache of the store that also knows what is not committed yet. It holds the last `_RECENT` entries and at most
    twice as many: a full generation becomes the old one. (Taking the oldest out of a dict one by one costs more with
    every one taken: `next(iter())` walks over the holes that they leave.)
    """

    def __init__(self) -> None:
        self._by_id: dict[bytes, tuple[int, int, int]] = {}
        self._by_native: dict[tuple[int, bytes], tuple[int, bytes, int]] = {}
        self._old_by_id: dict[bytes, tuple[int, int, int]] = {}
        self._old_by_native: dict[tuple[int, bytes], tuple[int, bytes, int]] = {}

    def add(self, event: Event) -> None:
        """Note an entry that was numbered."""
        if len(self._by_id) >= _RECENT:
            self._old_by_id, self._by_id = self._by_id, {}
            self._old_by_native, self._by_native = self._by_native, {}
        self._by_id[event.event_id] = (event.seq, event.actor_id, event.conversation_id)
        if event.native_id:
            key = (int(event.actor_id), event.native_id)
            self._by_native[key] = (event.seq, event.event_id, event.conversation_id)

    def drop(self, event: Event) -> None:
        """Forget an entry whose commit failed."""
        key = (int(event.actor_id), event.native_id)
        self._by_id.pop(event.event_id, None)
        self._old_by_id.pop(event.event_id, None)
        self._by_native.pop(key, None)
        self._old_by_native.pop(key, None)

    def by_id(self, event_id: bytes) -> tuple[int, int, int] | None:
        """Return (seq, actor id, conversation id) of an entry."""
        return self._by_id.get(event_id) or self._old_by_id.get(event_id)

    def by_native(self, actor_id: int, native_id: bytes) -> tuple[int, bytes, int] | None:
        """Return (seq, event id, conversation id) of the entry to which an actor gave this id."""
        key = (actor_id, native_id)
        return self._by_native.get(key) or self._old_by_native.get(key)


class Relating:
    """Finds what an entry is about, and notes what it says about it; used by items while they form."""

    def __init__(self, store: LogStore, media: Media) -> None:
        self._store = store
        self.media = media
        self.recent = Recent()
        self._reacting: dict[tuple[int, int], dict[str, None]] = {}
        """Reactions by (target, actor), as of the last one formed; a bounded cache of the store."""

    def forget(self, events: list[Event]) -> None:
        """Forget entries whose commit failed."""
        for event in events:
            self.recent.drop(event)

    def reactions(self, target_seq: int, actor_id: int) -> dict[str, None]:
        """Return the reactions of an actor to an entry, those not committed yet included."""
        pending = self._reacting.get((target_seq, actor_id))
        if pending is not None:
            return dict(pending)
        rows = self._store.relations_of((target_seq,))
        return {
            row.key: None
            for row in rows
            if row.kind == Kind.REACTION and row.actor_id == actor_id and not row.gone
        }

    def target(
        self, conversation: Conversation, actor_id: int, draft: Draft
    ) -> tuple[int, bytes, int] | None:
        """Return (seq, event id, author) of what a draft of an actor is about, if it is in the same conversation."""
        if draft.target_id:
            known = self.recent.by_id(draft.target_id)
            if known is not None:
                return (known[0], draft.target_id, known[1]) if known[2] == conversation.id else None
            stored = self._store.find_event(draft.target_id)
        else:
            author = draft.target_actor or actor_id
            native = self.recent.by_native(author, draft.target_native)
            if native is not None and native[2] == conversation.id:
                return (native[0], native[1], author)
            seq = self._store.find_native(draft.protocol, author, draft.target_native)
            stored = self._store.event_at(seq) if seq else None
        if stored is None or stored.conversation_id != conversation.id:
            return None
        return (stored.seq, stored.event_id, stored.actor_id)

    def edits_of(self, seqs: Sequence[int]) -> list[int]:
        """Return the edits of these entries, as of the last commit."""
        return [row.seq for row in self._store.relations_of(seqs) if row.kind == Kind.EDIT]

    def relate(self, log: Log, event: Event, draft: Draft) -> None:
        """Note what an entry, which was numbered, says about its target."""
        row = RelationRow(
            target_seq=event.target_seq,
            kind=event.kind,
            actor_id=event.actor_id,
            # Each edit is a row of its own: with the message, every version has to be found and erased.
            key=str(event.seq) if event.kind == Kind.EDIT else draft.relation_key,
            seq=event.seq,
        )
        row.gone = bool(draft.flags & REMOVED)
        log.change(row)
        if event.kind == Kind.REACTION:
            key = (event.target_seq, int(event.actor_id))
            before = self._reacting.get(key)
            have = self.reactions(event.target_seq, event.actor_id)
            if row.gone:
                have.pop(draft.relation_key, None)
            else:
                have[draft.relation_key] = None
            self._reacting[key] = have
            if len(self._reacting) > _RECENT:
                del self._reacting[next(iter(self._reacting))]
            log.undo(lambda: _restore(self._reacting, key, before))
        elif event.kind == Kind.DELETE:
            log.change(EraseBody(seqs=tuple(self._versions(log, event.target_seq))))
            self.media.erase_soon()

    def _versions(self, log: Log, seq: int) -> list[int]:
        """Return an entry, its edits, and the edits of these: all that is erased with it."""
        found: list[int] = []
        latest = [seq]
        while latest:
            found += latest
            forming = [
                other.seq for other in log.forming() if other.kind == Kind.EDIT and other.target_seq in latest
            ]
            latest = self.edits_of(latest) + forming
        return found


def _restore(
    reacting: dict[tuple[int, int], dict[str, None]], key: tuple[int, int], before: dict[str, None] | None
) -> None:
    if before is None:
        reacting.pop(key, None)
    else:
        reacting[key] = before
