"""Publishing: nodes of an actor, who may read them, and telling those who may (XEP-0060 in the core's words)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, assert_never

import msgspec

from sabir.core.delivery import Sessions
from sabir.core.directory import Directory
from sabir.core.errors import Refusal
from sabir.core.log import Log, Operation
from sabir.core.model.actor import Actor, ActorKind
from sabir.core.model.changes import Change, ItemRow, NodeCleared, NodeRow, SubscriberRow
from sabir.core.model.pubsub import (
    Access,
    Affiliate,
    Affiliation,
    ConfigureNode,
    CreateNode,
    DeleteNode,
    Edit,
    EndSubscription,
    Node,
    NodeConfig,
    NodeEvent,
    Publish,
    Publishing,
    PurgeNode,
    Retract,
    SendLast,
    Subscribe,
    Subscriber,
)
from sabir.core.model.roster import Contact
from sabir.core.model.signals import NodeChanged
from sabir.core.pace import Pace
from sabir.core.policy import PolicyConfig
from sabir.core.ports import LogStore, Session
from sabir.core.services.presence import Presences
from sabir.core.services.shelves import SUBSCRIBED, Shelf, Shelves

MAX_SUBSCRIBERS: Final = 1_000
"""Subscribed or listed, of one node."""

MAX_SERVICE_WEIGHT: Final = 50_000
"""Nodes, items and subscribers of the service, all together: they are kept in memory."""

Told = tuple[Node, NodeEvent, tuple[tuple[str, bytes], ...], bool]
"""A node, what happened, to which items, and whether readers are told whatever the configuration says."""


class Pubsub:
    """Nodes, edited by operations of the log; what a reader is shown comes from the last commit."""

    def __init__(
        self,
        log: Log,
        directory: Directory,
        sessions: Sessions,
        store: LogStore,
        presences: Presences,
        shelves: Shelves,
        policy: PolicyConfig,
        pace: Pace,
    ) -> None:
        self._log = log
        self._directory = directory
        self._sessions = sessions
        self._store = store
        self._presences = presences
        self._shelves = shelves
        self._policy = policy
        self._pace = pace
        self.service: Actor | None = None
        """Whose nodes those are that belong to whoever made them."""
        self.most_items: Final = policy.max_items
        """As many items as a node may have."""
        self.observers: list[Callable[[Actor, Actor, Sequence[Edit]], None]] = []
        """Told (owner, who edited, edits) of what was edited, once it is durable."""

        self.outlets: list[Callable[[NodeChanged], None]] = []
        """Told of what readers are told, to tell those of other servers."""

    # Reading

    def nodes(self, owner: Actor) -> Sequence[Node]:
        """Return the nodes of an actor."""
        shelf = self._shelves.of(owner)
        return () if shelf is None else list(shelf.nodes.values())

    def node(self, owner: Actor, name: str) -> Node | None:
        """Return a node of an actor."""
        shelf = self._shelves.of(owner)
        return None if shelf is None else shelf.nodes.get(name)

    def items(self, node: Node, item_ids: Sequence[str]) -> list[ItemRow]:
        """Return items of a node, those that there are, in the order asked."""
        return self._store.items(node.id, item_ids)

    def may_read(self, node: Node, reader: Actor) -> bool:
        """Return whether `reader` may read a node and subscribe to it."""
        owner = node.owner
        affiliation = Affiliation.OWNER if reader is owner else node.affiliation(reader.name)
        if affiliation is Affiliation.OWNER or affiliation is Affiliation.PUBLISHER:
            return True
        if affiliation is Affiliation.OUTCAST or self._presences.hides(owner, reader):
            return False
        match node.config.access:
            case Access.OPEN:
                return True
            case Access.WHITELIST:
                return affiliation is Affiliation.MEMBER
            case Access.PRESENCE:
                contact = self._contact(owner, reader)
                return affiliation is Affiliation.MEMBER or (contact is not None and contact.watched)
            case Access.ROSTER:
                contact = self._contact(owner, reader)
                return contact is not None and not set(contact.groups).isdisjoint(node.config.groups)
            case _:
                assert_never(node.config.access)

    def max_items(self, config: NodeConfig) -> int:
        """Return how many items a node keeps."""
        most = self._policy.max_items
        return min(config.max_items, most) if config.max_items else most

    def last_items(self, reader: Actor, names: frozenset[str]) -> Iterator[tuple[Node, ItemRow]]:
        """Yield what was published last on nodes of these names, by `reader` and by all whom it watches.

        Only where that is to be shown to whoever comes online.
        """
        owners = [reader]
        if reader.account_id is not None:
            contacts = self._directory.contacts.get(reader.account_id, {})
            owners += [contact.actor for contact in contacts.values() if contact.watches]
        for owner in owners:
            shelf = self._shelves.of(owner)
            if shelf is None:
                continue
            for name in shelf.nodes.keys() & names:
                node = shelf.nodes[name]
                if node.config.send_last is SendLast.ON_PRESENCE:
                    yield from self.last_item(node, reader)

    def last_item(self, node: Node, reader: Actor) -> Iterator[tuple[Node, ItemRow]]:
        """Yield what was published last on a node, if there is anything and `reader` may read it."""
        if node.items and node.config.notify and self._may_hear(node, reader):
            for item in self._store.items(node.id, [next(reversed(node.items))]):
                yield node, item

    # Editing

    def edit(
        self,
        by: Actor,
        owner: Actor,
        edits: Sequence[Edit],
        then: Callable[[], None],
        refused: Callable[[Refusal], None],
        resource: str = "",
    ) -> None:
        """Edit nodes of `owner`, all or nothing; `then` is called once it is durable, after the readers were told.

        Refused with `Refusal.ROLE_TOO_LOW` to those who are not what it takes: owner, for most. `resource` names the
        device that does.
        """
        told: list[Told] = []
        changed: list[Shelf] = []

        def form(log: Log) -> Refusal | None:
            told.clear()
            changed.clear()
            refusal = self._pace.take(by.id)
            if refusal is not None:
                return refusal
            shelf = self._shelves.open(owner)
            self._shelves.begin(log, shelf)
            before = shelf.copy() if len(edits) > 1 else shelf.nodes
            rows: list[Change] = []
            for edit in edits:
                refusal = self._apply(log, shelf, by, edit, rows, told)
                if refusal is not None:
                    shelf.nodes = before
                    self._shelves.finish(shelf)
                    told.clear()
                    return refusal
            if rows:
                log.introduce(owner.id)
            for row in rows:
                log.change(row)
            changed.append(shelf)
            return None

        def done() -> None:
            for shelf in changed:
                self._shelves.finish(shelf)
            for node, what, items, forced in told:
                self._tell(node, what, items, resource, forced=forced)
            for observer in self.observers:
                observer(owner, by, edits)
            then()

        self._log.append(Operation(form, done, refused))

    def _apply(
        self, log: Log, shelf: Shelf, by: Actor, edit: Edit, rows: list[Change], told: list[Told]
    ) -> Refusal | None:
        """Apply an edit to memory; or refuse, changing nothing."""
        node = shelf.nodes.get(edit.name)
        is_full = shelf.owner is self.service and shelf.weight >= MAX_SERVICE_WEIGHT
        if is_full and isinstance(edit, CreateNode | Publish | Subscribe | Affiliate):
            return Refusal.TOO_MANY
        if isinstance(edit, Subscribe):
            return self._subscribe(node, by, edit, rows)
        refusal = self._may_edit(shelf, node, by, edit)
        if refusal is not None:
            return refusal
        if isinstance(edit, CreateNode):
            return Refusal.NODE_EXISTS if node is not None else self._create(shelf, by, edit, rows)
        if isinstance(edit, Publish):
            return self._publish(log, shelf, node, by, edit, rows, told)
        if node is None:
            return Refusal.NODE_UNKNOWN
        match edit:
            case ConfigureNode():
                node.config = msgspec.structs.replace(node.config, **edit.fields)
                rows.append(_row(node))
                self._trim(node, self.max_items(node.config), rows)
                told.append((node, NodeEvent.CONFIGURED, (), False))
            case DeleteNode():
                del shelf.nodes[node.name]
                row = _row(node)
                row.gone = True
                rows += (NodeCleared(node_id=node.id, subscribers=True), row)
                told.append((node, NodeEvent.DELETED, (), False))
            case PurgeNode():
                node.clear()
                rows.append(NodeCleared(node_id=node.id, subscribers=False))
                told.append((node, NodeEvent.PURGED, (), False))
            case Retract():
                if edit.item_id not in node.items:
                    return Refusal.ITEM_UNKNOWN
                node.drop(edit.item_id)
                rows.append(_gone(node, edit.item_id))
                told.append((node, NodeEvent.RETRACTED, ((edit.item_id, b""),), edit.notify))
            case Affiliate():
                before = node.subscribers.get(edit.subject, Subscriber())
                if edit.affiliation is not Affiliation.OWNER and _owners(node) == [edit.subject]:
                    return Refusal.LAST_OWNER  # XEP-0060 §8.9.2.4
                subscribed = before.subscribed and edit.affiliation is not Affiliation.OUTCAST
                return _list(node, edit.subject, Subscriber(subscribed, edit.affiliation), rows)
            case EndSubscription():
                before = node.subscribers.get(edit.subject, Subscriber())
                return _list(node, edit.subject, Subscriber(affiliation=before.affiliation), rows)
            case _:
                assert_never(edit)
        return None

    def _may_edit(self, shelf: Shelf, node: Node | None, by: Actor, edit: Edit) -> Refusal | None:
        """Return why `by` may not do that at a node, or make it, or None (XEP-0060 §4.1)."""
        is_service = shelf.owner is self.service
        if by is shelf.owner:
            return Refusal.NODE_UNKNOWN if is_service and node is None else None
        if isinstance(edit, CreateNode):
            return None if is_service and by.kind is ActorKind.LOCAL else Refusal.ROLE_TOO_LOW
        if node is None:
            return Refusal.NODE_UNKNOWN if is_service else Refusal.ROLE_TOO_LOW
        affiliation = node.affiliation(by.name)
        if affiliation is Affiliation.OWNER:
            return None
        if isinstance(edit, Publish) and self._may_publish(node, by):
            replaces = edit.item_id in node.items and affiliation is not Affiliation.PUBLISHER
            return Refusal.ROLE_TOO_LOW if replaces and not self._is_by(node, edit.item_id, by) else None
        if isinstance(edit, Retract) and self._may_publish(node, by):
            if edit.item_id not in node.items or self._is_by(node, edit.item_id, by):
                return None
        return Refusal.ROLE_TOO_LOW

    def _may_publish(self, node: Node, by: Actor) -> bool:
        if node.affiliation(by.name) is Affiliation.PUBLISHER:
            return True
        match node.config.publishing:
            case Publishing.OPEN:
                return self.may_read(node, by)
            case Publishing.SUBSCRIBERS:
                keys = [key for key, known in node.subscribers.items() if known.subscribed]
                return by.name in [key.partition("/")[0] for key in keys] and self.may_read(node, by)
            case Publishing.PUBLISHERS:
                return False
            case _:
                assert_never(node.config.publishing)

    def _is_by(self, node: Node, item_id: str, by: Actor) -> bool:
        """Return whether `by` has published an item; false for one that is not durable yet."""
        return [row.publisher for row in self._store.items(node.id, [item_id])] == [by.id]

    def _create(self, shelf: Shelf, by: Actor, edit: CreateNode, rows: list[Change]) -> Refusal | None:
        policy = self._policy
        if shelf.owner is self.service:
            owned = sum(node.is_owned_by(by) for node in shelf.nodes.values())
            if owned >= policy.max_nodes or len(shelf.nodes) >= policy.max_service_nodes:
                return Refusal.TOO_MANY
        elif len(shelf.nodes) >= policy.max_nodes:
            return Refusal.TOO_MANY
        self._shelves.last_node_id += 1
        node = Node(self._shelves.last_node_id, shelf.owner, edit.name, edit.config)
        shelf.nodes[edit.name] = node
        rows.append(_row(node))
        return None if by is shelf.owner else _list(node, by.name, Subscriber(False, Affiliation.OWNER), rows)

    def _publish(
        self,
        log: Log,
        shelf: Shelf,
        node: Node | None,
        by: Actor,
        edit: Publish,
        rows: list[Change],
        told: list[Told],
    ) -> Refusal | None:
        size = len(edit.payload)
        if size > self._policy.max_item_bytes:
            return Refusal.TOO_LARGE
        if node is not None:
            config = node.config
            if any(getattr(config, name) != value for name, value in edit.fields.items()):
                return Refusal.NODE_DIFFERS
        else:
            config = msgspec.structs.replace(NodeConfig(), **edit.fields)
        replaced = 0 if node is None else node.items.get(edit.item_id, 0)
        is_service = shelf.owner is self.service
        most_bytes = self._policy.max_service_bytes if is_service else self._policy.max_nodes_bytes
        if config.persist and shelf.size_bytes - replaced + size > most_bytes:
            return Refusal.TOO_MANY
        if node is None:
            refusal = self._create(shelf, by, CreateNode(edit.name, config), rows)
            if refusal is not None:
                return refusal
            node = shelf.nodes[edit.name]
        if config.persist:
            node.put(edit.item_id, size)
            self._trim(node, self.max_items(config), rows)
            log.introduce(by.id)
            rows.append(
                ItemRow(
                    node_id=node.id,
                    item_id=edit.item_id,
                    publisher=by.id,
                    payload=edit.payload,
                    at_ms=log.now_ms,
                )
            )
        told.append((node, NodeEvent.PUBLISHED, ((edit.item_id, edit.payload),), False))
        return None

    def _trim(self, node: Node, most: int, rows: list[Change]) -> None:
        """Let the oldest items go."""
        while len(node.items) > most:
            oldest = next(iter(node.items))
            node.drop(oldest)
            rows.append(_gone(node, oldest))

    def _subscribe(self, node: Node | None, by: Actor, edit: Subscribe, rows: list[Change]) -> Refusal | None:
        if node is None:
            return Refusal.NODE_UNKNOWN
        key = f"{by.name}/{edit.resource}" if edit.resource else by.name
        before = node.subscribers.get(key, Subscriber())
        if edit.on and not self.may_read(node, by):
            return Refusal.NODE_CLOSED
        if not edit.on and not before.subscribed:
            return Refusal.NOT_SUBSCRIBED
        return _list(node, key, Subscriber(edit.on, before.affiliation), rows)

    # Telling

    def _tell(
        self,
        node: Node,
        what: NodeEvent,
        items: tuple[tuple[str, bytes], ...],
        resource: str,
        *,
        forced: bool,
    ) -> None:
        if not _is_told(node.config, what, forced=forced):
            return
        told = NodeChanged(node, what, items, resource)
        for outlet in self.outlets:
            outlet(told)
        wanted = NodeChanged(node, what, items, resource, wanted=True, cache=told.cache)
        explicit = self._subscribed_sessions(node)
        for session in explicit:
            session.signal(wanted)
        owner = node.owner
        account = None if owner.account_id is None else self._directory.accounts.get(owner.account_id)
        if account is None:
            return
        readers = [account]
        if node.config.access is not Access.WHITELIST or node.subscribers:
            readers += [
                each for each in self._presences.watchers(account) if self._may_hear(node, each.actor)
            ]
        for reader in readers:
            for session in self._sessions.of(reader.id):
                if session.presence.is_available and session not in explicit:
                    session.signal(told)

    def _subscribed_sessions(self, node: Node) -> dict[Session, None]:
        """Return the sessions of those who subscribed to the node itself and may read it still."""
        found: dict[Session, None] = {}
        for key, known in node.subscribers.items():
            if not known.subscribed:
                continue
            name, _, resource = key.partition("/")
            account = self._directory.account(name)
            if account is None or not self._may_hear(node, account.actor):
                continue
            for session in self._sessions.of(account.id):
                if session.resource == resource if resource else session.presence.is_available:
                    found[session] = None
        return found

    def _may_hear(self, node: Node, reader: Actor) -> bool:
        """Return whether somebody may read a node, and has not blocked its owner."""
        return self.may_read(node, reader) and not self._presences.hides(reader, node.owner)

    def _contact(self, owner: Actor, reader: Actor) -> Contact | None:
        if owner.account_id is None:
            return None
        return self._directory.contacts.get(owner.account_id, {}).get(reader.id)


def _is_told(config: NodeConfig, what: NodeEvent, *, forced: bool) -> bool:
    match what:
        case NodeEvent.PUBLISHED:
            return config.notify
        case NodeEvent.RETRACTED | NodeEvent.PURGED:
            return forced or (config.notify and config.notify_retract)
        case NodeEvent.DELETED:
            return config.notify and config.notify_delete
        case NodeEvent.CONFIGURED:
            return config.notify and config.notify_config
        case _:
            assert_never(what)


def _owners(node: Node) -> list[str]:
    return [key for key, known in node.subscribers.items() if known.affiliation is Affiliation.OWNER]


def _row(node: Node) -> NodeRow:
    return NodeRow(
        id=node.id,
        owner_actor=node.owner.id,
        name=node.name,
        access=node.config.access.value,
        config=msgspec.msgpack.encode(node.config),
    )


def _gone(node: Node, item_id: str) -> ItemRow:
    row = ItemRow(node_id=node.id, item_id=item_id, publisher=0, payload=b"", at_ms=0)
    row.gone = True
    return row


def _list(node: Node, key: str, known: Subscriber, rows: list[Change]) -> Refusal | None:
    """Note what a node knows of somebody."""
    row = SubscriberRow(
        node_id=node.id,
        jid=key,
        state=SUBSCRIBED if known.subscribed else "",
        affiliation=known.affiliation.value,
    )
    if known == Subscriber():
        node.subscribers.pop(key, None)
        row.gone = True
    elif key not in node.subscribers and len(node.subscribers) >= MAX_SUBSCRIBERS:
        return Refusal.TOO_MANY
    else:
        node.subscribers[key] = known
    rows.append(row)
    return None
