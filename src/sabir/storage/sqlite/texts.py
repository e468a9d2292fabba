"""The full-text index, in a file of its own: what is said, by its words (DATAMODEL 1.11).

Everything in it can be made again from the log: a file that is damaged, or older than the log's generation, is thrown
away. One thread does all the work. SQLite's FTS5 keeps the words of what was deleted until its segments are merged, so
after erasures all are merged into one, and the file's journal is emptied.
"""

from __future__ import annotations

import logging
import queue
import re
import sqlite3
import threading
import time
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from sabir.core.ports import Page, PageQuery, Text
from sabir.storage import schema
from sabir.storage.config import StorageConfig
from sabir.storage.sqlite import connections, reading
from sabir.storage.sqlite.rows import events_listed
from sabir.storage.sqlite.statements import in_list, listed, text_of

log = logging.getLogger(__name__)

FILE_NAME: Final = "search.db"
VERSION: Final = 1
"""Of the tables, and of how texts are cut into words: another one makes the index anew."""
CLEAN_S: Final = 5.0
"""Erasures within this time are cleaned up together."""
MOST_WORDS: Final = 16
"""Words of one question that count."""
MOST_ASKED: Final = 1_000
"""Characters of one question that count."""
MOST_CHARS: Final = 32_768
"""Characters of one text that are indexed."""

# Scripts without spaces between words: every character counts as one.
_UNSPACED: Final = re.compile("([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])")
_LETTERS: Final = frozenset("LNM")
"""Categories of Unicode of which words are made; the same as `_TABLES` says."""
_PREFIX_FROM: Final = 3
"""A word of so many letters is found as the beginning of a longer one too."""

_TABLES: Final = (
    "CREATE TABLE state (version INTEGER NOT NULL, generation INTEGER NOT NULL, seq INTEGER NOT NULL,"
    " unclean INTEGER NOT NULL)",
    # The copy of the text is what FTS5 needs to forget it.
    "CREATE TABLE texts (seq INTEGER PRIMARY KEY, place TEXT NOT NULL, text TEXT NOT NULL)",
    "CREATE VIRTUAL TABLE words USING fts5(place, text, content='texts', content_rowid='seq', detail='column',"
    " tokenize=\"unicode61 remove_diacritics 2 categories 'L* N* M* Co'\")",
)
_COLUMNS: Final = "(rowid, place, text)"
_GENERATION: Final = text_of(
    sa.select(schema.log_head.c.generation, schema.log_head.c.seq).where(
        schema.log_head.c.shard == sa.literal_column("0")
    )
)
_ERASED: Final = text_of(sa.select(schema.erasures.c.seq).where(in_list(schema.erasures.c.seq, "seqs")))
_ALL_ERASED: Final = text_of(sa.select(schema.erasures.c.seq))


