"""The answer to one command, labelled as a whole where the client asked for that (IRCv3 labeled-response)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sabir.protocols.irc.machine.connection import Machine


class Reply:
    """Collects the lines that answer one command, and sends them when it is complete.

    Without a label they go out at once. With one, `end` sends ACK for none, the labelled line for one, a
    labelled batch for more. A reply may end later than the next command's, when its command had to wait.
    """

    def __init__(self, machine: Machine, label: str) -> None:
        self._machine = machine
        self.label = label
        self._lines: list[tuple[str, str]] = []
        self._is_ended = False

    def line(self, text: str, tags: str = "") -> None:
        """Add one line; `tags` is formatted already."""
        if self.label:
            self._lines.append((tags, text))
        else:
            self._machine.send_line(text, tags)

    def numeric(self, number: str, params: str = "", text: str | None = None) -> None:
        """Add a numeric reply."""
        self.line(self._machine.numeric(number, params, text))

    def fail(self, command: str, code: str, context: str, text: str) -> None:
        """Add a standard reply that says what went wrong (IRCv3 standard-replies)."""
        self.line(self._machine.standard_reply("FAIL", command, code, context, text))

    def batch(self, kind: str, params: str, lines: list[tuple[str, str]]) -> None:
        """Make (tags, text) `lines` the whole answer, in a batch of type `kind` if the client takes them."""
        if not self._machine.knows_batches:
            for tags, text in lines:
                self.line(text, tags)
            return
        self._machine.send_batch(kind, params, lines, self.label)
        self._is_ended = True

    def answered(self) -> None:
        """The label was used elsewhere (on the echo of a message): nothing more to send."""
        self._is_ended = True

    def end(self) -> None:
        """The answer is complete."""
        if self._is_ended or not self.label:
            return
        self._is_ended = True
        if not self._lines:
            self._machine.send_labelled(self.label, "", f":{self._machine.server} ACK")
        elif len(self._lines) == 1:
            tags, text = self._lines[0]
            self._machine.send_labelled(self.label, tags, text)
        else:
            self._machine.send_batch("labeled-response", "", self._lines, self.label)
