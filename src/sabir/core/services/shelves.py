"""What the core keeps of pubsub nodes: those of actors whose nodes were used lately, without the payloads.

A shelf is all nodes of one actor. It is read from the store when it is first needed and forgotten when others need
the room; if a batch that changed it is rolled back it is read again, so nothing has to be undone one by one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from sabir.core.log import Log
from sabir.core.model.actor import Actor
from sabir.core.model.pubsub import Affiliation, Node, NodeConfig, Subscriber
from sabir.core.ports import LogStore

MAX_KEPT: Final = 100_000
"""Nodes and items kept in memory, of all actors: about 20 MiB."""

SUBSCRIBED: Final = "subscribed"
"""`SubscriberRow.state` of who gets what is published."""


class Shelf:
    """All nodes of `owner`, by name. `changing` counts edits of it that are not yet on the disk."""

    def __init__(self, owner: Actor, nodes: dict[str, Node]) -> None:
        self.owner = owner
        self.nodes = nodes
        self.changing = 0
        self.weight = 0

    @property
    def size_bytes(self) -> int:
        """What all items hold."""
        return sum(node.size_bytes for node in self.nodes.values())

    def copy(self) -> dict[str, Node]:
        """Return a copy of the nodes."""
        return {name: node.copy() for name, node in self.nodes.items()}


class Shelves:
    """Finds shelves, in memory or in the store."""

    def __init__(self, store: LogStore, owners: Iterable[int], last_node_id: int) -> None:
        self.last_node_id = last_node_id
        self._store = store
        self._owners = set(owners)
        self._kept: dict[int, Shelf] = {}
        self._weight = 0

    def of(self, owner: Actor) -> Shelf | None:
        """Return the nodes of an actor, None if it never had any."""
        return self.open(owner) if owner.id in self._owners else None

    def open(self, owner: Actor) -> Shelf:
        """Return the nodes of an actor, maybe none."""
        shelf = self._kept.pop(owner.id, None)
        if shelf is None:
            shelf = self._read(owner) if owner.id in self._owners else Shelf(owner, {})
            self._owners.add(owner.id)
            self._kept[owner.id] = shelf
            self.weigh(shelf)
        else:
            self._kept[owner.id] = shelf  # as the one used last
        return shelf

    def begin(self, log: Log, shelf: Shelf) -> None:
        """Note that the item that forms changes a shelf: it stays until `finish`, or is read anew."""
        shelf.changing += 1
        log.undo(lambda: self._forget(shelf))

    def finish(self, shelf: Shelf) -> None:
        """Note that a change is durable, or was refused."""
        shelf.changing -= 1
        self.weigh(shelf)

    def weigh(self, shelf: Shelf) -> None:
        """Count what a shelf holds, and forget those that were not used for long if it is too much."""
        if self._kept.get(shelf.owner.id) is not shelf:
            return
        weight = 1 + sum(1 + len(node.items) + len(node.subscribers) for node in shelf.nodes.values())
        self._weight += weight - shelf.weight
        shelf.weight = weight
        if self._weight > MAX_KEPT:
            for old in [each for each in self._kept.values() if not each.changing and each is not shelf]:
                self._forget(old)
                if self._weight <= MAX_KEPT:
                    break

    def _forget(self, shelf: Shelf) -> None:
        if self._kept.get(shelf.owner.id) is shelf:
            del self._kept[shelf.owner.id]
            self._weight -= shelf.weight

    def _read(self, owner: Actor) -> Shelf:
        stored = self._store.nodes(owner.id)
        by_id: dict[int, Node] = {}
        for row in stored.nodes:
            config = msgspec.msgpack.decode(row.config, type=NodeConfig)
            by_id[row.id] = Node(row.id, owner, row.name, config)
        for node_id, item_id, size in stored.items:
            by_id[node_id].put(item_id, size)
        for subscriber in stored.subscribers:
            known = Subscriber(subscriber.state == SUBSCRIBED, Affiliation(subscriber.affiliation))
            by_id[subscriber.node_id].subscribers[subscriber.jid] = known
        return Shelf(owner, {node.name: node for node in by_id.values()})
