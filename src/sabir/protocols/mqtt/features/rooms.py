"""Topics that are rooms: subscribing or publishing to one joins the room, as JOIN does on IRC."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sabir.core.errors import Refusal
from sabir.core.model.conversation import Conversation
from sabir.core.model.event import Event, Kind
from sabir.core.model.signals import Cause
from sabir.core.ports import Session
from sabir.core.services import Services
from sabir.core.services.rooms import Joined
from sabir.protocols.mqtt.codec.message import Message
from sabir.protocols.mqtt.features.sessions import ClientSession
from sabir.protocols.mqtt.translate.said import Said, draft_of, message_of_said, shown
from sabir.protocols.mqtt.translate.topics import wanted_of

MAX_QOS: Final = 1
"""Granted on chat topics: what a client did not take is in the log, not in its queue."""
_MAX_SHOWN: Final = 16
_SHOWN: Final = frozenset((int(Kind.MESSAGE), int(Kind.EDIT), int(Kind.DELETE), int(Kind.REACTION)))


class Rendered:
    """The latest events as messages, for all who are sent the same."""

    def __init__(self, services: Services) -> None:
        self._services: Final = services
        self._said: Final[dict[int, Said | None]] = {}
        self._messages: Final[dict[tuple[int, str], Message | None]] = {}

    def of(self, room: str, what: str, event: Event) -> Message | None:
        """Return what is published of an event, None if nothing."""
        key = (event.seq, what)
        if key in self._messages:
            return self._messages[key]
        if event.seq not in self._said:
            if len(self._said) >= _MAX_SHOWN:
                self._said.clear()
                self._messages.clear()
            self._said[event.seq] = shown(event, self._services.contents.of(event))
        said = self._said[event.seq]
        made = None if said is None else message_of_said(room, what, said)
        self._messages[key] = made
        return made


class Attending:
    """The rooms of one connection."""

    def __init__(self, services: Services, rendered: Rendered, owner: Session, nick: str) -> None:
        self._services: Final = services
        self._rendered: Final = rendered
        self._owner: Final = owner
        self._nick: Final = nick
        self._rooms: Final[dict[str, Conversation]] = {}
        """By name."""

    def enter(
        self, room: str, then: Callable[[Conversation], None], refused: Callable[[Refusal], None]
    ) -> None:
        """Attend a room, if that is still to be done."""
        known = self._rooms.get(room)
        if known is not None and self._owner in known.listeners:  # and was not put out
            then(known)
            return

        def joined(outcome: Joined) -> None:
            self._rooms[room] = outcome.conversation
            then(outcome.conversation)

        self._services.rooms.join(self._owner, room, self._nick, joined, refused)

    def post(self, conversation: Conversation, said: Said, token: object) -> None:
        """Say something; the outcome comes to the session."""
        self._services.messaging.post(self._owner, conversation, draft_of(said, self._owner.resource), token)

    def leave(self, name: str, session: ClientSession) -> None:
        """Leave the room of a filter that is gone, unless another filter is about it too."""
        wanted = wanted_of(name)
        if wanted is None:
            return
        others = [found for other in session.filters if (found := wanted_of(other)) is not None]
        conversation = self._rooms.get(wanted[0])
        if conversation is not None and all(room != wanted[0] for room, _ in others):
            del self._rooms[wanted[0]]
            self._services.rooms.leave(
                self._owner, conversation, Cause.PARTED, "", lambda attendee, gone: None, lambda refusal: None
            )

    def show(self, conversation: Conversation, event: Event, session: ClientSession, *, is_own: bool) -> None:
        """Publish an event of a room to the client, on the topics that it has subscribed to."""
        if event.kind not in _SHOWN:
            return
        room = conversation.name
        for what in ("text", "msg"):
            best = -1
            numbers: tuple[int, ...] = ()
            for name, subscription in session.filters.items():
                wanted = wanted_of(name)
                if wanted is None or wanted[0] != room or what not in wanted[1]:
                    continue
                if is_own and subscription.wanted.no_local:
                    continue
                best = max(best, min(subscription.wanted.qos, MAX_QOS))
                if subscription.subscription_id:
                    numbers += (subscription.subscription_id,)
            message = self._rendered.of(room, what, event) if best >= 0 else None
            if message is not None:
                session.offer(message, best, False, numbers, "")
