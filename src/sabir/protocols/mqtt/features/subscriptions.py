"""Who is sent what is published to a topic (MQTT 5.0 §4.7, §4.8). Compiled by mypyc.

Filters stand in a tree, level by level. What it says about a topic is kept as a `Route` until a subscription
changes: publishing to a topic again costs one look-up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sabir.protocols.mqtt.features.acl import Acl
from sabir.protocols.mqtt.features.sessions import ClientSession, Subscription

MAX_COST: Final = 200_000
"""Topics, with each 64 characters of them, and subscribers of topics that are remembered."""


class Group:
    """The subscribers of one shared subscription."""

    def __init__(self, name: str) -> None:
        self.name: Final = name
        """The whole filter, `$share/...`."""
        self.members: Final[dict[ClientSession, Subscription]] = {}
        self._order: list[ClientSession] = []
        self._turn = 0

    def next_member(
        self, account_may_read: Callable[[ClientSession], bool], qos: int
    ) -> ClientSession | None:
        """Return whose turn it is: of those who can take a message now, else of those who are gone and come back.

        Those who have no room come last.
        """
        if len(self._order) != len(self.members):
            self._order = list(self.members)
        order = self._order
        waits: ClientSession | None = None
        full: ClientSession | None = None
        for _ in range(len(order)):
            self._turn = self._turn + 1 if self._turn + 1 < len(order) else 0
            member = order[self._turn]
            if not account_may_read(member):
                continue
            connection = member.connection
            if connection is not None and not connection.lagging and (not qos or member.outflow.may_send()):
                return member
            if qos or connection is not None:
                if not member.is_full():
                    waits = waits or member
                else:
                    full = full or member
        return waits or full

    def changed(self) -> None:
        """Note that members came or went."""
        self._order = []


class Target:
    """One subscriber of a topic, whatever the number of its filters that match."""

    def __init__(self, session: ClientSession) -> None:
        self.session: Final = session
        self.qos = -1
        """-1 = none of the filters is for messages of others."""
        self.retains = False
        """RETAIN is sent as it was published."""
        self.ids: tuple[int, ...] = ()
        self.own_qos = -1
        """The same for messages of the session itself: filters with No Local do not count."""
        self.own_retains = False
        self.own_ids: tuple[int, ...] = ()
        self.is_plain = True
        """Neither No Local, nor subscription identifiers, nor Retain As Published."""

    def add(self, subscription: Subscription) -> None:
        """Add a filter that matches: the highest QoS counts, and all identifiers ([MQTT-3.3.4-2], [MQTT-3.3.4-5])."""
        wanted = subscription.wanted
        ids = (subscription.subscription_id,) if subscription.subscription_id else ()
        self.qos = max(self.qos, wanted.qos)
        self.ids += ids
        self.retains |= wanted.retain_as_published
        if not wanted.no_local:
            self.own_qos = max(self.own_qos, wanted.qos)
            self.own_ids += ids
            self.own_retains |= wanted.retain_as_published
        if ids or wanted.no_local or wanted.retain_as_published:
            self.is_plain = False


class Route:
    """All subscribers of a topic."""

    def __init__(self, targets: list[Target], groups: list[Group]) -> None:
        self.targets: Final = targets
        self.groups: Final = groups
        self.is_kept = any(target.session.row for target in targets) or any(
            member.row for group in groups for member in group.members
        )
        """Some of them are in the store."""


class _Node:
    """A level of the tree."""

    def __init__(self) -> None:
        self.children: Final[dict[str, _Node]] = {}
        self.subscriptions: dict[ClientSession, Subscription] | None = None
        self.groups: dict[str, Group] | None = None

    @property
    def is_empty(self) -> bool:
        return not self.children and not self.subscriptions and not self.groups


class Subscriptions:
    """All filters of all sessions."""

    def __init__(self, acl: Acl) -> None:
        self.count = 0
        self._acl: Final = acl
        self._root = _Node()
        self._routes: dict[str, Route] = {}
        self._cost = 0

    def route(self, topic: str) -> Route:
        """Return who is sent what is published to `topic`."""
        found = self._routes.get(topic)
        if found is None:
            found = self._find(topic)
            self._cost += 1 + len(topic) // 64 + len(found.targets)
            if self._cost > MAX_COST:
                self.changed()
                self._cost = 1 + len(topic) // 64 + len(found.targets)
            self._routes[topic] = found
        return found

    def changed(self) -> None:
        """Forget what is remembered: filters came or went, or a session has come into the store."""
        self._routes = {}
        self._cost = 0

    def add(self, session: ClientSession, group: str, name: str, subscription: Subscription) -> bool:
        """Add a filter, or replace the same one ([MQTT-3.8.4-3]); return whether it is new."""
        self.changed()
        node = self._root
        for level in name.split("/"):
            child = node.children.get(level)
            if child is None:
                child = node.children[level] = _Node()
            node = child
        if group:
            if node.groups is None:
                node.groups = {}
            shared = node.groups.setdefault(group, Group(f"$share/{group}/{name}"))
            shared.changed()
            members = shared.members
        else:
            if node.subscriptions is None:
                node.subscriptions = {}
            members = node.subscriptions
        is_new = session not in members
        members[session] = subscription
        self.count += is_new
        return is_new

    def remove(self, session: ClientSession, group: str, name: str) -> None:
        """Remove a filter that is there."""
        self.changed()
        path = [self._root]
        levels = name.split("/")
        for level in levels:
            child = path[-1].children.get(level)
            if child is None:
                return
            path.append(child)
        node = path[-1]
        if group:
            if node.groups is not None and group in node.groups:
                members = node.groups[group].members
                self.count -= members.pop(session, None) is not None
                node.groups[group].changed()
                if not members:
                    del node.groups[group]
        elif node.subscriptions is not None:
            self.count -= node.subscriptions.pop(session, None) is not None
        for at in range(len(levels) - 1, -1, -1):
            if not path[at + 1].is_empty:
                break
            del path[at].children[levels[at]]

    def group(self, group: str, name: str) -> Group | None:
        """Return a shared subscription."""
        node: _Node | None = self._root
        for level in name.split("/"):
            node = None if node is None else node.children.get(level)
        return None if node is None or node.groups is None else node.groups.get(group)

    def _find(self, topic: str) -> Route:
        targets: dict[ClientSession, Target] = {}
        groups: list[Group] = []
        self._walk(self._root, topic.split("/"), 0, targets, groups)
        acl = self._acl
        if acl.rules:
            return Route([targets[each] for each in targets if each.may_read(acl, topic)], groups)
        return Route(list(targets.values()), groups)

    def _walk(
        self,
        node: _Node,
        levels: list[str],
        at: int,
        targets: dict[ClientSession, Target],
        groups: list[Group],
    ) -> None:
        # [MQTT-4.7.2-1]: wildcards at the start match nothing that begins with $
        is_open = at > 0 or levels[0][:1] != "$"
        if is_open:
            rest = node.children.get("#")
            if rest is not None:
                _collect(rest, targets, groups)
        if at == len(levels):
            _collect(node, targets, groups)
            return
        child = node.children.get(levels[at])
        if child is not None:
            self._walk(child, levels, at + 1, targets, groups)
        if is_open:
            child = node.children.get("+")
            if child is not None:
                self._walk(child, levels, at + 1, targets, groups)


def _collect(node: _Node, targets: dict[ClientSession, Target], groups: list[Group]) -> None:
    if node.subscriptions is not None:
        for session, subscription in node.subscriptions.items():
            target = targets.get(session)
            if target is None:
                target = targets[session] = Target(session)
            target.add(subscription)
    if node.groups is not None:
        groups.extend(node.groups.values())
