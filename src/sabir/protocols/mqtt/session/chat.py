"""What one connected client does on the topics that are rooms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sabir.core.errors import Refusal
from sabir.core.model.conversation import Conversation
from sabir.core.model.event import Event
from sabir.core.ports import Session
from sabir.core.services import Services
from sabir.gateway.contract import Turnstile
from sabir.protocols.mqtt.errors import reason_for
from sabir.protocols.mqtt.features.rooms import MAX_QOS, Attending, Rendered
from sabir.protocols.mqtt.features.sessions import ClientSession
from sabir.protocols.mqtt.translate.said import SaidError, said_of
from sabir.protocols.mqtt.translate.topics import is_chat, room_of, wanted_of
from sabir.protocols.mqtt.types import packets as p
from sabir.protocols.mqtt.types.reasons import Reason

Answer = Callable[[p.Publish, int, str], None]
"""Acknowledges a message with a reason code, and says why where there is more to say."""

# MQTT 5.0 §3.4.2.1, §3.9.3: fewer reason codes than there are refusals
_FOR_PUBLISH: Final[dict[Reason, Reason]] = {
    Reason.BANNED: Reason.NOT_AUTHORIZED,
    Reason.BAD_USER_NAME_OR_PASSWORD: Reason.NOT_AUTHORIZED,
    Reason.MESSAGE_RATE_TOO_HIGH: Reason.QUOTA_EXCEEDED,
    Reason.SERVER_BUSY: Reason.QUOTA_EXCEEDED,
}
_FOR_SUBSCRIBE: Final[dict[Reason, Reason]] = {
    **_FOR_PUBLISH,
    Reason.TOPIC_NAME_INVALID: Reason.TOPIC_FILTER_INVALID,
    Reason.PAYLOAD_FORMAT_INVALID: Reason.UNSPECIFIED_ERROR,
}


class Chat:
    """The rooms of one client with an account."""

    def __init__(
        self, services: Services, rendered: Rendered, owner: Session, turnstile: Turnstile, answer: Answer
    ) -> None:
        self._services: Final = services
        self._attending: Final = Attending(services, rendered, owner, owner.actor.name)
        self._owner: Final = owner
        self._turnstile: Final = turnstile
        self._answer: Final = answer

    def say(self, packet: p.Publish) -> None:
        """Say in a room what a client publishes; it is acknowledged when it is in the log."""
        place = room_of(packet.topic)
        if place is None:
            self._answer(packet, Reason.TOPIC_NAME_INVALID, "there is no such chat topic")
            return
        room, what = place
        try:
            said = said_of(what, packet.payload, packet.properties)
        except SaidError as error:
            self._answer(packet, Reason.PAYLOAD_FORMAT_INVALID, str(error))
            return
        self._turnstile.enter()
        self._attending.enter(
            room,
            lambda conversation: self._attending.post(conversation, said, packet),
            lambda refusal: self.refused(refusal, packet),
        )
        self._services.log.hold_if_full(self._owner)

    def posted(
        self, conversation: Conversation, event: Event, token: object, session: ClientSession | None
    ) -> None:
        """Acknowledge what is in the log, and show it to the client itself if it wants that."""
        self._turnstile.leave()
        if isinstance(token, p.Publish):
            if session is not None:
                self._attending.show(conversation, event, session, is_own=True)
            self._answer(token, Reason.SUCCESS, "")

    def refused(self, refusal: Refusal, token: object) -> None:
        """Say that something is not in the log."""
        self._turnstile.leave()
        if isinstance(token, p.Publish):
            reason = reason_for(refusal)
            self._answer(token, _FOR_PUBLISH.get(reason, reason), refusal.value)

    def subscribe(self, name: str, qos: int, then: Callable[[int], None]) -> None:
        """Join the room of a filter; `then` is told the reason code."""
        wanted = wanted_of(name)
        if wanted is None:
            then(Reason.TOPIC_FILTER_INVALID)
            return

        def refused(refusal: Refusal) -> None:
            reason = reason_for(refusal)
            then(_FOR_SUBSCRIBE.get(reason, reason))

        self._attending.enter(wanted[0], lambda conversation: then(min(qos, MAX_QOS)), refused)

    def unsubscribe(self, name: str, session: ClientSession) -> None:
        """Leave the room of a filter that is gone, if no other is about it."""
        if is_chat(name):
            self._attending.leave(name, session)

    def come_back(self, session: ClientSession) -> None:
        """Join the rooms that a session was in when its client was gone."""
        for name in list(session.filters):
            if is_chat(name):
                self.subscribe(name, 0, _nothing)

    def show(self, conversation: Conversation, event: Event, session: ClientSession) -> None:
        """Publish what somebody else said."""
        self._attending.show(conversation, event, session, is_own=False)


def _nothing(reason: int) -> None:
    """Do nothing: a room that cannot be joined any more stays silent."""