class Texts:
    """See `sabir.core.ports.TextIndex`; `erase` may be called from any thread."""

    def __init__(
        self,
        log_path: Path,
        config: StorageConfig,
        answer: Callable[[Callable[[], None]], None],
        owe: Callable[[], None],
    ) -> None:
        """Open the index, or make it.

        Args:
            log_path: the database of the log, in the folder where the index goes.
            config: the settings.
            answer: calls a function on the core's thread.
            owe: notes that it will be.

        Raises:
            OSError: the file cannot be made.
            sqlite3.Error: the log cannot be read.
        """
        self._path = log_path.with_name(FILE_NAME)
        self._answer = answer
        self._owe = owe
        self._config = config
        self._events = connections.open_reader(log_path, config)
        self._generation, self._head = self._events.execute(_GENERATION).fetchone()
        try:
            self._texts = self._open()
        except sqlite3.DatabaseError as error:
            log.warning("search index made anew", extra={"error": str(error)})
            self._remove()
            self._texts = self._open()
        self.seq = int(self._texts.execute("SELECT seq FROM state").fetchone()[0])
        self._unclean_since = 0.0
        self._catch_up_erasures()
        self._queue: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="sabir-search", daemon=True)
        self._thread.start()

    def add(self, texts: Sequence[Text], seq: int, then: Callable[[], None]) -> None:
        """See `TextIndex.add`."""
        self._owe()
        self._queue.put(partial(self._add, texts, seq, then))

    def find(self, text: str, query: PageQuery, then: Callable[[Page], None]) -> None:
        """See `TextIndex.find`."""
        self._owe()
        self._queue.put(partial(self._find, text, query, then))

    def erase(self, seqs: Sequence[int]) -> None:
        """Take the texts of these entries out."""
        self._queue.put(partial(self._erase, seqs))

    def close(self) -> None:
        """Do what was asked, then close the files."""
        self._queue.put(None)
        self._thread.join()

    # The thread

    def _run(self) -> None:
        while (job := self._next()) is not None:
            try:
                job()
            except sqlite3.Error as error:
                log.error("search index failed", exc_info=error)
                self._roll_back()
        if self._unclean_since:
            self._clean()
        self._texts.close()
        self._events.close()

    def _next(self) -> Callable[[], None] | None:
        while self._unclean_since:
            left_s = self._unclean_since + CLEAN_S - time.monotonic()
            try:
                return self._queue.get(timeout=max(0.0, left_s))
            except queue.Empty:
                try:
                    self._clean()
                except sqlite3.Error as error:
                    log.error("search index not cleaned", exc_info=error)
                    self._unclean_since = time.monotonic()
        return self._queue.get()

    def _add(self, texts: Sequence[Text], seq: int, then: Callable[[], None]) -> None:
        try:
            # Whatever is erased from here on comes as a job of its own, after this one.
            erased = {row[0] for row in self._events.execute(_ERASED, (listed(text.seq for text in texts),))}
            rows = [
                (text.seq, _places(text), _spaced(text.text[:MOST_CHARS]))
                for text in texts
                if text.seq not in erased
            ]
            self._texts.execute("BEGIN IMMEDIATE")
            self._texts.executemany("INSERT OR REPLACE INTO texts VALUES (?, ?, ?)", rows)
            self._texts.executemany(f"INSERT INTO words {_COLUMNS} VALUES (?, ?, ?)", rows)
            self._texts.execute("UPDATE state SET seq = ?", (seq,))
            self._texts.execute("COMMIT")
        finally:
            self._answer(partial(self._added, seq, then))

    def _added(self, seq: int, then: Callable[[], None]) -> None:
        self.seq = max(self.seq, seq)
        then()

    def _find(self, text: str, query: PageQuery, then: Callable[[Page], None]) -> None:
        page = Page([], True)
        try:
            page = self._page(text, query)
        finally:
            self._answer(lambda: then(page))

    def _page(self, text: str, query: PageQuery) -> Page:
        words = _words(text)
        if not words:
            return Page([], True)
        self._events.execute("BEGIN")
        try:
            ranges = reading.bounds(self._events, query)
            question = _question(words, query)
            seqs: list[int] = []
            for after, before in reversed(ranges) if query.newest else ranges:
                seqs += self._seqs(question, after, before, query)
                if len(seqs) > query.limit:
                    break
            complete = len(seqs) <= query.limit
            events = events_listed(self._events, seqs[: query.limit])
            page = Page(events, complete)
            for relation in reading.relations_of(self._events, [event.seq for event in events]):
                page.relations.setdefault(relation.target_seq, []).append(relation)
            return page
        finally:
            self._events.execute("COMMIT")

    def _seqs(self, question: str, after: int, before: int, query: PageQuery) -> list[int]:
        """Return log numbers in the direction of reading, one more than the page holds if there are more."""
        order = "DESC" if query.newest else "ASC"
        select = (
            f"SELECT rowid FROM words WHERE words MATCH ? AND rowid > ? AND rowid < ? ORDER BY rowid {order}"
        )
        found: list[int] = []
        rows = self._texts.execute(select, (question, after, before))
        # Some are not for this reader: kinds and positions are in the log only, which is asked for a few at a time.
        while len(found) <= query.limit and (some := rows.fetchmany(query.limit + 1)):
            seqs = [row[0] for row in some]
            shown = {
                event.seq
                for event in events_listed(self._events, seqs)
                if event.kind in query.kinds and event.position >= query.from_position and not event.erased
            }
            found += [seq for seq in seqs if seq in shown]
        return found[: query.limit + 1]

    def _erase(self, seqs: Iterable[int]) -> None:
        self._texts.execute("BEGIN IMMEDIATE")
        count = 0
        for seq in seqs:
            for place, text in self._texts.execute(
                "SELECT place, text FROM texts WHERE seq = ?", (seq,)
            ).fetchall():
                self._texts.execute(
                    "INSERT INTO words (words, rowid, place, text) VALUES ('delete', ?, ?, ?)",
                    (seq, place, text),
                )
                self._texts.execute("DELETE FROM texts WHERE seq = ?", (seq,))
                count += 1
        if count:
            self._texts.execute("UPDATE state SET unclean = 1")
        self._texts.execute("COMMIT")
        if count and not self._unclean_since:
            self._unclean_since = time.monotonic()

    def _clean(self) -> None:
        """Leave no word of what was erased in the file."""
        self._texts.execute("INSERT INTO words (words) VALUES ('optimize')")
        self._texts.execute("UPDATE state SET unclean = 0")
        self._texts.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        self._unclean_since = 0.0

    def _roll_back(self) -> None:
        if self._texts.in_transaction:
            self._texts.execute("ROLLBACK")

    # Opening

    def _open(self) -> sqlite3.Connection:
        connections.create(self._path)
        connection = connections.open_writer(self._path, self._config)
        try:
            if not self._is_current(connection):
                connection.close()
                self._remove()
                connections.create(self._path)
                connection = connections.open_writer(self._path, self._config)
                connection.execute("BEGIN IMMEDIATE")
                for table in _TABLES:
                    connection.execute(table)
                connection.execute("INSERT INTO state VALUES (?, ?, 0, 0)", (VERSION, self._generation))
                connection.execute("COMMIT")
            # What a crash loses is indexed again; the checkpoint after an erasure flushes for itself.
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute("PRAGMA wal_autocheckpoint=1000")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _is_current(self, connection: sqlite3.Connection) -> bool:
        known = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'state'").fetchone()[0]
        if not known:
            return False
        version, generation, seq = connection.execute("SELECT version, generation, seq FROM state").fetchone()
        return bool(version == VERSION and generation == self._generation and seq <= self._head)

    def _remove(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            self._path.with_name(FILE_NAME + suffix).unlink(missing_ok=True)

    def _catch_up_erasures(self) -> None:
        """Take out what was erased just before a crash."""
        erased = [row[0] for row in self._events.execute(_ALL_ERASED)]
        if erased:
            known = self._texts.execute(
                "SELECT seq FROM texts WHERE seq IN (SELECT value FROM json_each(?))", (listed(erased),)
            )
            self._erase([row[0] for row in known.fetchall()])
        if self._texts.execute("SELECT unclean FROM state").fetchone()[0]:
            self._unclean_since = time.monotonic()


def _places(text: Text) -> str:
    """Return the names of where a text is: its conversation, and the mailboxes that it is in."""
    return " ".join([f"c{text.conversation_id}", *[f"a{account_id}" for account_id in text.account_ids]])


def _spaced(text: str) -> str:
    return _UNSPACED.sub(r" \1 ", unicodedata.normalize("NFC", text))


def _words(text: str) -> list[str]:
    """Return the words of a question."""
    spaced = _spaced(text[:MOST_ASKED])
    kept = [char if unicodedata.category(char)[0] in _LETTERS else " " for char in spaced]
    return "".join(kept).split()[:MOST_WORDS]


def _question(words: Iterable[str], query: PageQuery) -> str:
    """Return what FTS5 is asked: all of the words, in this conversation or mailbox."""
    place = f"c{query.conversation_id}" if query.conversation_id else f"a{query.account_id}"
    wanted = " AND ".join([f'"{word}"{"*" if len(word) >= _PREFIX_FROM else ""}' for word in words])
    return f"place : {place} AND text : ({wanted})"
