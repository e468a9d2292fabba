"""Writes batches to a store as `core.log` would, and keeps what it wrote: the naive model that a store is held to."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from tests.support.loop import START_MS, LoadedStore, OpenStore

from sabir.base.ids import EventIds
from sabir.core.log import GENERATION_GAP
from sabir.core.model.changes import AccountRow, ActorRow, Change, ConversationRow, EraseBody, RelationRow
from sabir.core.model.event import UNREAD, Event, counts_for_pts
from sabir.core.ports import Batch, Page, PageQuery, StoreError

ACCOUNTS = (1, 2, 3)
DIRECTS = {11: (1, 2), 12: (1, 3), 13: (2, 3), 14: (1, 1)}
ROOMS = (21, 22)


def account_row(number: int, **fields: object) -> AccountRow:
    given: dict[str, object] = {
        "id": number,
        "uuid": b"account %8d" % number,
        "name": f"user{number}",
        "state": "active",
        "box_head": 0,
        "generation": 1,
        "delivered_seq": 0,
        "display": "",
        "created_ms": 5,
    }
    return AccountRow(**(given | fields))  # type: ignore[arg-type]  # the fields are those of the row


def actor_row(number: int, name: str = "") -> ActorRow:
    name = name or f"user{number}"
    return ActorRow(id=number, kind="local", name=name, account_id=number, protocol="local", uri=name)


def conversation_row(number: int, parties: Sequence[int] = (), name: str = "") -> ConversationRow:
    return ConversationRow(
        id=number,
        uuid=b"conversation %3d" % number,
        kind="direct" if parties else "room",
        name=name,
        authority="hosted",
        visibility="shared",
        encryption="",
        state_version=0,
        generation=1,
        destroyed=False,
        party_lo=min(parties, default=0),
        party_hi=max(parties, default=0),
    )


class Chronicle:
    """Three accounts, four direct conversations, two rooms; `events` is everything that was acknowledged."""

    def __init__(self, opened: LoadedStore) -> None:
        counter = itertools.count(1)
        self.ids = EventIds(lambda size: next(counter).to_bytes(8, "big").rjust(size, b"\1"), START_MS)
        self.events: list[Event] = []
        self.relations: dict[tuple[int, int, int, str], RelationRow] = {}
        self.now_ms = START_MS
        self.heads: dict[int, list[int]] = {}
        self.boxes: dict[int, int] = {}
        self.generations: dict[int, int] = {}
        self.attach(opened)
        if not opened.snapshot.accounts:
            self.change(
                *(row for number in ACCOUNTS for row in (actor_row(number), account_row(number))),
                *(conversation_row(number, parties) for number, parties in DIRECTS.items()),
                *(conversation_row(number, name=f"room{number}") for number in ROOMS),
            )

    def attach(self, opened: LoadedStore) -> None:
        """Go on with a store that was opened again."""
        self.opened = opened
        self.generation = opened.snapshot.generation
        self.seq, self.leaf = opened.snapshot.seq, opened.snapshot.leaf

    def batch(self) -> Batch:
        """Begin a batch; one at a time."""
        heads = {conversation: list(head) for conversation, head in self.heads.items()}
        self._saved = (self.seq, self.leaf, heads, dict(self.boxes), dict(self.generations))
        return Batch(self.generation, self.seq + 1)

    def commit(self, batch: Batch) -> StoreError | None:
        """Write a batch and return its error."""
        batch.last_seq, batch.last_leaf = self.seq, self.leaf
        answers: list[StoreError | None] = []
        self.opened.store.append(batch, lambda _, error: answers.append(error))
        assert not answers, "the answer came before append returned"
        self.opened.loop.run()
        (error,) = answers
        if error is None:
            self.events += batch.events
        else:
            self.seq, self.leaf, self.heads, self.boxes, self.generations = self._saved
        return error

    def change(self, *changes: Change) -> StoreError | None:
        """Write changes in a batch of their own."""
        batch = self.batch()
        self.put(batch, *changes)
        return self.commit(batch)

    def put(self, batch: Batch, *changes: Change) -> None:
        """Number changes and put them into a batch."""
        for change in changes:
            self.seq += 1
            change.changed_seq = self.seq
            batch.changes.append(change)

    def say(
        self,
        batch: Batch,
        conversation: int,
        native: bytes = b"hello",
        *,
        kind: int = 1,
        actor: int = 1,
        native_id: bytes = b"",
        target: Event | None = None,
        key: str = "",
        flags: int = UNREAD,
    ) -> Event:
        """Number an entry and put it into a batch."""
        self.seq += 1
        self.leaf += 1
        head = self.heads.setdefault(conversation, [0, 0, 0])
        gap = GENERATION_GAP * (self.generation - self.generations.get(conversation, 1))
        self.generations[conversation] = self.generation
        head[0] += gap
        head[2] += gap
        counted = counts_for_pts(kind)
        head[0] += 1
        head[1] += flags & UNREAD
        head[2] += counted
        event = Event(
            self.seq,
            self.ids.next(self.now_ms),
            conversation,  # type: ignore[arg-type]  # a ConversationId
            head[0],
            head[1] if flags & UNREAD else 0,
            head[2] if counted else 0,
            self.leaf,
            actor,  # type: ignore[arg-type]  # an ActorId
            f"nick{actor}",
            kind,
            flags,
            target.seq if target else 0,
            target.event_id if target else b"",
            self.now_ms,
            0,
            "test",
            native,
            b"%032d" % self.seq,
        )
        event.native_id = native_id
        event.relation_key = key
        boxes: list[tuple[int, int]] = []
        for account in dict.fromkeys(DIRECTS.get(conversation, ())):
            if counted:
                self.boxes[account] = self.boxes.get(account, 0) + 1
            boxes.append((account, self.boxes[account] if counted else 0))
        event.boxes = tuple(boxes)
        batch.events.append(event)
        return event

    def post(
        self, conversation: int, native: bytes = b"hello", *, native_id: bytes = b"", actor: int = 1
    ) -> Event:
        """Write a message in a batch of its own."""
        batch = self.batch()
        event = self.say(batch, conversation, native, native_id=native_id, actor=actor)
        assert self.commit(batch) is None
        return event

    def erase(self, *events: Event) -> None:
        """Erase bodies."""
        assert self.change(EraseBody(seqs=tuple(event.seq for event in events))) is None
        for event in events:
            event.native, event.salt, event.relation_key, event.erased = b"", b"", "", True

    # What the store should answer

    def page(self, query: PageQuery) -> tuple[list[int], bool]:
        """Return the log numbers of a page, and whether it is complete."""
        found = [
            event.seq
            for event in self.events
            if (not query.conversation_id or event.conversation_id == query.conversation_id)
            and (not query.account_id or any(account == query.account_id for account, _ in event.boxes))
            and event.seq > query.after_seq
            and (not query.before_seq or event.seq < query.before_seq)
            and (not query.start_ms or event.at_ms >= query.start_ms)
            and (not query.end_ms or event.at_ms <= query.end_ms)
            and event.kind in query.kinds
            and event.position >= query.from_position
        ]
        part = found[-query.limit :] if query.newest else found[: query.limit]
        return part, len(part) == len(found)

    def native(self, actor: int, native_id: bytes) -> int:
        """Return the last entry to which an actor gave an id."""
        return max(
            (event.seq for event in self.events if (event.actor_id, event.native_id) == (actor, native_id)),
            default=0,
        )


def read_page(opened: LoadedStore, query: PageQuery) -> Page:
    """Read a page."""
    pages: list[Page] = []
    opened.store.page(query, pages.append)
    opened.loop.run()
    return pages[0]


def follow(opened: OpenStore, after_seq: int, limit: int = 100_000) -> list[Event]:
    """Read the log, as many parts as it takes."""
    events: list[Event] = []
    parts: list[list[Event]] = []
    while len(events) < limit:
        opened.store.follow(events[-1].seq if events else after_seq, limit - len(events), parts.append)
        opened.loop.run()
        if not parts[-1]:
            break
        events += parts[-1]
    return events


def fields(event: Event) -> dict[str, object]:
    """Return what is stored of an event."""
    live_only = {"resource", "to_resource", "content", "cache"}
    return {name: value for name, value in vars(event).items() if name not in live_only}
