"""The log: numbers, batches, order, and what a failed commit gives back."""

from __future__ import annotations

import pytest
from tests.unit.core.fakes import World

from sabir.core.errors import Refusal
from sabir.core.log import GENERATION_GAP, SOFT_BYTES, Log, Operation
from sabir.core.model.conversation import Role
from sabir.core.model.event import Draft, Kind
from sabir.core.model.signals import Cause, Departed
from sabir.core.ports import StoreError


def say(text: bytes, native_id: bytes = b"") -> Draft:
    return Draft("test", text, native_id=native_id)


def test_numbers_are_dense_per_conversation_and_overall() -> None:
    world = World()
    ada, bob = world.session("ada"), world.session("bob")
    room = world.join(ada, "lobby")
    direct = world.services.messaging.open_direct(ada.account, bob.account)  # type: ignore[arg-type]
    head = world.services.log.head_seq

    for number in range(5):
        world.services.messaging.post(ada, room, say(b"r%d" % number))
        world.services.messaging.post(ada, direct, say(b"d%d" % number))
    world.scheduler.run()

    said = [event for event in world.store.events if event.seq > head]
    assert [event.position for event in said if event.conversation_id == direct.id] == [1, 2, 3, 4, 5]
    assert [event.message_no for event in said if event.conversation_id == room.id] == [1, 2, 3, 4, 5]
    # one more number went to the row of the direct conversation, made with its first entry
    assert [event.seq for event in said] == [head + 1, *range(head + 3, head + 12)]
    assert next(event.boxes for event in said if event.conversation_id == direct.id) == ((1, 1), (2, 1))
    ids = [event.event_id for event in said]
    assert ids == sorted(ids)


def test_what_arrives_during_a_commit_is_the_next_batch() -> None:
    world = World()
    ada = world.session("ada")
    room = world.join(ada, "lobby")
    world.store.stalled = True
    before = len(world.store.batches)

    world.services.messaging.post(ada, room, say(b"1"))
    world.scheduler.run()
    for text in (b"2", b"3", b"4"):
        world.services.messaging.post(ada, room, say(text))
    world.scheduler.run()
    assert len(world.store.batches) == before + 1
    world.store.go()
    world.scheduler.run()

    assert [len(batch.events) for batch in world.store.batches[before:]] == [1, 3]


def test_while_many_talk_answers_to_a_batch_join_those_who_waited() -> None:
    world = World()
    ada, bob = world.session("ada"), world.session("bob")
    room = world.join(ada, "lobby")
    world.join(bob, "lobby")
    world.store.stalled = True
    before = len(world.store.batches)

    for text in (b"1", b"2"):
        world.services.messaging.post(ada, room, say(text))
    world.scheduler.run()
    world.services.messaging.post(ada, room, say(b"3"))
    world.store.go()
    world.services.messaging.post(bob, room, say(b"answer to 1"))
    world.scheduler.run()

    assert [len(batch.events) for batch in world.store.batches[before:]] == [2, 2]


def test_what_waited_for_a_batch_of_one_is_handed_on_before_that_one_is_delivered() -> None:
    world = World()
    ada, bob = world.session("ada"), world.session("bob")
    room = world.join(ada, "lobby")
    world.join(bob, "lobby")
    world.store.stalled = True
    before = len(world.store.batches)

    world.services.messaging.post(ada, room, say(b"1"))
    world.scheduler.run()
    world.services.messaging.post(ada, room, say(b"2"))
    world.store.go()
    world.services.messaging.post(bob, room, say(b"answer to 1"))
    world.scheduler.run()

    assert [len(batch.events) for batch in world.store.batches[before:]] == [1, 1, 1]


def test_a_message_and_the_part_behind_it_keep_their_order() -> None:
    world = World()
    ada, bob = world.session("ada"), world.session("bob")
    room = world.join(ada, "lobby")
    world.join(bob, "lobby")
    bob.took()

    world.services.messaging.post(ada, room, say(b"bye"))
    world.services.rooms.leave(ada, room, Cause.QUIT, "", lambda attendee, gone: None, lambda refusal: None)
    world.scheduler.run()

    heard = bob.took()
    assert heard[0] == b"bye"
    assert isinstance(heard[1], Departed)


def test_a_post_behind_a_ban_in_the_same_batch_is_refused() -> None:
    world = World()
    ada, bob = world.session("ada"), world.session("bob")
    room = world.join(ada, "lobby")
    world.join(bob, "lobby")
    bob.took()

    world.services.moderation.set_role(
        ada, room, bob.actor, Role.BANNED, "", lambda: None, lambda refusal: None
    )
    world.services.messaging.post(bob, room, say(b"too late"), "t")
    world.scheduler.run()

    assert (Refusal.BANNED, "t") in bob.took()
    assert not any(event.native == b"too late" for event in world.store.events)


