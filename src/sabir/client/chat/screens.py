"""What appears above the window: help, questions, keys, and a choice of reactions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import ClassVar, Final

from rich.table import Table
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Footer, Input, OptionList, Static
from textual.widgets.option_list import Option

from sabir.client.chat.commands import COMMANDS
from sabir.client.encryption.omemo import Device, Trust

EMOJIS: Final = ("👍", "❤️", "😂", "🎉", "😮", "😢", "🙏", "👀", "✅", "👎")
KEYS: Final = (
    ("enter", "send; ctrl+j starts another line"),
    ("tab, shift+tab", "go from the text to the messages and the chats"),
    ("ctrl+up, ctrl+down", "the chat above, the chat below"),
    ("ctrl+n", "talk to somebody, or enter a room"),
    ("ctrl+o", "send a file"),
    ("ctrl+k", "see and compare keys"),
    ("on a message: r e d +", "reply, edit, delete, react"),
    ("on a message: s i", "save its file, see who wrote it and how it was encrypted"),
    ("on a message: a", "send it again, if it was not sent (✗)"),
    ("escape", "back to the text"),
    ("ctrl+q", "leave"),
)
TRUSTS: Final = {
    Trust.UNDECIDED: ("new: compare it", "yellow"),
    Trust.BLIND: ("trusted, not compared", "cyan"),
    Trust.VERIFIED: ("compared, and the same", "green"),
    Trust.DISTRUSTED: ("not trusted", "red"),
}


class Help(ModalScreen[None]):
    """The keys and the commands."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,f1,q,question_mark", "dismiss", "Close")]

    def compose(self) -> ComposeResult:
        """Lay it out."""
        keys = Table("Key", "What it does", box=None, padding=(0, 2, 0, 0))
        for key, does in KEYS:
            keys.add_row(Text(key, style="bold cyan"), does)
        commands = Table("Command", "", "What it does", box=None, padding=(0, 2, 0, 0))
        for name, (usage, does) in COMMANDS.items():
            commands.add_row(Text(name, style="bold cyan"), usage, does)
        signs = Text("◷ waits   ✓ the server has it   ✓✓ arrived   ")
        signs.append("✓✓", style="cyan")
        signs.append(" read   ✗ not sent   🔒 encrypted")
        with VerticalScroll(classes="box"):
            yield Static(keys)
            yield Static("")
            yield Static(commands)
            yield Static("")
            yield Static(signs)
        yield Footer()


class Ask(ModalScreen[str | None]):
    """One question, with one line to answer."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Not now")]

    def __init__(self, question: str, example: str) -> None:
        super().__init__()
        self._question: Final = question
        self._example: Final = example

    def compose(self) -> ComposeResult:
        """Lay it out."""
        with Vertical(classes="box small"):
            yield Static(self._question)
            yield Input(placeholder=self._example)
        yield Footer()

    @on(Input.Submitted)
    def _answered(self, event: Input.Submitted) -> None:
        _ = self.dismiss(event.value or None)


class React(ModalScreen[str | None]):
    """A choice of reactions; one may also type another."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Not now")]

    def compose(self) -> ComposeResult:
        """Lay it out."""
        with Vertical(classes="box small"):
            yield Static("  ".join(f"{number % 10} {emoji}" for number, emoji in enumerate(EMOJIS, 1)))
            yield Input(placeholder="a digit, or an emoji of your own")
        yield Footer()

    @on(Input.Submitted)
    def _answered(self, event: Input.Submitted) -> None:
        chosen = event.value.strip()
        if len(chosen) == 1 and chosen.isascii() and chosen.isdigit():
            chosen = EMOJIS[int(chosen) - 1]
        _ = self.dismiss(chosen[:16] or None)


class Keys(ModalScreen[None]):
    """The devices that read what is said in a chat, and what one thinks of them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("v", "judge('verified')", "Compared"),
        Binding("t", "judge('blind')", "Trust"),
        Binding("d", "judge('distrusted')", "Distrust"),
        Binding("escape,q", "dismiss", "Close"),
    ]

    def __init__(
        self, own: Device, devices: Sequence[Device], judge: Callable[[Device, Trust], Awaitable[None]]
    ) -> None:
        super().__init__()
        self._own: Final = own
        self._devices: Final = list(devices)
        self._judge: Final = judge

    def compose(self) -> ComposeResult:
        """Lay it out."""
        with Vertical(classes="box"):
            yield Static(
                "Compare these with the other person, over the phone or face to face. If they are the same, nobody "
                "listens in between.\n"
            )
            yield Static(Text.assemble("This device  ", (self._own.fingerprint, "bold"), "\n"))
            yield OptionList(
                *[Option(_device_line(device), id=str(n)) for n, device in enumerate(self._devices)]
            )
        yield Footer()

    async def action_judge(self, trust: str) -> None:
        """Note what is thought of the device under the cursor."""
        shown = self.query_one(OptionList)
        if shown.highlighted is None:
            return
        place = shown.highlighted
        judged = replace(self._devices[place], trust=Trust(trust))
        await self._judge(judged, judged.trust)
        self._devices[place] = judged
        shown.replace_option_prompt_at_index(place, _device_line(judged))


def _device_line(device: Device) -> Text:
    words, style = TRUSTS[device.trust]
    line = Text.assemble((device.jid, "bold"), f"  device {device.number}  ", (words, style))
    if not device.active:
        line.append("  (no longer in use)", style="dim")
    line.append(f"\n  {device.fingerprint}", style="" if device.active else "dim")
    return line
