"""Retained messages: the last one of each topic, for those who subscribe later (MQTT 5.0 §3.3.1.3)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sabir.protocols.mqtt.codec.message import Message

_LEVEL_BYTES: Final = 350
"""Roughly what a level of the tree takes: with many levels much more than what is published there."""


class _Node:
    __slots__ = ("children", "message")

    def __init__(self) -> None:
        self.children: Final[dict[str, _Node]] = {}
        self.message: Message | None = None


class Retained:
    """The retained messages of all topics, in a tree of their levels."""

    def __init__(self, max_bytes: int, max_account_bytes: int) -> None:
        self.count = 0
        self.size_bytes = 0
        self._max_bytes: Final = max_bytes
        self._max_account_bytes: Final = max_account_bytes
        self._by_account: Final[dict[int, int]] = {}
        self._root: Final = _Node()

    def has_room(self, message: Message) -> bool:
        """Whether `message` may be kept, in the place of the one that its topic has."""
        before = self.get(message.topic)
        cost, freed = _cost(message), _cost(before)
        if self.size_bytes + cost - freed > self._max_bytes:
            return False
        own = self._by_account.get(message.account_id, 0) + cost
        if before is not None and before.account_id == message.account_id:
            own -= freed
        return own <= self._max_account_bytes

    def get(self, topic: str) -> Message | None:
        """Return the message of a topic."""
        node: _Node | None = self._root
        for level in topic.split("/"):
            node = None if node is None else node.children.get(level)
        return None if node is None else node.message

    def put(self, message: Message) -> Message | None:
        """Keep a message; return the one in whose place it is ([MQTT-3.3.1-5])."""
        node = self._root
        for level in message.topic.split("/"):
            node = node.children.setdefault(level, _Node())
        before, node.message = node.message, message
        self._count(before, -1)
        self._count(message, 1)
        self.count += before is None
        return before

    def remove(self, topic: str) -> Message | None:
        """Forget the message of a topic ([MQTT-3.3.1-6])."""
        path = [self._root]
        levels = topic.split("/")
        for level in levels:
            child = path[-1].children.get(level)
            if child is None:
                return None
            path.append(child)
        before, path[-1].message = path[-1].message, None
        if before is not None:
            self._count(before, -1)
            self.count -= 1
        for at in range(len(levels) - 1, -1, -1):
            child = path[at + 1]
            if child.children or child.message is not None:
                break
            del path[at].children[levels[at]]
        return before

    def matching(self, name: str) -> list[Message]:
        """Return the messages whose topics match a filter."""
        return list(_walk(self._root, name.split("/"), 0))

    def _count(self, message: Message | None, sign: int) -> None:
        """Count a message, or with -1 count it no more."""
        cost = sign * _cost(message)
        if message is None or not cost:
            return
        self.size_bytes += cost
        own = self._by_account.get(message.account_id, 0) + cost
        if own:
            self._by_account[message.account_id] = own
        else:
            del self._by_account[message.account_id]


def _cost(message: Message | None) -> int:
    """Return what counts against the quota: nothing of the server's own topics."""
    if message is None or message.topic.startswith("$"):
        return 0
    return message.size + message.topic.count("/") * _LEVEL_BYTES


def _walk(node: _Node, levels: list[str], at: int) -> Iterator[Message]:
    if at == len(levels):
        if node.message is not None:
            yield node.message
        return
    level = levels[at]
    if level == "#":
        yield from _below(node, at)
    elif level == "+":
        for name, child in node.children.items():
            if at or name[:1] != "$":  # [MQTT-4.7.2-1]
                yield from _walk(child, levels, at + 1)
    elif level in node.children:
        yield from _walk(node.children[level], levels, at + 1)


def _below(node: _Node, at: int) -> Iterator[Message]:
    if node.message is not None:
        yield node.message
    for name, child in node.children.items():
        if at or name[:1] != "$":
            yield from _below(child, at + 1)
