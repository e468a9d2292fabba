"""Batches that a client sends (IRCv3 client-batch): one at a time, of type `draft/multiline`."""

import re
from typing import Final

from sabir.protocols.irc.machine.limits import Limits
from sabir.protocols.irc.types.line import Line
from sabir.protocols.irc.types.reports import Composed

_REFERENCE: Final = re.compile(r"[A-Za-z0-9-]{1,64}")


class BatchError(Exception):
    """A batch is refused; the arguments of the FAIL BATCH that says why."""

    def __init__(self, code: str, context: str, text: str) -> None:
        super().__init__(code)
        self.code = code
        self.context = context
        self.text = text


class OpenBatch:
    """A `draft/multiline` batch that is being received."""

    def __init__(self, reference: str, target: str, tags: dict[str, str], label: str, now_ms: int) -> None:
        self.reference = reference
        self.target = target
        self.label = label
        self.opened_ms = now_ms
        self._tags = tags
        self._command = ""
        self._pieces: list[tuple[str, bool]] = []
        self._size_bytes = 0

    def add(self, line: Line, limits: Limits) -> None:
        """Take one line of the batch. Raises `BatchError`."""
        if line.command not in ("PRIVMSG", "NOTICE") or len(line.params) != 2:
            raise BatchError("MULTILINE_INVALID", "", "Only PRIVMSG or NOTICE with a text go in such a batch")
        if self._command and line.command != self._command:
            raise BatchError("MULTILINE_INVALID", "", "PRIVMSG and NOTICE cannot be mixed")
        if line.params[0] != self.target:
            raise BatchError(
                "MULTILINE_INVALID_TARGET", f"{self.target} {line.params[0]}", "Invalid multiline target"
            )
        self._command = line.command
        text, concat = line.params[1], "draft/multiline-concat" in line.tags
        if concat and not text:
            raise BatchError("MULTILINE_INVALID", "", "A blank line cannot continue the one before")
        self._size_bytes += len(text.encode()) + (1 if self._pieces and not concat else 0)
        if self._size_bytes > limits.max_multiline_bytes:
            raise BatchError(
                "MULTILINE_MAX_BYTES", str(limits.max_multiline_bytes), "Multiline batch max-bytes exceeded"
            )
        if len(self._pieces) >= limits.max_multiline_lines:
            raise BatchError(
                "MULTILINE_MAX_LINES", str(limits.max_multiline_lines), "Multiline batch max-lines exceeded"
            )
        self._pieces.append((text, concat and bool(self._pieces)))

    def close(self) -> Composed:
        """Return the whole message. Raises `BatchError`."""
        if not any(text for text, _ in self._pieces):
            raise BatchError("MULTILINE_INVALID", "", "A message cannot consist of blank lines only")
        return Composed(self._command, self.target, self._tags, tuple(self._pieces), self.label)


def open_batch(line: Line, label: str, now_ms: int) -> OpenBatch:
    """Return the batch that BATCH +reference opens. Raises `BatchError`."""
    reference = line.params[0][1:]
    if _REFERENCE.fullmatch(reference) is None:
        raise BatchError("INVALID_REFTAG", reference or "*", "Invalid reference tag")
    if len(line.params) < 2 or line.params[1] != "draft/multiline":
        kind = line.params[1] if len(line.params) > 1 else "*"
        raise BatchError("UNKNOWN_TYPE", f"{reference} {kind}", "Unknown batch type")
    if len(line.params) != 3:
        raise BatchError("MULTILINE_INVALID", "", "A multiline batch has one target")
    tags = {key: value for key, value in line.tags.items() if key.startswith("+")}
    return OpenBatch(reference, line.params[2], tags, label, now_ms)
