"""Entries of the log as messages, made once for all who are sent the same."""

from __future__ import annotations

from typing import Final

from sabir.core.model.actor import Actor
from sabir.core.model.conversation import Conversation
from sabir.core.model.event import Event
from sabir.core.services import Services
from sabir.protocols.mqtt.codec.message import Message
from sabir.protocols.mqtt.translate.said import Said
from sabir.protocols.mqtt.translate.shown import as_content, as_json, as_text, said_of
from sabir.protocols.mqtt.translate.topics import CBOR, INBOX, MSG, TEXT, topic_of, topic_of_user

_MAX_VIEWS: Final = 16


class View:
    """One entry, on all topics that show it."""

    def __init__(self, services: Services, event: Event, said: Said, topics: dict[str, str]) -> None:
        self.topics: Final = topics
        """What of TEXT, MSG and MSG + CBOR each of them has."""
        self._services: Final = services
        self._event: Final = event
        self._said: Final = said
        self._messages: Final[dict[str, Message | None]] = {}

    def message(self, topic: str) -> Message | None:
        """Return what is published on one of the topics, None if nothing."""
        if topic in self._messages:
            return self._messages[topic]
        form = self.topics[topic]
        message: Message | None
        if form == TEXT:
            message = as_text(topic, self._said)
        elif form == MSG:
            message = as_json(topic, self._said)
        else:
            message = as_content(topic, self._said, self._event, self._services.contents.of(self._event))
        if message is not None:
            message.seq = self._event.seq
        self._messages[topic] = message
        return message


class Rendered:
    """The latest entries."""

    def __init__(self, services: Services) -> None:
        self._services: Final = services
        self._views: Final[dict[tuple[int, int], View | None]] = {}

    def of(self, conversation: Conversation, event: Event, reader: Actor) -> View | None:
        """Return an entry as somebody is shown it; None = not at all."""
        key = (event.seq, 0 if conversation.is_room else int(reader.id))
        if key in self._views:
            return self._views[key]
        if len(self._views) >= _MAX_VIEWS:
            self._views.clear()
        said = self.said(conversation, event)
        view = None
        if said is not None:
            topics = _topics_of(conversation, said, reader.name)
            view = View(self._services, event, said, topics)
        self._views[key] = view
        return view

    def said(self, conversation: Conversation, event: Event) -> Said | None:
        """Return what an entry says, None if it says nothing."""
        services = self._services
        sender, to = event.nick, ""
        if not conversation.is_room:
            sender = services.directory.actor(event.actor_id).name
            to = conversation.other_than(event.actor_id).name
        content = services.contents.of(event)
        return said_of(event, content, conversation, services.people, sender, to)


def _topics_of(conversation: Conversation, said: Said, reader: str) -> dict[str, str]:
    if not conversation.is_room:
        return {
            topic_of_user(reader, TEXT): TEXT,
            topic_of_user(reader, INBOX): MSG,
            topic_of_user(reader, INBOX + CBOR): CBOR,
        }
    room = conversation.name
    topics = {topic_of(room, TEXT): TEXT, topic_of(room, MSG): MSG, topic_of(room, MSG + CBOR): CBOR}
    if said.topic:
        for what, form in ((TEXT, TEXT), (MSG, MSG), (MSG + CBOR, CBOR)):
            topics[topic_of(room, what, said.topic)] = form
    return topics