def test_a_failed_commit_gives_all_numbers_back_and_refuses() -> None:
    world = World()
    ada = world.session("ada")
    room = world.join(ada, "lobby")
    head, position = world.services.log.head_seq, room.head_position
    world.store.errors = [StoreError("disk full")]

    world.services.messaging.post(ada, room, say(b"1"), "t1")
    world.scheduler.run()

    assert ada.took()[-1] == (Refusal.STORAGE_FAILED, "t1")
    assert (room.head_position, world.services.log.head_seq) == (position, head)
    assert not world.services.log.healthy

    world.services.messaging.post(ada, room, say(b"2"), "t2")
    world.scheduler.run()
    assert ada.took() == [(Refusal.STORAGE_FAILED, "t2")]

    world.scheduler.pass_ms(1000)
    world.services.messaging.post(ada, room, say(b"3"), "t3")
    world.scheduler.run()
    assert ada.took() == [("posted", "t3")]
    assert world.services.log.healthy
    assert world.store.events[-1].position == position + 1


def test_a_failed_commit_takes_back_what_was_applied_to_memory() -> None:
    world = World()
    ada, bob = world.session("ada"), world.session("bob")
    room = world.join(ada, "lobby")
    world.join(bob, "lobby")
    world.store.errors = [StoreError("disk full")]

    world.services.moderation.set_role(
        ada, room, bob.actor, Role.BANNED, "", lambda: None, lambda refusal: None
    )
    world.scheduler.run()

    assert room.role_of(bob.actor.id) is Role.NONE
    assert bob.actor.id in room.attendees
    assert world.services.rooms.attendee(room, "bob") is not None


def test_one_poisoned_item_does_not_fail_the_others() -> None:
    world = World()
    ada = world.session("ada")
    room = world.join(ada, "lobby")
    ada.took()

    for token, text in enumerate((b"1", world.store.poison, b"3")):
        world.services.messaging.post(ada, room, say(text), token)
    world.scheduler.run()

    assert ada.took() == [("posted", 0), (Refusal.STORAGE_FAILED, 1), ("posted", 2)]
    positions = [event.position for event in world.store.events if event.conversation_id == room.id]
    assert positions == list(range(1, len(positions) + 1))
    assert world.services.log.healthy


def test_refusals_come_in_the_order_of_posts() -> None:
    world = World()
    ada, bob = world.session("ada"), world.session("bob")
    room = world.join(ada, "lobby")
    other = world.join(bob, "cellar")
    ada.took()

    world.services.messaging.post(ada, room, say(b"1"), 1)
    world.services.messaging.post(ada, other, say(b"2"), 2)
    world.services.messaging.post(ada, room, say(b"3"), 3)
    world.scheduler.run()

    assert ada.took() == [("posted", 1), (Refusal.NOT_ATTENDING, 2), ("posted", 3)]


def test_a_session_is_held_while_too_much_waits() -> None:
    world = World()
    ada = world.session("ada")
    room = world.join(ada, "lobby")
    world.store.stalled = True

    size = 200_000
    for _ in range(SOFT_BYTES // size + 2):
        world.services.messaging.post(ada, room, say(b"x" * size))
    assert ada.held

    world.scheduler.run()
    world.store.go()
    world.scheduler.run()
    assert not ada.held


def test_a_new_generation_gives_no_number_twice() -> None:
    world = World()
    ada, bob = world.session("ada"), world.session("bob")
    direct = world.services.messaging.open_direct(ada.account, bob.account)  # type: ignore[arg-type]
    world.services.messaging.post(ada, direct, say(b"1"))
    world.scheduler.run()

    log = world.services.log
    log.open(2, log.head_seq + 2**32, log.head_leaf, log.now_ms)
    world.services.messaging.post(ada, direct, say(b"2"))
    world.scheduler.run()

    last = world.store.events[-1]
    assert last.position == 1 + GENERATION_GAP + 1
    assert last.pts == 1 + GENERATION_GAP + 1
    assert last.boxes[0][1] == 1 + GENERATION_GAP + 1


@pytest.mark.logs_errors
def test_an_item_that_raises_is_refused_and_the_others_are_not() -> None:
    world = World()
    ada = world.session("ada")
    room = world.join(ada, "lobby")
    ada.took()

    def raises(log: Log) -> Refusal | None:
        log.enter(room, ada.actor.id, "ada", Kind.MESSAGE, 0, "test", b"half done")
        raise LookupError

    world.services.messaging.post(ada, room, say(b"1"), 1)
    world.services.log.append(Operation(raises, lambda: None, lambda refusal: ada.refused(refusal, 2)))
    world.services.messaging.post(ada, room, say(b"3"), 3)
    world.scheduler.run()

    assert ada.took() == [("posted", 1), (Refusal.FAULT, 2), ("posted", 3)]
    positions = [event.position for event in world.store.events if event.conversation_id == room.id]
    assert positions == list(range(1, len(positions) + 1))
    assert b"half done" not in [event.native for event in world.store.events]
    assert world.services.log.pending_bytes == 0


def test_what_is_formed_again_tells_of_the_second_time() -> None:
    world = World()
    ada, bob = world.session("ada"), world.session("bob")
    room = world.join(ada, "lobby")

    world.services.messaging.post(ada, room, say(world.store.poison))
    world.services.rooms.join(bob, "lobby", "bob", lambda joined: None, lambda refusal: None)
    world.services.moderation.set_topic(ada, room, "cake", lambda: None, lambda refusal: None)
    world.scheduler.run()

    assert bob in room.attendees[bob.actor.id].sessions
    assert room.topic is not None
    assert room.topic.event_id == world.store.events[-1].event_id
    world.services.messaging.post(bob, room, say(b"here"), 1)
    world.scheduler.run()
    assert ada.took()[-1] == b"here"
