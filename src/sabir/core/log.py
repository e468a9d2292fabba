"""The one way to make something durable.

Check, number, batch, commit, acknowledge (DATAMODEL section 3, LOGPATH 6).

Life of an item::

    append() -> form() [policy, numbers, memory] -> store.append() -> committed() -> done() | refused()

* Items form in the order appended, when the batch is made: policy sees the effect of every earlier item, so a
  message after a ban is refused however short the time between them.
* Numbers are given while forming and shown to nobody before the commit. If it fails, the
  saved counters and the undo list give them back.
* One batch in flight. There is no timer: what arrives during a commit is the next batch, so the cost of
  the fsync is shared by as many as there are, and the added wait is one to two commits.
* An item that is refused is answered in its place: after those before it are durable, before those after it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from sabir.core.errors import Refusal
from sabir.core.model.actor import Account
from sabir.core.model.changes import Change
from sabir.core.model.conversation import Conversation
from sabir.core.model.event import CORE, Event, counts_for_pts
from sabir.core.ports import Batch, Clock, EventIdSource, LogStore, Meter, Scheduler, Session, StoreError

log = logging.getLogger(__name__)

MAX_BATCH_ITEMS: Final = 4096
MAX_BATCH_BYTES: Final = 512 << 10
SOFT_BYTES: Final = 1 << 20
"""Above this, sessions that post are asked to stop reading."""
HARD_BYTES: Final = 64 << 20
"""Above this, posts are refused with `Refusal.BUSY`."""
GENERATION_GAP: Final = 65_536
"""What positions, `pts` and boxes jump by in a new generation."""
RETRY_MS: Final = 1000
"""After a failed commit nothing is tried for so long."""


class Item:
    """Something to make durable. Subclasses form it, and learn of the outcome."""

    size_bytes: int = 64

    def form(self, log: Log) -> Refusal | None:
        """Check, number (`log.enter`, `log.change`) and apply to memory; or refuse, changing nothing."""
        raise NotImplementedError

    def done(self) -> None:
        """The item is durable."""
        raise NotImplementedError

    def refused(self, refusal: Refusal) -> None:
        """Nothing of the item was stored."""
        raise NotImplementedError


class Operation(Item):
    """An item made of three functions, for everything that is not a plain post."""

    def __init__(
        self,
        form: Callable[[Log], Refusal | None],
        done: Callable[[], None],
        refused: Callable[[Refusal], None],
    ) -> None:
        self._form = form
        self._done = done
        self._refused = refused

    def form(self, log: Log) -> Refusal | None:
        """See `Item.form`."""
        return self._form(log)

    def done(self) -> None:
        """See `Item.done`."""
        self._done()

    def refused(self, refusal: Refusal) -> None:
        """See `Item.refused`."""
        self._refused(refusal)


class _Faulty(Item):
    """Stands for an item that raised while it formed, and is refused in its place."""

    def __init__(self, item: Item) -> None:
        self._item = item
        self.size_bytes = item.size_bytes

    def form(self, log: Log) -> Refusal | None:
        """See `Item.form`."""
        return Refusal.FAULT

    def refused(self, refusal: Refusal) -> None:
        """See `Item.refused`."""
        self._item.refused(refusal)


class Log:
    """Forms batches and hands them to the store. `head_seq` is the last committed number."""

    def __init__(
        self,
        store: LogStore,
        scheduler: Scheduler,
        clock: Clock,
        ids: EventIdSource,
        randomness: Callable[[int], bytes],
    ) -> None:
        self._store = store
        self._scheduler = scheduler
        self._clock = clock
        self._ids = ids
        self._randomness = randomness
        self._salts = b""
        self._salt_at = 0
        self.generation = 1
        self.head_seq = 0
        self.head_leaf = 0
        self._seq = 0
        self._leaf = 0
        self.now_ms = 0
        """The time of the batch that is being formed; never steps back."""
        self.pending: list[Item] = []
        self.pending_bytes = 0
        self.failed = False
        """A commit failed less than `RETRY_MS` ago: nothing is tried yet."""
        self.healthy = True
        """The last commit that was tried succeeded."""
        self._scheduled = False
        self._busy = False
        self._singly = 0
        self._batch = Batch(1, 1)
        self._items: list[Item] = []
        self._refusals: dict[int, Refusal] = {}
        self._counters: dict[int, tuple[Conversation, int, int, int, int, int]] = {}
        self._box_heads: dict[int, tuple[Account, int, int]] = {}
        self._undo: list[Callable[[], None]] = []
        self._held: dict[Session, None] = {}
        self.newcomers: dict[int, tuple[Change, ...]] = {}
        """Rows of actors whom the store does not know yet, and of their accounts; `introduce` writes them."""
        self.new_accounts: dict[int, int] = {}
        """Those of them who have an account, by its id: what first names it writes them, too."""
        self.rolled_back: Callable[[list[Event]], None] | None = None
        """Told of the entries of a batch whose commit failed."""
        self.meter: Meter | None = None
        self.answered: Callable[[int], None] | None = None
        """Told of the head of the log when all items of a batch have had their outcome."""
        self.appended = 0
        self.refusals = 0

    def open(self, generation: int, seq: int, leaf: int, last_ms: int) -> None:
        """Start from the head that the store loaded."""
        self.generation = generation
        self.head_seq = self._seq = seq
        self.head_leaf = self._leaf = leaf
        self.now_ms = last_ms

    def append(self, item: Item) -> None:
        """Queue `item`. Its outcome comes by `done()` or `refused()`, never before this returns."""
        self.pending.append(item)
        self.pending_bytes += item.size_bytes
        if not self._scheduled and not self._busy:  # what follows a batch is formed by `_resume`
            self._scheduled = True
            self._scheduler.soon(self._kick)

    def append_marker(self, reached: Callable[[], object]) -> None:
        """Call `reached` when everything appended before has had its outcome."""

        def outcome(refusal: Refusal | None = None) -> None:
            reached()

        self.append(Operation(lambda log: None, outcome, outcome))

    def new_id(self) -> bytes:
        """Return a new id of the shape of an event's, for a conversation or an account."""
        return self._ids.next(self._clock.now_ms())

    def hold_if_full(self, session: Session) -> None:
        """Ask `session` to stop reading while more than `SOFT_BYTES` wait to be written."""
        if self.pending_bytes > SOFT_BYTES and session not in self._held:
            self._held[session] = None
            session.hold()

    # While an item forms

    def enter(
        self,
        conversation: Conversation,
        actor_id: int,
        nick: str,
        kind: int,
        flags: int,
        protocol: str,
        native: bytes,
    ) -> Event:
        """Number an entry of `conversation` and put it into the batch."""
        if self.newcomers:
            self.introduce(actor_id)
        if conversation.id not in self._counters:
            self._counters[conversation.id] = (
                conversation,
                conversation.head_position,
                conversation.message_no,
                conversation.pts,
                conversation.state_version,
                conversation.generation,
            )
            if conversation.generation != self.generation:
                # DATAMODEL 1.10: after a restore no number may be given twice.
                gap = GENERATION_GAP * (self.generation - conversation.generation)
                conversation.generation = self.generation
                conversation.head_position += gap
                conversation.pts += gap
        seq = self._seq + 1
        self._seq = seq
        self._leaf += 1
        conversation.head_position += 1
        message_no = 0
        if flags & 1:
            conversation.message_no += 1
            message_no = conversation.message_no
        pts = 0
        if counts_for_pts(kind):
            conversation.pts += 1
            pts = conversation.pts
        event = Event(
            seq,
            self._ids.next(self.now_ms),
            conversation.id,
            conversation.head_position,
            message_no,
            pts,
            self._leaf,
            actor_id,  # type: ignore[arg-type]  # an ActorId; plain int keeps the compiled call cheap
            nick,
            kind,
            flags,
            0,
            b"",
            self.now_ms,
            0,
            protocol,
            native,
            self._salt(),
        )
        if not conversation.is_room:
            self._number_boxes(conversation, event, pts)
        batch = self._batch
        batch.events.append(event)
        batch.size_bytes += len(native) + 64
        return event

    def enter_state(
        self, conversation: Conversation, actor_id: int, nick: str, kind: int, native: bytes
    ) -> Event:
        """Number an entry that the core itself writes."""
        return self.enter(conversation, actor_id, nick, kind, 0, CORE, native)

    def change(self, row: Change) -> None:
        """Number a change and put it into the batch."""
        if self.new_accounts:
            self._introduce_accounts(row)
        self._seq += 1
        row.changed_seq = self._seq
        self._batch.changes.append(row)

    def forming(self) -> list[Event]:
        """Return the entries of the batch that is being formed, of which the store knows nothing yet."""
        return self._batch.events

    def introduce(self, actor_id: int) -> None:
        """Write the row of an actor who is about to be named in the store for the first time."""
        rows = self.newcomers.pop(actor_id, None)
        if rows is not None:
            self.undo(lambda: self._forget(actor_id, rows))
            for row in rows:
                self.change(row)

    def undo(self, action: Callable[[], None]) -> None:
        """Say how to take back what was applied to memory, should the commit fail."""
        self._undo.append(action)

    def raise_state_version(self, conversation: Conversation) -> None:
        """Note that a later post may be illegal now.

        The counter is saved by the `enter` that comes with it.
        """
        conversation.state_version += 1

    def _introduce_accounts(self, row: Change) -> None:
        """Write the rows of accounts that `row` is the first to name."""
        for field in ("account_id", "party_lo", "party_hi"):
            actor_id = self.new_accounts.get(getattr(row, field, None) or 0)
            if actor_id is not None:
                self.introduce(actor_id)
        self.introduce(getattr(row, "actor_id", None) or 0)

    def _forget(self, actor_id: int, rows: tuple[Change, ...]) -> None:
        self.newcomers[actor_id] = rows

    def _number_boxes(self, conversation: Conversation, event: Event, counted: int) -> None:
        boxes: list[tuple[int, int]] = []
        for account in conversation.parties:
            box = 0
            if counted:
                if account.id not in self._box_heads:
                    self._box_heads[account.id] = (account, account.box_head, account.generation)
                    if account.generation != self.generation:
                        account.box_head += GENERATION_GAP * (self.generation - account.generation)
                        account.generation = self.generation
                account.box_head += 1
                box = account.box_head
            boxes.append((account.id, box))
        event.boxes = tuple(boxes)

    def _salt(self) -> bytes:
        at = self._salt_at
        if at >= len(self._salts):
            self._salts = self._randomness(32 * 256)
            at = 0
        self._salt_at = at + 32
        return self._salts[at : at + 32]

    # Batches

    def _resume(self) -> None:
        self._busy = False
        self._kick()

    def _kick(self) -> None:
        self._scheduled = False
        while not self._busy and self.pending:
            self._form_batch()

    def _form_batch(self) -> None:
        now = self._clock.now_ms()
        if now > self.now_ms:
            self.now_ms = now
        limit = 1 if self._singly else MAX_BATCH_ITEMS
        self._singly = max(0, self._singly - 1)
        while not self._form_items(limit):
            self._take_back()
        items, batch = self._items, self._batch
        self.refusals += len(self._refusals)
        for item in items:
            self.pending_bytes -= item.size_bytes
        del self.pending[: len(items)]
        batch.last_seq = self._seq
        batch.last_leaf = self._leaf
        self._busy = True
        if batch.events or batch.changes:
            self.appended += len(batch.events)
            if self.meter is not None:
                self.meter.started()
            self._store.append(batch, self._committed)
        else:
            # Nothing to write, but never answer ahead of the batch whose answer may be on the stack.
            self._scheduler.soon(self._answer)

    def _form_items(self, limit: int) -> bool:
        """Form what waits; return False if an item raised: then all has to be taken back and formed without it."""
        batch = self._batch = Batch(self.generation, self._seq + 1)
        items = self._items = []
        refusals = self._refusals = {}
        for item in self.pending:
            if len(items) >= limit or batch.size_bytes > MAX_BATCH_BYTES:
                break
            try:
                refusal = Refusal.STORAGE_FAILED if self.failed else item.form(self)
            except Exception:
                # A fault of ours in one item must not keep the others from ever becoming durable.
                log.exception("forming an item failed")
                self.pending[len(items)] = _Faulty(item)
                return False
            if refusal is not None:
                refusals[len(items)] = refusal
            items.append(item)
        return True

    def _committed(self, batch: Batch, error: StoreError | None) -> None:
        if self.meter is not None:
            self.meter.finished(len(batch.events), durable=error is None)
        if error is not None:
            self._roll_back(error)
            return
        self.healthy = True
        self.head_seq = batch.last_seq
        self.head_leaf = batch.last_leaf
        self._answer()

    def _answer(self) -> None:
        items, refusals = self._items, self._refusals
        head_seq = self.head_seq
        self._items, self._refusals = [], {}
        self._counters.clear()
        self._box_heads.clear()
        self._undo.clear()
        if len(items) > 1:
            # Many are talking: what they say within a moment is worth one flush of the disk, not two. Without
            # the pause, answers to this batch would always miss the next and find one of half the size.
            self._scheduler.shortly(self._resume)
        else:
            self._resume()  # its fsync runs while we deliver
        for index, item in enumerate(items):
            refusal = refusals.get(index) if refusals else None
            try:
                if refusal is None:
                    item.done()
                else:
                    item.refused(refusal)
            except Exception:
                # A fault in telling one must not keep the others from their outcome.
                log.exception("telling an outcome failed")
        if self.answered is not None:
            self.answered(head_seq)
        if self._held and self.pending_bytes < SOFT_BYTES // 2:
            held, self._held = self._held, {}
            for session in held:
                session.release()

    def _take_back(self) -> None:
        """Take from memory what the items of the batch did to it, and their numbers."""
        if self.rolled_back is not None:
            self.rolled_back(self._batch.events)
        for action in reversed(self._undo):
            action()
        for conversation, position, message_no, pts, version, generation in self._counters.values():
            conversation.generation = generation
            conversation.head_position = position
            conversation.message_no = message_no
            conversation.pts = pts
            conversation.state_version = version
        for account, box, generation in self._box_heads.values():
            account.box_head = box
            account.generation = generation
        self._counters.clear()
        self._box_heads.clear()
        self._undo.clear()
        self._seq, self._leaf = self.head_seq, self.head_leaf

    def _roll_back(self, error: StoreError) -> None:
        self._take_back()
        items = self._items
        if error.statement and len(items) > 1:
            # DATAMODEL 3 (e): one poisoned item must not fail the others.
            self.pending[:0] = items
            for item in items:
                self.pending_bytes += item.size_bytes
            self._singly = len(items)
            self._items, self._refusals = [], {}
            self._answer()
            return
        if not error.statement:
            self.healthy = False
            self.failed = True
            self._scheduler.later(RETRY_MS, self._retry)
        for index in range(len(items)):
            self._refusals.setdefault(index, Refusal.STORAGE_FAILED)
        self._answer()

    def _retry(self) -> None:
        self.failed = False
