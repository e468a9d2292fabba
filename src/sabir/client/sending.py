"""What goes out: in the order in which it was said, encrypted where the chat is, and again if it may be lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final
from xml.etree.ElementTree import Element

from sabir.client import stanzas
from sabir.client.archive import Archive
from sabir.client.connection import Connection, Refused
from sabir.client.encryption.omemo import Omemo, Unreadable
from sabir.client.model import Change, MessageChanged, Notice, Standing
from sabir.client.stanzas import Act, Outgoing, bare

log = logging.getLogger(__name__)


class Sender:
    """Sends what waits in the archive, once there is a connection and what was missed has been read.

    Args:
        connection: Where it goes.
        archive: Where it waits.
        omemo: Encrypts it.
        tell: Told of what became of messages.
    """

    def __init__(
        self, connection: Connection, archive: Archive, omemo: Omemo, tell: Callable[[Change], None]
    ) -> None:
        self._connection: Final = connection
        self._archive: Final = archive
        self._omemo: Final = omemo
        self._tell: Final = tell
        self._on_their_way: Final[set[str]] = set()
        self._one_at_a_time: Final = asyncio.Lock()

    async def flush(self, again: bool = False) -> None:
        """Send what waits; all of it again if the server may have lost what was on its way."""
        async with self._one_at_a_time:
            if again:
                self._on_their_way.clear()
            for outgoing in self._archive.waiting():
                if not self._connection.online:
                    return
                if outgoing.id in self._on_their_way:
                    continue
                try:
                    payload = await self._payload(outgoing)
                    self._on_their_way.add(outgoing.id)
                    self._dispatch(outgoing, payload)
                except (Refused, Unreadable) as error:
                    self._give_up(outgoing, str(error))
                except Exception as error:  # one message that nobody foresaw must not hold up the others
                    log.exception("a message could not be sent")
                    self._give_up(outgoing, str(error) or type(error).__name__)

    def now(self, outgoing: Outgoing) -> None:
        """Send what is of no use later, in the clear."""
        if self._connection.online:
            self._dispatch(outgoing, stanzas.write(outgoing))

    def acknowledged(self, ident: str) -> None:
        """The server has a message (XEP-0198)."""
        self.done(ident)
        if (message := self._archive.sent_as(ident)) is not None:
            self._tell(MessageChanged(self._archive.advance(message, Standing.SENT)))

    def done(self, ident: str) -> None:
        """Something has arrived, whoever says so: it does not wait any longer."""
        self._archive.posted(ident)
        self._on_their_way.discard(ident)

    async def readers(self, jid: str, room: bool) -> frozenset[str]:
        """Return who reads what is said in a chat, by bare address, without us.

        Raises:
            Refused: the room hides who is in it.
        """
        if not room:
            return frozenset({bare(jid)})
        return frozenset(await self._connection.members(jid) - {self._connection.jid})

    async def _payload(self, outgoing: Outgoing) -> list[Element]:
        payload = stanzas.write(outgoing)
        if not outgoing.secret:
            return payload
        readers = await self.readers(outgoing.chat, outgoing.room)
        return await self._omemo.encrypt(payload, readers, outgoing.chat, _in_words(outgoing))

    def _give_up(self, outgoing: Outgoing, why: str) -> None:
        self.done(outgoing.id)
        if (message := self._archive.sent_as(outgoing.id)) is not None:
            self._tell(MessageChanged(self._archive.fail(message)))
        self._tell(Notice(f"Not sent: {why}", serious=True))

    def _dispatch(self, outgoing: Outgoing, payload: list[Element]) -> None:
        self._connection.send("groupchat" if outgoing.room else "chat", outgoing.chat, outgoing.id, payload)


def _in_words(outgoing: Outgoing) -> str:
    """Return what is said for readers who get nothing but a text."""
    quote = "".join(f"> {line}\n" for line in outgoing.quoted.splitlines())
    match outgoing.act:
        case Act.REACTION:
            return " ".join(outgoing.emojis)
        case Act.RETRACTION:
            return "I take back a message; your client does not support that."
        case _:
            return quote + (outgoing.url or outgoing.text)
