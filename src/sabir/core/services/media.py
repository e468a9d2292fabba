"""Files that people share: who may put one here, how big, how long it stays. `sabir.media` keeps the bytes.

A slot is permission to upload one file: kept in memory only, used once, for a few minutes. A file is a row once its
bytes are safely stored, and known by a token that nobody can guess: whoever has the address may read it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from sabir.core.directory import Directory
from sabir.core.errors import Refusal
from sabir.core.log import Log, Operation
from sabir.core.model.actor import Account, AccountState
from sabir.core.model.changes import ERASED, READY, MediaRefRow, MediaRow
from sabir.core.ports import Clock, LogStore, Scheduler

SLOT_MS: Final = 300_000
"""How long a slot is good."""
MAX_SLOTS: Final = 50
"""Slots of one account at the same time."""
TOKEN_BYTES: Final = 24
FOLDER: Final = "/upload/"
"""What comes before the token in the address of a file."""
MARK: Final = FOLDER.encode()
"""What an entry of the log has in it if it names one."""
MAX_NAMED: Final = 20
"""Files that one entry is known to name."""
MAX_NAME: Final = 200
"""Characters of a file's name."""

_NAMED: Final = re.compile(rb"%b([0-9a-f]{%d})/" % (MARK, 2 * TOKEN_BYTES))
_SWEEP_MS: Final = 3_600_000
_SWEPT_AT_ONCE: Final = 500
_DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaConfig:
    """Settings under `[media]`: files that people share."""

    max_file_bytes: int = 104_857_600
    """The largest file that may be uploaded, in bytes; 0 = none may."""
    quota_bytes: int = 1_073_741_824
    """How much one account may have here at the same time, in bytes."""
    keep_days: int = 365
    """Files are deleted after so many days."""

    def __post_init__(self) -> None:
        """Refuse what would let nothing through.

        Raises:
            ValueError: names the key and the fix.
        """
        if self.max_file_bytes < 0 or self.quota_bytes < self.max_file_bytes:
            raise ValueError("quota_bytes: must be at least max_file_bytes")
        if self.keep_days < 1:
            raise ValueError("keep_days: must be at least 1")


class Slot:
    """Permission to upload one file."""

    __slots__ = ("account", "is_used", "mime", "name", "size", "token", "until_ms")

    def __init__(self, token: str, account: Account, name: str, size: int, mime: str, until_ms: int) -> None:
        self.token: Final = token
        self.account: Final = account
        self.name: Final = name
        self.size: Final = size
        """In bytes, exactly."""
        self.mime: Final = mime
        self.until_ms: Final = until_ms
        self.is_used = False
        """An upload has begun."""


