"""What one client wants to hear of chat: its filters, topic by topic."""

from __future__ import annotations

from typing import Final

from sabir.protocols.mqtt.codec.message import Message
from sabir.protocols.mqtt.features.sessions import ClientSession, Subscription
from sabir.protocols.mqtt.features.topics import covers
from sabir.protocols.mqtt.translate.topics import CBOR, INBOX, MSG, TEXT, Place, is_chat, wanted_of

MAX_QOS: Final = 1
"""Granted on chat topics: what a client did not take is in the log, not in its queue."""


_SAID: Final = frozenset((TEXT, MSG, MSG + CBOR, INBOX, INBOX + CBOR))


class Wish:
    """How a client is sent what is published on one topic, whatever the number of its filters that stand for it."""

    def __init__(self) -> None:
        self.qos = -1
        self.ids: tuple[int, ...] = ()
        self.own_qos = -1
        """The same for what it publishes itself: filters with No Local do not count."""
        self.own_ids: tuple[int, ...] = ()
        self.retains = False
        """RETAIN is sent as it was published."""
        self.since_seq = 0
        """The log number from which on entries are for it, if it was gone meanwhile."""

    def add(self, subscription: Subscription, since_seq: int = 0) -> None:
        """Add a filter: the highest QoS counts, and all identifiers ([MQTT-3.3.4-2], [MQTT-3.3.4-5])."""
        wanted = subscription.wanted
        qos = min(wanted.qos, MAX_QOS)
        ids = (subscription.subscription_id,) if subscription.subscription_id else ()
        self.since_seq = since_seq if self.qos < 0 else min(self.since_seq, since_seq)
        self.qos = max(self.qos, qos)
        self.ids += ids
        self.retains |= wanted.retain_as_published
        if not wanted.no_local:
            self.own_qos = max(self.own_qos, qos)
            self.own_ids += ids


class Wishes:
    """The wishes of one session."""

    def __init__(self, client: ClientSession) -> None:
        self._client: Final = client
        self._topics: dict[str, Wish] | None = None
        self._rooms: dict[str, None] = {}
        self._kept: dict[str, int] = {}

    def changed(self) -> None:
        """Note that filters came or went."""
        self._topics = None

    def of(self, topic: str) -> Wish | None:
        """Return how the client is sent what is on a topic; None = not at all."""
        return self._all().get(topic)

    def rooms(self) -> list[str]:
        """Return the names of the rooms that its filters are about."""
        self._all()
        return list(self._rooms)

    def kept(self) -> dict[str, int]:
        """Return the rooms (and the empty name for direct messages) of which the client wants all that is said.

        That is what it is to have at QoS 1, also if it was gone meanwhile; each with the entry that comes before it.
        """
        self._all()
        return self._kept

    def offer(self, message: Message, *, is_own: bool = False) -> bool:
        """Send a message if the client wants it; return whether it does."""
        wish = self.of(message.topic)
        if wish is None:
            return False
        self.send(wish, message, is_own=is_own)
        return True

    def send(self, wish: Wish, message: Message, *, is_own: bool = False) -> None:
        """Send a message to a client that wants it."""
        qos, ids = (wish.own_qos, wish.own_ids) if is_own else (wish.qos, wish.ids)
        if qos < 0:
            return
        if qos and message.seq and self._client.progress is not None:
            self._client.progress.owe(message.seq)
        self._client.offer(message, qos, message.retain and wish.retains, ids, "")

    def offer_reply(self, message: Message) -> bool:
        """Send what was published on a topic that has any levels; return whether the client wants it."""
        wish = Wish()
        for name, subscription in self._client.filters.items():
            if covers(name, message.topic):
                wish.add(subscription)
        if wish.qos >= 0:
            self.send(wish, message)
        return wish.qos >= 0

    def _all(self) -> dict[str, Wish]:
        topics = self._topics
        if topics is None:
            topics = self._topics = {}
            self._rooms = {}
            self._kept = {}
            for name, subscription in self._client.filters.items():
                place = wanted_of(name) if is_chat(name) else None
                if place is not None:
                    self._add(topics, place, subscription)
        return topics

    def _add(self, topics: dict[str, Wish], place: Place, subscription: Subscription) -> None:
        progress = self._client.progress
        since_seq = 0 if progress is None else progress.since.get(subscription.wanted.name, 0)
        room = place.name if place.is_room else ""
        if place.is_room:
            self._rooms[room] = None
        if subscription.wanted.qos and not _SAID.isdisjoint(place.whats):
            self._kept[room] = min(self._kept.get(room, since_seq), since_seq)
        for topic in place.topics():
            topics.setdefault(topic, Wish()).add(subscription, since_seq)
