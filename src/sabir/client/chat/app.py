"""The window: chats to the left, the conversation to the right, and what happens when something changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Final, TypeVar

from rich.markup import escape
from textual import on, work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widget import Widget
from textual.widgets import Footer, OptionList, Static

from sabir.client.chat import commands
from sabir.client.chat.composer import Composer
from sabir.client.chat.lists import ChatList, MessageList
from sabir.client.chat.screens import Ask, Help, Keys, React
from sabir.client.client import Client
from sabir.client.connection import Refused
from sabir.client.encryption.omemo import Unreadable
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
    Typing,
)
from sabir.client.stanzas import plain

Shown = TypeVar("Shown", bound=Widget)

LINKS: Final = {
    Link.ONLINE: "[green]●[/] online",
    Link.CONNECTING: "[yellow]◌[/] connecting…",
    Link.OFFLINE: "[red]○[/] offline: what you write waits",
    Link.REFUSED: "[red]✗[/] not let in",
}


class ChatApp(App[None]):
    """The terminal client.

    Args:
        connect: Makes the client, given whom to tell of changes.
        downloads: Where fetched files go.
    """

    CSS_PATH = "chat.tcss"
    TITLE = "Sabir"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f1", "help", "Help", priority=True),
        Binding("ctrl+n", "ask_chat", "New chat", priority=True),
        Binding("ctrl+o", "ask_file", "Send file", priority=True),
        Binding("ctrl+k", "keys", "Keys", priority=True),
        Binding("alt+down,ctrl+down", "turn(1)", "Next chat", show=False, priority=True),
        Binding("alt+up,ctrl+up", "turn(-1)", "Chat before", show=False, priority=True),
        Binding("escape", "home", "Back", show=False),
        Binding("ctrl+q", "quit", "Quit", priority=True),
    ]

    def __init__(self, connect: Callable[[Callable[[Change], None]], Client], downloads: Path) -> None:
        super().__init__()
        self._connect: Final = connect
        self._client: Client | None = None
        self._downloads: Final = downloads
        self.refused = ""
        self._open = ""
        self._writers: set[str] = set()

    def on_load(self) -> None:
        """Make the client, on the loop where it will live."""
        self._client = self._connect(self._told)

    def compose(self) -> ComposeResult:
        """Lay the window out."""
        with Horizontal():
            with Vertical(id="left"):
                yield Static(escape(self.client.jid), id="account")
                yield Static(LINKS[Link.OFFLINE], id="link")
                yield ChatList(id="chats")
            with Vertical(id="right"):
                yield Static("", id="title")
                yield MessageList(id="messages")
                yield Static("", id="typing")
                yield Static("", id="about")
                yield Composer(id="composer")
        yield Footer()

    def on_mount(self) -> None:
        """Show what is known already, and connect."""
        self._list_chats()
        if chats := self.client.archive.chats():
            self.open_chat(chats[0].jid)
        else:
            self._welcome()
        self.query_one(Composer).focus()
        self.client.start()

    async def on_unmount(self) -> None:
        """Say goodbye."""
        await self.client.stop()

    # What the person does

    def open_chat(self, jid: str) -> None:
        """Show a conversation."""
        self._open, self._writers = jid, set()
        self.query_one(MessageList).show(self.client.archive.page(jid), self._called)
        self.query_one(ChatList).mark(jid)
        self.query_one(Composer).forget()
        self._show_about()
        self._show_title()
        self._show_typing()
        self.client.seen(jid)

    @property
    def client(self) -> Client:
        """Who talks."""
        assert self._client is not None  # from `on_load` on
        return self._client

    def close_chat(self) -> None:
        """Take the open chat from the list; leave it, if it is a room."""
        self.client.leave(self._open)
        self.action_turn(1)

    def tell(self, text: str) -> None:
        """Show a line to the person."""
        self.notify(text, markup=False)

    def leave(self) -> None:
        """End the program."""
        self.exit()

    @property
    def chat(self) -> Chat | None:
        """The chat that is open."""
        return self.client.archive.chat(self._open) if self._open else None

    @on(OptionList.OptionSelected, "#chats")
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        if event.option_id:
            self.open_chat(event.option_id)
            self.query_one(Composer).focus()

    @on(Composer.Sent)
    async def _sent(self, event: Composer.Sent) -> None:
        try:
            await commands.run(self, event.text)
        except (Refused, Unreadable) as error:
            self.notify(str(error), severity="error", markup=False)

    @on(Composer.Edited)
    def _edited(self, event: Composer.Edited) -> None:
        if self._open and self.client.connection.online:
            self.client.typing(self._open, event.writing)

    def say(self, text: str) -> None:
        """Say what was written: a new message, a reply, or other words for one of ours."""
        if not self._open:
            self.notify("Open a chat first: ctrl+n")
            return
        composer = self.query_one(Composer)
        if composer.correcting is not None:
            _ = self.client.correct(composer.correcting, text)
        else:
            _ = self.client.say(self._open, text, composer.replying_to)
        composer.forget()
        self._show_about()

    @on(MessageList.Asked)
    def _asked(self, event: MessageList.Asked) -> None:
        message, composer = event.message, self.query_one(Composer)
        match event.wish:
            case "reply":
                composer.reply_to(message)
                self._show_about()
                composer.focus()
            case "correct" if message.mine and not message.retracted:
                composer.correct(message)
                self._show_about()
                composer.focus()
            case "retract" if message.mine:
                _ = self.client.retract(message)
            case "again" if message.standing is Standing.FAILED:
                _ = self.client.again(message)
                self.open_chat(message.chat)
            case "react":
                self.react(message)
            case "fetch" if message.url:
                self.fetch(message)
            case "device":
                shown = message.device or "It was not encrypted for the devices that read it."
                self.notify(f"Written {message.time.astimezone():%Y-%m-%d %H:%M:%S}. {shown}", markup=False)
            case _:
                self.notify("That is not possible with this message.")

    def action_help(self) -> None:
        """Show which keys and commands there are."""
        _ = self.push_screen(Help())

    def action_home(self) -> None:
        """Back to writing; a reply or correction that was begun is given up."""
        composer = self.query_one(Composer)
        if composer.has_focus:
            composer.forget()
            self._show_about()
        composer.focus()

    def action_turn(self, by: int) -> None:
        """Open the chat below or above."""
        chats = [chat.jid for chat in self.client.archive.chats()]
        if chats:
            place = chats.index(self._open) + by if self._open in chats else 0
            self.open_chat(chats[place % len(chats)])

    def action_ask_chat(self) -> None:
        """Ask with whom to talk."""
        _ = self.push_screen(
            Ask("With whom? The address of a person, or of a room.", "ada@example.org"), self._begin
        )

    def action_ask_file(self) -> None:
        """Ask which file to send."""
        if self._open:
            _ = self.push_screen(Ask("Which file?", "~/picture.jpg"), self._file_chosen)

    def action_keys(self) -> None:
        """Show the keys of the devices that read what is said here."""
        if self._open:
            self.show_keys()

    @work
    async def react(self, message: Message) -> None:
        """Ask how to react to a message."""
        if emoji := await self.push_screen_wait(React()):
            _ = self.client.react(message, emoji)

    @work
    async def show_keys(self) -> None:
        """Fetch the keys, and show them."""
        try:
            devices = await self.client.devices(self._open)
            own = await self.client.omemo.own()
        except (Refused, Unreadable) as error:
            self.notify(str(error), severity="error", markup=False)
            return
        await self.push_screen_wait(Keys(own, devices, self.client.judge))

    def _begin(self, address: str | None) -> None:
        if address:
            self.begin(address.strip())

    @work
    async def begin(self, address: str) -> None:
        """Open the chat with a person, or join a room, whichever the address is."""
        try:
            if await self.client.is_room(address):
                self.open_chat((await self.client.join(address)).jid)
            else:
                self.open_chat(self.client.chat(address).jid)
        except Refused as error:
            self.notify(str(error), severity="error", markup=False)

    def _file_chosen(self, path: str | None) -> None:
        if path:
            self.send_file(path.strip())

    def send_file(self, path: str) -> None:
        """Send a file; `~` is the person's home."""
        self._send_file(Path(path).expanduser())

    @work
    async def _send_file(self, path: Path) -> None:
        jid = self._open
        self.notify(f"Sending {path}…", markup=False)
        try:
            _ = await self.client.send_file(jid, path)
        except Refused as error:
            self.notify(str(error), severity="error", markup=False)

    @work
    async def fetch(self, message: Message) -> None:
        """Fetch the file of a message."""
        try:
            path = await self.client.files.get(message.url, self._downloads)
        except Refused as error:
            self.notify(f"Not fetched: {error}", severity="error", markup=False)
        else:
            self.notify(f"Saved as {path}", markup=False)

    async def encrypt(self, encryption: Encryption) -> None:
        """Encrypt what is said here from now on, or no longer.

        Raises:
            Refused: it is a room that hides who is in it.
        """
        if self._open:
            _ = await self.client.encrypt(self._open, encryption)
            self._show_title()

    # What changes

    def _told(self, change: Change) -> None:
        if not self.is_running or not self.is_mounted(self.screen_stack[0]):
            return
        match change:
            case LinkChanged(link, why):
                self._main(Static, "#link").update(LINKS[link])
                if link is Link.REFUSED:
                    self.refused = why
                    self.exit()
            case ChatChanged(jid):
                self._list_chats()
                if jid == self._open:
                    self._show_title()
            case MessageChanged(message, fresh):
                self._show_message(message, fresh)
            case PresenceChanged(jid):
                self._list_chats()
                if jid == self._open:
                    self._show_title()
            case Typing(chat, who, writing):
                if chat == self._open:
                    (self._writers.add if writing else self._writers.discard)(who)
                    self._show_typing()
            case Notice(text, serious):
                self.notify(
                    plain(text), severity="error" if serious else "information", timeout=10, markup=False
                )

    def _show_message(self, message: Message, fresh: bool) -> None:
        if message.chat == self._open:
            self._main(MessageList, "#messages").put(message)
            self._writers.discard(message.sender)
            self._show_typing()
            if fresh:
                self.client.seen(message.chat)
        elif fresh and not self._open:
            self.open_chat(message.chat)
        elif fresh:
            self.bell()
            chat = self.client.archive.chat(message.chat)
            self.notify(message.text[:200], title=chat.name if chat else message.sender, markup=False)

    def _list_chats(self) -> None:
        chats = self.client.archive.chats()
        shows = {chat.jid: self.client.presence(chat.jid) for chat in chats if chat.kind is Kind.PERSON}
        self._main(ChatList, "#chats").show(chats, shows, self._open)

    def _show_title(self) -> None:
        chat = self.chat
        if chat is None:
            self._main(Static, "#title").update("")
            return
        people = "" if chat.kind is Kind.PERSON else f"{len(self.client.connection.occupants(chat.jid))} here"
        name = chat.name.partition("@")[0]
        state = people or self.client.presence(chat.jid)
        lock = "[yellow]not encrypted[/]" if chat.encryption is Encryption.NONE else "[green]🔒 OMEMO[/]"
        self._main(Static, "#title").update(
            f"[b]{escape(name)}[/]  [dim]{escape(chat.jid)}[/]  {state}  {lock}"
        )

    def _show_typing(self) -> None:
        names = ", ".join(self._called(writer) for writer in sorted(self._writers))
        self._main(Static, "#typing").update(escape(f"{names} is writing…" if names else ""))

    def _show_about(self) -> None:
        composer = self._main(Composer, "#composer")
        about = composer.correcting or composer.replying_to
        line = self._main(Static, "#about")
        line.display = about is not None
        if about is not None:
            verb = "Other words for" if composer.correcting else f"Answer to {self._called(about.sender)}:"
            line.update(escape(f"{verb} “{about.text[:100]}”   (escape: not now)"))

    def _called(self, sender: str) -> str:
        if sender == self.client.jid:
            return "you"
        chat = self.client.archive.chat(sender)
        return (
            chat.name.partition("@")[0] if chat else sender.partition("@")[0] if "/" not in sender else sender
        )

    def _welcome(self) -> None:
        self._main(Static, "#title").update(
            "Welcome. Press [b]ctrl+n[/] to talk to somebody, [b]F1[/] for help."
        )

    def _main(self, kind: type[Shown], selector: str) -> Shown:
        return self.screen_stack[0].query_one(selector, kind)
