"""One account on one device, as an interface uses it."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from xml.etree.ElementTree import Element

from sabir.client.archive import Archive
from sabir.client.connection import Connection, Refused, Server
from sabir.client.encryption.omemo import Device, Omemo, Trust, Unreadable
from sabir.client.files import Files
from sabir.client.listening import Listener
from sabir.client.model import (
    Change,
    Chat,
    ChatChanged,
    Encryption,
    Kind,
    Link,
    LinkChanged,
    Message,
    MessageChanged,
    Notice,
    PresenceChanged,
    Standing,
)
from sabir.client.nodes import Nodes
from sabir.client.sending import Sender
from sabir.client.stanzas import Act, Me, Outgoing, bare, new_id, resource

log = logging.getLogger(__name__)

HISTORY_PAGES: Final = 500
QUOTE_MAX: Final = 200


class Client:
    """Talks, listens and remembers for one account.

    What is said while there is no connection waits in the archive, is shown as waiting, and goes out in order once
    the connection is back and what was missed has been read (which is how a message that the server has already is
    not said twice).

    Args:
        jid: The account.
        password: Its password.
        archive: What the device keeps.
        server: Where to connect, if not where DNS says.
        listener: Told of every change, on the event loop.
    """

    def __init__(
        self,
        jid: str,
        password: str,
        archive: Archive,
        listener: Callable[[Change], None],
        server: Server | None = None,
    ) -> None:
        self.archive: Final = archive
        self._tell: Final = listener
        self._me: Final = Me(bare(jid), {})
        self._tasks: Final[set[asyncio.Task[None]]] = set()
        self._synced = asyncio.Event()
        self._presence: Final[dict[str, dict[str, str]]] = {}
        device = archive.secret("device")
        if device is None:
            device = f"sabir-{uuid.uuid4().hex[:6]}".encode()
            archive.keep_secret("device", device)
        self.connection: Final = Connection(
            f"{bare(jid)}/{device.decode()}",
            password,
            server or Server(),
            self._linked,
            lambda element: self._listener.heard(element),
            self._present,
            lambda asks: listener(Notice(f"{asks} asks to be among your contacts. To agree: /add {asks}")),
            self._noticed,
            lambda ident: self._sender.acknowledged(ident),
        )
        self.omemo: Final = Omemo(self.connection, archive, new_id)
        self.files: Final = Files(self.connection)
        self._nodes: Final = Nodes(self.connection)
        self._sender: Final = Sender(self.connection, archive, self.omemo, listener)
        self._listener: Final = Listener(
            self._me, self.connection, archive, self.omemo, self._sender, self.chat, listener
        )
        self.link = Link.OFFLINE

    @property
    def jid(self) -> str:
        """The account's bare address."""
        return self._me.jid

    def start(self) -> None:
        """Connect, and stay connected."""
        self._spawn(self._listener.read_arrivals())
        self.connection.start()

    async def synced(self) -> None:
        """Wait until what was missed has been read."""
        _ = await self._synced.wait()

    async def stop(self) -> None:
        """Say goodbye; what waits stays in the archive."""
        await self.connection.stop()
        for task in list(self._tasks):
            task.cancel()
        _ = await asyncio.gather(*self._tasks, return_exceptions=True)

    # Chats

    def chat(self, jid: str) -> Chat:
        """Return the chat with a person, or in a room that was joined; begun if there is none."""
        if not (bare(jid) in self._me.nicks and resource(jid)):
            jid = bare(jid)
        if (known := self.archive.chat(jid)) is not None:
            return known
        begun = Chat(jid, Kind.PERSON, self.connection.contacts().get(jid, jid))
        self.archive.keep_chat(begun)
        self._tell(ChatChanged(jid))
        return begun

    async def is_room(self, address: str) -> bool:
        """Return whether an address is that of a room.

        Raises:
            Refused: nobody knows the address.
        """
        return await self.connection.is_room(bare(address))

    async def join(self, room: str, nick: str = "") -> Chat:
        """Enter a room, now and whenever the client starts, on all devices.

        Raises:
            Refused: it does not let us in.
        """
        room, nick = bare(room), nick or self.jid.partition("@")[0]
        await self._enter(room, nick)
        known = self.archive.chat(room)
        chat = replace(known, nick=nick) if known else Chat(room, Kind.ROOM, room.partition("@")[0], nick)
        self.archive.keep_chat(chat)
        self._tell(ChatChanged(room))
        await self._nodes.bookmark(room, chat.name, nick)
        await self._catch_up(room)
        return self.chat(room)

    def leave(self, jid: str) -> None:
        """Take a chat from the list, and leave if it is a room."""
        nick = self._me.nicks.pop(jid, "")
        if nick:
            self.connection.leave(jid, nick)
        self.archive.forget_chat(jid)
        self._tell(ChatChanged(jid))

    async def encrypt(self, jid: str, encryption: Encryption) -> Chat:
        """Encrypt what is said in a chat from now on, or no longer.

        A room that hides who is in it is made to show them, if it is ours.

        Raises:
            Refused: the room is not ours, and hides who is in it.
        """
        chat = self.chat(jid)
        if (
            chat.kind is Kind.ROOM
            and encryption is not Encryption.NONE
            and not await self.connection.is_open(jid)
        ):
            try:
                await self.connection.open_room(jid)
            except Refused:
                raise Refused("this room hides who is in it; only its owner can change that") from None
        changed = replace(chat, encryption=encryption)
        self.archive.keep_chat(changed)
        self._tell(ChatChanged(jid))
        return changed

    def presence(self, jid: str) -> str:
        """Return how somebody is: `online`, `away`, ..., or `offline`; empty for who does not let us know."""
        shows = self._presence.get(jid, {})
        unseen = "offline" if jid in self.connection.contacts() else ""
        return next(
            (show for show in ("chat", "online", "away", "xa", "dnd") if show in shows.values()), unseen
        )

    # Saying

    def say(
        self, jid: str, text: str, reply_to: Message | None = None, url: str = "", secret: bool | None = None
    ) -> Message:
        """Say something; it is kept, shown as waiting, and sent as soon as that is possible.

        It is encrypted if the chat is, or what it answers, if `secret` does not say so otherwise.
        """
        chat = self.chat(jid)
        jid = chat.jid
        if secret is None:
            secret = _is_secret(chat, reply_to)
        ident = new_id()
        outgoing = Outgoing(
            id=ident,
            chat=jid,
            room=chat.kind is Kind.ROOM,
            act=Act.TEXT,
            text=text,
            target=self._named(reply_to) if reply_to else "",
            author=self._author(chat, reply_to) if reply_to else "",
            quoted=reply_to.text[:QUOTE_MAX] if reply_to else "",
            url=url,
            secret=secret,
        )
        message = self.archive.add(
            Message(
                0,
                jid,
                chat.nick if outgoing.room else self.jid,
                True,
                datetime.now(UTC),
                text,
                ident,
                standing=Standing.WAITING,
                encryption=Encryption.OMEMO if secret else Encryption.NONE,
                url=url,
            ),
            outgoing.target,
        )
        assert message is not None  # the id is new
        self._post(outgoing)
        self._tell(MessageChanged(message))
        self._tell(ChatChanged(jid))
        return message

    def again(self, message: Message) -> Message:
        """Say once more what did not arrive."""
        answered = self.archive.message(message.reply_to) if message.reply_to else None
        self.archive.drop(message)
        secret = _is_secret(self.chat(message.chat), message)
        return self.say(message.chat, message.text, answered, message.url, secret)

    async def send_file(self, jid: str, path: Path) -> Message:
        """Upload a file, encrypted if the chat is, and say where it lies.

        Raises:
            Refused: there is no such file, or nowhere to put it.
        """
        secret = _is_secret(self.chat(jid))
        url = await self.files.put(path, secret)
        return self.say(jid, path.name, url=url, secret=secret)

    def correct(self, message: Message, text: str) -> Message:
        """Give a message of ours another text (XEP-0308)."""
        secret = _is_secret(self.chat(message.chat), message)
        encryption = Encryption.OMEMO if secret else Encryption.NONE
        corrected = self.archive.correct(message, text, encryption, message.device)
        self._act(corrected, Act.CORRECTION, message.origin_id, text=text)
        return corrected

    def retract(self, message: Message) -> Message:
        """Take a message of ours back (XEP-0424)."""
        retracted = self.archive.retract(message)
        self._act(retracted, Act.RETRACTION, self._named(message))
        return retracted

    def react(self, message: Message, emoji: str) -> Message:
        """Add a reaction of ours, or take it away if it is there (XEP-0444)."""
        who = self.chat(message.chat).nick or self.jid
        mine = [shown for shown, people in message.reactions if who in people]
        emojis = [shown for shown in mine if shown != emoji] if emoji in mine else [*mine, emoji]
        reacted = self.archive.react(message, who, emojis)
        self._act(reacted, Act.REACTION, self._named(message), emojis=tuple(emojis))
        return reacted

    def seen(self, jid: str) -> None:
        """Note that the chat's messages were seen, and tell who sent them (XEP-0333)."""
        chat = self.archive.chat(jid)
        if chat is None or not chat.unread:
            return
        self.archive.read(jid)
        self._tell(ChatChanged(jid))
        newest = next((message for message in reversed(self.archive.page(jid)) if not message.mine), None)
        if newest is not None:
            ident = newest.stanza_id if chat.kind is Kind.ROOM else newest.origin_id
            self._sender.now(
                Outgoing(id=new_id(), chat=jid, room=chat.kind is Kind.ROOM, act=Act.DISPLAYED, target=ident)
            )

    def typing(self, jid: str, writing: bool) -> None:
        """Tell the other side that somebody writes here, or no longer does (XEP-0085)."""
        room = self.chat(jid).kind is Kind.ROOM
        state = "composing" if writing else "active"
        self._sender.now(Outgoing(id=new_id(), chat=jid, room=room, act=Act.STATE, text=state))

    # Keys

    async def devices(self, jid: str) -> list[Device]:
        """Return the devices that read what is said in a chat with `jid`, whose keys are to be compared.

        Raises:
            Refused: the room hides who reads it.
            Unreadable: their keys cannot be had.
        """
        people = await self._sender.readers(jid, self.chat(jid).kind is Kind.ROOM)
        return [
            device for person in sorted(people | {self.jid}) for device in await self.omemo.devices(person)
        ]

    async def judge(self, device: Device, trust: Trust) -> None:
        """Note what the person thinks of a device."""
        await self.omemo.judge(device, trust)

    def _act(
        self, message: Message, act: Act, target: str, text: str = "", emojis: tuple[str, ...] = ()
    ) -> None:
        chat = self.chat(message.chat)
        self._post(
            Outgoing(
                id=new_id(),
                chat=message.chat,
                room=chat.kind is Kind.ROOM,
                act=act,
                target=target,
                text=text,
                emojis=emojis,
                secret=_is_secret(chat, message),
            )
        )
        self._tell(MessageChanged(message))
        self._tell(ChatChanged(message.chat))

    def _post(self, outgoing: Outgoing) -> None:
        self.archive.post(outgoing)
        if self._synced.is_set() and self.connection.online:
            self._spawn(self._sender.flush())

    def _author(self, chat: Chat, message: Message) -> str:
        return f"{chat.jid}/{message.sender}" if chat.kind is Kind.ROOM else message.sender

    def _named(self, message: Message) -> str:
        """Return the id by which others name a message: in a room, the room's (XEP-0461 §3.1, XEP-0444 §3.1)."""
        room = self.chat(message.chat).kind is Kind.ROOM
        return (message.stanza_id or message.origin_id) if room else message.origin_id

    # Listening

    def _linked(self, link: Link, why: str) -> None:
        self.link = link
        self._tell(LinkChanged(link, why))
        match link:
            case Link.ONLINE if why == "resumed":
                self._synced.set()
                self._spawn(self._sender.flush())
            case Link.ONLINE:
                self._spawn(self._begin())
            case Link.OFFLINE:
                self._synced.clear()
                self._listener.lost()
                for jid in list(self._presence):
                    self._present(jid, "offline")
            case Link.CONNECTING | Link.REFUSED:
                pass

    async def _begin(self) -> None:
        """What is done at the start of a session: keys, rooms, what was missed, and then what waits."""
        try:
            await self.omemo.start()
        except Unreadable as error:
            self._tell(Notice(str(error)))
        for jid, name in self.connection.contacts().items():
            known = self.archive.chat(jid)
            if known is None or known.name != name:
                self.archive.keep_chat(replace(known, name=name) if known else Chat(jid, Kind.PERSON, name))
                self._tell(ChatChanged(jid))
        await self._catch_up("")
        bookmarked = await self._nodes.bookmarks()
        rooms = {chat.jid: (chat.name, chat.nick) for chat in self.archive.chats() if chat.kind is Kind.ROOM}
        for room, (name, nick) in {**rooms, **bookmarked}.items():
            own = nick or self.jid.partition("@")[0]
            try:
                await self._enter(room, own)
            except Refused as error:
                self._tell(Notice(str(error), serious=True))
                continue
            known = self.archive.chat(room)
            self.archive.keep_chat(replace(known, nick=own) if known else Chat(room, Kind.ROOM, name, own))
            self._tell(ChatChanged(room))
            await self._catch_up(room)
        await self._listener.caught_up()
        await self.omemo.caught_up()
        self._synced.set()
        await self._sender.flush(again=True)

    async def _enter(self, room: str, nick: str) -> None:
        self._me.nicks[room] = nick
        try:
            await self.connection.join(room, nick)
        except Refused:
            del self._me.nicks[room]
            raise

    async def _catch_up(self, of: str) -> None:
        """Read what was missed of the account's archive, or of a room's; at first, the end of it."""
        newest = self.archive.archived(of)
        try:
            if newest:
                for _ in range(HISTORY_PAGES):
                    page = await self.connection.archive(of, after=newest)
                    newest = page.last or newest
                    self._listener.take(page.messages, of, newest)
                    if page.complete:
                        return
                self._tell(Notice("More was missed than could be read at once; the rest is left out."))
            page = await self.connection.archive(of, before="")
            self._listener.take(page.messages, of, page.last)
        except Refused as error:
            self._tell(Notice(f"What was missed could not be read: {error}"))

    def _noticed(self, publisher: str, node: str, items: Element) -> None:
        self._spawn(self.omemo.changed(publisher, node, items))

    def _present(self, jid: str, show: str) -> None:
        person, device = bare(jid), resource(jid)
        shows = self._presence.setdefault(person, {})
        if show == "offline":
            shows.pop(device, None)
            if not shows or not device:
                self._presence.pop(person, None)
        else:
            shows[device] = show
        self._tell(PresenceChanged(person, self.presence(person)))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a task of the client failed", exc_info=error)
            self._tell(Notice(f"Something went wrong: {error}", serious=True))


def _is_secret(chat: Chat, about: Message | None = None) -> bool:
    """Whether what is said in a chat is encrypted: if the chat is, or the message that it is about was."""
    return any(one is not None and one.encryption is not Encryption.NONE for one in (chat, about))
