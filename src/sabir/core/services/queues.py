"""What a broker keeps: sessions, what waits in them, messages for those who come later.

The broker itself is a front end's; here is only its way to the store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from sabir.core.errors import Refusal
from sabir.core.log import Log, Operation
from sabir.core.model.changes import Change
from sabir.core.ports import QueueRows


class Queues:
    """Reads once, writes in the order of the log."""

    def __init__(self, log: Log, rows: QueueRows) -> None:
        self.log: Final = log
        self._rows = rows

    def take(self) -> QueueRows:
        """Return what was stored at the start; the second time nothing."""
        rows, self._rows = self._rows, QueueRows()
        return rows

    def store(
        self,
        make: Callable[[], Iterable[Change]],
        then: Callable[[], None],
        refused: Callable[[Refusal], None],
        size_bytes: int = 64,
    ) -> None:
        """Write what `make` returns; `then` is called once it is durable.

        Args:
            make: called when it is the turn of this; maybe again, if the store failed meanwhile.
            then: called once it is durable.
            refused: called instead if it cannot be.
            size_bytes: how much is to be written, roughly.
        """

        def form(log: Log) -> Refusal | None:
            for change in make():
                log.change(change)
            return None

        operation = Operation(form, then, refused)
        operation.size_bytes = size_bytes
        self.log.append(operation)
