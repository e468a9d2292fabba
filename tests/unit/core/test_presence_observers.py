"""Watchers of presence that are no contacts."""

from __future__ import annotations

from tests.unit.core.fakes import World

from sabir.core.model.presence import OFFLINE, Availability, Presence


def test_an_observer_is_told_whether_the_account_was_and_is_here() -> None:
    world = World()
    seen: list[tuple[str, bool, bool]] = []
    world.services.presences.observers.append(lambda account, was, now: seen.append((account.name, was, now)))
    one, two = world.session("ada"), world.session("ada", "two")

    world.services.presences.change(one, Presence(Availability.ONLINE))
    world.services.presences.change(two, Presence(Availability.AWAY))
    world.services.presences.change(one, OFFLINE)
    world.services.presences.change(two, OFFLINE)

    assert seen == [("ada", False, True), ("ada", True, True), ("ada", True, True), ("ada", True, False)]
