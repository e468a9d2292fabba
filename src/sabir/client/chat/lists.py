"""The lists: of chats, and of the messages of one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import ClassVar, Final

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.message import Message as Event
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from sabir.client.model import Chat, Encryption, Kind, Message, Standing

MARKS: Final = {
    Standing.FAILED: ("✗", "red"),
    Standing.WAITING: ("◷", "yellow"),
    Standing.SENT: ("✓", "dim"),
    Standing.RECEIVED: ("✓✓", "dim"),
    Standing.READ: ("✓✓", "cyan"),
}
LAST_SHOWN: Final = 20
DOTS: Final = {"online": "green", "chat": "green", "away": "yellow", "xa": "yellow", "dnd": "red"}
COLOURS: Final = ("cyan", "magenta", "green", "yellow", "blue", "bright_red", "bright_cyan", "bright_magenta")


class ChatList(OptionList):
    """All chats, those with the newest messages first."""

    def show(self, chats: Iterable[Chat], shows: Mapping[str, str], opened: str) -> None:
        """Show the chats; `shows` says how the people are."""
        shown = list(chats)
        self.clear_options()
        self.add_options([Option(_chat_line(chat, shows.get(chat.jid, "")), id=chat.jid) for chat in shown])
        self.mark(opened)

    def mark(self, jid: str) -> None:
        """Put the cursor on a chat."""
        if any(option.id == jid for option in self.options):
            self.highlighted = self.get_option_index(jid)


class MessageList(OptionList):
    """The messages of a chat; the one under the cursor can be answered, corrected, and so on."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r,enter", "ask('reply')", "Reply"),
        Binding("e", "ask('correct')", "Edit"),
        Binding("d,delete", "ask('retract')", "Delete"),
        Binding("plus", "ask('react')", "React"),
        Binding("s", "ask('fetch')", "Save file"),
        Binding("i", "ask('device')", "Info"),
        Binding("a", "ask('again')", "Send again", show=False),
    ]

    class Asked(Event):
        """Something is to be done with a message."""

        def __init__(self, message: Message, wish: str) -> None:
            super().__init__()
            self.message: Final = message
            self.wish: Final = wish

    def __init__(self, id: str) -> None:  # as every widget calls it
        super().__init__(id=id)
        self._messages: Final[dict[int, Message]] = {}
        self._called: Callable[[str], str] = str

    def show(self, messages: Iterable[Message], name: Callable[[str], str]) -> None:
        """Show the messages of another chat; `name` says how to call a sender."""
        self._called = name
        self._messages.clear()
        self._messages.update((message.number, message) for message in messages)
        self._fill()

    def put(self, message: Message) -> None:
        """Show a message, or what became of it."""
        known = message.number in self._messages
        newest = next(reversed(self._messages.values()), None)
        self._messages[message.number] = message
        if known:
            self.replace_option_prompt(str(message.number), self._line(message))
            return
        if newest is not None and newest.time > message.time:
            ordered = sorted(self._messages.values(), key=lambda one: (one.time, one.number))
            self._messages.clear()
            self._messages.update((one.number, one) for one in ordered)
            self._fill()
            return
        self.add_option(Option(self._line(message), id=str(message.number)))
        if not self.has_focus:
            self.highlighted = len(self.options) - 1
            self.scroll_end(animate=False)

    def action_ask(self, wish: str) -> None:
        """Ask for something with the message under the cursor."""
        if self.highlighted is not None:
            number = int(self.get_option_at_index(self.highlighted).id or "0")
            if (message := self._messages.get(number)) is not None:
                self.post_message(self.Asked(message, wish))

    def _fill(self) -> None:
        self.clear_options()
        self.add_options([Option(self._line(one), id=str(one.number)) for one in self._messages.values()])
        if self._messages:
            self.highlighted = len(self._messages) - 1
        self.scroll_end(animate=False)

    def _line(self, message: Message) -> Text:
        line = Text()
        line.append(f"{_clock(message.time)} ", style="dim")
        line.append(f"{self._called(message.sender)} ", style=f"bold {_colour(message.sender)}")
        if message.encryption is not Encryption.NONE:
            # A device that nobody has looked at yet is no proof of who wrote.
            line.append("🔓 " if message.device.endswith("(undecided)") else "🔒 ", style="green")
        answered = self._messages.get(message.reply_to or 0)
        if answered is not None:
            quoted = answered.text.partition("\n")[0][:60]
            line.append(f"┆ {self._called(answered.sender)}: {quoted}\n      ", style="dim italic")
        if message.retracted:
            line.append("taken back", style="dim italic")
        elif message.text.startswith("/me "):
            line.append(f"* {message.text[4:]}", style="italic")
        else:
            line.append(message.text)
        if message.url and not message.retracted:
            line.append("  📎 s: save", style="cyan")
        if message.corrected and not message.retracted:
            line.append(" (edited)", style="dim")
        if message.mine:
            mark, style = MARKS[message.standing]
            line.append(f" {mark}", style=style)
        if message.reactions:
            shown = "  ".join(f"{emoji} {len(people)}" for emoji, people in message.reactions)
            line.append(f"\n      {shown}", style="bold")
        return line


def _chat_line(chat: Chat, show: str) -> Text:
    line = Text(no_wrap=True, overflow="ellipsis")
    if chat.kind is Kind.ROOM:
        line.append("# ", style="dim")
    else:
        line.append("● " if show in DOTS else "○ ", style=DOTS.get(show, "dim"))
    line.append(chat.name.partition("@")[0], style="bold" if chat.unread else "")
    if chat.unread:
        line.append(f" {chat.unread}", style="bold black on cyan")
    if chat.last:
        last = chat.last.partition("\n")[0]
        line.append(f"\n  {last[:LAST_SHOWN]}{'…' if len(last) > LAST_SHOWN else ''}", style="dim")
    return line


def _clock(time: datetime) -> str:
    local = time.astimezone()
    return f"{local:%H:%M}" if local.date() == datetime.now().astimezone().date() else f"{local:%d %b %H:%M}"


def _colour(sender: str) -> str:
    return COLOURS[sum(sender.encode()) % len(COLOURS)]
