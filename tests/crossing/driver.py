"""What each protocol brings to the table of crossings: one `Driver`, over a real connection to a real server.

To add a protocol: a module beside this one, a line in `table.COLUMNS`, and `instead` entries where its
readers get a fallback.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from tests.crossing.words import Observation, Where

DEADLINE_S: Final = 10.0
"""After this long something that must happen has not happened."""


@dataclass(frozen=True, slots=True)
class Listener:
    """Where one protocol is served."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Server:
    """A server that is running: its domain, its listeners by name, and the certificate to trust."""

    domain: str
    certificate: Path
    listeners: dict[str, Listener]


@dataclass(frozen=True, slots=True)
class Login:
    """Who connects."""

    name: str
    password: str


class Inbox:
    """What one client showed, by conversation, and the wait for more of it."""

    def __init__(self) -> None:
        self.wire: list[str] = []
        """What came and went, for the message of a failed wait."""
        self._refused = ""
        self._seen: dict[Where, list[Observation]] = defaultdict(list)
        self._changed = asyncio.Event()

    def put(self, where: Where, observation: Observation) -> None:
        """Show `observation` in `where`."""
        self._seen[where].append(observation)
        self.changed()

    def refuse(self, how: str) -> None:
        """Note that the server refused something, which no act in the table expects."""
        self._refused = how
        self.changed()

    def changed(self) -> None:
        """Ask whoever waits to look again."""
        self._changed.set()

    def seen(self, where: Where, since: int = 0) -> list[Observation]:
        """Return what was shown in `where`, in order, from the `since`th on."""
        return self._seen[where][since:]

    async def until(self, done: Callable[[], bool], what: str) -> None:
        """Wait until `done`; say `what` was waited for if it takes too long."""
        try:
            async with asyncio.timeout(DEADLINE_S):
                while not done():
                    assert not self._refused, (
                        f"refused while waiting for {what}: {self._refused}; {self.told()}"
                    )
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"still waiting for {what}; {self.told()}") from None

    def told(self) -> str:
        """Return what was shown and what was on the wire, for a person who looks for the fault."""
        return f"shown: {dict(self._seen)}\n" + "\n".join(self.wire[-30:])


class Driver(Protocol):
    """A client that a person would use, moved by a test. Each act returns when its own client shows it.

    A message is named by its text, in a conversation where this client has seen it.
    """

    inbox: Inbox

    async def connect(self, server: Server, login: Login) -> None:
        """Log in and be ready to talk."""

    async def close(self) -> None:
        """Say goodbye."""

    async def join(self, where: Where) -> None:
        """Enter a room, without asking for history; the first one in makes it."""

    async def leave(self, where: Where) -> None:
        """Leave a room."""

    async def say(self, where: Where, text: str) -> None:
        """Write a message."""

    async def say_strongly(self, where: Where, before: str, strong: str, after: str) -> None:
        """Write a message with some of it in bold; a client shows that between asterisks."""

    async def notify(self, where: Where, text: str) -> None:
        """Write what no program should answer."""

    async def emote(self, where: Where, text: str) -> None:
        """Write what one does, as `/me`."""

    async def mention(self, where: Where, name: str, text: str) -> None:
        """Write `name: text`, so that `name` is told of it."""

    async def say_in_thread(self, where: Where, thread: str, text: str) -> None:
        """Write a message of a thread."""

    async def share(self, where: Where, url: str) -> None:
        """Share a file that is on the web."""

    async def reply(self, where: Where, target: str, text: str) -> None:
        """Answer a message."""

    async def correct(self, where: Where, target: str, text: str) -> None:
        """Rewrite one's own message."""

    async def retract(self, where: Where, target: str) -> None:
        """Take back one's own message."""

    async def remove(self, where: Where, target: str) -> None:
        """Take away somebody else's message, as a moderator."""

    async def react(self, where: Where, target: str, emoji: str) -> None:
        """Put a reaction on a message."""

    async def unreact(self, where: Where, target: str, emoji: str) -> None:
        """Remove one's reaction."""

    async def type(self, where: Where) -> None:
        """Begin to type."""

    async def mark_read(self, where: Where, target: str) -> None:
        """Have read everything up to a message."""

    async def set_topic(self, where: Where, text: str) -> None:
        """Set the topic of a room."""

    async def invite(self, where: Where, name: str) -> None:
        """Ask somebody to come in."""

    async def kick(self, where: Where, name: str, reason: str) -> None:
        """Put somebody out of a room."""

    async def ban(self, where: Where, name: str) -> None:
        """Put somebody out of a room for good."""

    async def history(self, where: Where, last: Observation) -> list[Observation]:
        """Return what the server has kept of a conversation lately, once it has kept `last`."""
