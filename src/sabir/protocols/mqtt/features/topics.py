"""Topic names and filters (MQTT 5.0 §4.7, §4.8). Pure."""

from __future__ import annotations

from typing import Final

from sabir.protocols.mqtt.codec.decoder import MAX_LEVELS

SHARE: Final = "$share/"


def is_filter(name: str) -> bool:
    """Whether `name` is a topic filter, not a shared one ([MQTT-4.7.1-1], [MQTT-4.7.1-2])."""
    if not name or name.count("/") >= MAX_LEVELS:
        return False
    if "#" not in name and "+" not in name:
        return True
    levels = name.split("/")
    last = len(levels) - 1
    return all(
        level == "+" or (level == "#" and at == last) or ("#" not in level and "+" not in level)
        for at, level in enumerate(levels)
    )


def shared(name: str) -> tuple[str, str] | None:
    """Return the share name and the filter of a shared subscription; None if it is malformed.

    The share name of any other filter is empty.
    """
    if not name.startswith(SHARE):
        return "", name
    group, slash, inner = name[len(SHARE) :].partition("/")
    # [MQTT-4.8.2-1], [MQTT-4.8.2-2]
    if not group or not slash or not inner or "#" in group or "+" in group:
        return None
    return group, inner


def overlap(one: str, other: str) -> bool:
    """Whether some topic name matches both filters."""
    return _overlap(one.split("/"), other.split("/"))


def covers(name: str, topic: str) -> bool:
    """Whether the filter `name` matches `topic`."""
    # [MQTT-4.7.2-1]
    if topic[:1] == "$" and name[:1] in ("#", "+"):
        return False
    return _overlap(name.split("/"), topic.split("/"))


def contains(wide: str, narrow: str) -> bool:
    """Whether the filter `wide` matches every topic that the filter `narrow` matches."""
    ours, theirs = wide.split("/"), narrow.split("/")
    for at, level in enumerate(ours):
        if level == "#":
            return True
        if at >= len(theirs) or theirs[at] == "#" or (level not in ("+", theirs[at])):
            return False
    return len(ours) == len(theirs)


def _overlap(one: list[str], other: list[str]) -> bool:
    for at in range(max(len(one), len(other)) + 1):
        mine = one[at] if at < len(one) else None
        theirs = other[at] if at < len(other) else None
        if mine == "#" or theirs == "#":
            return True  # `a/#` matches `a` too (MQTT 5.0 §4.7.1.2)
        if mine is None or theirs is None:
            return mine is theirs
        if mine != theirs and mine != "+" and theirs != "+":
            return False
    return True
