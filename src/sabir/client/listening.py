"""What comes in: decrypted, understood, kept, and told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final
from xml.etree.ElementTree import Element

from sabir.client import stanzas
from sabir.client.archive import Archive
from sabir.client.connection import Connection
from sabir.client.encryption.omemo import Omemo, Silent, Unreadable
from sabir.client.model import (
    Change,
    Chat,
    ChatChanged,
    Encryption,
    Message,
    MessageChanged,
    Notice,
    Standing,
    Typing,
)
from sabir.client.sending import Sender
from sabir.client.stanzas import Act, Arrived, Me, Outgoing, bare, new_id, plain, resource

log = logging.getLogger(__name__)

SECURED: Final = {stanzas.OMEMO: Encryption.OMEMO, stanzas.OMEMO_LEGACY: Encryption.OMEMO_LEGACY}


Unwrapped = tuple[Element, datetime | None, str, bool]


@dataclass(frozen=True, slots=True)
class Mark:
    """All of an archive up to an id was read, if it has any; `of` is the room, or empty."""

    of: str
    newest: str


class Listener:
    """Reads what arrives, one message after the other: decrypting takes its time, and order matters.

    Args:
        me: Who reads.
        connection: Where it comes from.
        archive: Where it is kept.
        omemo: Decrypts it.
        sender: Answers it.
        begun: Returns the chat with a person, new if there was none.
        tell: Told of what changed.
    """

    def __init__(
        self,
        me: Me,
        connection: Connection,
        archive: Archive,
        omemo: Omemo,
        sender: Sender,
        begun: Callable[[str], Chat],
        tell: Callable[[Change], None],
    ) -> None:
        self._me: Final = me
        self._connection: Final = connection
        self._archive: Final = archive
        self._omemo: Final = omemo
        self._sender: Final = sender
        self._begun: Final = begun
        self._tell: Final = tell
        self._arrivals: Final[asyncio.Queue[Unwrapped | Mark]] = asyncio.Queue()
        self._caught_up: Final[set[str]] = set()

    async def caught_up(self) -> None:
        """Wait until all that came has been read."""
        await self._arrivals.join()

    def take(self, found: Iterable[Element], of: str, newest: str) -> None:
        """Read a page of an archive; `newest` is noted as caught up with once it has been read."""
        for message in found:
            unwrapped = stanzas.unwrap(message, self._me)
            # A room's archive has what was said there, and nothing in the name of others.
            if not of or (
                unwrapped[0].get("type") == "groupchat" and bare(unwrapped[0].get("from", "")) == of
            ):
                self._arrivals.put_nowait(unwrapped)
        self._arrivals.put_nowait(Mark(of, newest))

    def heard(self, element: Element) -> None:
        """Read a message that came."""
        self._arrivals.put_nowait(stanzas.unwrap(element, self._me))

    async def read_arrivals(self) -> None:
        """Read what comes, for ever."""
        while True:
            arrival = await self._arrivals.get()
            try:
                if isinstance(arrival, Mark):
                    self._caught_up.add(arrival.of)
                    if arrival.newest:
                        self._archive.note_archived(arrival.of, arrival.newest)
                else:
                    with self._archive.at_once():
                        await self._arrive(*arrival)
                        self._note(*arrival)
            except Exception:  # one message that nobody foresaw must not stop the others
                log.exception("a message could not be read")
            finally:
                self._arrivals.task_done()

    def lost(self) -> None:
        """The connection is gone: from now on, something may be missed."""
        self._caught_up.clear()

    def _note(self, element: Element, _: datetime | None, archived: str, __: bool) -> None:
        """Note that an archive need not be asked for a message that came by itself."""
        of, ident = stanzas.archived_as(element, self._me)
        if ident and not archived and of in self._caught_up:
            self._archive.note_archived(of, ident)

    async def _arrive(self, element: Element, time: datetime | None, archived: str, copied: bool) -> None:
        if element.get("type") == "error":
            self._bounced(element)
            return
        encryption, device = Encryption.NONE, ""
        if (found := stanzas.encrypted(element)) is not None:
            if self._known(element, archived):
                return
            namespace, hidden = found
            sender, to, room = self._parties(element)
            try:
                element, by = await self._omemo.decrypt(element, namespace, hidden, sender, to, room)
            except Silent:
                return
            except Unreadable as error:
                if (reason := str(error)) and sender != self._me.jid:
                    self._unread(element, time, archived, reason)
                return
            encryption = SECURED[namespace]
            device = f"{by.fingerprint} ({by.trust.value})"
        arrived = stanzas.read(element, self._me, time, archived)
        if arrived is not None:
            self._apply(arrived, encryption, device, copied)

    def _parties(self, element: Element) -> tuple[str, str, bool]:
        """Return who encrypted a message, for whom, and whether that is a room."""
        sender = element.get("from", "") or self._me.jid
        if element.get("type") == "groupchat":
            room = bare(sender)
            return self._connection.owner(room, resource(sender)), room, True
        mine = bare(sender) == self._me.jid
        return bare(sender), bare(element.get("to", "")) if mine else self._me.jid, False

    def _known(self, element: Element, archived: str) -> bool:
        """Whether a message was read before: its keys are gone, and it is not to be shown as unreadable."""
        inner = Element(element.tag, element.attrib)
        inner.extend(element)
        arrived = stanzas.read(inner, self._me, None, archived)
        if arrived is None:
            return False
        known = self._archive.find(arrived.chat, arrived.origin_id, arrived.sender)
        if known is not None and known.mine:
            self._sent(known, arrived.stanza_id)
        return known is not None

    def _unread(self, element: Element, time: datetime | None, archived: str, reason: str) -> None:
        arrived = stanzas.read(element, self._me, time, archived)
        if arrived is not None and arrived.act is Act.TEXT:
            shown = replace(arrived, text=f"[This message cannot be decrypted: {reason}.]", url="")
            self._apply(shown, Encryption.OMEMO, "", copied=False)

    def _bounced(self, element: Element) -> None:
        chat, ident = bare(element.get("from", "")), element.get("id", "")
        if (message := self._archive.find(chat, ident)) is not None and message.mine:
            self._tell(MessageChanged(self._archive.fail(message)))
            error = element.find("{jabber:client}error")
            text = next((child.text for child in error or () if child.tag.endswith("}text")), None)
            self._tell(
                Notice(f"{chat} did not get a message: {plain(text or 'it was refused')}", serious=True)
            )

    def _apply(self, arrived: Arrived, encryption: Encryption, device: str, copied: bool) -> None:
        match arrived.act:
            case Act.TEXT:
                self._said(arrived, encryption, device, copied)
            case Act.STATE:
                if not arrived.mine and not copied:
                    self._tell(Typing(arrived.chat, arrived.sender, arrived.writing))
            case Act.RECEIPT:
                self._received(arrived, Standing.RECEIVED)
            case Act.DISPLAYED:
                if arrived.mine:
                    self._archive.read(arrived.chat)
                    self._tell(ChatChanged(arrived.chat))
                else:
                    self._received(arrived, Standing.READ)
            case Act.CORRECTION | Act.RETRACTION | Act.REACTION:
                self._changed(arrived, encryption, device)
            case Act.SUBJECT:
                self._tell(ChatChanged(arrived.chat))
            case Act.INVITATION:
                self._tell(
                    Notice(f"You are invited to {arrived.target}. To go there: /join {arrived.target}")
                )

    def _said(self, arrived: Arrived, encryption: Encryption, device: str, copied: bool) -> None:
        chat = self._archive.chat(arrived.chat)
        if chat is None:
            if arrived.room:
                return
            chat = self._begun(arrived.chat)
        if encryption is not Encryption.NONE and chat.encryption is Encryption.NONE and not arrived.room:
            # Whoever was told something in secret does not answer in the clear.
            self._archive.keep_chat(replace(chat, encryption=Encryption.OMEMO))
            self._tell(ChatChanged(arrived.chat))
        if (
            arrived.mine
            and (known := self._archive.find(arrived.chat, arrived.origin_id, arrived.sender)) is not None
        ):
            self._sent(known, arrived.stanza_id)
            return
        message = self._archive.add(
            Message(
                0,
                arrived.chat,
                arrived.sender,
                arrived.mine,
                arrived.time or datetime.now(UTC),
                arrived.text,
                arrived.origin_id,
                arrived.stanza_id,
                encryption=encryption,
                url=arrived.url or (arrived.text if arrived.text.startswith("aesgcm://") else ""),
                device=device,
            ),
            arrived.target,
            unread=not arrived.mine,
        )
        if message is None:
            return
        self._tell(MessageChanged(message, fresh=not arrived.mine))
        self._tell(ChatChanged(arrived.chat))
        if arrived.wants_receipt and not arrived.mine and not arrived.room and not copied:
            self._sender.now(
                Outgoing(
                    id=new_id(), chat=arrived.chat, room=False, act=Act.RECEIPT, target=arrived.origin_id
                )
            )

    def _sent(self, message: Message, stanza_id: str) -> None:
        self._sender.done(message.origin_id)
        advanced = self._archive.advance(message, Standing.SENT, stanza_id)
        if advanced != message:
            self._tell(MessageChanged(advanced))

    def _received(self, arrived: Arrived, standing: Standing) -> None:
        message = self._archive.find(arrived.chat, arrived.target)
        if (
            message is not None
            and message.mine
            and not arrived.mine
            and message.standing is not Standing.FAILED
        ):
            for older in self._archive.behind(message, standing):
                self._sender.done(older.origin_id)
                self._tell(MessageChanged(self._archive.advance(older, standing)))

    def _changed(self, arrived: Arrived, encryption: Encryption, device: str) -> None:
        own = arrived.sender if arrived.act is not Act.REACTION else None
        message = self._archive.find(arrived.chat, arrived.target, own)
        if message is None or (message.retracted and arrived.act is not Act.REACTION):
            return
        if arrived.mine:
            self._sender.done(arrived.origin_id)
        if message.encryption is not Encryption.NONE and arrived.act is not Act.REACTION:
            # What was encrypted is changed by nobody but the device that wrote it: in a room, a nick is no proof.
            if encryption is Encryption.NONE or not _same_key(message.device, device, arrived.mine):
                return
        match arrived.act:
            case Act.CORRECTION:
                message = self._archive.correct(message, arrived.text, encryption, device)
            case Act.RETRACTION:
                message = self._archive.retract(message)
            case _:
                message = self._archive.react(message, arrived.sender, arrived.emojis)
        self._tell(MessageChanged(message))
        self._tell(ChatChanged(arrived.chat))


def _same_key(one: str, other: str, mine: bool) -> bool:
    """Whether two messages were encrypted by one device, as `Message.device` tells; ours has no need to say so."""
    return one.partition(" (")[0] == other.partition(" (")[0] or (mine and not one)
