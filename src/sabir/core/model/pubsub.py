"""Pubsub: what is published on the nodes of an actor, current items only (DATAMODEL 1.2: a change).

An account publishes about itself. The nodes of a service belong to those who made them.
"""

from __future__ import annotations

from enum import Enum

import msgspec

from sabir.core.model.actor import Actor


class Access(Enum):
    """Who may read a node, besides its owner."""

    OPEN = "open"
    """Anybody."""
    PRESENCE = "presence"
    """Who may see the owner's presence."""
    ROSTER = "roster"
    """Contacts in certain groups of the owner's list."""
    WHITELIST = "whitelist"
    """Whom the owner has listed: nobody, at first."""


class SendLast(Enum):
    """When a reader is shown the last item without asking."""

    NEVER = "never"
    ON_SUBSCRIBING = "on_sub"
    ON_PRESENCE = "on_sub_and_presence"
    """When it subscribes, and when one of its devices comes online."""


class Publishing(Enum):
    """Who may publish on a node, besides its owners and those listed as publishers."""

    PUBLISHERS = "publishers"
    """Nobody."""
    SUBSCRIBERS = "subscribers"
    OPEN = "open"
    """Who may read it."""


class Affiliation(Enum):
    """What an owner has listed somebody as."""

    NONE = ""
    MEMBER = "member"
    OUTCAST = "outcast"
    PUBLISHER = "publisher"
    OWNER = "owner"
    """Only at a service: an account alone owns its nodes."""


class NodeEvent(Enum):
    """What happened at a node."""

    PUBLISHED = "published"
    RETRACTED = "retracted"
    PURGED = "purged"
    DELETED = "deleted"
    CONFIGURED = "configured"


class NodeConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How a node behaves. Fields are what XEP-0060 calls them, in short."""

    access: Access = Access.PRESENCE
    publishing: Publishing = Publishing.PUBLISHERS
    groups: tuple[str, ...] = ()
    """Of the owner's contacts, for `Access.ROSTER`."""
    persist: bool = True
    """Items are kept."""
    max_items: int = 1
    """How many; 0: as many as the server allows."""
    send_last: SendLast = SendLast.ON_PRESENCE
    notify: bool = True
    """Readers are told of what happens."""
    payloads: bool = True
    """They are told what was published, not only that something was."""
    notify_retract: bool = True
    notify_delete: bool = True
    notify_config: bool = False
    headline: bool = True
    """They are told by what is not kept for those who are away."""
    title: str = ""
    description: str = ""
    type: str = ""
    """The namespace of what is published."""


AT_SERVICE = NodeConfig(access=Access.OPEN, max_items=20, send_last=SendLast.ON_SUBSCRIBING)
"""How a new node of a service behaves."""


class Subscriber(msgspec.Struct, frozen=True):
    """Somebody whom a node knows by name."""

    subscribed: bool = False
    affiliation: Affiliation = Affiliation.NONE


class Node:
    """One node of `owner`.

    `items` are names and bytes of items, oldest publication first. `subscribers` are known by the name of a local
    account or the whole address of others; with `/` and the name of a device where it alone subscribed.
    """

    def __init__(self, id: int, owner: Actor, name: str, config: NodeConfig) -> None:
        self.id = id
        self.owner = owner
        self.name = name
        self.config = config
        self.items: dict[str, int] = {}
        self.size_bytes = 0
        """What the items hold."""
        self.subscribers: dict[str, Subscriber] = {}

    def put(self, item_id: str, size: int) -> None:
        """Note an item as the one published last."""
        self.drop(item_id)
        self.items[item_id] = size
        self.size_bytes += size

    def drop(self, item_id: str) -> None:
        """Forget an item, if it is there."""
        self.size_bytes -= self.items.pop(item_id, 0)

    def clear(self) -> None:
        """Forget all items."""
        self.items.clear()
        self.size_bytes = 0

    def copy(self) -> Node:
        """Return a copy that changes on its own."""
        node = Node(self.id, self.owner, self.name, self.config)
        node.items, node.subscribers = dict(self.items), dict(self.subscribers)
        node.size_bytes = self.size_bytes
        return node

    def affiliation(self, name: str) -> Affiliation:
        """Return what somebody is listed as."""
        known = self.subscribers.get(name)
        return Affiliation.NONE if known is None else known.affiliation

    def is_owned_by(self, actor: Actor) -> bool:
        """Return whether `actor` administers the node."""
        return actor is self.owner or self.affiliation(actor.name) is Affiliation.OWNER


class CreateNode(msgspec.Struct, frozen=True):
    """Make a node; refused with `Refusal.NODE_EXISTS`."""

    name: str
    config: NodeConfig


class ConfigureNode(msgspec.Struct, frozen=True):
    """Change fields of the configuration."""

    name: str
    fields: dict[str, object]


class DeleteNode(msgspec.Struct, frozen=True):
    """Remove a node with all that belongs to it."""

    name: str


class PurgeNode(msgspec.Struct, frozen=True):
    """Remove all items."""

    name: str


class Publish(msgspec.Struct, frozen=True):
    """Publish an item; a node that is not there is made.

    `fields` are what the configuration must say, else the publication is refused with `Refusal.NODE_DIFFERS`; a node
    that is made says so.
    """

    name: str
    item_id: str
    payload: bytes
    fields: dict[str, object] = {}


class Retract(msgspec.Struct, frozen=True):
    """Take an item back; `notify`: tell the readers even if the node is not set up so."""

    name: str
    item_id: str
    notify: bool = False


class Subscribe(msgspec.Struct, frozen=True):
    """Subscribe, or with `on` false unsubscribe, whoever edits; `resource`: only that device."""

    name: str
    resource: str = ""
    on: bool = True


class Affiliate(msgspec.Struct, frozen=True):
    """List somebody, or end a listing and the subscription of an outcast; an owner remains."""

    name: str
    subject: str
    affiliation: Affiliation


class EndSubscription(msgspec.Struct, frozen=True):
    """End the subscription of somebody, as an owner. Nobody is made to subscribe by others."""

    name: str
    subject: str


Edit = (
    CreateNode
    | ConfigureNode
    | DeleteNode
    | PurgeNode
    | Publish
    | Retract
    | Subscribe
    | Affiliate
    | EndSubscription
)
