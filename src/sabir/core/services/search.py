"""Finding messages by their words.

The index is a reader of the log with its own cursor (DATAMODEL 1.11). It reads on while nothing is being said, so that
it takes no time from those who talk, and when somebody searches, until it has reached the head of then. Encrypted
messages have no text; what is erased is taken out by the store.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from sabir.core.directory import Directory
from sabir.core.errors import Refusal
from sabir.core.log import Log
from sabir.core.model.actor import Account, AccountState, Actor
from sabir.core.model.content import NullPart
from sabir.core.model.conversation import Conversation
from sabir.core.model.event import CORE, ENCRYPTED, Event, Kind
from sabir.core.model.ids import AccountId
from sabir.core.model.plain import plain_text
from sabir.core.model.state import TopicChanged, decode_state
from sabir.core.pace import Pace
from sabir.core.ports import Clock, LogStore, Page, PageQuery, Scheduler, Text
from sabir.core.services.contents import Contents
from sabir.core.services.history import History

log = logging.getLogger(__name__)

IDLE_MS: Final = 1_000
"""Nothing was written for so long: there is time to index."""
PART: Final = 32
"""Entries indexed at a time: a millisecond or two."""
PATIENCE_MS: Final = 10_000
"""A search waits so long for the index, then finds what is in it."""

_KINDS: Final = frozenset((int(Kind.MESSAGE), int(Kind.EDIT)))


class Search:
    """Questions to the index, and what keeps it up to date."""

    def __init__(
        self,
        core_log: Log,
        directory: Directory,
        store: LogStore,
        contents: Contents,
        history: History,
        scheduler: Scheduler,
        clock: Clock,
        pace: Pace,
    ) -> None:
        self._log = core_log
        self._directory = directory
        self._store = store
        self._contents = contents
        self._history = history
        self._scheduler = scheduler
        self._clock = clock
        self._pace = pace
        self._seen_seq = -1
        self._working = False
        self._waiting: list[tuple[int, int, Callable[[], None]]] = []
        """(log number to reach, deadline, what is to be called)."""
        if store.texts is not None:
            self._wait()

    @property
    def is_on(self) -> bool:
        """Whether there is an index."""
        return self._store.texts is not None

    def page(
        self,
        conversation: Conversation,
        actor: Actor,
        text: str,
        query: PageQuery,
        then: Callable[[Page], None],
    ) -> Refusal | None:
        """Find entries of a conversation with all words of `text`; `then` gets a page of them later.

        Returns why not, if so, and `then` is not called.
        """
        refusal = self._history.may_read(conversation, actor) or self._pace.take(actor.id)
        if refusal is None:
            self._find(text, self._history.readable(conversation, actor, query), then)
        return refusal

    def mailbox(
        self,
        account: Account,
        text: str,
        query: PageQuery,
        then: Callable[[Page], None],
        conversation: Conversation | None = None,
    ) -> Refusal | None:
        """Find entries of the direct conversations of `account`, or of one of them; see `page`."""
        refusal = self._pace.take(account.actor.id)
        if refusal is None:
            self._find(text, self._history.own(account, query, conversation), then)
        return refusal

    def accounts(
        self,
        actor: Actor,
        type: str,
        take: Callable[[int, bytes], bool],
        limit: int,
        then: Callable[[list[Account]], None],
    ) -> Refusal | None:
        """Find people by what is kept for them under `type`, e.g. their cards; returns why that may not be now.

        `take` says whether a value is wanted; it is called on another thread, and must not touch the core.
        """
        refusal = self._pace.take(actor.id)
        if refusal is None:

            def found(ids: list[int]) -> None:
                accounts = [self._directory.accounts.get(AccountId(each)) for each in ids]
                then([each for each in accounts if each is not None and each.state is AccountState.ACTIVE])

            self._store.scan_data(type, take, limit, found)
        return refusal

    def _find(self, text: str, query: PageQuery, then: Callable[[Page], None]) -> None:
        texts = self._store.texts
        assert texts is not None, "is_on says whether one may ask"
        found = texts
        wanted = self._log.head_seq
        deadline = self._clock.now_ms() + PATIENCE_MS
        self._waiting.append((wanted, deadline, lambda: found.find(text, query, then)))
        self._go_on()

    # The cursor

    def _wait(self) -> None:
        self._scheduler.later(IDLE_MS, self._look)

    def _look(self) -> None:
        """Index on if nothing was written since the last look."""
        head = self._log.head_seq
        is_quiet = head == self._seen_seq and not self._log.pending
        self._seen_seq = head
        if is_quiet or self._waiting:
            self._go_on()
        self._wait()

    def _go_on(self) -> None:
        """Answer who waits no longer, and index the next part if there is a reason to."""
        texts = self._store.texts
        if texts is None:
            return
        now = self._clock.now_ms()
        waiting, self._waiting = self._waiting, []
        for wanted, deadline, ask in waiting:
            if texts.seq >= wanted or now >= deadline:
                ask()
            else:
                self._waiting.append((wanted, deadline, ask))
        is_quiet = self._log.head_seq == self._seen_seq and not self._log.pending
        behind = texts.seq < self._log.head_seq
        if behind and not self._working and (self._waiting or is_quiet):
            self._working = True
            head = self._log.head_seq
            self._store.follow(texts.seq, PART, lambda events: self._index(events, head))

    def _index(self, events: list[Event], head: int) -> None:
        texts = self._store.texts
        assert texts is not None
        found = [text for event in events if (text := self._text_of(event)) is not None]
        texts.add(found, events[-1].seq if events else head, self._indexed)

    def _indexed(self) -> None:
        self._working = False
        self._scheduler.soon(self._go_on)

    def _text_of(self, event: Event) -> Text | None:
        conversation = self._directory.conversation(event.conversation_id)
        if conversation is None or event.erased or event.flags & ENCRYPTED:
            return None
        try:
            words = self._words_of(event)
        except Exception:
            # A fault of ours in one entry must not keep the others from being found.
            log.exception("no text for the index")
            return None
        if not words:
            return None
        accounts = tuple([party.id for party in conversation.parties])
        return Text(event.seq, event.conversation_id, accounts, words)

    def _words_of(self, event: Event) -> str:
        if event.protocol == CORE:
            entry = decode_state(event.native) if event.kind == Kind.TOPIC else None
            return entry.text if isinstance(entry, TopicChanged) else ""
        if event.kind not in _KINDS:
            return ""
        content = self._contents.of(event)
        return "" if isinstance(content.body, NullPart) else plain_text(content)
