"""Guests and remote people: actors without an account, and what the store knows of them."""

from __future__ import annotations

from tests.unit.core.fakes import World
from tests.unit.core.test_rooms import fail, nothing

from sabir.core.directory import Directory
from sabir.core.errors import Refusal
from sabir.core.model.changes import AccountRow, ActorRow, ContactRow, ConversationRow, MemberRow
from sabir.core.model.conversation import Role
from sabir.core.model.event import Draft
from sabir.core.ports import Snapshot, StoreError


def stored(world: World) -> list[int]:
    """Return the ids of the actors without account that the store knows."""
    return [row.id for row in world.store.changes if isinstance(row, ActorRow) and row.account_id is None]


def test_a_guest_who_says_nothing_leaves_nothing() -> None:
    world = World()
    guest = world.guest("Zoe")
    world.join(world.session("ada"), "lobby")
    world.join(guest, "lobby")
    actor = guest.actor

    world.leave(guest)

    assert stored(world) == []
    assert actor.id not in world.services.directory.actors
    assert world.guest("zoe").actor.id > actor.id


def test_a_guest_is_stored_with_its_first_words_and_stays_their_author() -> None:
    world = World()
    guest = world.guest("Zoe")
    room = world.join(world.session("ada"), "lobby")
    world.join(guest, "lobby")

    for text in (b"hi", b"there"):
        world.services.messaging.post(guest, room, Draft("test", text))
    world.scheduler.run()
    world.leave(guest)

    assert stored(world) == [guest.actor.id]
    assert world.services.directory.actor(world.store.events[-1].actor_id) is guest.actor


def test_a_guest_whose_first_words_were_not_stored_is_stored_with_the_next() -> None:
    world = World()
    guest = world.guest("Zoe")
    room = world.join(world.session("ada"), "lobby")
    world.join(guest, "lobby")
    world.store.errors = [StoreError("bad row", statement=True)]
    world.services.messaging.post(guest, room, Draft("test", world.store.poison))
    world.scheduler.run()
    assert stored(world) == []

    world.services.messaging.post(guest, room, Draft("test", b"hi"))
    world.scheduler.run()

    assert stored(world) == [guest.actor.id]


def test_nobody_inherits_the_roles_of_a_guest() -> None:
    world = World()
    ada, guest = world.session("ada"), world.guest("Zoe")
    room = world.join(ada, "lobby")
    world.join(guest, "lobby")
    world.services.moderation.set_role(ada, room, guest.actor, Role.ADMIN, "", nothing, fail)
    world.scheduler.run()
    assert guest.actor.id in stored(world)

    world.leave(guest)
    heir = world.guest("zoe")
    world.join(heir, "lobby")

    assert [member.actor.name for member in room.members.values()] == ["ada"]
    assert room.attendees[heir.actor.id].role is Role.MEMBER
    rows = [row for row in world.store.changes if isinstance(row, MemberRow)]
    assert (rows[-1].actor_id, rows[-1].gone) == (guest.actor.id, True)


def test_the_nick_of_a_guest_who_is_here_is_taken_and_an_accounts_too() -> None:
    world = World()
    world.account("ada")
    world.guest("Zoe")

    assert world.services.accounts.guest("test", "ZOE") is None
    assert world.services.accounts.guest("test", "Ada") is None


def test_a_remote_person_is_stored_with_what_names_it_first() -> None:
    world = World()
    ada = world.account("ada")
    eve = world.services.accounts.remote("xmpp", "eve@example.org")
    refusals: list[Refusal] = []
    world.store.errors = [StoreError("disk full")]
    world.services.roster.set(ada, eve, "Eve", (), nothing, refusals.append)
    world.scheduler.run()
    assert refusals == [Refusal.STORAGE_FAILED]
    assert stored(world) == []

    world.scheduler.pass_ms(1000)
    world.services.roster.set(ada, eve, "Eve", (), nothing, fail)
    world.services.roster.set(ada, eve, "Evelyn", (), nothing, fail)
    world.scheduler.run()

    assert stored(world) == [eve.id]
    assert [row.actor_id for row in world.store.changes if isinstance(row, ContactRow)] == [eve.id, eve.id]
    assert world.services.accounts.remote("xmpp", "eve@example.org") is eve


def test_a_guest_of_before_a_restart_has_no_role_any_more() -> None:
    world = World()
    ada, guest = world.session("ada"), world.guest("Zoe")
    room = world.join(ada, "lobby")
    world.services.moderation.set_role(ada, room, guest.actor, Role.OWNER, "", nothing, fail)
    world.scheduler.run()

    directory = Directory()
    directory.load(snapshot_of(world))

    assert [member.actor.name for member in directory.conversations[room.id].members.values()] == ["ada"]
    assert directory.actor(guest.actor.id).name == "Zoe"


def snapshot_of(world: World) -> Snapshot:
    """Return what a store would load after a crash of this world."""
    rows = world.store.changes
    return Snapshot(
        1,
        world.services.log.head_seq,
        0,
        0,
        [row for row in rows if isinstance(row, AccountRow)],
        [row for row in rows if isinstance(row, ActorRow)],
        list({row.id: row for row in rows if isinstance(row, ConversationRow)}.values()),
        [],
        [row for row in rows if isinstance(row, MemberRow)],
        [],
        [],
        [],
    )
