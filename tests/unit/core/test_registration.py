"""Registration: nicks of one's own, requests that wait, and what a failed commit leaves of them."""

from __future__ import annotations

from tests.unit.core.fakes import Listener, World
from tests.unit.core.test_rooms import fail, nothing, refusal_of_join

from sabir.core.errors import Refusal
from sabir.core.log import RETRY_MS
from sabir.core.model.conversation import Conversation, Membership, Role, RoomConfig
from sabir.core.model.signals import Cause, MembershipAsked
from sabir.core.ports import StoreError


def ask(world: World, session: Listener, room: Conversation, nick: str) -> bool | Refusal:
    outcome: list[bool | Refusal] = []
    world.services.registration.ask(session, room, nick, outcome.append, outcome.append)
    world.scheduler.run()
    (found,) = outcome
    return found


def configure(world: World, session: Listener, room: Conversation, config: RoomConfig) -> None:
    world.services.moderation.configure(session, room, config, nothing, fail)
    world.scheduler.run()


def test_a_registration_that_is_not_stored_never_was() -> None:
    world = World()
    ada, bob, eve = world.session("ada"), world.session("bob"), world.session("eve")
    room = world.join(ada, "lobby")
    world.store.errors = [StoreError("disk full")]

    assert ask(world, bob, room, "Bobby") is Refusal.STORAGE_FAILED

    assert (room.registered, room.reserved) == ({}, {})
    assert bob.actor.id not in room.members
    world.scheduler.pass_ms(RETRY_MS)
    assert refusal_of_join(world, eve, "lobby", "Bobby") is None


def test_another_nick_gives_the_first_one_free() -> None:
    world = World()
    ada, bob = world.session("ada"), world.session("bob")
    room = world.join(ada, "lobby")

    assert ask(world, bob, room, "Bobby") is True
    assert ask(world, bob, room, "Robert") is True

    assert room.registered == {bob.actor.id: "Robert"}
    assert refusal_of_join(world, world.session("eve"), "lobby", "Bobby") is None


def test_ones_own_name_is_ones_own_whoever_reserved_it_before() -> None:
    world = World()
    ada, bob = world.session("ada"), world.session("bob")
    room = world.join(ada, "lobby")
    ask(world, bob, room, "carol")

    carol = world.session("carol")

    assert refusal_of_join(world, carol, "lobby", "carol") is None


def test_parting_for_good_gives_a_nick_free() -> None:
    world = World()
    ada, bob = world.session("ada"), world.session("bob")
    room = world.join(ada, "lobby")
    configure(world, ada, room, RoomConfig(moderated=True))
    world.join(bob, "lobby", durable=True)
    assert ask(world, bob, room, "Bobby") is True
    assert room.role_of(bob.actor.id) is Role.NONE, "a registration gives no voice"

    world.services.rooms.leave(bob, room, Cause.PARTED, "", nothing, fail)
    world.scheduler.run()

    assert room.registered == {}


def test_admins_of_every_protocol_are_told_who_asks() -> None:
    world = World()
    ada, bob, eve = world.session("ada"), world.session("bob"), world.session("eve")
    room = world.join(ada, "lobby")
    world.join(eve, "lobby", durable=True)
    configure(world, ada, room, RoomConfig(members_only=True))
    ada.took(), eve.took()

    assert ask(world, bob, room, "Bobby") is False

    assert [type(each) for each in ada.took()] == [MembershipAsked]
    assert not any(isinstance(each, MembershipAsked) for each in eve.took())
    assert room.members[bob.actor.id].membership is Membership.KNOCK
    assert refusal_of_join(world, bob, "lobby") is Refusal.MEMBERS_ONLY


def test_an_invitation_answers_a_request() -> None:
    world = World()
    ada, bob = world.session("ada"), world.session("bob")
    room = world.join(ada, "lobby")
    configure(world, ada, room, RoomConfig(members_only=True))
    ask(world, bob, room, "Bobby")

    world.services.invitations.invite(ada, room, bob.actor, "", nothing, fail)
    world.scheduler.run()

    assert world.services.registration.waiting(room) == []
    assert refusal_of_join(world, bob, "lobby") is None
