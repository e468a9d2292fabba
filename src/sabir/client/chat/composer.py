"""Where one writes."""

from __future__ import annotations

from typing import Final

from textual import events
from textual.message import Message as Event
from textual.widgets import TextArea

from sabir.client.model import Message


class Composer(TextArea):
    """The line to write in: enter sends, ctrl+j starts another line, `?` alone shows the help."""

    class Sent(Event):
        """Something was written."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text: Final = text

    class Edited(Event):
        """Somebody began to write, or gave it up."""

        def __init__(self, writing: bool) -> None:
            super().__init__()
            self.writing: Final = writing

    def __init__(self, id: str) -> None:  # as every widget calls it
        super().__init__(id=id, soft_wrap=True, tab_behavior="focus", highlight_cursor_line=False)
        self.replying_to: Message | None = None
        self.correcting: Message | None = None
        self._writing = False

    def reply_to(self, message: Message) -> None:
        """What is written answers `message`."""
        self.forget()
        self.replying_to = message

    def correct(self, message: Message) -> None:
        """What is written replaces `message`."""
        self.forget()
        self.correcting = message
        self.text = message.text
        self.move_cursor(self.document.end)

    def forget(self) -> None:
        """What is written is a message of its own."""
        if self.correcting is not None:
            self.text = ""
        self.replying_to = self.correcting = None

    async def _on_key(self, event: events.Key) -> None:
        match event.key:
            case "enter":
                event.prevent_default()
                event.stop()
                if text := self.text.strip():
                    self.text = ""
                    self.post_message(self.Sent(text))
                return
            case "ctrl+j":
                event.prevent_default()
                event.stop()
                self.insert("\n")
                return
            case "question_mark" if not self.text:
                event.prevent_default()
                event.stop()
                await self.app.run_action("help")
                return

    def _on_text_area_changed(self, event: TextArea.Changed) -> None:
        writing = bool(self.text) and not self.text.startswith("/")
        if writing != self._writing:
            self._writing = writing
            self.post_message(self.Edited(writing))
