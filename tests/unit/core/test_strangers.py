"""How many people whom nobody knows may come to an account, and what is kept of those who only pass."""

from __future__ import annotations

from tests.unit.core.fakes import Listener, World
from tests.unit.core.test_rooms import fail, nothing

from sabir.core.errors import Refusal
from sabir.core.model.actor import Account, Actor
from sabir.core.model.changes import ContactRow
from sabir.core.policy import PolicyConfig
from sabir.core.services.accounts import PASSING_MS


def stranger(world: World, number: int, domain: str = "far.example") -> Actor:
    return world.services.accounts.remote("xmpp", f"p{number}@{domain}")


def person(world: World, name: str) -> Account:
    return world.services.accounts.find(name) or world.account(name)


def write(world: World, name: str, peer: Actor) -> Refusal | None:
    """Let `peer` begin to write, as a front end does."""
    account = person(world, name)
    refusal = world.services.strangers.may_write(account, peer)
    if refusal is None:
        world.services.messaging.open_foreign(account, peer)
    return refusal


def test_only_so_many_strangers_may_write_to_an_account_but_any_contact() -> None:
    world = World(policy=PolicyConfig(max_strangers=3))
    friend = stranger(world, 99)
    world.services.roster.set(world.account("ada"), friend, "", (), nothing, fail)
    world.scheduler.run()

    assert [write(world, "ada", stranger(world, number)) for number in range(3)] == [None, None, None]
    assert write(world, "ada", stranger(world, 3)) is Refusal.TOO_MANY
    assert write(world, "ada", friend) is None
    assert write(world, "ada", stranger(world, 4)) is Refusal.TOO_MANY
    assert write(world, "bob", stranger(world, 3)) is None


def test_who_became_a_contact_is_no_stranger_any_more() -> None:
    world = World(policy=PolicyConfig(max_strangers=2))
    first = stranger(world, 0)
    assert write(world, "ada", first) is None
    assert write(world, "ada", stranger(world, 1)) is None
    assert write(world, "ada", stranger(world, 2)) is Refusal.TOO_MANY

    world.services.roster.set(person(world, "ada"), first, "", (), nothing, fail)
    world.scheduler.run()

    assert write(world, "ada", stranger(world, 2)) is None


def test_people_of_one_server_come_no_faster_than_the_rate_and_keep_nobody_else_away() -> None:
    world = World(policy=PolicyConfig(strangers_burst=2, strangers_per_hour=60), limited=True)

    assert [write(world, "ada", stranger(world, number)) for number in range(2)] == [None, None]
    assert write(world, "ada", stranger(world, 2)) is Refusal.RATE_LIMITED
    assert write(world, "ada", stranger(world, 3, "other.example")) is None
    assert write(world, "bob", stranger(world, 2)) is None
    world.scheduler.pass_ms(60_000)
    assert write(world, "ada", stranger(world, 2)) is None


def test_who_is_blocked_opens_no_conversation() -> None:
    world = World()
    ada = world.account("ada")
    world.services.roster.block(ada, ["far.example"], nothing, fail)
    world.scheduler.run()

    assert write(world, "ada", stranger(world, 0)) is Refusal.BLOCKED
    assert world.services.directory.directs == {}


def test_an_account_begins_with_so_many_people_elsewhere_and_no_more() -> None:
    world = World(policy=PolicyConfig(max_correspondents=2))
    ada = world.account("ada")
    for number in range(2):
        assert world.services.strangers.may_begin(ada) is None
        world.services.messaging.open_foreign(ada, stranger(world, number))

    assert world.services.strangers.may_begin(ada) is Refusal.TOO_MANY


def test_only_so_many_requests_wait_for_an_answer() -> None:
    world = World(policy=PolicyConfig(max_requests=2))
    ada = world.account("ada")
    refusals: list[Refusal] = []

    for number in range(4):
        world.services.roster.asked_by(ada, stranger(world, number), b"", nothing, refusals.append)
    world.services.roster.ask(world.account("bob"), ada.actor, b"", nothing, refusals.append)
    world.services.roster.asked_by(ada, stranger(world, 0), b"again", nothing, fail)
    world.scheduler.run()

    assert refusals == [Refusal.TOO_MANY] * 3
    assert len(world.services.roster.requests(ada)) == 2
    assert world.services.roster.contacts(person(world, "bob")) == []
    world.services.roster.approve(ada, stranger(world, 0), nothing, fail)
    world.services.roster.asked_by(ada, stranger(world, 9), b"", nothing, fail)
    world.scheduler.run()
    assert len([row for row in world.store.changes if isinstance(row, ContactRow)]) == 4


def test_who_only_passes_is_forgotten_and_who_is_named_or_here_is_not() -> None:
    world = World()
    ada = world.account("ada")
    contact, writer, passer = (stranger(world, number) for number in range(3))
    world.services.roster.set(ada, contact, "", (), nothing, fail)
    world.services.messaging.open_foreign(ada, writer)
    world.scheduler.run()
    for round_number in range(20):
        world.scheduler.pass_ms(PASSING_MS // 4)
        for number in range(100):
            stranger(world, 1_000 + 100 * round_number + number)

    actors = world.services.directory.actors
    assert contact.id in actors
    assert writer.id in actors
    assert passer.id not in actors
    assert len(actors) < 1_000
    assert len(world.services.log.newcomers) == len(actors) - 2  # ada and the contact are stored
    assert stranger(world, 2).id > passer.id


def test_somebody_elsewhere_who_is_in_a_room_is_not_forgotten() -> None:
    world = World()
    visitor = stranger(world, 0)
    world.join(world.session("ada"), "lobby")
    device = Listener(visitor)
    world.services.devices.log_in(device)
    world.join(device, "lobby")
    for number in range(20):
        world.scheduler.pass_ms(PASSING_MS // 4)
        stranger(world, 1_000 + number)

    assert stranger(world, 0) is visitor
