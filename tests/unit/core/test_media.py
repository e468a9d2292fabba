"""Files: slots, sizes, quotas, and what is deleted in time."""

from __future__ import annotations

import pytest
from tests.unit.core.fakes import World

from sabir.core.errors import Refusal
from sabir.core.model.actor import Account
from sabir.core.services.media import MAX_NAME, MAX_SLOTS, SLOT_MS, MediaConfig, Slot

DAY_MS = 86_400_000
CONFIG = MediaConfig(max_file_bytes=100, quota_bytes=250, keep_days=2)


@pytest.fixture
def world() -> World:
    return World(media=CONFIG)


def slot_for(world: World, account: Account, size: int = 100, name: str = "a.jpg") -> Slot:
    slot = world.services.media.ask(account, name, size, "image/jpeg")
    assert isinstance(slot, Slot)
    return slot


def kept(world: World, slot: Slot) -> list[object]:
    outcome: list[object] = []
    world.services.media.keep(slot, b"h" * 32, lambda: outcome.append("kept"), outcome.append)
    world.scheduler.run()
    return outcome


def test_a_slot_becomes_a_file_that_its_token_finds(world: World) -> None:
    ada = world.account("ada")
    slot = slot_for(world, ada)
    assert world.services.media.slot(slot.token) is slot
    assert world.services.media.find(slot.token) is None

    assert kept(world, slot) == ["kept"]

    row = world.services.media.find(slot.token)
    assert row is not None
    assert (row.name, row.size, row.mime, row.actor_id) == ("a.jpg", 100, "image/jpeg", ada.actor.id)
    assert row.id == row.changed_seq
    assert world.services.media.slot(slot.token) is None


@pytest.mark.parametrize(
    ("name", "size", "refusal"),
    [
        ("a", 101, Refusal.TOO_LARGE),
        ("a", 0, Refusal.BAD_REQUEST),
        ("", 1, Refusal.BAD_REQUEST),
        ("a" * (MAX_NAME + 1), 1, Refusal.BAD_REQUEST),
    ],
)
def test_what_no_slot_is_given_for(world: World, name: str, size: int, refusal: Refusal) -> None:
    assert world.services.media.ask(world.account("ada"), name, size, "") is refusal


def test_files_and_slots_together_keep_within_the_quota_of_an_account(world: World) -> None:
    ada, bob = world.account("ada"), world.account("bob")
    kept(world, slot_for(world, ada))
    slot_for(world, ada)

    assert world.services.media.ask(ada, "c", 51, "") is Refusal.TOO_MANY
    assert isinstance(world.services.media.ask(ada, "c", 50, ""), Slot)
    assert isinstance(world.services.media.ask(bob, "c", 100, ""), Slot)


def test_an_account_has_so_many_slots_at_a_time(world: World) -> None:
    ada = world.account("ada")
    for _ in range(MAX_SLOTS):
        slot_for(world, ada, 1)

    assert world.services.media.ask(ada, "one more", 1, "") is Refusal.TOO_MANY
    world.clock.value_ms += SLOT_MS
    assert isinstance(world.services.media.ask(ada, "one more", 1, ""), Slot)


def test_a_slot_is_over_in_time_but_an_upload_that_has_begun_is_not(world: World) -> None:
    ada = world.account("ada")
    unused, used = slot_for(world, ada), slot_for(world, ada)
    used.is_used = True

    world.clock.value_ms += SLOT_MS

    assert world.services.media.slot(unused.token) is None
    assert world.services.media.ask(ada, "c", 100, "") is not None
    assert kept(world, used) == ["kept"]


def test_an_upload_counts_however_long_it_takes(world: World) -> None:
    ada = world.account("ada")
    slots = [slot_for(world, ada) for _ in range(2)]
    for slot in slots:
        slot.is_used = True

    world.scheduler.pass_ms(10 * 3_600_000)

    assert world.services.media.ask(ada, "c", 51, "") is Refusal.TOO_MANY
    world.services.media.release(slots[0])
    assert isinstance(world.services.media.ask(ada, "c", 51, ""), Slot)


def test_nothing_is_kept_for_an_account_that_went_meanwhile(world: World) -> None:
    ada = world.account("ada")
    slot = slot_for(world, ada)
    world.services.accounts.delete(ada, lambda: None, lambda refusal: None)
    world.scheduler.run()

    assert kept(world, slot) == [Refusal.ACCOUNT_DISABLED]


def test_old_files_are_deleted_row_first_and_bytes_then(world: World) -> None:
    ada = world.account("ada")
    old = slot_for(world, ada)
    kept(world, old)
    world.scheduler.pass_ms(DAY_MS)
    young = slot_for(world, ada)
    kept(world, young)

    world.scheduler.pass_ms(DAY_MS + 3_600_000)

    assert world.discarded == [old.token]
    assert world.services.media.find(old.token) is None
    assert world.services.media.find(young.token) is not None
    assert isinstance(world.services.media.ask(ada, "c", 100, ""), Slot)


def test_the_files_of_a_deleted_account_go_with_it(world: World) -> None:
    ada, bob = world.account("ada"), world.account("bob")
    hers, his = slot_for(world, ada), slot_for(world, bob)
    kept(world, hers)
    kept(world, his)
    world.services.accounts.delete(ada, lambda: None, lambda refusal: None)
    world.scheduler.run()

    world.scheduler.pass_ms(3_600_000)

    assert world.discarded == [hers.token]


def test_a_quota_below_one_file_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="quota_bytes"):
        MediaConfig(max_file_bytes=10, quota_bytes=9)
    with pytest.raises(ValueError, match="keep_days"):
        MediaConfig(keep_days=0)
