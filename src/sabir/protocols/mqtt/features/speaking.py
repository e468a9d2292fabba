"""What is said on chat topics: messages, their new versions, deletions, reactions."""

from __future__ import annotations

from typing import Final

from sabir.core.errors import Refusal
from sabir.core.model.conversation import Conversation
from sabir.core.model.event import Draft, Event, Kind
from sabir.core.services.relating import REMOVED
from sabir.protocols.mqtt.features.talk import Talk
from sabir.protocols.mqtt.translate.accept import draft_of, draft_of_said
from sabir.protocols.mqtt.translate.said import Said
from sabir.protocols.mqtt.translate.topics import Place
from sabir.protocols.mqtt.types import packets as p


class Reacting:
    """The token of a change of reactions, which may be no entry at all."""

    def __init__(self, talk: Talk, packet: p.Publish) -> None:
        self.packet: Final = packet
        self._talk: Final = talk

    def settled(self, events: list[Event]) -> None:
        """Acknowledge it: all entries were made."""
        self._talk.done(self.packet)


def speak(talk: Talk, place: Place, packet: p.Publish) -> None:
    """Say what was published; it is acknowledged when it is in the log. Raises `SaidError`."""
    draft = draft_of(place.what, place.thread, packet.payload, packet.properties, talk.owner.resource)
    if place.is_room:
        talk.enter(packet, place.name, lambda conversation: _post(talk, conversation, draft, packet))
        return
    conversation = talk.direct(place.name, opens=draft.kind == Kind.MESSAGE)
    if isinstance(conversation, Refusal):
        talk.refuse(packet, conversation)
        return
    talk.turnstile.enter()
    _post(talk, conversation, draft, packet)
    talk.services.log.hold_if_full(talk.owner)


def delete(talk: Talk, conversation: Conversation, target: str, packet: p.Publish) -> None:
    """Take a message away; the turnstile is entered already."""
    _post(talk, conversation, draft_of_said(Said(replaces=target, deleted=True), talk.owner.resource), packet)


def _post(talk: Talk, conversation: Conversation, draft: Draft, packet: p.Publish) -> None:
    messaging, owner = talk.services.messaging, talk.owner
    if draft.kind == Kind.DELETE:
        draft = _unreacting(talk, conversation, draft) or draft
    if draft.kind != Kind.REACTION:
        messaging.post(owner, conversation, draft, packet)
        return
    token = Reacting(talk, packet)
    change = messaging.remove_reaction if draft.flags & REMOVED else messaging.add_reaction
    change(owner, conversation, draft, draft.relation_key, token, token.settled)


def _unreacting(talk: Talk, conversation: Conversation, draft: Draft) -> Draft | None:
    """Return the draft that takes back a reaction, if that is what a deletion is about (PROTOCOLS 3.1)."""
    reaction = talk.services.history.find(draft.target_id)
    if (
        reaction is None
        or reaction.kind != Kind.REACTION
        or reaction.conversation_id != conversation.id
        or reaction.actor_id != talk.account.actor.id
    ):
        return None
    target = talk.services.history.at(reaction.target_seq)
    emoji = reaction.relation_key
    if target is None or not emoji:
        return None
    said = Said(reply_to=target.event_id.hex(), reaction=emoji, deleted=True)
    return draft_of_said(said, talk.owner.resource)
