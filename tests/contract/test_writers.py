"""DATAMODEL 5, tests 1 and 3: the core's log over a store, with writers, a reader that follows, and rollbacks."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.contract.conftest import Place
from tests.support.chronicle import actor_row, follow
from tests.support.loop import TestLoop
from tests.unit.core.fakes import Listener, PlainVerifiers

from sabir.base.ids import EventIds
from sabir.core.errors import Refusal
from sabir.core.log import Item, Log
from sabir.core.model.conversation import Conversation
from sabir.core.model.event import Draft, Event
from sabir.core.model.signals import Cause
from sabir.core.ports import Batch, LogStore, StoreError
from sabir.core.services import Services, assemble
from sabir.storage.sqlite.store import SqliteStore

WRITERS = 4
EACH = 10_000
AT_ONCE = 50
POISON = 2_000
"""One entry in so many is refused by the store, with everything that shares its transaction."""


def assembled(store: LogStore, loop: TestLoop) -> Services:
    counter = itertools.count(1)

    def randomness(size: int) -> bytes:
        return next(counter).to_bytes(8, "big").rjust(size, b"\1")

    return assemble(
        store,
        loop,
        loop,
        lambda last_ms: EventIds(randomness, last_ms),
        randomness,
        PlainVerifiers(),
        b"k" * 32,
        limited=False,
    )


class Post(Item):
    """A message, or one that the store cannot take."""

    def __init__(self, writer: Writer, text: bytes, *, poisoned: bool) -> None:
        self._writer = writer
        self._text = text
        self._poisoned = poisoned
        self.event: Event | None = None

    def form(self, log: Log) -> Refusal | None:
        self.event = log.enter(self._writer.conversation, 1, "nick", 1, 1, "test", self._text)
        if self._poisoned:
            log.change(actor_row(1_000_000, "ada"))  # that name is another actor's
        return None

    def done(self) -> None:
        assert self.event is not None
        self._writer.acknowledged.append(self.event)
        self._writer.go_on()

    def refused(self, refusal: Refusal) -> None:
        assert self._poisoned
        self._writer.refusals.append(refusal)
        self._writer.go_on()


@dataclass
class Writer:
    """Keeps `AT_ONCE` posts under way until it has posted its share."""

    log: Log
    conversation: Conversation
    chosen: random.Random
    left: int
    poison: int
    asked: int = 0
    acknowledged: list[Event] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)

    def is_busy(self) -> bool:
        return self.left > 0 or len(self.acknowledged) + len(self.refusals) < self.asked

    def go_on(self) -> None:
        if self.left:
            self.left -= 1
            self.asked += 1
            poisoned = self.chosen.randrange(self.poison) == 0
            self.log.append(Post(self, b"post %d" % self.left, poisoned=poisoned))


@dataclass
class Follower:
    """Reads the log while it is written, again and again from where it was."""

    store: SqliteStore
    seen: list[Event] = field(default_factory=list)
    busy: Callable[[], bool] = lambda: False

    def read(self) -> None:
        # Whoever was busy when this was asked may have written since.
        was_busy = self.busy()
        after_seq = self.seen[-1].seq if self.seen else 0
        self.store.follow(after_seq, 256, lambda events: self._took(events, was_busy=was_busy))

    def _took(self, events: list[Event], *, was_busy: bool) -> None:
        self.seen += events
        if events or was_busy:
            self.read()


def test_writers_and_rollbacks_leave_a_dense_log_that_a_reader_sees_once_in_order(place: Place) -> None:
    scale = 20 if place.short else 1
    opened = place.open_bare()
    services = assembled(opened.store, opened.loop)
    services.accounts.create("ada", "pw", lambda account: None, _fail)
    opened.loop.run()
    ada = Listener(services.accounts.find("ada"))  # type: ignore[arg-type]  # it was just made
    services.devices.log_in(ada)
    for number in range(WRITERS):
        services.rooms.join(ada, f"room{number}", "ada", lambda joined: None, _fail)
    opened.loop.run()
    start = services.log.head_seq
    conversations = [services.rooms.find(f"room{number}") for number in range(WRITERS)]
    firsts = {each.id: each.head_position for each in conversations if each is not None}
    assert len(firsts) == WRITERS
    writers = [
        Writer(services.log, each, random.Random(number), EACH // scale, POISON // scale)
        for number, each in enumerate(conversations)
        if each is not None
    ]
    follower = Follower(opened.store, busy=lambda: any(writer.is_busy() for writer in writers))

    for writer in writers:
        for _ in range(AT_ONCE):
            writer.go_on()
    follower.read()
    opened.loop.run()

    for writer in writers:
        assert len(writer.acknowledged) + len(writer.refusals) == EACH // scale
        positions = [event.position for event in writer.acknowledged]
        first = firsts[writer.conversation.id] + 1
        assert positions == list(range(first, first + len(positions)))
    assert any(writer.refusals for writer in writers)
    acknowledged = sorted(event.seq for writer in writers for event in writer.acknowledged)
    assert [event.seq for event in follower.seen if event.seq > start] == acknowledged
    assert acknowledged == list(range(start + 1, start + 1 + len(acknowledged)))
    assert [event.seq for event in follow(opened, start, limit=WRITERS * EACH)] == acknowledged


class SlowFlush:
    """A store whose answers come 50 ms late, as over a slow disk."""

    def __init__(self, store: SqliteStore, loop: TestLoop) -> None:
        self._store = store
        self._loop = loop

    def append(self, batch: Batch, done: Callable[[Batch, StoreError | None], None]) -> None:
        self._store.append(batch, lambda *answer: self._loop.later(50, lambda: done(*answer)))

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


def test_a_message_and_the_goodbye_after_it_happen_in_that_order_however_slow_the_disk(place: Place) -> None:
    opened = place.open_bare()
    loop = opened.loop
    services = assembled(SlowFlush(opened.store, loop), loop)  # type: ignore[arg-type]  # the rest is the store's
    for name in ("ada", "bob"):
        services.accounts.create(name, "pw", lambda account: None, _fail)
    loop.advance(1000)
    ada, bob = (Listener(services.accounts.find(name)) for name in ("ada", "bob"))  # type: ignore[arg-type]
    for listener in (ada, bob):
        services.devices.log_in(listener)
        services.rooms.join(listener, "lobby", listener.actor.name, lambda joined: None, _fail)
    loop.advance(1000)
    room = services.rooms.find("lobby")
    assert room is not None
    ada.took(), bob.took()

    services.messaging.post(ada, room, Draft("test", b"bye all"), "token")
    services.rooms.leave(ada, room, Cause.PARTED, "", lambda attendee, gone: None, _fail)
    loop.advance(49)
    assert b"bye all" not in bob.took()
    loop.advance(1000)

    assert ("posted", "token") in ada.took()
    heard = bob.took()
    assert heard[0] == b"bye all"
    assert len(heard) > 1
    assert ada.actor.id not in room.attendees


def _fail(refusal: Refusal) -> None:
    raise AssertionError(refusal)
