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

    def __init__(self, max_bytes: int) -> None:
        self.count = 0
        self.size_bytes = 0
        self._max_bytes: Final = max_bytes
        self._root: Final = _Node()

    def has_room(self, message: Message) -> bool:
        """Whether `message` may be kept, in the place of the one that its topic has."""
        before = self.get(message.topic)
        return self.size_bytes + _cost(message) - _cost(before) <= self._max_bytes

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
        self.size_bytes += _cost(message) - _cost(before)
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
            self.size_bytes -= _cost(before)
            self.count -= 1
        for at in range(len(levels) - 1, -1, -1):
            child = path[at + 1]
            if child.children or child.message is not None:
                break
            del path[at].children[levels[at]]
        return before

    def matching(self, name: str, now_ms: int) -> list[Message]:
        """Return the messages whose topics match a filter, but those that have expired."""
        found: list[Message] = []
        expired: list[Message] = []
        for message in _walk(self._root, name.split("/"), 0):
            is_over = message.expires_ms and message.expires_ms <= now_ms
            (expired if is_over else found).append(message)
        for message in expired:
            self.remove(message.topic)
        return found


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
