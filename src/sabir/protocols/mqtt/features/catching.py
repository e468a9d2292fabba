"""What a client missed on its chat topics, from the log: while it was gone, or because it reads too slowly.

Until it has caught up it is shown nothing live: what happens meanwhile is in the log as well. So everything comes
once, and in its order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sabir.core.model.conversation import Conversation
from sabir.core.model.event import Event
from sabir.core.ports import Page, PageQuery
from sabir.protocols.mqtt.features.progress import Progress
from sabir.protocols.mqtt.features.talk import Talk
from sabir.protocols.mqtt.translate.shown import SHOWN

MAX_WAITING_BYTES: Final = 262_144
"""What may wait for a client, which is a reader of the log beyond that."""
_PAGE: Final = 64

Show = Callable[[Conversation, Event, bool], None]
"""Shows an entry, of which is said whether the client wrote it itself."""


class CatchingUp:
    """One client on its way to the present."""

    def __init__(self, talk: Talk, progress: Progress, show: Show, live: Callable[[], None]) -> None:
        self._talk: Final = talk
        self._progress: Final = progress
        self._show: Final = show
        self._live: Final = live
        self._own: Final[dict[int, None]] = {}
        self._passed_seq = 0  # the last entry that was not shown because it is read from the log
        self._is_reading = False
        self._is_over = False

    def passed(self, event: Event, *, is_own: bool) -> None:
        """Note an entry that happened meanwhile."""
        self._passed_seq = event.seq
        if is_own:
            self._own[event.seq] = None

    def stop(self) -> None:
        """Read no more: the client is gone."""
        self._is_over = True

    def go_on(self) -> None:
        """Read on, if the client takes more now."""
        if not (self._is_reading or self._is_over) and self._has_room():
            self._is_reading = True
            self._read([], self._sources(), self._talk.services.delivery.head_seq)

    def _has_room(self) -> bool:
        return self._talk.client.outflow.waiting_bytes < MAX_WAITING_BYTES

    def _sources(self) -> list[tuple[Conversation | None, int]]:
        """Return the rooms to read, None for direct messages, each with what it was read up to."""
        found: list[tuple[Conversation | None, int]] = []
        for room, since_seq in self._talk.wishes.kept().items():
            conversation = self._talk.services.rooms.find(room) if room else None
            if conversation is None and room:
                continue
            if conversation is not None and self._talk.owner not in conversation.listeners:
                continue
            found.append((conversation, max(since_seq, self._progress.sent_seq)))
        return found

    def _read(self, pages: list[Page], sources: list[tuple[Conversation | None, int]], head_seq: int) -> None:
        """Read a page of each source, one after the other, then show them."""
        if self._is_over:
            return
        if not sources:
            self._take(pages, head_seq)
            return
        (conversation, after_seq), *rest = sources
        query = PageQuery(after_seq=after_seq, before_seq=head_seq + 1, limit=_PAGE, kinds=SHOWN)

        def then(page: Page) -> None:
            self._read([*pages, page], rest, head_seq)

        history, account = self._talk.services.history, self._talk.account
        if after_seq >= head_seq:
            self._read(pages, rest, head_seq)
        elif conversation is None:
            history.mailbox(account, query, then)
        elif history.page(conversation, account.actor, query, then) is not None:
            self._read(pages, rest, head_seq)

    def _take(self, pages: list[Page], head_seq: int) -> None:
        """Show what all pages reach up to, in the order of the log."""
        ends = [page.events[-1].seq for page in pages if page.events and not page.complete]
        end_seq = min([head_seq, *ends])
        events = [event for page in pages for event in page.events if event.seq <= end_seq]
        for event in sorted(events, key=lambda event: event.seq):
            conversation = self._talk.services.history.conversation(event)
            if conversation is not None and not event.erased:
                self._show(conversation, event, event.seq in self._own)
        self._progress.sent_seq = max(self._progress.sent_seq, end_seq)
        self._is_reading = False
        if end_seq == head_seq and self._passed_seq <= end_seq and self._has_room():
            self._is_over = True
            self._live()
        else:
            self._talk.services.scheduler.soon(self.go_on)