class Media:
    """All files."""

    def __init__(
        self,
        log: Log,
        directory: Directory,
        store: LogStore,
        discard: Callable[[Sequence[str]], None],
        scheduler: Scheduler,
        clock: Clock,
        randomness: Callable[[int], bytes],
        config: MediaConfig,
    ) -> None:
        self.config: Final = config
        self._log: Final = log
        self._directory: Final = directory
        self._store: Final = store
        self._discard: Final = discard
        self._scheduler: Final = scheduler
        self._clock: Final = clock
        self._randomness: Final = randomness
        self._slots: Final[dict[str, Slot]] = {}  # the oldest first
        self.has_files: bool = bool(store.media_before(clock.now_ms() + _DAY_MS, 1))
        """There is something to be named: where nobody shares files, no message is searched for their addresses."""
        scheduler.later(_SWEEP_MS, self.sweep)
        if store.media_erased(1):
            self.erase_soon()  # a crash, or a restore, came between

    def ask(self, account: Account, name: str, size: int, mime: str) -> Slot | Refusal:
        """Return a slot for a file, or why there is none.

        `TOO_LARGE`: for anybody; `TOO_MANY`: the account has too much here, or too many slots.
        """
        if not name or len(name) > MAX_NAME or size < 1:
            return Refusal.BAD_REQUEST
        if size > self.config.max_file_bytes:
            return Refusal.TOO_LARGE
        now_ms = self._clock.now_ms()
        self._forget_old_slots(now_ms)
        pending = [slot.size for slot in self._slots.values() if slot.account is account]
        held = self._store.media_bytes(account.actor.id)
        if len(pending) >= MAX_SLOTS or held + sum(pending) + size > self.config.quota_bytes:
            return Refusal.TOO_MANY
        token = self._randomness(TOKEN_BYTES).hex()
        slot = self._slots[token] = Slot(token, account, name, size, mime, now_ms + SLOT_MS)
        return slot

    def slot(self, token: str) -> Slot | None:
        """Return the slot with that token if it is still good; it may be used already."""
        slot = self._slots.get(token)
        return None if slot is None or slot.until_ms <= self._clock.now_ms() else slot

    def release(self, slot: Slot) -> None:
        """Let a slot be used again: its upload broke off."""
        slot.is_used = False

    def keep(
        self, slot: Slot, sha256: bytes, then: Callable[[], None], refused: Callable[[Refusal], None]
    ) -> None:
        """Take note of a file whose bytes are stored under the token of `slot`."""

        def form(log: Log) -> Refusal | None:
            if slot.account.state is not AccountState.ACTIVE:
                return Refusal.ACCOUNT_DISABLED
            row = MediaRow(
                id=0,
                store_key=slot.token,
                name=slot.name,
                size=slot.size,
                mime=slot.mime,
                sha256=sha256,
                actor_id=slot.account.actor.id,
                at_ms=log.now_ms,
                state=READY,
            )
            log.change(row)
            row.id = row.changed_seq  # no number is given twice
            return None

        def done() -> None:
            self._slots.pop(slot.token, None)
            self.has_files = True
            then()

        self._log.append(Operation(form, done, refused))

    def find(self, token: str) -> MediaRow | None:
        """Return the file with that token."""
        row = self._store.media(token)
        return None if row is None or row.state == ERASED else row

    def refer(self, log: Log, seq: int, native: bytes) -> None:
        """Note which files an entry names, while it forms: they go with the last that does (DATAMODEL 1.10)."""
        for token in list(dict.fromkeys(_NAMED.findall(native)))[:MAX_NAMED]:
            row = self.find(token.decode())
            if row is not None:
                log.change(MediaRefRow(media_id=row.id, seq=seq))

    def erase_soon(self) -> None:
        """Delete files that went with what is being erased, once that is durable."""
        self._scheduler.soon(lambda: self._log.append_marker(self._erase))

    def _erase(self) -> None:
        rows = self._store.media_erased(_SWEPT_AT_ONCE)
        if rows:
            self._delete(rows)

    def sweep(self) -> None:
        """Delete what is too old, or was of an account that is gone; once an hour, some at a time."""
        self._scheduler.later(_SWEEP_MS, self.sweep)
        self._forget_old_slots(self._clock.now_ms())
        self._erase()
        old = self._store.media_before(self._clock.now_ms() - self.config.keep_days * _DAY_MS, _SWEPT_AT_ONCE)
        for account in self._directory.accounts.values():
            if account.state is AccountState.DELETED and len(old) < _SWEPT_AT_ONCE:
                old += self._store.media_of(account.actor.id, _SWEPT_AT_ONCE)
        if old:
            self._delete(old)

    def _delete(self, rows: list[MediaRow]) -> None:
        def form(log: Log) -> Refusal | None:
            for row in rows:
                row.gone = True
                log.change(row)
            return None

        def done() -> None:
            # Not before: a row without its bytes would be a file that cannot be read.
            self._discard([row.store_key for row in rows])

        self._log.append(Operation(form, done, _try_again))

    def _forget_old_slots(self, now_ms: int) -> None:
        # One that is in use may still become a file, however long that takes: it counts until then.
        for token in [each.token for each in self._slots.values() if _is_over(each, now_ms)]:
            del self._slots[token]


def _is_over(slot: Slot, now_ms: int) -> bool:
    return slot.until_ms <= now_ms and not slot.is_used


def _try_again(refusal: Refusal) -> None:
    """The next sweep does."""
