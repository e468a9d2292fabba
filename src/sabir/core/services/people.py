"""Whom a name or an id means in one conversation, and the URI by which content of every protocol mentions them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sabir.core.directory import Directory
from sabir.core.model.actor import Account, Actor
from sabir.core.model.conversation import Conversation
from sabir.core.model.mentions import Mention, marked
from sabir.core.services.rooms import Rooms

MOST_MEMBERS: Final = 200
"""Members that are not there are found by their id in a room of so many: each costs a hash."""


class People:
    """Looks people up among those who have to do with a conversation, and nobody else."""

    def __init__(self, directory: Directory, rooms: Rooms, domain: str) -> None:
        self._directory = directory
        self._rooms = rooms
        self._domain = domain

    def conversation(self, conversation_id: int) -> Conversation | None:
        """Return the conversation of an event."""
        return self._directory.conversation(conversation_id)

    def named(self, conversation: Conversation, name: str) -> Actor | None:
        """Return who has the account `name` (lower case) and is, or belongs, in the conversation."""
        account = self._directory.account(name)
        if account is None or not self._concerns(conversation, account):
            return None
        return account.actor

    def shown_as(self, conversation: Conversation, nick: str) -> Actor | None:
        """Return who is shown under a nick in a room now."""
        attendee = self._rooms.attendee(conversation, nick) if conversation.is_room else None
        return None if attendee is None else attendee.actor

    def occupant(self, conversation: Conversation, occupant_id: str) -> Actor | None:
        """Return whose id in a room that is (`Rooms.occupant_id`)."""
        for attendee in conversation.attendees.values():
            if attendee.occupant_id == occupant_id:
                return attendee.actor
        if len(conversation.members) > MOST_MEMBERS:
            return None
        for member in conversation.members.values():
            if self._rooms.occupant_id(conversation, member.actor) == occupant_id:
                return member.actor
        return None

    def uri_of(self, actor: Actor) -> str:
        """Return the URI of somebody, empty for who has no account here."""
        account = None if actor.account_id is None else self._directory.accounts.get(actor.account_id)
        return "" if account is None else f"mimi://{self._domain}/u/{account.uuid.hex()}"

    def everybody(self, conversation: Conversation) -> str:
        """Return the URI of all who are in a room."""
        return f"mimi://{self._domain}/r/{conversation.uuid.hex()}"

    def of_uri(self, conversation: Conversation, uri: str) -> Actor | None:
        """Return whom a mention in a conversation is about, None if nobody there."""
        for account in self._accounts(conversation):
            if uri.endswith(account.uuid.hex()) and uri == self.uri_of(account.actor):
                return account.actor
        return None

    def mentioning(self, text: str, mentions: list[tuple[int, int, Actor]]) -> str | None:
        """Return `text` as Markdown that mentions people, None if it mentions nobody who has a URI."""
        found = [Mention(begin, end, uri) for begin, end, actor in mentions if (uri := self.uri_of(actor))]
        return marked(text, found) if found else None

    def _accounts(self, conversation: Conversation) -> Iterator[Account]:
        if not conversation.is_room:
            yield from conversation.parties
            return
        for actor in (
            *[attendee.actor for attendee in conversation.attendees.values()],
            *[member.actor for member in conversation.members.values()],
        ):
            account = None if actor.account_id is None else self._directory.accounts.get(actor.account_id)
            if account is not None:
                yield account

    def _concerns(self, conversation: Conversation, account: Account) -> bool:
        if not conversation.is_room:
            return account in conversation.parties
        actor_id = account.actor.id
        return actor_id in conversation.attendees or actor_id in conversation.members
