"""What the features of chat share: one client that has an account, and how it is answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sabir.core.errors import Refusal
from sabir.core.model.actor import Account
from sabir.core.model.conversation import Conversation
from sabir.core.model.event import Event
from sabir.core.ports import Session
from sabir.core.services import Services
from sabir.gateway.contract import Turnstile
from sabir.protocols.mqtt.errors import reason_for
from sabir.protocols.mqtt.features.broker import Broker
from sabir.protocols.mqtt.features.rendered import Rendered
from sabir.protocols.mqtt.features.rooms import Attending
from sabir.protocols.mqtt.features.sessions import ClientSession
from sabir.protocols.mqtt.features.wishes import Wishes
from sabir.protocols.mqtt.translate.said import id_of
from sabir.protocols.mqtt.types import packets as p
from sabir.protocols.mqtt.types.reasons import Reason

Answer = Callable[[p.Publish, int, str], None]
"""Acknowledges a message with a reason code, and says why where there is more to say."""

# MQTT 5.0 §3.4.2.1, §3.9.3: fewer reason codes than there are refusals
FOR_PUBLISH: Final[dict[Reason, Reason]] = {
    Reason.BANNED: Reason.NOT_AUTHORIZED,
    Reason.BAD_USER_NAME_OR_PASSWORD: Reason.NOT_AUTHORIZED,
    Reason.MESSAGE_RATE_TOO_HIGH: Reason.QUOTA_EXCEEDED,
    Reason.SERVER_BUSY: Reason.QUOTA_EXCEEDED,
}


class Talk:
    """One client with an account, and its session."""

    def __init__(
        self,
        broker: Broker,
        rendered: Rendered,
        owner: Session,
        account: Account,
        client: ClientSession,
        turnstile: Turnstile,
        answer: Answer,
    ) -> None:
        self.broker: Final = broker
        self.services: Final[Services] = broker.services
        self.rendered: Final = rendered
        self.owner: Final = owner
        self.account: Final = account
        self.client: Final = client
        self.turnstile: Final = turnstile
        self.answer: Final = answer
        self.attending: Final = Attending(broker.services, owner)
        self.wishes: Final = Wishes(client)

    @property
    def name(self) -> str:
        """The name of the account."""
        return self.account.name

    # Answers

    def done(self, packet: p.Publish) -> None:
        """Acknowledge what is durable, and let pass what the client sent after it."""
        self.turnstile.leave()
        self.answer(packet, Reason.SUCCESS, "")

    def refuse(self, packet: p.Publish, refusal: Refusal) -> None:
        """Say why the core does not do what was published."""
        reason = reason_for(refusal)
        self.answer(packet, FOR_PUBLISH.get(reason, reason), refusal.value)

    def refused(self, packet: p.Publish) -> Callable[[Refusal], None]:
        """Return what says so of something that was queued."""

        def refused(refusal: Refusal) -> None:
            self.turnstile.leave()
            self.broker.counters.refused(refusal)
            self.refuse(packet, refusal)

        return refused

    # Conversations

    def enter(
        self, packet: p.Publish, room: str, then: Callable[[Conversation], None], key: str = ""
    ) -> None:
        """Attend a room, and do something there; the turnstile is entered until that calls `done` or `refused`."""
        self.turnstile.enter()
        key = key or dict(packet.properties.users).get("key", "")
        self.attending.enter(room, then, self.refused(packet), key=key)
        self.services.log.hold_if_full(self.owner)

    def direct(self, name: str, *, opens: bool) -> Conversation | Refusal:
        """Return the conversation with somebody, or why there is none; `opens`: it is made if need be."""
        services, account = self.services, self.account
        local, _, domain = name.rpartition("@")
        other = services.accounts.find(local if local and domain == services.domain else name)
        if other is not None:
            if opens:
                return services.messaging.open_direct(account, other)
            found = services.directory.direct(account, other)
            return found if found is not None else Refusal.TARGET_UNKNOWN
        peer = services.peers.actor_of(name) if local else None
        if peer is None:
            return Refusal.ACTOR_UNKNOWN
        if opens:
            return services.messaging.open_foreign(account, peer)
        found = services.directory.foreign(account, peer)
        return found if found is not None else Refusal.TARGET_UNKNOWN

    def event(self, conversation: Conversation, text: str) -> Event | None:
        """Return the entry that a client names, if it may see it."""
        event_id = id_of(text)
        event = self.services.history.find(event_id) if event_id else None
        if event is None or not self.services.history.may_see(conversation, self.account.actor, event):
            return None
        return event
