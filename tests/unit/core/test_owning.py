"""How many rooms one account may own."""

from __future__ import annotations

import pytest
from tests.unit.core.fakes import World
from tests.unit.core.test_guests import snapshot_of
from tests.unit.core.test_rooms import fail, nothing, refusal_of_join

from sabir.core.directory import Directory
from sabir.core.errors import Refusal
from sabir.core.model.conversation import Conversation, Role
from sabir.core.model.signals import Cause
from sabir.core.policy import PolicyConfig
from sabir.core.ports import Session, StoreError
from sabir.core.services import moderation


@pytest.fixture
def world() -> World:
    return World(PolicyConfig(max_rooms_owned=2))


def test_nobody_makes_more_rooms_than_policy_allows_though_it_leaves_them(world: World) -> None:
    ada = world.session("ada")
    for name in ("a", "b"):
        room = world.join(ada, name)
        world.services.rooms.leave(ada, room, Cause.PARTED, "", nothing, fail)
        world.scheduler.run()

    assert refusal_of_join(world, ada, "c") is Refusal.TOO_MANY
    assert world.services.rooms.find("c") is None
    assert refusal_of_join(world, ada, "a") is None
    assert refusal_of_join(world, world.session("bob"), "c") is None


def test_rooms_made_at_once_are_counted_and_those_taken_back_are_not(world: World) -> None:
    ada = world.session("ada")
    refusals: list[Refusal] = []
    world.store.errors = [StoreError("disk full")]
    for name in ("a", "b", "c"):
        world.services.rooms.join(ada, name, "ada", nothing, refusals.append)
    world.scheduler.run()
    assert refusals == [Refusal.STORAGE_FAILED, Refusal.STORAGE_FAILED, Refusal.TOO_MANY]
    assert ada.actor.rooms_owned == 0

    world.scheduler.pass_ms(1000)
    assert [refusal_of_join(world, ada, name) for name in ("a", "b", "c")] == [None, None, Refusal.TOO_MANY]


def test_a_room_that_is_closed_or_given_away_counts_no_more(world: World) -> None:
    ada, bob = world.session("ada"), world.session("bob")
    one, other = world.join(ada, "a"), world.join(ada, "b")

    world.services.moderation.destroy(ada, one, "", "", nothing, fail)
    world.services.moderation.set_role(ada, other, bob.actor, Role.OWNER, "", nothing, fail)
    world.services.moderation.set_role(bob, other, ada.actor, Role.NONE, "", nothing, fail)
    world.scheduler.run()

    assert (ada.actor.rooms_owned, bob.actor.rooms_owned) == (0, 1)


def test_whoever_owns_enough_is_given_no_more_but_by_an_operator(world: World) -> None:
    ada, bob = world.session("ada"), world.session("bob")
    room = world.join(ada, "a")
    for name in ("b", "c"):
        world.join(bob, name)
    made: list[Conversation] = []
    refusals: list[Refusal] = []

    world.services.moderation.set_role(ada, room, bob.actor, Role.OWNER, "", nothing, refusals.append)
    world.services.rooms.create("d", bob.actor, made.append, fail)
    world.services.moderation.set_role(None, room, bob.actor, Role.OWNER, "", nothing, fail)
    world.scheduler.run()

    assert refusals == [Refusal.TOO_MANY]
    assert bob.actor.rooms_owned == 4


def test_a_restart_counts_the_rooms_that_exist(world: World) -> None:
    ada = world.session("ada")
    room = world.join(ada, "a")
    world.join(ada, "b")
    world.services.moderation.destroy(ada, room, "", "", nothing, fail)
    world.scheduler.run()

    directory = Directory()
    directory.load(snapshot_of(world))

    assert directory.actor(ada.actor.id).rooms_owned == 1


def test_a_room_remembers_so_many_people_and_no_more_by_anybody_but_an_operator(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moderation, "MAX_MEMBERS", 2)
    ada = world.session("ada")
    room = world.join(ada, "a")
    refusals: list[Refusal] = []

    def give(session: Session | None, number: int, role: Role) -> None:
        actor = world.services.accounts.remote("xmpp", f"p{number}@far.example")
        world.services.moderation.set_role(session, room, actor, role, "x" * 5_000, nothing, refusals.append)
        world.scheduler.run()

    give(ada, 1, Role.MEMBER)
    give(ada, 2, Role.BANNED)
    give(ada, 1, Role.ADMIN)
    target = world.account("bob").actor
    world.services.invitations.invite(ada, room, target, "", nothing, refusals.append)
    world.scheduler.run()

    assert refusals == [Refusal.TOO_MANY] * 2
    assert [len(member.reason) for member in room.members.values()] == [0, moderation.MAX_REASON]
    give(None, 3, Role.MEMBER)
    assert len(room.members) == 3
