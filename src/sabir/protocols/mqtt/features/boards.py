"""What is retained of chat, shown to all who want it: who is in a room, and who is there at all."""

from __future__ import annotations

from typing import Final

from sabir.core.model.actor import Account
from sabir.core.model.conversation import Conversation
from sabir.core.services import Services
from sabir.protocols.mqtt.codec.message import Message
from sabir.protocols.mqtt.features.wishes import Wishes
from sabir.protocols.mqtt.translate.told import members_of, message, shown_of
from sabir.protocols.mqtt.translate.topics import MEMBERS, PRESENCE, topic_of, topic_of_user

MEMBERS_MS: Final = 1000
"""Comings and goings of so much time are shown at once."""
MAX_MEMBERS: Final = 500


class Boards:
    """The boards of all rooms and people that MQTT clients look at."""

    def __init__(self, services: Services) -> None:
        self._services: Final = services
        self._changed: dict[Conversation, dict[Wishes, None]] = {}
        self._watchers: Final[dict[int, dict[Wishes, Account]]] = {}
        """Who looks at the presence of an account, by its id."""
        self._latest: Final[dict[int, bytes]] = {}
        services.presences.observers.append(self._present)

    # Who is in a room

    def members(self, conversation: Conversation) -> Message:
        """Return who is in a room, as a retained message."""
        topic = topic_of(conversation.name, MEMBERS)
        return message(topic, members_of(conversation, MAX_MEMBERS), retain=True)

    def stir(self, conversation: Conversation, wishes: Wishes) -> None:
        """Show who is in a room, soon, to a client that wants it."""
        if wishes.of(topic_of(conversation.name, MEMBERS)) is None:
            return
        if not self._changed:
            self._services.scheduler.later(MEMBERS_MS, self._show)
        self._changed.setdefault(conversation, {})[wishes] = None

    def _show(self) -> None:
        changed, self._changed = self._changed, {}
        for conversation, readers in changed.items():
            shown = self.members(conversation)
            for wishes in readers:
                wishes.offer(shown)

    # Who is there

    def presence(self, account: Account) -> Message:
        """Return the presence of somebody, as a retained message."""
        shown = shown_of(self._services.presences.best(account))
        return message(topic_of_user(account.name, PRESENCE), shown, retain=True)

    def watch(self, account: Account, wishes: Wishes, watcher: Account) -> None:
        """Show a client the presence of somebody, whenever it changes."""
        watchers = self._watchers.setdefault(account.id, {})
        if not watchers:
            self._latest[account.id] = self.presence(account).payload
        watchers[wishes] = watcher

    def unwatch(self, account: Account, wishes: Wishes) -> None:
        """Show it no more."""
        watchers = self._watchers.get(account.id)
        if watchers is not None and watchers.pop(wishes, None) is not None and not watchers:
            del self._watchers[account.id]
            del self._latest[account.id]

    def _present(self, account: Account, was_here: bool, is_here: bool) -> None:
        watchers = self._watchers.get(account.id)
        if not watchers:
            return
        shown = self.presence(account)
        if shown.payload == self._latest[account.id]:
            return
        self._latest[account.id] = shown.payload
        for wishes, watcher in list(watchers.items()):
            if self._services.presences.may_see(watcher, account.actor):
                wishes.offer(shown)
