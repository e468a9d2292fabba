"""How fast an account may do what others are told of."""

from __future__ import annotations

import pytest
from tests.unit.core.fakes import FixedClock, World
from tests.unit.core.test_rooms import nothing

from sabir.core.errors import Refusal
from sabir.core.model.conversation import Conversation
from sabir.core.model.event import Draft, Kind
from sabir.core.model.signals import ReceiptKind, TypingState
from sabir.core.pace import Pace
from sabir.core.policy import PolicyConfig


def test_a_burst_and_then_the_rate_for_each_by_itself() -> None:
    clock = FixedClock()
    pace = Pace(clock, per_s=2, burst=3, limited=True)

    assert [pace.take(1) for _ in range(4)] == [None, None, None, Refusal.RATE_LIMITED]
    assert pace.take(2) is None
    clock.value_ms += 500
    assert [pace.take(1), pace.take(1)] == [None, Refusal.RATE_LIMITED]
    clock.value_ms -= 3_600_000
    assert pace.take(2) is None


def test_buckets_take_bounded_memory_and_the_latest_are_kept() -> None:
    pace = Pace(FixedClock(), per_s=1, burst=1, limited=True)

    for actor_id in range(40_000):
        assert pace.take(actor_id) is None

    assert pace.take(39_999) is Refusal.RATE_LIMITED
    assert pace.take(32_000) is Refusal.RATE_LIMITED
    assert pace.take(0) is None


class Scene:
    """Ada and bob in a room, where ada may do two things at once and then one a second."""

    def __init__(self) -> None:
        self.world = World(PolicyConfig(signals_per_s=1, signals_burst=2), limited=True)
        self.ada, self.bob = self.world.session("ada"), self.world.session("bob")
        self.room: Conversation = self.world.join(self.ada, "lobby")
        self.world.join(self.bob, "lobby")
        self.refusals: list[Refusal | None] = []

    def act(self, act: str, number: int) -> None:
        """Do one thing, and note whether it was refused."""
        services, ada, room = self.world.services, self.ada, self.room
        bob = self.bob.account
        assert bob is not None
        note = self.refusals.append
        match act:
            case "typing":
                services.reads.typing(ada, room, TypingState.COMPOSING)
            case "receipt":
                services.reads.receive(ada, room, None, ReceiptKind.READ)
            case "whisper":
                note(services.rooms.whisper(ada, room, "bob", "psst", b""))
            case "device":
                note(services.relays.to_device(ada, bob, "one", b"x"))
            case "account":
                services.relays.to_account(ada, bob, b"x")
            case "attendee":
                note(services.relays.to_attendee(ada, room, room.attendees[bob.actor.id], b"x"))
            case "room":
                note(services.relays.to_room(ada, room, b"x"))
            case "topic":
                services.moderation.set_topic(ada, room, str(number), nothing, note)
            case "presence":
                services.rooms.show(ada, room, b"", str(number))
            case "nick":
                services.rooms.rename(ada, room, f"ada{number}", nothing, note)
            case _:
                pytest.fail(act)
        self.world.scheduler.run()


ACTS = ("typing", "receipt", "whisper", "device", "account", "attendee", "room", "topic", "presence", "nick")


@pytest.mark.parametrize("act", ACTS)
def test_whoever_does_too_much_at_once_is_not_heard_until_later(act: str) -> None:
    scene = Scene()
    scene.bob.took()

    for number in range(5):
        scene.act(act, number)
    heard = len(scene.bob.took())
    scene.world.scheduler.pass_ms(1000)
    scene.act(act, 5)

    assert heard == 2
    assert len(scene.bob.took()) == 1
    assert {refusal for refusal in scene.refusals if refusal} <= {Refusal.RATE_LIMITED}


def test_invitations_and_markers_count_too() -> None:
    scene = Scene()
    services, refusals = scene.world.services, list[Refusal]()
    for name in ("eve", "joe", "sue"):
        actor = scene.world.account(name).actor
        services.invitations.invite(scene.ada, scene.room, actor, "", nothing, refusals.append)
    for text in (b"1", b"2", b"3"):
        services.messaging.post(scene.bob, scene.room, Draft("test", text))
    scene.world.scheduler.run()
    for event in scene.world.store.events:
        if event.kind == Kind.MESSAGE:
            services.reads.mark(scene.bob, scene.room, event, nothing, refusals.append)
    scene.world.scheduler.run()

    assert refusals == [Refusal.RATE_LIMITED, Refusal.RATE_LIMITED]


def test_reactions_count_as_posts() -> None:
    world = World(PolicyConfig(posts_per_s=1, posts_burst=2), limited=True)
    ada, bob = world.session("ada"), world.session("bob")
    room = world.join(ada, "lobby")
    world.join(bob, "lobby")
    world.services.messaging.post(bob, room, Draft("test", b"hi"))
    world.scheduler.run()
    target = world.store.events[-1].event_id
    ada.took()

    for emoji in "abc":
        draft = Draft("test", b"", kind=Kind.REACTION, flags=0, target_id=target)
        world.services.messaging.add_reaction(ada, room, draft, emoji, emoji)
    world.scheduler.run()

    assert ada.took() == [("posted", "a"), ("posted", "b"), (Refusal.RATE_LIMITED, "c")]


def test_nothing_is_limited_where_limits_are_off() -> None:
    world = World(PolicyConfig(signals_per_s=1, signals_burst=1))
    ada, bob = world.session("ada"), world.session("bob")
    room = world.join(ada, "lobby")
    world.join(bob, "lobby")
    bob.took()

    for _ in range(3):
        world.services.reads.typing(ada, room, TypingState.COMPOSING)

    assert len(bob.took()) == 3
