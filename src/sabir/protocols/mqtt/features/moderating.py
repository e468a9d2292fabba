"""What is done to a room and to people in it: `meta` and `mod`."""

from __future__ import annotations

import msgspec

from sabir.core.errors import Refusal
from sabir.core.model.actor import Actor
from sabir.core.model.conversation import Conversation, Role
from sabir.protocols.mqtt.features.speaking import delete
from sabir.protocols.mqtt.features.talk import Talk
from sabir.protocols.mqtt.translate.said import SaidError, id_of
from sabir.protocols.mqtt.translate.told import ROLES, Meta, Order, read
from sabir.protocols.mqtt.translate.topics import Place
from sabir.protocols.mqtt.types import packets as p

_ACTIONS = ("delete", "kick", "ban", "unban", "role", "invite")


def describe(talk: Talk, place: Place, packet: p.Publish) -> None:
    """Set the topic of a room, or its title and description. Raises `SaidError`."""
    meta = read(packet.payload, Meta)
    if meta.topic is None and meta.title is None and meta.description is None:
        raise SaidError("topic, title or description")

    def then(conversation: Conversation) -> None:
        moderation = talk.services.moderation
        config = conversation.config
        if meta.title is not None:
            config = msgspec.structs.replace(config, title=meta.title)
        if meta.description is not None:
            config = msgspec.structs.replace(config, description=meta.description)

        def configure() -> None:
            if config is conversation.config:
                talk.done(packet)
            else:
                moderation.configure(
                    talk.owner, conversation, config, lambda: talk.done(packet), talk.refused(packet)
                )

        if meta.topic is None:
            configure()
        else:
            moderation.set_topic(talk.owner, conversation, meta.topic, configure, talk.refused(packet))

    talk.enter(packet, place.name, then)


def moderate(talk: Talk, place: Place, packet: p.Publish) -> None:
    """Do what a moderator may: take away messages, put people out, give roles, ask people in. Raises `SaidError`."""
    order = read(packet.payload, Order)
    if order.action not in _ACTIONS:
        raise SaidError(f"an action is one of {', '.join(_ACTIONS)}")
    if order.action == "delete" and not id_of(order.id):
        raise SaidError("which message is taken away? id")
    if order.action == "role" and order.role not in ROLES:
        raise SaidError(f"a role is one of {', '.join(ROLES)}")
    talk.enter(packet, place.name, lambda conversation: _carry_out(talk, conversation, order, packet))


def _carry_out(talk: Talk, conversation: Conversation, order: Order, packet: p.Publish) -> None:
    services = talk.services
    if order.action == "delete":
        delete(talk, conversation, order.id, packet)
        return
    target = _target(talk, conversation, order.name)
    if target is None:
        talk.refused(packet)(Refusal.ACTOR_UNKNOWN)
        return

    def then() -> None:
        talk.done(packet)

    refused = talk.refused(packet)
    match order.action:
        case "kick":
            services.moderation.kick(talk.owner, conversation, target, order.reason, then, refused)
        case "ban" | "unban" | "role":
            role = {"ban": Role.BANNED, "unban": Role.NONE}.get(order.action) or ROLES[order.role or "none"]
            services.moderation.set_role(talk.owner, conversation, target, role, order.reason, then, refused)
        case "invite":
            services.invitations.invite(talk.owner, conversation, target, order.reason, then, refused)
        case _:
            talk.refused(packet)(Refusal.BAD_REQUEST)


def _target(talk: Talk, conversation: Conversation, name: str) -> Actor | None:
    """Return who is shown in a room as `name`, or has that account."""
    shown = talk.services.people.shown_as(conversation, name)
    if shown is not None:
        return shown
    account = talk.services.accounts.find(name)
    return None if account is None else account.actor
