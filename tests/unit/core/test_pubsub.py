"""Nodes in memory: what is taken back with a batch, what is forgotten and read again, all edits or none."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from tests.unit.core.fakes import Listener, World

from sabir.core.errors import Refusal
from sabir.core.model.presence import Availability, Presence
from sabir.core.model.pubsub import (
    Access,
    ConfigureNode,
    CreateNode,
    DeleteNode,
    Edit,
    Node,
    NodeConfig,
    NodeEvent,
    Publish,
    Retract,
)
from sabir.core.model.signals import NodeChanged
from sabir.core.ports import StoreError
from sabir.core.services import shelves

HERE = Presence(Availability.ONLINE, "", 0, "test", b"here")
MANY: dict[str, object] = {"max_items": 0}


class Owner:
    """Ada, who publishes."""

    def __init__(self) -> None:
        self.world = World()
        self.session: Listener = self.world.session("ada")
        self.world.services.presences.change(self.session, HERE)
        self.pubsub = self.world.services.pubsub
        self.world.scheduler.run()
        self.session.took()

    def edit(self, *edits: Edit) -> list[Refusal | None]:
        """Queue edits in one operation; the list has its outcome once it has one."""
        outcome: list[Refusal | None] = []
        actor = self.session.actor
        self.pubsub.edit(actor, actor, edits, lambda: outcome.append(None), outcome.append)
        return outcome

    def now(self, *edits: Edit) -> Refusal | None:
        """Edit, and return what came of it."""
        outcome = self.edit(*edits)
        self.world.scheduler.run()
        (only,) = outcome
        return only

    def items(self, name: str) -> list[str]:
        node = self.pubsub.node(self.session.actor, name)
        return [] if node is None else list(node.items)

    def told(self) -> Sequence[tuple[str, NodeEvent]]:
        heard = self.session.took()
        return [(each.node.name, each.what) for each in heard if isinstance(each, NodeChanged)]


def published(name: str, id_: str, payload: bytes = b"<a/>") -> Publish:
    return Publish(name, id_, payload, MANY)


def test_what_was_not_stored_is_neither_shown_nor_remembered() -> None:
    ada = Owner()
    assert ada.now(published("n", "one")) is None
    ada.told()
    ada.world.store.errors.append(StoreError("disk full"))

    outcome = [ada.edit(published("n", "two")), ada.edit(published("m", "one")), ada.edit(DeleteNode("n"))]
    ada.world.scheduler.run()

    assert outcome == [[Refusal.STORAGE_FAILED]] * 3
    assert ada.told() == []
    assert ada.items("n") == ["one"]
    assert ada.pubsub.node(ada.session.actor, "m") is None
    ada.world.scheduler.pass_ms(2_000)
    assert ada.now(published("n", "three")) is None
    assert ada.items("n") == ["one", "three"]


def test_edits_of_one_batch_see_each_other() -> None:
    ada = Owner()

    outcomes = [
        ada.edit(CreateNode("n", NodeConfig(access=Access.WHITELIST, max_items=2))),
        ada.edit(Publish("n", "one", b"<a/>")),
        ada.edit(Publish("n", "two", b"<a/>", {"access": Access.OPEN})),
        ada.edit(CreateNode("n", NodeConfig())),
        ada.edit(Publish("n", "three", b"<a/>")),
        ada.edit(Publish("n", "four", b"<a/>")),
        ada.edit(ConfigureNode("n", {"max_items": 1})),
        ada.edit(Retract("n", "one")),
    ]
    ada.world.scheduler.run()

    assert [outcome for (outcome,) in outcomes] == [
        None,
        None,
        Refusal.NODE_DIFFERS,
        Refusal.NODE_EXISTS,
        None,
        None,
        None,
        Refusal.ITEM_UNKNOWN,
    ]
    assert ada.items("n") == ["four"]
    assert [row.item_id for row in ada.world.store.item_rows.values()] == ["four"]


def test_several_edits_happen_all_or_none() -> None:
    ada = Owner()
    ada.now(published("n", "one"))
    ada.told()

    refused = ada.now(published("n", "two"), Retract("n", "one"), Retract("n", "nothing"))

    assert refused is Refusal.ITEM_UNKNOWN
    assert ada.items("n") == ["one"]
    assert ada.told() == []
    assert ada.now(published("n", "two"), Retract("n", "one")) is None
    assert ada.items("n") == ["two"]
    assert ada.told() == [("n", NodeEvent.PUBLISHED), ("n", NodeEvent.RETRACTED)]


def test_what_was_not_used_for_long_is_forgotten_and_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelves, "MAX_KEPT", 20)
    ada = Owner()
    for number in range(10):
        ada.now(published("n", str(number)))
    before = ada.pubsub.node(ada.session.actor, "n")
    for name in ("bob", "cy", "dan"):
        other = ada.world.session(name)
        for number in range(8):
            edit = published("m", str(number))
            ada.pubsub.edit(other.actor, other.actor, [edit], lambda: None, pytest.fail)
            ada.world.scheduler.run()

    after = ada.pubsub.node(ada.session.actor, "n")

    assert isinstance(before, Node)
    assert after is not before
    assert ada.items("n") == [str(number) for number in range(10)]
    assert after is not None
    assert after.size_bytes == 10 * len(b"<a/>")
    assert after.config.max_items == 0


def test_an_edit_that_waits_keeps_what_it_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelves, "MAX_KEPT", 1)
    ada, bob = Owner(), None
    bob = ada.world.session("bob")
    ada.world.store.stalled = True

    first = ada.edit(published("n", "one"))
    ada.pubsub.edit(bob.actor, bob.actor, [published("m", "one")], lambda: None, pytest.fail)
    second = ada.edit(published("n", "two"))
    ada.world.scheduler.run()
    assert first == second == []
    ada.world.store.go()
    ada.world.scheduler.run()

    assert first == second == [None]
    assert ada.items("n") == ["one", "two"]


def test_nobody_publishes_for_somebody_else() -> None:
    ada = Owner()
    bob = ada.world.session("bob")
    outcome: list[Refusal] = []

    ada.pubsub.edit(bob.actor, ada.session.actor, [published("n", "one")], pytest.fail, outcome.append)
    ada.world.scheduler.run()

    assert outcome == [Refusal.ROLE_TOO_LOW]
    assert ada.pubsub.node(ada.session.actor, "n") is None
