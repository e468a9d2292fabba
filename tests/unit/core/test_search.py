"""The search index as a reader of the log: when it reads, what it takes, whom it lets wait."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import pytest
from tests.unit.core.fakes import World

from sabir.core.errors import Refusal
from sabir.core.model.content import Content, text
from sabir.core.model.event import ENCRYPTED, Draft, Event
from sabir.core.policy import PolicyConfig
from sabir.core.ports import Page, PageQuery, Text
from sabir.core.services.search import IDLE_MS, PATIENCE_MS, Search


class FakeIndex:
    """Keeps what it is given; `add` answers when told to."""

    def __init__(self) -> None:
        self.seq = 0
        self.texts: list[Text] = []
        self.asked: list[str] = []
        self.stalled = False

    def add(self, texts: Sequence[Text], seq: int, then: Callable[[], None]) -> None:
        self.texts += texts
        if not self.stalled:
            self.seq = seq
            then()

    def find(self, text: str, query: PageQuery, then: Callable[[Page], None]) -> None:
        self.asked.append(text)
        then(Page([], True))


class FakeTranslator:
    def content_of(self, event: Event) -> Content:
        if event.native == b"poison":
            raise ValueError("a fault of ours")
        return text(event.native.decode())


@pytest.fixture
def world() -> World:
    world = World(PolicyConfig(searches_burst=2), limited=True)
    world.services.contents.register("test", FakeTranslator())
    return world


def searching(world: World, index: FakeIndex) -> Search:
    world.store.texts = index
    services = world.services
    return Search(
        services.log,
        services.directory,
        world.store,
        services.contents,
        services.history,
        world.scheduler,
        world.clock,
        services.search._pace,  # the rate of the world
    )


def say(world: World, *natives: bytes, flags: int = 1) -> None:
    ada = world.session("ada")
    room = world.services.rooms.find("lobby") or world.join(ada, "lobby")
    for native in natives:
        world.services.messaging.post(ada, room, Draft("test", native, flags=flags))
    world.scheduler.run()


def test_the_index_reads_on_only_while_nothing_is_written(world: World) -> None:
    index = FakeIndex()
    searching(world, index)
    say(world, b"one")
    world.scheduler.pass_ms(IDLE_MS)
    say(world, b"two")
    world.scheduler.pass_ms(IDLE_MS)
    assert index.texts == []

    world.scheduler.pass_ms(IDLE_MS)

    assert [each.text for each in index.texts] == ["one", "two"]
    assert index.seq == world.services.log.head_seq


@pytest.mark.logs_errors
def test_what_is_encrypted_or_broken_is_left_out(world: World, error_log: list[logging.LogRecord]) -> None:
    index = FakeIndex()
    searching(world, index)
    say(world, b"poison", b"good")
    say(world, b"secret", flags=ENCRYPTED)

    for _ in range(3):
        world.scheduler.pass_ms(IDLE_MS)

    assert [each.text for each in index.texts] == ["good"]
    assert [record.getMessage() for record in error_log] == ["no text for the index"]


def test_a_search_waits_for_the_index_but_not_for_ever(world: World) -> None:
    index = FakeIndex()
    search = searching(world, index)
    say(world, b"one")
    index.stalled = True
    pages: list[Page] = []
    ada = world.services.accounts.find("ada")
    assert ada is not None

    assert search.mailbox(ada, "one", PageQuery(), pages.append) is None
    assert pages == []
    world.scheduler.pass_ms(PATIENCE_MS)
    world.scheduler.pass_ms(IDLE_MS)

    assert len(pages) == 1


def test_searches_have_a_rate(world: World) -> None:
    search = searching(world, FakeIndex())
    world.session("ada")
    ada = world.services.accounts.find("ada")
    assert ada is not None

    refusals = [search.mailbox(ada, "x", PageQuery(), lambda page: None) for _ in range(3)]

    assert refusals == [None, None, Refusal.RATE_LIMITED]
