"""Lists of addresses of other servers that nothing is taken from, as operators share them.

An entry is the SHA-256 of a bare address or of a domain, in hexadecimal: who has the list does not know who is on it.
Every list has a source, and is replaced as a whole.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from sabir.core.errors import Refusal
from sabir.core.log import Log, Operation
from sabir.core.model.changes import DataRow
from sabir.core.ports import LogStore

MOST_ENTRIES: Final = 10_000
"""Entries of one list."""
MOST_LISTS: Final = 16

_TYPE: Final = "blocklists"
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_SOURCE: Final = re.compile(r"[a-z0-9][a-z0-9._/@-]{0,99}")

Then = Callable[[], None]
Refused = Callable[[Refusal], None]


def entry_of(text: str) -> str:
    """Return the entry that a line of a list stands for: a hash as it is, the hash of an address or domain."""
    word = text.strip().lower()
    return word if _HASH.fullmatch(word) else _hash_of(word)


def _hash_of(address: str) -> str:
    return hashlib.sha256(address.encode()).hexdigest()


class BlockLists:
    """All lists. `refused` counts what was not taken because of them."""

    def __init__(self, log: Log, store: LogStore) -> None:
        self._log = log
        stored = store.data(0, 0, _TYPE)
        self._lists: dict[str, list[str]] = (
            {} if stored is None else msgspec.msgpack.decode(stored, type=dict[str, list[str]])
        )
        self._entries: frozenset[str] = frozenset()
        self._gather()
        self.refused = 0

    def sizes(self) -> dict[str, int]:
        """Return the number of entries of each list."""
        return {source: len(entries) for source, entries in self._lists.items()}

    def refuses(self, address: str) -> bool:
        """Return whether nothing is to be taken from a bare address, or from the domain that it is of."""
        if not self._entries:
            return False
        domain = address.rpartition("@")[2]
        listed = _hash_of(address) in self._entries or _hash_of(domain) in self._entries
        self.refused += listed
        return listed

    def replace(self, source: str, entries: Iterable[str], then: Then, refused: Refused) -> None:
        """Put the list of `source` in the place of the one before; none takes it away."""
        wanted = sorted({entry_of(entry) for entry in entries})

        def form(log: Log) -> Refusal | None:
            if not _SOURCE.fullmatch(source):
                return Refusal.NAME_INVALID
            if len(wanted) > MOST_ENTRIES or (source not in self._lists and len(self._lists) >= MOST_LISTS):
                return Refusal.TOO_MANY
            if not wanted and source not in self._lists:
                return Refusal.TARGET_UNKNOWN
            before = self._lists
            self._lists = {name: listed for name, listed in before.items() if name != source}
            if wanted:
                self._lists[source] = wanted
            self._gather()
            log.undo(lambda: self._put_back(before))
            value = msgspec.msgpack.encode(self._lists)
            log.change(DataRow(account_id=0, conversation_id=0, type=_TYPE, value=value))
            return None

        self._log.append(Operation(form, then, refused))

    def _put_back(self, lists: dict[str, list[str]]) -> None:
        self._lists = lists
        self._gather()

    def _gather(self) -> None:
        self._entries = frozenset(entry for entries in self._lists.values() for entry in entries)
