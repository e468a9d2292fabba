"""The order of one session's effects (DATAMODEL 1.5). Compiled by mypyc, as the log's items are."""

from __future__ import annotations

from collections.abc import Callable

from sabir.core.errors import Refusal
from sabir.core.log import Item, Log


class Turnstile:
    """Lets the effects of one session happen in the order sent.

    A session calls `enter` with each post or other queued item and `leave` with its outcome, and runs
    whatever else has an effect through `run`. Pings and acknowledgements need not pass.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._inside = 0

    @property
    def is_free(self) -> bool:
        """Whether nothing of the session waits."""
        return self._inside == 0

    def enter(self) -> None:
        """Note that an item of the session was queued."""
        self._inside += 1

    def leave(self) -> None:
        """Note the outcome of an item."""
        self._inside -= 1

    def run(self, effect: Callable[[], None]) -> None:
        """Run `effect` now, or after everything of this session that is queued."""
        if self._inside == 0:
            effect()
        else:
            self._inside += 1
            self._log.append(_Effect(self, effect))


class _Effect(Item):
    """An effect that waits in the log's queue; it writes nothing."""

    def __init__(self, turnstile: Turnstile, effect: Callable[[], None]) -> None:
        self._turnstile = turnstile
        self._effect = effect

    def form(self, log: Log) -> Refusal | None:
        """See `Item.form`."""
        return None

    def done(self) -> None:
        """See `Item.done`."""
        self._turnstile.leave()
        self._effect()

    def refused(self, refusal: Refusal) -> None:
        """See `Item.refused`: the store failed, which does not concern an effect that stores nothing."""
        self.done()
